#include "identity/facts.h"

#include <openssl/pem.h>

#include "identity/certificate.h"

static hbk_status print_pem(const X509 *certificate, struct hbk_buffer *pem)
{
    BIO *bio = BIO_new(BIO_s_mem());
    hbk_status status = HBK_NO_MEMORY;
    if (bio != NULL && PEM_write_bio_X509(bio, certificate) == 1) {
        char *text = NULL;
        long size = BIO_get_mem_data(bio, &text);
        status = hbk_buffer_append(pem, hbk_slice_of(text, (size_t)size));
    }
    BIO_free(bio);
    return status;
}

hbk_status hbk_certificate_facts(const struct x509_st *certificate,
                                 struct hbk_certificate_facts *out_facts, struct hbk_buffer *pem)
{
    struct hbk_certificate_facts facts;
    if (!hbk_certificate_validity(certificate, &facts.not_before_ns, &facts.not_after_ns)) {
        return HBK_INVALID;
    }
    HBK_TRY(print_pem(certificate, pem));
    hbk_certificate_serial(certificate, facts.serial_text);
    *out_facts = facts;
    return HBK_OK;
}
