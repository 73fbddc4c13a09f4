#include "credential.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "exit.h"
#include "observer.h"
#include "tls/engine.h"

/* A credential whose files were read. */
struct credential {
    X509 *chain[HBK_CHAIN_CERTIFICATES_MAX];
    size_t chain_count;
    EVP_PKEY *key;
    struct hbk_span staple;
    struct shim_list schemes; /* that the key can do, of those preferred */
};

/* ---- texts ---- */

struct hbk_span shim_base64_read(const char *text)
{
    size_t size = strlen(text);
    uint8_t *bytes = malloc(size + 1);
    HBK_ASSERT(bytes != NULL);
    int decoded = EVP_DecodeBlock(bytes, (const uint8_t *)text, (int)size);
    if (decoded < 0) {
        shim_exit(SHIM_EXIT_CHECK, "\"%s\" is no base64", text);
    }
    size_t used = (size_t)decoded;
    for (size_t i = size; i > 0 && text[i - 1] == '=' && used > 0; i--) {
        used--;
    }
    return hbk_span_of(bytes, used);
}

static int digit_of(char letter)
{
    const char *digits = "0123456789abcdef";
    const char *found = letter == '\0' ? NULL : strchr(digits, letter | 0x20);
    return found == NULL ? -1 : (int)(found - digits);
}

struct hbk_span shim_authorities_read(const char *text)
{
    uint8_t *bytes = malloc(2 * strlen(text) + 2);
    HBK_ASSERT(bytes != NULL);
    size_t used = 0;
    size_t start = 0;
    if (text[0] == '<' || text[0] == '\0') {
        return hbk_span_of(bytes, 0);
    }
    for (const char *at = text;; at++) {
        if (at == text || at[-1] == ',') {
            start = used;
            used += 2;
        }
        if (*at == ',' || *at == '\0') {
            bytes[start] = (uint8_t)((used - start - 2) >> 8);
            bytes[start + 1] = (uint8_t)(used - start - 2);
            if (*at == '\0') {
                return hbk_span_of(bytes, used);
            }
            continue;
        }
        int high = digit_of(at[0]);
        int low = digit_of(at[1]);
        if (high < 0 || low < 0) {
            shim_exit(SHIM_EXIT_CHECK, "\"%s\" is no list of names in hexadecimal digits", text);
        }
        bytes[used++] = (uint8_t)(high << 4 | low);
        at++;
    }
}

/* ---- files ---- */

static size_t read_chain(const char *file, X509 **chain)
{
    size_t count = 0;
    BIO *bio = BIO_new_file(file, "r");
    if (bio == NULL) {
        shim_exit(SHIM_EXIT_CHECK, "%s cannot be opened", file);
    }
    X509 *next = NULL;
    while (count < HBK_CHAIN_CERTIFICATES_MAX &&
           (next = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        chain[count++] = next;
    }
    BIO_free(bio);
    ERR_clear_error();
    return count;
}

bool shim_is_chain_of(const char *file, const struct hbk_slice *certificates, size_t count)
{
    X509 *chain[HBK_CHAIN_CERTIFICATES_MAX];
    size_t expected = read_chain(file, chain);
    bool is_same = expected == count;
    for (size_t i = 0; i < expected; i++) {
        unsigned char *bytes = NULL;
        int size = i2d_X509(chain[i], &bytes);
        is_same = is_same && size > 0 &&
                  hbk_slice_equal(certificates[i], hbk_slice_of(bytes, (size_t)size));
        OPENSSL_free(bytes);
        X509_free(chain[i]);
    }
    return is_same;
}

static EVP_PKEY *read_key(const char *file)
{
    BIO *bio = BIO_new_file(file, "r");
    EVP_PKEY *key = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    BIO_free(bio);
    ERR_clear_error();
    if (key == NULL) {
        exit(SHIM_EXIT_UNIMPLEMENTED); /* an algorithm that nobody here can read */
    }
    return key;
}

/* The schemes of TLS 1.3 that the key can do; an empty list: the engine does not speak it. */
static struct shim_list schemes_of(EVP_PKEY *key)
{
    struct shim_list list = {0};
    char curve[32] = "";
    switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA:
        if (EVP_PKEY_get_bits(key) >= 2048 && EVP_PKEY_get_bits(key) <= 4096) {
            list = (struct shim_list){{HBK_SIGN_RSA_PSS_RSAE_SHA256, HBK_SIGN_RSA_PSS_RSAE_SHA384,
                                       HBK_SIGN_RSA_PSS_RSAE_SHA512},
                                      3};
        }
        break;
    case EVP_PKEY_EC:
        (void)EVP_PKEY_get_group_name(key, curve, sizeof curve, NULL);
        if (strcmp(curve, "prime256v1") == 0) {
            list = (struct shim_list){{HBK_SIGN_ECDSA_P256_SHA256}, 1};
        } else if (strcmp(curve, "secp384r1") == 0) {
            list = (struct shim_list){{HBK_SIGN_ECDSA_P384_SHA384}, 1};
        }
        break;
    case EVP_PKEY_ED25519:
        list = (struct shim_list){{HBK_SIGN_ED25519}, 1};
        break;
    default:
        break;
    }
    return list;
}

static bool contains(const struct shim_list *list, uint16_t number)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i] == number) {
            return true;
        }
    }
    return false;
}

static void read_credential(const struct shim_credential_flags *flags, struct credential *out)
{
    *out = (struct credential){0};
    out->chain_count = read_chain(flags->cert_file, out->chain);
    out->key = read_key(flags->key_file);
    struct shim_list able = schemes_of(out->key);
    if (able.count == 0) {
        exit(SHIM_EXIT_UNIMPLEMENTED);
    }
    const struct shim_list *wanted = flags->signing_prefs.count > 0 ? &flags->signing_prefs : &able;
    for (size_t i = 0; i < wanted->count; i++) {
        if (contains(&able, wanted->items[i])) {
            out->schemes.items[out->schemes.count++] = wanted->items[i];
        }
    }
    if (flags->ocsp_response != NULL) {
        out->staple = shim_base64_read(flags->ocsp_response);
    }
}

static void drop_credential(struct credential *credential)
{
    for (size_t i = 0; i < credential->chain_count; i++) {
        X509_free(credential->chain[i]);
    }
    EVP_PKEY_free(credential->key);
    free(credential->staple.bytes);
}

/* In a context the new ones stand in order, and the default one, number 0 of the flags, last. */
static size_t flags_index(const struct shim_flags *flags, size_t index)
{
    return index + 1 < flags->credential_count ? index + 1 : 0;
}

int shim_credential_number(const struct shim_flags *flags, const struct hbk_tls_context *context,
                           size_t index_in_context)
{
    (void)context;
    return (int)flags_index(flags, index_in_context) - 1;
}

/* ---- contexts ---- */

/*
 * What the options of a context refuse, and a test wants to see refused in a handshake: algorithms
 * that TLS 1.3 never allows, credentials that can sign with nothing, and lists of authorities that
 * no trust stands behind; and key shares in any order.
 */
static void bend(struct hbk_tls_context *context, const struct shim_settings *settings,
                 const struct credential *credentials)
{
    static const struct shim_list usual = {
        {HBK_SIGN_ECDSA_P256_SHA256, HBK_SIGN_RSA_PSS_RSAE_SHA256, HBK_SIGN_ECDSA_P384_SHA384,
         HBK_SIGN_RSA_PSS_RSAE_SHA384, HBK_SIGN_RSA_PSS_RSAE_SHA512},
        5};
    const struct shim_list *schemes =
        settings->verify_prefs.count > 0 ? &settings->verify_prefs : &usual;
    context->verify_schemes.count =
        schemes->count < HBK_TLS_LIST_MAX ? schemes->count : HBK_TLS_LIST_MAX;
    memcpy(context->verify_schemes.items, schemes->items,
           context->verify_schemes.count * sizeof schemes->items[0]);
    for (size_t i = 0; i < context->certificate_count; i++) {
        if (credentials[i].schemes.count == 0) {
            ((struct hbk_tls_certificate *)(uintptr_t)context->certificates[i])->scheme_count = 0;
        }
    }
    if (settings->client_authorities != NULL) {
        struct hbk_span list = shim_authorities_read(settings->client_authorities);
        free((void *)(uintptr_t)context->authorities.bytes);
        context->authorities = hbk_slice_of(list.bytes, list.size);
    }
    if (settings->no_key_shares) {
        context->shares.count = 0;
    }
    if (settings->key_shares.count > 0) {
        context->shares.count = settings->key_shares.count;
        memcpy(context->shares.items, settings->key_shares.items,
               context->shares.count * sizeof context->shares.items[0]);
    }
}

/* A server's choice as a list of one protocol; a client's list as it is. */
static struct hbk_slice protocols_of(const struct shim_flags *flags,
                                     const struct shim_settings *settings, uint8_t out[256])
{
    if (!flags->is_server) {
        return settings->advertise_alpn == NULL ? hbk_slice_of(NULL, 0)
                                                : hbk_slice_text(settings->advertise_alpn);
    }
    const char *name = settings->rejects_alpn ? "nobody" : settings->select_alpn;
    if (name == NULL || settings->declines_alpn) {
        return hbk_slice_of(NULL, 0);
    }
    size_t size = strlen(name);
    if (size == 0 || size > 255) {
        shim_exit(SHIM_EXIT_CHECK, "an application protocol of %zu bytes", size);
    }
    out[0] = (uint8_t)size;
    memcpy(out + 1, name, size);
    return hbk_slice_of(out, size + 1);
}

static const struct hbk_trust *trust_anybody(void)
{
    const struct hbk_trust_options options = {.rule = HBK_TRUST_ANYBODY};
    const struct hbk_trust *trust = NULL;
    if (hbk_trust_new(&options, &trust) != HBK_OK) {
        shim_exit(SHIM_EXIT_CHECK, "no memory");
    }
    return trust;
}

static struct hbk_tls_context *make(const struct shim_flags *flags,
                                    const struct shim_settings *settings,
                                    const struct hbk_tls_certificate_options *certificates,
                                    size_t count, struct hbk_tls_ticket_keys *keys)
{
    uint8_t protocol[256];
    struct hbk_error error = {0};
    struct hbk_tls_context *context = NULL;
    const struct hbk_trust *trust = trust_anybody();
    if (settings->key_shares.count > HBK_TLS_SHARES_MAX) {
        exit(SHIM_EXIT_UNIMPLEMENTED);
    }
    const struct hbk_tls_context_options options = {
        .engine = HBK_TLS_ENGINE_NATIVE,
        .certificates = certificates,
        .certificate_count = count,
        .trust = trust,
        .client_certificate = settings->requires_certificate ? HBK_TLS_CLIENT_CERTIFICATE_REQUIRED
                              : settings->verify_peer        ? HBK_TLS_CLIENT_CERTIFICATE_ASKED
                                                             : HBK_TLS_CLIENT_CERTIFICATE_NONE,
        .protocols = protocols_of(flags, settings, protocol),
        .requires_protocol = settings->rejects_alpn,
        .groups = settings->curves.items,
        .group_count = settings->curves.count,
        .asks_staple = settings->asks_staple && !flags->is_server,
        .ticket_keys = flags->is_server && !settings->no_ticket ? keys : NULL,
        .resumes = !flags->is_server && !settings->no_ticket,
        .sent_record_bytes_max = (uint16_t)settings->max_send_fragment,
        .certificate_bytes_max = (uint32_t)settings->max_cert_list,
        .veto = shim_veto,
    };
    if (hbk_tls_context_new(&options, &context, &error) != HBK_OK) {
        shim_exit(SHIM_EXIT_CHECK, "the context: %s", error.text);
    }
    hbk_trust_unref(trust);
    return context;
}

struct hbk_tls_context *shim_context_new(const struct shim_flags *flags,
                                         const struct shim_settings *settings,
                                         struct hbk_tls_ticket_keys *keys)
{
    struct credential credentials[SHIM_CREDENTIALS_MAX];
    struct hbk_tls_certificate_options options[SHIM_CREDENTIALS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < flags->credential_count; i++) {
        const struct shim_credential_flags *from = &flags->credentials[flags_index(flags, i)];
        if (from->cert_file == NULL || from->key_file == NULL) {
            continue; /* only the default one may be missing, and it stands last */
        }
        struct credential *credential = &credentials[count];
        read_credential(from, credential);
        options[count] = (struct hbk_tls_certificate_options){
            .chain = credential->chain,
            .chain_count = credential->chain_count,
            .private_key = credential->key,
            .schemes = credential->schemes.items,
            .scheme_count = credential->schemes.count,
            .must_match_issuer = from->must_match_issuer,
            .staple = settings->declines_staple
                          ? hbk_slice_of(NULL, 0)
                          : hbk_slice_of(credential->staple.bytes, credential->staple.size),
        };
        count++;
    }
    struct hbk_tls_context *context = make(flags, settings, options, count, keys);
    bend(context, settings, credentials);
    for (size_t i = 0; i < count; i++) {
        drop_credential(&credentials[i]);
    }
    return context;
}
