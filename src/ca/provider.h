/* What stands behind a source: the built-in CA, or a folder of files. For the files of this room.
 * Control thread. */
#pragma once

#include "base/error.h"
#include "identity/authority.h"
#include "identity/bundle.h"
#include "identity/svid.h"

/* What a look found changed. */
enum hbk_ca_change {
    HBK_CA_CHANGE_BUNDLES = 1,
    HBK_CA_CHANGE_LEAVES = 2, /* a fetch now may give another certificate */
};

struct hbk_ca_provider {
    unsigned renew_percent; /* of the life that is left, after which a new one is fetched */

    /* Looks at the files; writes a set of hbk_ca_change. What is broken is told in `error`, once
     * per change, and what was there before stays in use. */
    void (*look)(void *self, unsigned *out_changes, struct hbk_error *error);

    /* The newest certificate for `id` that is valid now; the caller owns a reference. */
    hbk_status (*fetch)(void *self, const struct hbk_spiffe_id *id, int64_t now_ns,
                        struct hbk_svid **out_svid, struct hbk_error *error);

    /* Borrowed until the next look. */
    struct hbk_bundle_set *(*bundles)(void *self);

    void (*close)(void *self);
};

struct hbk_ca_settings;
struct hbk_ca_source;

/* Fails: HBK_NO_MEMORY; then `self` was closed. */
HBK_MUST_USE hbk_status hbk_ca_source_new(const struct hbk_ca_provider *provider, void *self,
                                          const struct hbk_ca_settings *settings,
                                          struct hbk_ca_source **out_source);
