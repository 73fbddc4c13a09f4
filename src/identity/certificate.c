#include "identity/certificate.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/clock.h"

void hbk_certificate_clear_errors(void)
{
    ERR_clear_error();
}

void hbk_certificates_fini(struct hbk_certificates *certificates)
{
    for (size_t i = 0; i < certificates->count; i++) {
        X509_free(certificates->items[i]);
    }
    free(certificates->items);
    *certificates = (struct hbk_certificates){0};
}

/* Whether the last PEM_read call met the end of the text and nothing worse. */
static bool is_pem_end(void)
{
    unsigned long code = ERR_peek_last_error();
    return ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
}

/* A new reference to the one of `known` with this encoding; NULL: there is none. */
static X509 *find_known(const struct hbk_certificates *known, const unsigned char *der, long size)
{
    X509 *found = NULL;
    for (size_t i = 0; known != NULL && i < known->count && found == NULL; i++) {
        unsigned char *encoded = NULL;
        int encoded_size = i2d_X509(known->items[i], &encoded);
        if (encoded_size == size && memcmp(encoded, der, (size_t)size) == 0 &&
            X509_up_ref(known->items[i]) == 1) {
            found = known->items[i];
        }
        OPENSSL_free(encoded);
    }
    return found;
}

/* NULL at the end of the text or at what cannot be read; libcrypto's error tells which. */
static X509 *read_one(BIO *bio, const struct hbk_certificates *known)
{
    unsigned char *der = NULL;
    long size = 0;
    if (PEM_bytes_read_bio(&der, &size, NULL, PEM_STRING_X509, bio, NULL, NULL) != 1) {
        return NULL;
    }
    const unsigned char *at = der;
    X509 *certificate = find_known(known, der, size);
    certificate = certificate != NULL ? certificate : d2i_X509(NULL, &at, size);
    OPENSSL_free(der);
    return certificate;
}

static hbk_status read_all(BIO *bio, size_t count_max, const struct hbk_certificates *known,
                           struct hbk_certificates *certificates, struct hbk_error *error)
{
    for (;;) {
        X509 *certificate = read_one(bio, known);
        if (certificate == NULL) {
            break;
        }
        if (certificates->count == count_max) {
            X509_free(certificate);
            return hbk_error_set(error, HBK_LIMIT, "more than %zu certificates", count_max);
        }
        certificates->items[certificates->count++] = certificate;
    }
    if (!is_pem_end()) {
        return hbk_error_set(error, HBK_INVALID, "certificate %zu is not valid PEM",
                             certificates->count + 1);
    }
    if (certificates->count == 0) {
        return hbk_error_set(error, HBK_INVALID,
                             "no certificate: a PEM file with \"BEGIN CERTIFICATE\" is expected");
    }
    return HBK_OK;
}

hbk_status hbk_certificates_read(struct hbk_slice pem, size_t count_max,
                                 struct hbk_certificates *out_certificates, struct hbk_error *error)
{
    return hbk_certificates_read_beside(pem, count_max, NULL, out_certificates, error);
}

hbk_status hbk_certificates_read_beside(struct hbk_slice pem, size_t count_max,
                                        const struct hbk_certificates *known,
                                        struct hbk_certificates *out_certificates,
                                        struct hbk_error *error)
{
    HBK_ASSERT(pem.size <= INT32_MAX);
    struct hbk_certificates certificates = {.items = calloc(count_max, sizeof(X509 *))};
    BIO *bio = BIO_new_mem_buf(pem.size > 0 ? pem.bytes : (const uint8_t *)"", (int)pem.size);
    hbk_status status = HBK_NO_MEMORY;
    if (certificates.items != NULL && bio != NULL) {
        ERR_clear_error();
        status = read_all(bio, count_max, known, &certificates, error);
    }
    BIO_free(bio);
    ERR_clear_error();
    if (status != HBK_OK) {
        hbk_certificates_fini(&certificates);
        return status;
    }
    *out_certificates = certificates;
    return HBK_OK;
}

hbk_status hbk_certificate_write(const X509 *certificate, struct hbk_buffer *pem)
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

/* An encrypted key would make libcrypto ask the terminal. */
static int no_password(char *buffer, int size, int is_writing, void *argument)
{
    (void)buffer;
    (void)size;
    (void)is_writing;
    (void)argument;
    return -1;
}

EVP_PKEY *hbk_private_key_read(struct hbk_slice pem)
{
    BIO *bio = BIO_new_mem_buf(pem.size > 0 ? pem.bytes : (const uint8_t *)"", (int)pem.size);
    EVP_PKEY *key = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
    BIO_free(bio);
    ERR_clear_error();
    return key;
}

/* The single URI among the names; HBK_UNTRUSTED when there is none or a second. */
static hbk_status find_uri(const GENERAL_NAMES *names, struct hbk_slice *out_uri,
                           struct hbk_error *error)
{
    size_t uri_count = 0;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_URI) {
            const ASN1_IA5STRING *uri = name->d.uniformResourceIdentifier;
            *out_uri = hbk_slice_of(ASN1_STRING_get0_data(uri), (size_t)ASN1_STRING_length(uri));
            uri_count++;
        }
    }
    if (uri_count != 1) {
        return hbk_error_set(error, HBK_UNTRUSTED,
                             "certificate has %zu URI names, exactly one SPIFFE id is allowed",
                             uri_count);
    }
    return HBK_OK;
}

static hbk_status intern_uri(struct hbk_slice uri, const struct hbk_spiffe_id **out_id,
                             struct hbk_error *error)
{
    struct hbk_spiffe_parts parts;
    if (!hbk_spiffe_parse(uri, &parts)) {
        return hbk_error_set(error, HBK_UNTRUSTED,
                             "certificate's URI name is not a SPIFFE id (" HBK_SPIFFE_SYNTAX ")");
    }
    if (parts.path.size == 0) {
        return hbk_error_set(error, HBK_UNTRUSTED,
                             "certificate names the trust domain %.*s, not a workload in it",
                             HBK_SLICE_ARGS(parts.trust_domain));
    }
    return hbk_spiffe_intern(uri, out_id);
}

hbk_status hbk_certificate_id(X509 *leaf, const struct hbk_spiffe_id **out_id,
                              struct hbk_error *error)
{
    int critical = 0;
    GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, &critical, NULL);
    hbk_status status = HBK_OK;
    struct hbk_slice uri = {0};
    if (names == NULL) {
        ERR_clear_error();
        status = hbk_error_set(error, HBK_UNTRUSTED,
                               critical == -1 ? "certificate has no names, exactly one SPIFFE id "
                                                "as URI name is allowed"
                                              : "certificate's names cannot be read");
    } else {
        status = find_uri(names, &uri, error);
    }
    if (status == HBK_OK && critical == 0 &&
        X509_NAME_entry_count(X509_get_subject_name(leaf)) == 0) {
        status = hbk_error_set(error, HBK_UNTRUSTED,
                               "certificate has no subject and its names are not critical");
    }
    if (status == HBK_OK) {
        status = intern_uri(uri, out_id, error);
    }
    GENERAL_NAMES_free(names);
    return status;
}

hbk_status hbk_certificate_check_leaf(X509 *leaf, struct hbk_error *error)
{
    uint32_t flags = X509_get_extension_flags(leaf);
    uint32_t usage = X509_get_key_usage(leaf);
    const char *reason = NULL;
    if ((flags & EXFLAG_INVALID) != 0) {
        reason = "certificate has an extension that cannot be read";
    } else if ((flags & EXFLAG_CA) != 0) {
        reason = "certificate is a CA's, a workload's is expected";
    } else if ((flags & EXFLAG_KUSAGE) == 0) {
        reason = "certificate has no key usage, digitalSignature is required";
    } else if ((usage & KU_DIGITAL_SIGNATURE) == 0) {
        reason = "certificate's key usage lacks digitalSignature";
    } else if ((usage & (KU_KEY_CERT_SIGN | KU_CRL_SIGN)) != 0) {
        reason = "certificate's key usage allows to sign certificates or revocation lists";
    }
    return reason == NULL ? HBK_OK : hbk_error_set(error, HBK_UNTRUSTED, "%s", reason);
}

hbk_status hbk_certificate_check_signer(X509 *signer, bool is_intermediate, struct hbk_error *error)
{
    uint32_t flags = X509_get_extension_flags(signer);
    uint32_t usage = X509_get_key_usage(signer); /* all bits when there is none */
    const char *reason = NULL;
    if ((flags & EXFLAG_INVALID) != 0) {
        reason = "has an extension that cannot be read";
    } else if ((flags & EXFLAG_CA) == 0) {
        reason = "is not a CA";
    } else if ((usage & KU_KEY_CERT_SIGN) == 0 ||
               (is_intermediate && (flags & EXFLAG_KUSAGE) == 0)) {
        reason = "lacks the key usage keyCertSign";
    }
    if (reason == NULL) {
        return HBK_OK;
    }
    char subject[128];
    return hbk_error_set(error, HBK_UNTRUSTED, "signing certificate (%s) %s",
                         hbk_certificate_subject(signer, subject, sizeof subject), reason);
}

static bool time_ns_of(const ASN1_TIME *time, int64_t *out_ns)
{
    struct tm parts;
    if (ASN1_TIME_to_tm(time, &parts) != 1) {
        return false;
    }
    int64_t seconds = timegm(&parts);
    /* The last year of RFC 5280, 9999, is beyond int64 nanoseconds: then the end is "never". */
    const int64_t seconds_max = INT64_MAX / (int64_t)HBK_NS_PER_S - 1;
    if (seconds < -seconds_max) {
        return false;
    }
    *out_ns = (seconds > seconds_max ? seconds_max : seconds) * (int64_t)HBK_NS_PER_S;
    return true;
}

bool hbk_certificate_validity(const X509 *certificate, int64_t *out_not_before_ns,
                              int64_t *out_not_after_ns)
{
    int64_t start_ns = 0;
    int64_t end_ns = 0;
    if (!time_ns_of(X509_get0_notBefore(certificate), &start_ns) ||
        !time_ns_of(X509_get0_notAfter(certificate), &end_ns)) {
        ERR_clear_error();
        return false;
    }
    *out_not_before_ns = start_ns;
    *out_not_after_ns = end_ns;
    return true;
}

void hbk_certificate_serial(const X509 *certificate, char text[static HBK_SERIAL_TEXT_BYTES_MAX])
{
    const ASN1_INTEGER *serial = X509_get0_serialNumber(certificate);
    const unsigned char *bytes = ASN1_STRING_get0_data(serial);
    int size = ASN1_STRING_length(serial);
    int used = 0;
    text[0] = '\0';
    for (int i = 0; i < size && used + 2 < HBK_SERIAL_TEXT_BYTES_MAX; i++) {
        used += snprintf(text + used, (size_t)(HBK_SERIAL_TEXT_BYTES_MAX - used), "%02x", bytes[i]);
    }
}

const char *hbk_certificate_subject(const X509 *certificate, char *text, size_t text_bytes)
{
    X509_NAME *subject = X509_get_subject_name(certificate);
    if (X509_NAME_entry_count(subject) == 0) {
        (void)snprintf(text, text_bytes, "no subject");
    } else {
        X509_NAME_oneline(subject, text, (int)text_bytes);
    }
    return text;
}

const char *hbk_certificate_time(int64_t time_ns, char text[static HBK_CERTIFICATE_TIME_BYTES_MAX])
{
    time_t seconds = (time_t)(time_ns / (int64_t)HBK_NS_PER_S);
    struct tm parts;
    if (gmtime_r(&seconds, &parts) == NULL ||
        strftime(text, HBK_CERTIFICATE_TIME_BYTES_MAX, "%Y-%m-%d %H:%M:%S UTC", &parts) == 0) {
        (void)snprintf(text, HBK_CERTIFICATE_TIME_BYTES_MAX, "unknown time");
    }
    return text;
}
