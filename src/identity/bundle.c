#include "identity/bundle.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "identity/certificate.h"
#include "identity/spiffe.h"

struct bundle {
    struct hbk_bundle public;
    _Atomic uint32_t references; /* release on giving back, acquire before the free */
    char trust_domain[HBK_SPIFFE_TRUST_DOMAIN_BYTES_MAX];
};

struct bundle_set {
    _Atomic uint32_t references;
    struct hbk_bundle_set public; /* last: it ends in an array */
};

/* Relaxed: only uniqueness counts. */
static _Atomic uint64_t last_generation;

static hbk_status add_roots(struct hbk_bundle *bundle, struct hbk_slice pem,
                            struct hbk_error *error)
{
    bool has_domain = bundle->trust_domain.size > 0;
    struct hbk_certificates roots;
    HBK_TRY(hbk_certificates_read(pem, has_domain ? HBK_BUNDLE_ROOTS_MAX : HBK_ROOTS_MAX, &roots,
                                  error));
    hbk_status status = HBK_OK;
    for (size_t i = 0; i < roots.count && status == HBK_OK; i++) {
        status = has_domain ? hbk_certificate_check_signer(roots.items[i], false, error) : HBK_OK;
        if (status == HBK_OK && X509_STORE_add_cert(bundle->store, roots.items[i]) != 1) {
            status = HBK_NO_MEMORY;
        }
    }
    if (status == HBK_OK) {
        bundle->roots = roots.items;
        bundle->root_count = roots.count;
    } else {
        hbk_certificates_fini(&roots);
    }
    return status == HBK_UNTRUSTED ? HBK_INVALID : status;
}

static hbk_status add_crl(struct hbk_bundle *bundle, X509_CRL *crl)
{
    int is_added = X509_STORE_add_crl(bundle->store, crl);
    X509_CRL_free(crl);
    bundle->has_crl = true;
    return is_added == 1 ? HBK_OK : HBK_NO_MEMORY;
}

static hbk_status add_crls_from(struct hbk_bundle *bundle, BIO *bio, bool is_pem,
                                struct hbk_error *error)
{
    if (!is_pem) {
        X509_CRL *crl = d2i_X509_CRL_bio(bio, NULL);
        return crl != NULL
                   ? add_crl(bundle, crl)
                   : hbk_error_set(error, HBK_INVALID, "revocation list is neither PEM nor DER");
    }
    for (size_t i = 0;; i++) {
        X509_CRL *crl = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL);
        if (crl == NULL) {
            unsigned long code = ERR_peek_last_error();
            return ERR_GET_REASON(code) == PEM_R_NO_START_LINE && i > 0
                       ? HBK_OK
                       : hbk_error_set(error, HBK_INVALID, "revocation list %zu is not valid PEM",
                                       i + 1);
        }
        if (i == HBK_BUNDLE_CRLS_MAX) {
            X509_CRL_free(crl);
            return hbk_error_set(error, HBK_LIMIT, "more than %d revocation lists",
                                 HBK_BUNDLE_CRLS_MAX);
        }
        HBK_TRY(add_crl(bundle, crl));
    }
}

static hbk_status add_crls(struct hbk_bundle *bundle, struct hbk_slice crl, struct hbk_error *error)
{
    if (crl.size == 0) {
        return HBK_OK;
    }
    BIO *bio = BIO_new_mem_buf(crl.bytes, (int)crl.size);
    if (bio == NULL) {
        return HBK_NO_MEMORY;
    }
    ERR_clear_error();
    bool is_pem = memmem(crl.bytes, crl.size, "-----BEGIN", 10) != NULL;
    hbk_status status = add_crls_from(bundle, bio, is_pem, error);
    BIO_free(bio);
    ERR_clear_error();
    return status;
}

static struct bundle *bundle_make(struct hbk_slice trust_domain)
{
    struct bundle *bundle = calloc(1, sizeof *bundle);
    X509_STORE *store = X509_STORE_new();
    if (bundle == NULL || store == NULL) {
        free(bundle);
        X509_STORE_free(store);
        return NULL;
    }
    atomic_init(&bundle->references, 1);
    if (trust_domain.size > 0) {
        memcpy(bundle->trust_domain, trust_domain.bytes, trust_domain.size);
    }
    bundle->public.trust_domain = hbk_slice_of(bundle->trust_domain, trust_domain.size);
    bundle->public.store = store;
    bundle->public.generation =
        1 + atomic_fetch_add_explicit(&last_generation, 1, memory_order_relaxed);
    return bundle;
}

static hbk_status bundle_fill(struct hbk_slice trust_domain, struct hbk_slice roots_pem,
                              struct hbk_slice crl, struct hbk_bundle **out_bundle,
                              struct hbk_error *error)
{
    size_t roots_max = trust_domain.size > 0 ? HBK_BUNDLE_BYTES_MAX : HBK_ROOTS_BYTES_MAX;
    if (roots_pem.size > roots_max || crl.size > HBK_BUNDLE_CRL_BYTES_MAX) {
        return hbk_error_set(error, HBK_LIMIT,
                             "trust bundle above %zu or revocation lists above %d bytes", roots_max,
                             HBK_BUNDLE_CRL_BYTES_MAX);
    }
    struct bundle *bundle = bundle_make(trust_domain);
    if (bundle == NULL) {
        return HBK_NO_MEMORY;
    }
    hbk_status status = add_roots(&bundle->public, roots_pem, error);
    if (status == HBK_OK) {
        status = add_crls(&bundle->public, crl, error);
    }
    if (status != HBK_OK) {
        hbk_bundle_unref(&bundle->public);
        return status;
    }
    *out_bundle = &bundle->public;
    return HBK_OK;
}

hbk_status hbk_bundle_new(struct hbk_slice trust_domain, struct hbk_slice roots_pem,
                          struct hbk_slice crl, struct hbk_bundle **out_bundle,
                          struct hbk_error *error)
{
    if (!hbk_spiffe_is_trust_domain(trust_domain)) {
        return hbk_error_set(
            error, HBK_INVALID,
            "\"%.*s\" is not a trust domain: 1 to 255 of a-z 0-9 . - _ are allowed",
            HBK_SLICE_ARGS(hbk_slice_part(trust_domain, 0, 300)));
    }
    return bundle_fill(trust_domain, roots_pem, crl, out_bundle, error);
}

hbk_status hbk_bundle_new_roots(struct hbk_slice roots_pem, struct hbk_slice crl,
                                struct hbk_bundle **out_bundle, struct hbk_error *error)
{
    return bundle_fill(hbk_slice_of(NULL, 0), roots_pem, crl, out_bundle, error);
}

struct hbk_bundle *hbk_bundle_ref(struct hbk_bundle *bundle)
{
    struct bundle *shared = HBK_CONTAINER(bundle, struct bundle, public);
    atomic_fetch_add_explicit(&shared->references, 1, memory_order_relaxed);
    return bundle;
}

bool hbk_bundle_is_shared(const struct hbk_bundle *bundle)
{
    const struct bundle *shared = HBK_CONTAINER((uintptr_t)bundle, const struct bundle, public);
    return atomic_load_explicit(&shared->references, memory_order_relaxed) > 1;
}

void hbk_bundle_unref(struct hbk_bundle *bundle)
{
    if (bundle == NULL) {
        return;
    }
    struct bundle *shared = HBK_CONTAINER(bundle, struct bundle, public);
    if (atomic_fetch_sub_explicit(&shared->references, 1, memory_order_acq_rel) == 1) {
        for (size_t i = 0; i < bundle->root_count; i++) {
            X509_free(bundle->roots[i]);
        }
        free(bundle->roots);
        X509_STORE_free(bundle->store);
        free(shared);
    }
}

hbk_status hbk_bundle_set_new(struct hbk_bundle *const *bundles, size_t count,
                              struct hbk_bundle_set **out_set)
{
    if (count > HBK_BUNDLE_SET_MAX) {
        return HBK_LIMIT;
    }
    struct bundle_set *set = calloc(1, sizeof *set + count * sizeof bundles[0]);
    if (set == NULL) {
        return HBK_NO_MEMORY;
    }
    atomic_init(&set->references, 1);
    for (size_t i = 0; i < count; i++) {
        if (hbk_bundle_set_find(&set->public, bundles[i]->trust_domain) != NULL) {
            hbk_bundle_set_unref(&set->public);
            return HBK_EXISTS;
        }
        set->public.bundles[set->public.count++] = hbk_bundle_ref(bundles[i]);
    }
    *out_set = &set->public;
    return HBK_OK;
}

struct hbk_bundle_set *hbk_bundle_set_ref(struct hbk_bundle_set *set)
{
    struct bundle_set *shared = HBK_CONTAINER(set, struct bundle_set, public);
    atomic_fetch_add_explicit(&shared->references, 1, memory_order_relaxed);
    return set;
}

void hbk_bundle_set_unref(struct hbk_bundle_set *set)
{
    if (set == NULL) {
        return;
    }
    struct bundle_set *shared = HBK_CONTAINER(set, struct bundle_set, public);
    if (atomic_fetch_sub_explicit(&shared->references, 1, memory_order_acq_rel) == 1) {
        for (size_t i = 0; i < set->count; i++) {
            hbk_bundle_unref(set->bundles[i]);
        }
        free(shared);
    }
}

struct hbk_bundle *hbk_bundle_set_find(const struct hbk_bundle_set *set,
                                       struct hbk_slice trust_domain)
{
    for (size_t i = 0; i < set->count; i++) {
        if (hbk_slice_equal(set->bundles[i]->trust_domain, trust_domain)) {
            return set->bundles[i];
        }
    }
    return NULL;
}
