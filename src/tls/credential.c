#include "tls/credential.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/assert.h"
#include "tls/engine.h"

struct hbk_tls_credential {
    /* Relaxed up, acquire-release down: the last holder sees what others did before they left. */
    atomic_uint references;
    struct hbk_svid *svid;          /* owned reference */
    struct hbk_bundle_set *bundles; /* owned reference */
    uint64_t generation;
    const struct hbk_tls_engine *engine;
    void *context; /* owned: the engine's */
};

static const struct hbk_tls_engine *engine_of(enum hbk_tls_engine_kind kind)
{
    switch (kind) {
    case HBK_TLS_ENGINE_OPENSSL:
        return &hbk_tls_engine_openssl;
    }
    HBK_UNREACHABLE();
}

hbk_status hbk_tls_credential_new(struct hbk_svid *svid, struct hbk_bundle_set *bundles,
                                  uint64_t generation, enum hbk_tls_engine_kind engine,
                                  struct hbk_tls_credential **out_credential,
                                  struct hbk_error *error)
{
    struct hbk_slice trust_domain = svid->id->parts.trust_domain;
    if (hbk_bundle_set_find(bundles, trust_domain) == NULL) {
        return hbk_error_set(error, HBK_INVALID, "no trust bundle for the trust domain %.*s",
                             HBK_SLICE_ARGS(trust_domain));
    }
    struct hbk_tls_credential *credential = calloc(1, sizeof *credential);
    if (credential == NULL) {
        return hbk_error_set(error, HBK_NO_MEMORY, "out of memory");
    }
    credential->engine = engine_of(engine);
    hbk_status status = credential->engine->context_new(svid, &credential->context, error);
    if (status != HBK_OK) {
        free(credential);
        return status;
    }
    atomic_init(&credential->references, 1);
    credential->svid = hbk_svid_ref(svid);
    credential->bundles = hbk_bundle_set_ref(bundles);
    credential->generation = generation;
    *out_credential = credential;
    return HBK_OK;
}

struct hbk_tls_credential *hbk_tls_credential_ref(struct hbk_tls_credential *credential)
{
    atomic_fetch_add_explicit(&credential->references, 1, memory_order_relaxed);
    return credential;
}

void hbk_tls_credential_unref(struct hbk_tls_credential *credential)
{
    if (credential == NULL ||
        atomic_fetch_sub_explicit(&credential->references, 1, memory_order_acq_rel) != 1) {
        return;
    }
    credential->engine->context_free(credential->context);
    hbk_svid_unref(credential->svid);
    hbk_bundle_set_unref(credential->bundles);
    free(credential);
}

const struct hbk_spiffe_id *hbk_tls_credential_id(const struct hbk_tls_credential *credential)
{
    return credential->svid->id;
}

const struct hbk_svid *hbk_tls_credential_svid(const struct hbk_tls_credential *credential)
{
    return credential->svid;
}

struct hbk_bundle_set *hbk_tls_credential_bundles(const struct hbk_tls_credential *credential)
{
    return credential->bundles;
}

uint64_t hbk_tls_credential_generation(const struct hbk_tls_credential *credential)
{
    return credential->generation;
}

int64_t hbk_tls_credential_not_after_ns(const struct hbk_tls_credential *credential)
{
    return credential->svid->not_after_ns;
}

const struct hbk_tls_engine *hbk_tls_credential_engine(const struct hbk_tls_credential *credential)
{
    return credential->engine;
}

void *hbk_tls_credential_context(const struct hbk_tls_credential *credential)
{
    return credential->context;
}
