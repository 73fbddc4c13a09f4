#include "identity/svid.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "identity/certificate.h"

struct svid {
    struct hbk_svid public;      /* first: what callers see */
    _Atomic uint32_t references; /* release on giving back, acquire before the free */
};

/* Takes the certificates over and narrows the validity to what all of them allow. */
static hbk_status take_chain(struct hbk_svid *svid, struct hbk_certificates *chain,
                             struct hbk_error *error)
{
    svid->not_before_ns = INT64_MIN;
    svid->not_after_ns = INT64_MAX;
    for (size_t i = 0; i < chain->count; i++) {
        int64_t start_ns = 0;
        int64_t end_ns = 0;
        if (!hbk_certificate_validity(chain->items[i], &start_ns, &end_ns)) {
            return hbk_error_set(error, HBK_INVALID, "certificate %zu: validity cannot be read",
                                 i + 1);
        }
        svid->not_before_ns = start_ns > svid->not_before_ns ? start_ns : svid->not_before_ns;
        svid->not_after_ns = end_ns < svid->not_after_ns ? end_ns : svid->not_after_ns;
        svid->certificates[i] = chain->items[i];
    }
    svid->certificate_count = chain->count;
    chain->count = 0;
    hbk_certificate_serial(svid->certificates[0], svid->serial_text);
    return HBK_OK;
}

static hbk_status fill(struct hbk_svid *svid, struct hbk_slice chain_pem, struct hbk_slice key_pem,
                       struct hbk_error *error)
{
    struct hbk_certificates chain;
    HBK_TRY(hbk_certificates_read(chain_pem, HBK_CHAIN_CERTIFICATES_MAX, &chain, error));
    hbk_status status = hbk_certificate_id(chain.items[0], &svid->id, error);
    if (status == HBK_OK) {
        status = hbk_certificate_check_leaf(chain.items[0], error);
    }
    for (size_t i = 1; i < chain.count && status == HBK_OK; i++) {
        status = hbk_certificate_check_signer(chain.items[i], false, error);
    }
    if (status == HBK_OK) {
        status = take_chain(svid, &chain, error);
    }
    hbk_certificates_fini(&chain);
    HBK_TRY(status);

    svid->private_key = hbk_private_key_read(key_pem);
    if (svid->private_key == NULL) {
        return hbk_error_set(error, HBK_INVALID,
                             "no private key: an unencrypted PEM file is expected");
    }
    if (X509_check_private_key(svid->certificates[0], svid->private_key) != 1) {
        ERR_clear_error();
        return hbk_error_set(error, HBK_INVALID, "the private key is not the one of %.*s",
                             HBK_SLICE_ARGS(svid->id->text));
    }
    return HBK_OK;
}

hbk_status hbk_svid_from_pem(struct hbk_slice chain_pem, struct hbk_slice key_pem,
                             struct hbk_svid **out_svid, struct hbk_error *error)
{
    if (chain_pem.size > HBK_CHAIN_BYTES_MAX || key_pem.size > HBK_PRIVATE_KEY_BYTES_MAX) {
        return hbk_error_set(error, HBK_LIMIT, "certificate chain above %d or key above %d bytes",
                             HBK_CHAIN_BYTES_MAX, HBK_PRIVATE_KEY_BYTES_MAX);
    }
    struct svid *svid = calloc(1, sizeof *svid);
    if (svid == NULL) {
        return HBK_NO_MEMORY;
    }
    atomic_init(&svid->references, 1);
    hbk_status status = fill(&svid->public, chain_pem, key_pem, error);
    if (status != HBK_OK) {
        hbk_svid_unref(&svid->public);
        return status == HBK_UNTRUSTED ? HBK_INVALID : status;
    }
    *out_svid = &svid->public;
    return HBK_OK;
}

struct hbk_svid *hbk_svid_ref(struct hbk_svid *svid)
{
    struct svid *shared = HBK_CONTAINER(svid, struct svid, public);
    /* Relaxed: whoever calls holds a reference already. */
    atomic_fetch_add_explicit(&shared->references, 1, memory_order_relaxed);
    return svid;
}

void hbk_svid_unref(struct hbk_svid *svid)
{
    if (svid == NULL) {
        return;
    }
    struct svid *shared = HBK_CONTAINER(svid, struct svid, public);
    if (atomic_fetch_sub_explicit(&shared->references, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (size_t i = 0; i < svid->certificate_count; i++) {
        X509_free(svid->certificates[i]);
    }
    EVP_PKEY_free(svid->private_key); /* libcrypto clears private numbers as it frees them */
    hbk_spiffe_unref(svid->id);
    free(shared);
}
