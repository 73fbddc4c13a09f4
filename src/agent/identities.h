/*
 * The certificates of this node's workloads: one per identity, renewed at half of its life, kept
 * while it is good even when its source is gone. Control thread.
 */
#pragma once

#include "base/error.h"
#include "base/list.h"
#include "identity/authority.h"
#include "identity/bundle.h"
#include "runtime/loop.h"
#include "tls/credential.h"

struct hbk_identities {
    struct hbk_loop *loop;           /* borrowed */
    struct hbk_authority *authority; /* owned */
    struct hbk_bundle_set *bundles;  /* owned reference */
    uint64_t life_ns;
    uint64_t generation;
    struct hbk_list list; /* struct hbk_identity_entry */
    uint64_t issued, failed;

    /* A credential is there, the first or a renewed one. Borrowed during the call. */
    void (*on_credential)(void *context, const struct hbk_spiffe_id *id,
                          struct hbk_tls_credential *credential);
    void *context;
};

/* Opens the built-in CA of `hauberk ca init`. Fails with an error that names the file. */
HBK_MUST_USE hbk_status hbk_identities_open_ca(struct hbk_identities *identities,
                                               struct hbk_loop *loop, const char *path,
                                               uint64_t life_ns, struct hbk_error *error);
void hbk_identities_fini(struct hbk_identities *identities);

/* Begins to hold a certificate for `id`; calls back at once if it can be had. Idempotent. */
void hbk_identities_want(struct hbk_identities *identities, const struct hbk_spiffe_id *id);

/* Borrowed until the next renewal; NULL while there is none. */
struct hbk_tls_credential *hbk_identities_find(struct hbk_identities *identities,
                                               const struct hbk_spiffe_id *id);

/* Forgets every identity that was not wanted since the last call of hbk_identities_mark(). */
void hbk_identities_mark(struct hbk_identities *identities);
void hbk_identities_sweep(struct hbk_identities *identities);
