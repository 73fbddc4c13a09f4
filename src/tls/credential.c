#include "tls/credential.h"

#include <stdatomic.h>
#include <stdlib.h>

struct hbk_tls_credential {
    struct hbk_tls_context *context; /* held */
    struct hbk_svid *svid;           /* held */
    struct hbk_bundle_set *bundles;  /* held */
    uint64_t generation;
    _Atomic uint32_t references; /* release on giving back, acquire before the free */
};

static void credential_free(struct hbk_tls_credential *credential)
{
    hbk_tls_context_unref(credential->context);
    hbk_svid_unref(credential->svid);
    hbk_bundle_set_unref(credential->bundles);
    free(credential);
}

/* The suites and the protocol of ambient.md 3b. */
static hbk_status make_context(struct hbk_tls_credential *credential,
                               enum hbk_tls_engine_kind engine, struct hbk_error *error)
{
    static const uint16_t suites[] = {HBK_SUITE_AES_128_GCM_SHA256, HBK_SUITE_AES_256_GCM_SHA384};
    const struct hbk_svid *svid = credential->svid;
    const struct hbk_tls_certificate_options certificate = {
        .chain = svid->certificates,
        .chain_count = svid->certificate_count,
        .private_key = svid->private_key,
    };
    const struct hbk_trust_options trust_options = {.rule = HBK_TRUST_SPIFFE,
                                                    .bundles = credential->bundles};
    const struct hbk_trust *trust = NULL;
    HBK_TRY(hbk_trust_new(&trust_options, &trust));
    const struct hbk_tls_context_options options = {
        .engine = engine,
        .certificates = &certificate,
        .certificate_count = 1,
        .trust = trust,
        .client_certificate = HBK_TLS_CLIENT_CERTIFICATE_REQUIRED,
        .protocols = HBK_SLICE("\x02h2"),
        .requires_protocol = true,
        .suites = suites,
        .suite_count = HBK_COUNT(suites),
    };
    hbk_status status = hbk_tls_context_new(&options, &credential->context, error);
    hbk_trust_unref(trust);
    return status;
}

hbk_status hbk_tls_credential_new(struct hbk_svid *svid, struct hbk_bundle_set *bundles,
                                  uint64_t generation, enum hbk_tls_engine_kind engine,
                                  struct hbk_tls_credential **out_credential,
                                  struct hbk_error *error)
{
    struct hbk_slice trust_domain = svid->id->parts.trust_domain;
    if (hbk_bundle_set_find(bundles, trust_domain) == NULL) {
        return hbk_error_set(error, HBK_INVALID, "no trust bundle for %.*s, the domain of %.*s",
                             HBK_SLICE_ARGS(trust_domain), HBK_SLICE_ARGS(svid->id->text));
    }
    struct hbk_tls_credential *credential = calloc(1, sizeof *credential);
    if (credential == NULL) {
        return HBK_NO_MEMORY;
    }
    credential->svid = hbk_svid_ref(svid);
    credential->bundles = hbk_bundle_set_ref(bundles);
    credential->generation = generation;
    atomic_init(&credential->references, 1);
    hbk_status status = make_context(credential, engine, error);
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

struct hbk_tls_context *hbk_tls_credential_context(const struct hbk_tls_credential *credential)
{
    return credential->context;
}

struct hbk_expectation hbk_tls_credential_neighbours(const struct hbk_tls_credential *credential)
{
    return (struct hbk_expectation){.trust_domain = credential->svid->id->parts.trust_domain};
}
