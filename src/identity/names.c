#include "identity/names.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"

static bool is_printable(struct hbk_slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.bytes[i] <= 0x20 || text.bytes[i] >= 0x7f) {
            return false;
        }
    }
    return text.size > 0;
}

static bool add_name(const X509_NAME *name, struct hbk_buffer *text)
{
    if (X509_NAME_entry_count(name) == 0) {
        return true;
    }
    BIO *bio = BIO_new(BIO_s_mem());
    if (bio == NULL || X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) < 0) {
        BIO_free(bio);
        return false;
    }
    char *bytes = NULL;
    long size = BIO_get_mem_data(bio, &bytes);
    hbk_status status = hbk_buffer_append(text, hbk_slice_of(bytes, (size_t)size));
    BIO_free(bio);
    return status != HBK_NO_MEMORY;
}

/* Names with strange bytes, or beyond the limit, are left out: they are for reports alone. */
static bool add_names(const GENERAL_NAMES *names, int type, struct hbk_buffer *text)
{
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type != type) {
            continue;
        }
        const ASN1_IA5STRING *bytes = name->d.ia5;
        struct hbk_slice slice =
            hbk_slice_of(ASN1_STRING_get0_data(bytes), (size_t)ASN1_STRING_length(bytes));
        struct hbk_span room;
        hbk_status status = HBK_LIMIT;
        if (is_printable(slice) && slice.size < HBK_CERTIFICATE_NAMES_BYTES_MAX) {
            status = hbk_buffer_reserve(text, slice.size + 1, &room);
        }
        if (status == HBK_NO_MEMORY) {
            return false;
        }
        if (status == HBK_OK) {
            memcpy(room.bytes, slice.bytes, slice.size);
            room.bytes[slice.size] = '\0';
            hbk_buffer_commit(text, slice.size + 1);
        }
    }
    return true;
}

hbk_status hbk_certificate_names_read(const struct x509_st *certificate,
                                      struct hbk_certificate_names *out_names)
{
    struct hbk_certificate_names names = {.bytes = NULL};
    struct hbk_buffer text;
    hbk_buffer_init(&text, HBK_CERTIFICATE_NAMES_BYTES_MAX);
    GENERAL_NAMES *list = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    bool is_good = add_name(X509_get_subject_name(certificate), &text);
    size_t subject_end = hbk_buffer_size(&text);
    is_good = is_good && add_names(list, GEN_DNS, &text);
    size_t dns_end = hbk_buffer_size(&text);
    is_good = is_good && add_names(list, GEN_URI, &text);
    size_t uris_end = hbk_buffer_size(&text);
    text.size_max = uris_end + HBK_CERTIFICATE_ISSUER_BYTES_MAX;
    is_good = is_good && add_name(X509_get_issuer_name(certificate), &text);
    GENERAL_NAMES_free(list);
    ERR_clear_error();
    struct hbk_slice all = hbk_buffer_slice(&text);
    if (is_good && all.size > 0) {
        names.bytes = malloc(all.size);
        is_good = names.bytes != NULL;
    }
    if (names.bytes != NULL) {
        memcpy(names.bytes, all.bytes, all.size);
        names.subject = hbk_slice_of(names.bytes, subject_end);
        names.dns_names = hbk_slice_of(names.bytes + subject_end, dns_end - subject_end);
        names.uris = hbk_slice_of(names.bytes + dns_end, uris_end - dns_end);
        names.issuer = hbk_slice_of(names.bytes + uris_end, all.size - uris_end);
    }
    hbk_buffer_fini(&text);
    if (!is_good) {
        return HBK_NO_MEMORY;
    }
    *out_names = names;
    return HBK_OK;
}

void hbk_certificate_names_fini(struct hbk_certificate_names *names)
{
    free(names->bytes);
    *names = (struct hbk_certificate_names){.bytes = NULL};
}
