#include "tls/certificate.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "base/cursor.h"
#include "crypto/private_key.h"
#include "identity/certificate.h"
#include "tls/openssl_fibre.h"

enum { RSA_BITS_MIN = 2048 };

/* ---- schemes ---- */

/* What a key signs with in TLS 1.3, in the order of preference. */
static void schemes_of(const struct hbk_private_key *key, struct hbk_tls_list *out_list)
{
    enum hbk_sign_scheme schemes[HBK_KEY_SCHEMES_MAX];
    size_t count = hbk_private_key_schemes(key, schemes);
    out_list->count = 0;
    for (size_t i = 0; i < count; i++) {
        if (!hbk_signature_scheme_is_pkcs1((uint16_t)schemes[i])) {
            out_list->items[out_list->count++] = (uint16_t)schemes[i];
        }
    }
}

static hbk_status set_schemes(struct hbk_tls_certificate *certificate,
                              const struct hbk_tls_certificate_options *options,
                              struct hbk_error *error)
{
    const struct hbk_private_key *key = certificate->key;
    unsigned bits = hbk_private_key_bits(key);
    if (hbk_private_key_kind(key) == HBK_KEY_RSA && bits < RSA_BITS_MIN) {
        return hbk_error_set(error, HBK_UNSUPPORTED,
                             "an RSA key of %u bits; at least %d are asked for", bits,
                             RSA_BITS_MIN);
    }
    struct hbk_tls_list wanted;
    schemes_of(key, &wanted);
    if (options->scheme_count > HBK_TLS_LIST_MAX) {
        return hbk_error_set(error, HBK_INVALID, "%zu signature schemes, at most %d are allowed",
                             options->scheme_count, HBK_TLS_LIST_MAX);
    }
    if (options->scheme_count > 0) {
        memcpy(wanted.items, options->schemes, options->scheme_count * sizeof wanted.items[0]);
        wanted.count = options->scheme_count;
    }
    for (size_t i = 0; i < wanted.count; i++) {
        uint16_t scheme = wanted.items[i];
        if (hbk_signature_scheme_is_pkcs1(scheme) || !hbk_private_key_can_sign(key, scheme)) {
            return hbk_error_set(error, HBK_INVALID,
                                 "a key of %u bits (%s) cannot sign with the scheme %s (0x%04x)",
                                 bits, hbk_key_kind_text(hbk_private_key_kind(key)),
                                 hbk_sign_scheme_text(scheme), scheme);
        }
        certificate->schemes[certificate->scheme_count++] = scheme;
    }
    return HBK_OK;
}

/* ---- making ready ---- */

static hbk_status copy(struct hbk_slice bytes, struct hbk_slice *out_copy)
{
    if (bytes.size > 0) {
        uint8_t *to = malloc(bytes.size);
        if (to == NULL) {
            return HBK_NO_MEMORY;
        }
        memcpy(to, bytes.bytes, bytes.size);
        *out_copy = hbk_slice_of(to, bytes.size);
    }
    return HBK_OK;
}

/* Takes what libcrypto encoded into memory of ours. */
static hbk_status take_encoding(unsigned char *bytes, int size, struct hbk_slice *out_copy)
{
    hbk_status status =
        size <= 0 ? HBK_NO_MEMORY : copy(hbk_slice_of(bytes, (size_t)size), out_copy);
    OPENSSL_free(bytes);
    return status;
}

static hbk_status take_chain(struct hbk_tls_certificate *certificate,
                             const struct hbk_tls_certificate_options *options)
{
    for (size_t i = 0; i < options->chain_count; i++) {
        X509 *link = options->chain[i];
        unsigned char *bytes = NULL;
        int size = i2d_X509(link, &bytes);
        X509_up_ref(link);
        certificate->certificates[i] = link;
        certificate->chain_count = i + 1;
        HBK_TRY(take_encoding(bytes, size, &certificate->chain[i]));
        if (options->must_match_issuer) {
            bytes = NULL;
            size = i2d_X509_NAME(X509_get_issuer_name(link), &bytes);
            HBK_TRY(take_encoding(bytes, size, &certificate->issuers[i]));
        }
    }
    return HBK_OK;
}

/* What each ticket is bound to. A time that cannot be read bounds nothing: the leaf is ours. */
static void note_leaf(struct hbk_tls_certificate *certificate)
{
    int64_t start_ns = 0;
    certificate->not_after_ns = INT64_MAX;
    hbk_hash_once(HBK_HASH_SHA256, certificate->chain[0], certificate->leaf_sha256);
    if (!hbk_certificate_validity(certificate->certificates[0], &start_ns,
                                  &certificate->not_after_ns)) {
        certificate->not_after_ns = INT64_MAX;
    }
}

static hbk_status check(const struct hbk_tls_certificate_options *options, struct hbk_error *error)
{
    if (options->chain_count == 0 || options->chain_count > HBK_CHAIN_CERTIFICATES_MAX) {
        return hbk_error_set(error, HBK_INVALID, "a chain of %zu certificates, 1 to %d are allowed",
                             options->chain_count, HBK_CHAIN_CERTIFICATES_MAX);
    }
    if (options->private_key == NULL) {
        return hbk_error_set(error, HBK_INVALID, "there is no private key");
    }
    if (options->staple.size > HBK_TLS_STAPLE_BYTES_MAX) {
        return hbk_error_set(error, HBK_INVALID,
                             "an OCSP response of %zu bytes, at most %d are allowed",
                             options->staple.size, HBK_TLS_STAPLE_BYTES_MAX);
    }
    X509 *leaf = options->chain[0];
    if ((X509_get_extension_flags(leaf) & EXFLAG_INVALID) != 0) {
        return hbk_error_set(error, HBK_INVALID, "it has an extension that cannot be read");
    }
    if ((X509_get_key_usage(leaf) & KU_DIGITAL_SIGNATURE) == 0) {
        return hbk_error_set(error, HBK_INVALID,
                             "its key usage lacks digitalSignature, which TLS needs");
    }
    ERR_clear_error();
    bool is_own = X509_check_private_key(leaf, options->private_key) == 1;
    ERR_clear_error();
    return is_own ? HBK_OK
                  : hbk_error_set(error, HBK_INVALID,
                                  "the private key belongs to another certificate");
}

hbk_status hbk_tls_certificate_init(struct hbk_tls_certificate *certificate,
                                    const struct hbk_tls_certificate_options *options,
                                    struct hbk_error *error)
{
    *certificate = (struct hbk_tls_certificate){
        .must_match_issuer = options->must_match_issuer,
        .needs_staple = options->needs_staple,
        .staple_until_ns = options->staple_until_ns == 0 ? INT64_MAX : options->staple_until_ns,
    };
    HBK_TRY(check(options, error));
    EVP_PKEY_up_ref(options->private_key);
    certificate->private_key = options->private_key;
    hbk_status status =
        hbk_private_key_new(options->private_key, options->provider, &certificate->key, error);
    if (status == HBK_OK) {
        certificate->libssl_key = hbk_openssl_key_new(certificate->key);
        status = certificate->libssl_key == NULL ? HBK_NO_MEMORY : HBK_OK;
    }
    if (status == HBK_OK) {
        status = set_schemes(certificate, options, error);
    }
    if (status == HBK_OK) {
        status = take_chain(certificate, options);
    }
    if (status == HBK_OK) {
        note_leaf(certificate);
    }
    if (status == HBK_OK) {
        status = copy(options->staple, &certificate->staple);
    }
    if (status != HBK_OK) {
        hbk_tls_certificate_fini(certificate);
    }
    return status;
}

void hbk_tls_certificate_fini(struct hbk_tls_certificate *certificate)
{
    for (size_t i = 0; i < certificate->chain_count; i++) {
        X509_free(certificate->certificates[i]);
        free((void *)(uintptr_t)certificate->chain[i].bytes);
        free((void *)(uintptr_t)certificate->issuers[i].bytes);
    }
    free((void *)(uintptr_t)certificate->staple.bytes);
    hbk_private_key_unref(certificate->key);
    EVP_PKEY_free(certificate->libssl_key);
    EVP_PKEY_free(certificate->private_key);
    *certificate = (struct hbk_tls_certificate){0};
}

/* ---- choosing ---- */

static bool has_scheme(struct hbk_slice schemes, uint16_t scheme)
{
    for (size_t at = 0; at + 1 < schemes.size; at += 2) {
        if ((schemes.bytes[at] << 8 | schemes.bytes[at + 1]) == scheme) {
            return true;
        }
    }
    return false;
}

uint16_t hbk_tls_certificate_scheme(const struct hbk_tls_certificate *certificate,
                                    struct hbk_slice schemes)
{
    for (size_t i = 0; i < certificate->scheme_count; i++) {
        if (has_scheme(schemes, certificate->schemes[i])) {
            return certificate->schemes[i];
        }
    }
    return 0;
}

static bool is_named(const struct hbk_tls_certificate *certificate, struct hbk_slice authorities)
{
    struct hbk_cursor cursor = hbk_cursor_of(authorities);
    while (cursor.left.size > 0 && !cursor.has_failed) {
        struct hbk_slice name = hbk_cursor_take(&cursor, hbk_cursor_number(&cursor, 2));
        for (size_t i = 0; i < certificate->chain_count && name.size > 0; i++) {
            if (hbk_slice_equal(certificate->issuers[i], name)) {
                return true;
            }
        }
    }
    return false;
}

/* Whether the key can sign in TLS 1.2 as the peer wants. */
static bool suits_tls12(const struct hbk_tls_certificate *certificate,
                        const struct hbk_tls_wish *wish)
{
    static const uint16_t rsa[] = {HBK_SIGN_RSA_PKCS1_SHA256, HBK_SIGN_RSA_PKCS1_SHA384,
                                   HBK_SIGN_RSA_PKCS1_SHA512};
    static const uint16_t ecdsa[] = {HBK_SIGN_ECDSA_P256_SHA256, HBK_SIGN_ECDSA_P384_SHA384};
    enum hbk_key_kind kind = hbk_private_key_kind(certificate->key);
    bool is_rsa = kind == HBK_KEY_RSA;
    if (is_rsa ? !wish->takes_rsa : !wish->takes_ecdsa) {
        return false;
    }
    bool is_good = hbk_tls_certificate_scheme(certificate, wish->schemes) != 0;
    for (size_t i = 0; is_rsa && i < HBK_COUNT(rsa); i++) {
        is_good |= has_scheme(wish->schemes, rsa[i]);
    }
    bool is_ecdsa = kind == HBK_KEY_EC_P256 || kind == HBK_KEY_EC_P384;
    for (size_t i = 0; is_ecdsa && i < HBK_COUNT(ecdsa); i++) {
        is_good |= has_scheme(wish->schemes, ecdsa[i]);
    }
    return is_good;
}

struct hbk_slice hbk_tls_certificate_staple(const struct hbk_tls_certificate *certificate,
                                            int64_t now_ns)
{
    return now_ns < certificate->staple_until_ns ? certificate->staple : hbk_slice_of(NULL, 0);
}

static bool suits(const struct hbk_tls_certificate *certificate, const struct hbk_tls_wish *wish)
{
    bool can_sign = wish->is_tls12 ? suits_tls12(certificate, wish)
                                   : hbk_tls_certificate_scheme(certificate, wish->schemes) != 0;
    bool has_staple = !certificate->needs_staple || !wish->wants_staple ||
                      hbk_tls_certificate_staple(certificate, wish->now_ns).size > 0;
    return can_sign && has_staple &&
           (!certificate->must_match_issuer || is_named(certificate, wish->authorities));
}

static const struct hbk_tls_certificate *first_of(const struct hbk_tls_context *context,
                                                  const struct hbk_server_name *name,
                                                  const struct hbk_tls_wish *wish)
{
    for (size_t i = 0; name != NULL && i < name->count; i++) {
        const struct hbk_tls_certificate *certificate =
            &context->certificates[name->certificates[i]];
        if (suits(certificate, wish)) {
            return certificate;
        }
    }
    return NULL;
}

const struct hbk_tls_certificate *hbk_tls_choose(const struct hbk_tls_context *context,
                                                 const struct hbk_tls_wish *wish)
{
    if (wish->server_name.size > 0) {
        const struct hbk_server_name *exact =
            hbk_server_names_find(&context->names, wish->server_name, false);
        const struct hbk_server_name *wild =
            hbk_server_names_find(&context->names, wish->server_name, true);
        const struct hbk_tls_certificate *found = first_of(context, exact, wish);
        found = found == NULL ? first_of(context, wild, wish) : found;
        if (found != NULL || exact != NULL || wild != NULL) {
            return found;
        }
    }
    size_t count = context->certificate_count < HBK_TLS_DEFAULT_CERTIFICATES_MAX
                       ? context->certificate_count
                       : HBK_TLS_DEFAULT_CERTIFICATES_MAX;
    for (size_t i = 0; i < count; i++) {
        if (suits(&context->certificates[i], wish)) {
            return &context->certificates[i];
        }
    }
    return NULL;
}
