#include "tls/certificate.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/cursor.h"
#include "crypto/private_key.h"
#include "identity/certificate.h"
#include "tls/engine.h"

enum {
    RSA_BITS_MIN = 2048,
    HOST_NAMES_BYTES_MAX = 1 << 20, /* of one certificate: above what a chain may have */
};

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

static struct hbk_tls_link *link_of(struct hbk_slice der)
{
    return (struct hbk_tls_link *)(uintptr_t)(der.bytes - offsetof(struct hbk_tls_link, bytes));
}

static void link_unref(struct hbk_slice der)
{
    struct hbk_tls_link *link = link_of(der);
    if (atomic_fetch_sub_explicit(&link->references, 1, memory_order_acq_rel) == 1) {
        free(link);
    }
}

static hbk_status take_link(const unsigned char *bytes, size_t size,
                            const struct hbk_tls_certificate *beside, struct hbk_slice *out_der)
{
    struct hbk_slice der = hbk_slice_of(bytes, size);
    for (size_t i = 0; beside != NULL && i < beside->chain_count; i++) {
        if (hbk_slice_equal(beside->chain[i], der)) {
            atomic_fetch_add_explicit(&link_of(beside->chain[i])->references, 1,
                                      memory_order_relaxed);
            *out_der = beside->chain[i];
            return HBK_OK;
        }
    }
    struct hbk_tls_link *link = malloc(sizeof *link + size);
    if (link == NULL) {
        return HBK_NO_MEMORY;
    }
    atomic_init(&link->references, 1);
    memcpy(link->bytes, bytes, size);
    *out_der = hbk_slice_of(link->bytes, size);
    return HBK_OK;
}

static hbk_status take_issuer(struct hbk_tls_certificate *certificate, size_t index, X509 *link)
{
    unsigned char *bytes = NULL;
    int size = i2d_X509_NAME(X509_get_issuer_name(link), &bytes);
    hbk_status status = size <= 0
                            ? HBK_NO_MEMORY
                            : copy(hbk_slice_of(bytes, (size_t)size), &certificate->issuers[index]);
    OPENSSL_free(bytes);
    return status;
}

static hbk_status take_chain(struct hbk_tls_certificate *certificate,
                             const struct hbk_tls_certificate_options *options)
{
    if (options->must_match_issuer) {
        certificate->issuers = calloc(options->chain_count, sizeof certificate->issuers[0]);
        if (certificate->issuers == NULL) {
            return HBK_NO_MEMORY;
        }
    }
    for (uint32_t i = 0; i < options->chain_count; i++) {
        unsigned char *bytes = NULL;
        int size = i2d_X509(options->chain[i], &bytes);
        hbk_status status =
            size <= 0 ? HBK_NO_MEMORY
                      : take_link(bytes, (size_t)size, options->beside, &certificate->chain[i]);
        OPENSSL_free(bytes);
        HBK_TRY(status);
        certificate->chain_count = i + 1;
        if (options->must_match_issuer) {
            HBK_TRY(take_issuer(certificate, i, options->chain[i]));
        }
    }
    return HBK_OK;
}

/* The hosts that it is for, and what each ticket is bound to. A time that cannot be read bounds
 * nothing: the leaf is ours. */
static hbk_status note_leaf(struct hbk_tls_certificate *certificate, const X509 *leaf)
{
    int64_t start_ns = 0;
    certificate->not_after_ns = INT64_MAX;
    hbk_hash_once(HBK_HASH_SHA256, certificate->chain[0], certificate->leaf_sha256);
    if (!hbk_certificate_validity(leaf, &start_ns, &certificate->not_after_ns)) {
        certificate->not_after_ns = INT64_MAX;
    }
    struct hbk_buffer names;
    hbk_buffer_init(&names, HOST_NAMES_BYTES_MAX);
    hbk_status status = hbk_server_names_read(leaf, &names);
    if (status == HBK_OK) {
        status = copy(hbk_buffer_slice(&names), &certificate->host_names);
    }
    hbk_buffer_fini(&names);
    return status;
}

static hbk_status check(const struct hbk_tls_certificate_options *options, struct hbk_error *error)
{
    if (options->chain_count == 0 || options->chain_count > HBK_CHAIN_CERTIFICATES_MAX) {
        return hbk_error_set(error, HBK_INVALID, "a chain of %zu certificates, 1 to %d are allowed",
                             options->chain_count, HBK_CHAIN_CERTIFICATES_MAX);
    }
    EVP_PKEY *private_key =
        options->key != NULL ? hbk_private_key_pkey(options->key) : options->private_key;
    if (private_key == NULL) {
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
    bool is_own = X509_check_private_key(leaf, private_key) == 1;
    ERR_clear_error();
    return is_own ? HBK_OK
                  : hbk_error_set(error, HBK_INVALID,
                                  "the private key belongs to another certificate");
}

static hbk_status take_key(struct hbk_tls_certificate *certificate,
                           const struct hbk_tls_certificate_options *options,
                           struct hbk_error *error)
{
    if (options->key != NULL) {
        certificate->key = hbk_private_key_ref(options->key);
        return HBK_OK;
    }
    return hbk_private_key_new(options->private_key, options->provider, &certificate->key, error);
}

static hbk_status fill(struct hbk_tls_certificate *certificate,
                       const struct hbk_tls_certificate_options *options, struct hbk_error *error)
{
    HBK_TRY(take_key(certificate, options, error));
    HBK_TRY(set_schemes(certificate, options, error));
    HBK_TRY(take_chain(certificate, options));
    HBK_TRY(note_leaf(certificate, options->chain[0]));
    return copy(options->staple, &certificate->staple);
}

static void free_bytes(struct hbk_slice bytes)
{
    free((void *)(uintptr_t)bytes.bytes);
}

static void certificate_free(struct hbk_tls_certificate *certificate)
{
    struct hbk_certificate_names *names =
        atomic_load_explicit(&certificate->names, memory_order_acquire);
    for (size_t i = 0; i < certificate->chain_count; i++) {
        link_unref(certificate->chain[i]);
        if (certificate->issuers != NULL) {
            free_bytes(certificate->issuers[i]);
        }
    }
    if (names != NULL) {
        hbk_certificate_names_fini(names);
        free(names);
    }
    free(certificate->issuers);
    free_bytes(certificate->host_names);
    free_bytes(certificate->staple);
    hbk_private_key_unref(certificate->key);
    free(certificate);
}

hbk_status hbk_tls_certificate_new(const struct hbk_tls_certificate_options *options,
                                   const struct hbk_tls_certificate **out_certificate,
                                   struct hbk_error *error)
{
    HBK_TRY(check(options, error));
    struct hbk_tls_certificate *certificate =
        calloc(1, sizeof *certificate + options->chain_count * sizeof certificate->chain[0]);
    if (certificate == NULL) {
        return HBK_NO_MEMORY;
    }
    atomic_init(&certificate->references, 1);
    atomic_init(&certificate->shelved, 0);
    atomic_init(&certificate->names, NULL);
    certificate->must_match_issuer = options->must_match_issuer;
    certificate->needs_staple = options->needs_staple;
    certificate->staple_until_ns =
        options->staple_until_ns == 0 ? INT64_MAX : options->staple_until_ns;
    hbk_status status = fill(certificate, options, error);
    if (status != HBK_OK) {
        certificate_free(certificate);
        return status;
    }
    *out_certificate = certificate;
    return HBK_OK;
}

/* References are the one thing that changes in a certificate. */
static struct hbk_tls_certificate *inside(const struct hbk_tls_certificate *certificate)
{
    return (struct hbk_tls_certificate *)(uintptr_t)certificate;
}

const struct hbk_tls_certificate *
hbk_tls_certificate_ref(const struct hbk_tls_certificate *certificate)
{
    /* Relaxed: whoever calls holds a reference already. */
    atomic_fetch_add_explicit(&inside(certificate)->references, 1, memory_order_relaxed);
    return certificate;
}

void hbk_tls_certificate_unref(const struct hbk_tls_certificate *certificate)
{
    if (certificate != NULL &&
        atomic_fetch_sub_explicit(&inside(certificate)->references, 1, memory_order_acq_rel) == 1) {
        certificate_free(inside(certificate));
    }
}

const struct hbk_slice *hbk_tls_certificate_chain(const struct hbk_tls_certificate *certificate,
                                                  size_t *out_count)
{
    *out_count = certificate->chain_count;
    return certificate->chain;
}

int64_t hbk_tls_certificate_end_ns(const struct hbk_tls_certificate *certificate)
{
    return certificate->not_after_ns;
}

static struct hbk_certificate_names *read_names(struct hbk_slice der)
{
    const unsigned char *at = der.bytes;
    X509 *leaf = d2i_X509(NULL, &at, (long)der.size);
    struct hbk_certificate_names *names = leaf == NULL ? NULL : calloc(1, sizeof *names);
    if (names != NULL && hbk_certificate_names_read(leaf, names) != HBK_OK) {
        free(names);
        names = NULL;
    }
    X509_free(leaf);
    ERR_clear_error();
    return names;
}

const struct hbk_certificate_names *
hbk_tls_certificate_names(const struct hbk_tls_certificate *certificate)
{
    struct hbk_certificate_names *_Atomic *place = &inside(certificate)->names;
    struct hbk_certificate_names *known = atomic_load_explicit(place, memory_order_acquire);
    if (known != NULL) {
        return known;
    }
    struct hbk_certificate_names *names = read_names(certificate->chain[0]);
    /* Two workers may read at once: the first one's stay. */
    if (names != NULL && !atomic_compare_exchange_strong_explicit(
                             place, &known, names, memory_order_acq_rel, memory_order_acquire)) {
        hbk_certificate_names_fini(names);
        free(names);
        return known;
    }
    return names;
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
            context->certificates[name->certificates[i]];
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
        if (suits(context->certificates[i], wish)) {
            return context->certificates[i];
        }
    }
    return NULL;
}
