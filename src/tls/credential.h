/*
 * What one workload of a mesh needs to speak TLS: its X.509-SVID, the bundles by which peers are
 * judged, and the context built from both: mutual TLS 1.3, application protocol "h2" (ambient.md
 * 3b). Immutable and shared: a renewal makes a new credential, sessions hold its context.
 */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "identity/bundle.h"
#include "identity/svid.h"
#include "tls/context.h"

struct hbk_tls_credential;

/*
 * Holds references to `svid` and `bundles`. `generation` is the caller's: it rises with every
 * renewal of an identity, for logs and for telling old tunnels from new ones.
 *
 * Fails:   HBK_INVALID with the reason (no bundle for the own trust domain), HBK_NO_MEMORY, HBK_IO.
 * Thread:  control.
 */
HBK_MUST_USE hbk_status hbk_tls_credential_new(struct hbk_svid *svid,
                                               struct hbk_bundle_set *bundles, uint64_t generation,
                                               enum hbk_tls_engine_kind engine,
                                               struct hbk_tls_credential **out_credential,
                                               struct hbk_error *error);

/* References; any thread. The last one frees the engine's context. */
struct hbk_tls_credential *hbk_tls_credential_ref(struct hbk_tls_credential *credential);
void hbk_tls_credential_unref(struct hbk_tls_credential *credential); /* NULL is allowed */

/* All borrowed from the credential. Any thread. */
const struct hbk_spiffe_id *hbk_tls_credential_id(const struct hbk_tls_credential *credential);
const struct hbk_svid *hbk_tls_credential_svid(const struct hbk_tls_credential *credential);
struct hbk_bundle_set *hbk_tls_credential_bundles(const struct hbk_tls_credential *credential);
uint64_t hbk_tls_credential_generation(const struct hbk_tls_credential *credential);
int64_t hbk_tls_credential_not_after_ns(const struct hbk_tls_credential *credential);
struct hbk_tls_context *hbk_tls_credential_context(const struct hbk_tls_credential *credential);

/* Anybody of the credential's own trust domain: whom a server of a mesh accepts, and a client that
 * knows no better. Borrowed from the credential. */
struct hbk_expectation hbk_tls_credential_neighbours(const struct hbk_tls_credential *credential);
