#include "identity/description.h"

#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "identity/certificate.h"
#include "identity/verdict.h"

enum { NAME_BYTES_MAX = 512 };

struct usage {
    uint32_t bit;
    const char *name;
};

static const struct usage key_usages[] = {
    {KU_DIGITAL_SIGNATURE, "digitalSignature"},
    {KU_NON_REPUDIATION, "nonRepudiation"},
    {KU_KEY_ENCIPHERMENT, "keyEncipherment"},
    {KU_DATA_ENCIPHERMENT, "dataEncipherment"},
    {KU_KEY_AGREEMENT, "keyAgreement"},
    {KU_KEY_CERT_SIGN, "keyCertSign"},
    {KU_CRL_SIGN, "cRLSign"},
};

static const struct usage purposes[] = {
    {XKU_SSL_SERVER, "serverAuth"}, {XKU_SSL_CLIENT, "clientAuth"}, {XKU_CODE_SIGN, "codeSigning"},
    {XKU_SMIME, "emailProtection"}, {XKU_OCSP_SIGN, "OCSPSigning"}, {XKU_ANYEKU, "any"},
};

static hbk_status print_usages(struct hbk_buffer *out, const char *title, bool has_any,
                               uint32_t bits, const struct usage *usages, size_t count)
{
    if (!has_any) {
        return hbk_buffer_print(out, "  %-10s any (not restricted)\n", title);
    }
    HBK_TRY(hbk_buffer_print(out, "  %-10s", title));
    for (size_t i = 0; i < count; i++) {
        if ((bits & usages[i].bit) != 0) {
            HBK_TRY(hbk_buffer_print(out, " %s", usages[i].name));
        }
    }
    return hbk_buffer_print(out, "\n");
}

/* Bytes that are no printable ASCII are shown as '?': a terminal obeys some of them. */
static hbk_status print_name(struct hbk_buffer *out, const char *kind, const ASN1_STRING *name)
{
    char text[NAME_BYTES_MAX];
    const unsigned char *bytes = ASN1_STRING_get0_data(name);
    size_t size = (size_t)ASN1_STRING_length(name);
    size = size < sizeof text ? size : sizeof text;
    for (size_t i = 0; i < size; i++) {
        text[i] = bytes[i] >= 0x20 && bytes[i] < 0x7f ? (char)bytes[i] : '?';
    }
    return hbk_buffer_print(out, "  %-10s %.*s\n", kind, (int)size, text);
}

static hbk_status print_names(struct hbk_buffer *out, const X509 *certificate)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    hbk_status status = HBK_OK;
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && status == HBK_OK; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_URI) {
            status = print_name(out, "id", name->d.uniformResourceIdentifier);
        } else if (name->type == GEN_DNS) {
            status = print_name(out, "dns name", name->d.dNSName);
        }
    }
    GENERAL_NAMES_free(names);
    hbk_certificate_clear_errors();
    return status;
}

static hbk_status print_validity(struct hbk_buffer *out, const X509 *certificate, int64_t now_ns)
{
    int64_t start_ns = 0;
    int64_t end_ns = 0;
    if (!hbk_certificate_validity(certificate, &start_ns, &end_ns)) {
        return hbk_buffer_print(out, "  %-10s cannot be read\n", "valid");
    }
    char start[HBK_CERTIFICATE_TIME_BYTES_MAX];
    char end[HBK_CERTIFICATE_TIME_BYTES_MAX];
    const char *state = now_ns < start_ns ? " (not yet)" : now_ns >= end_ns ? " (expired)" : "";
    return hbk_buffer_print(out, "  %-10s from %s to %s%s\n", "valid",
                            hbk_certificate_time(start_ns, start),
                            hbk_certificate_time(end_ns, end), state);
}

static hbk_status print_key(struct hbk_buffer *out, const X509 *certificate)
{
    char group[64] = "";
    size_t size = 0;
    EVP_PKEY *key = X509_get0_pubkey(certificate);
    const char *type = key == NULL ? NULL : EVP_PKEY_get0_type_name(key);
    if (type == NULL) {
        hbk_certificate_clear_errors();
        return hbk_buffer_print(out, "  %-10s cannot be read\n", "key");
    }
    (void)EVP_PKEY_get_group_name(key, group, sizeof group, &size);
    hbk_certificate_clear_errors();
    return hbk_buffer_print(out, "  %-10s %s, %d bits%s%s\n", "key", type, EVP_PKEY_get_bits(key),
                            group[0] == '\0' ? "" : ", ", group);
}

static hbk_status print_hash(struct hbk_buffer *out, const X509 *certificate)
{
    uint8_t hash[HBK_SHA256_BYTES];
    if (X509_digest(certificate, EVP_sha256(), hash, NULL) != 1) {
        return HBK_NO_MEMORY;
    }
    HBK_TRY(hbk_buffer_print(out, "  %-10s ", "sha-256"));
    for (size_t i = 0; i < sizeof hash; i++) {
        HBK_TRY(hbk_buffer_print(out, "%02x", hash[i]));
    }
    return hbk_buffer_print(out, "\n");
}

static hbk_status describe(X509 *certificate, int64_t now_ns, struct hbk_buffer *out)
{
    char subject[NAME_BYTES_MAX];
    char issuer[NAME_BYTES_MAX];
    char serial[HBK_SERIAL_TEXT_BYTES_MAX];
    uint32_t flags = X509_get_extension_flags(certificate);
    hbk_certificate_serial(certificate, serial);
    X509_NAME_oneline(X509_get_issuer_name(certificate), issuer, sizeof issuer);
    bool is_own = (flags & EXFLAG_SI) != 0;
    HBK_TRY(print_names(out, certificate));
    HBK_TRY(hbk_buffer_print(out, "  %-10s %s\n", "subject",
                             hbk_certificate_subject(certificate, subject, sizeof subject)));
    HBK_TRY(hbk_buffer_print(out, "  %-10s %s\n", "issuer", is_own ? "itself" : issuer));
    HBK_TRY(hbk_buffer_print(out, "  %-10s %s\n", "kind",
                             (flags & EXFLAG_CA) != 0 ? "authority (CA)" : "leaf"));
    HBK_TRY(print_validity(out, certificate, now_ns));
    HBK_TRY(print_key(out, certificate));
    HBK_TRY(hbk_buffer_print(out, "  %-10s %s\n", "serial", serial));
    HBK_TRY(print_usages(out, "usages", (flags & EXFLAG_KUSAGE) != 0,
                         X509_get_key_usage(certificate), key_usages, HBK_COUNT(key_usages)));
    HBK_TRY(print_usages(out, "purposes", (flags & EXFLAG_XKUSAGE) != 0,
                         X509_get_extended_key_usage(certificate), purposes, HBK_COUNT(purposes)));
    return print_hash(out, certificate);
}

hbk_status hbk_certificates_describe(struct hbk_slice pem, int64_t now_ns, struct hbk_buffer *out,
                                     struct hbk_error *error)
{
    struct hbk_certificates certificates;
    HBK_TRY(hbk_certificates_read(pem, HBK_DESCRIPTION_CERTIFICATES_MAX, &certificates, error));
    hbk_status status = HBK_OK;
    for (size_t i = 0; i < certificates.count && status == HBK_OK; i++) {
        status = hbk_buffer_print(out, "certificate %zu of %zu\n", i + 1, certificates.count);
        if (status == HBK_OK) {
            status = describe(certificates.items[i], now_ns, out);
        }
    }
    hbk_certificates_fini(&certificates);
    return status;
}
