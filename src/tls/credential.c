#include "tls/credential.h"

#include <stdlib.h>

#include "base/assert.h"
#include "tls/engine.h"

static const struct hbk_tls_engine *const engines[] = {
    [HBK_TLS_ENGINE_OPENSSL] = &hbk_tls_openssl,
};

static void credential_free(struct hbk_tls_credential *credential)
{
    if (credential->context != NULL) {
        credential->engine->context_free(credential->context);
    }
    hbk_svid_unref(credential->svid);
    hbk_bundle_set_unref(credential->bundles);
    free(credential);
}

hbk_status hbk_tls_credential_new(struct hbk_svid *svid, struct hbk_bundle_set *bundles,
                                  uint64_t generation, enum hbk_tls_engine_kind engine,
                                  struct hbk_tls_credential **out_credential,
                                  struct hbk_error *error)
{
    struct hbk_slice trust_domain = svid->id->parts.trust_domain;
    HBK_ASSERT((size_t)engine < HBK_COUNT(engines));
    if (hbk_bundle_set_find(bundles, trust_domain) == NULL) {
        return hbk_error_set(error, HBK_INVALID, "no trust bundle for %.*s, the domain of %.*s",
                             HBK_SLICE_ARGS(trust_domain), HBK_SLICE_ARGS(svid->id->text));
    }
    struct hbk_tls_credential *credential = calloc(1, sizeof *credential);
    if (credential == NULL) {
        return HBK_NO_MEMORY;
    }
    credential->engine = engines[engine];
    credential->svid = hbk_svid_ref(svid);
    credential->bundles = hbk_bundle_set_ref(bundles);
    credential->generation = generation;
    atomic_init(&credential->references, 1);
    hbk_status status = credential->engine->context_new(credential, &credential->context, error);
    if (status != HBK_OK) {
        credential_free(credential);
        return status;
    }
    *out_credential = credential;
    return HBK_OK;
}

struct hbk_tls_credential *hbk_tls_credential_ref(struct hbk_tls_credential *credential)
{
    /* Relaxed: whoever calls holds a reference already. */
    atomic_fetch_add_explicit(&credential->references, 1, memory_order_relaxed);
    return credential;
}

void hbk_tls_credential_unref(struct hbk_tls_credential *credential)
{
    if (credential != NULL &&
        atomic_fetch_sub_explicit(&credential->references, 1, memory_order_acq_rel) == 1) {
        credential_free(credential);
    }
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
