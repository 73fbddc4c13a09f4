/*
 * A context in libssl's words. One SSL_CTX serves both roles: what differs between a client and a
 * server lies in the handshake. With one certificate libssl holds it; with several it holds none,
 * and each handshake is given the one that was chosen.
 */
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/cursor.h"
#include "base/secret.h"
#include "tls/openssl.h"
#include "tls/ticket_parts.h"

enum { LIST_TEXT_BYTES_MAX = 16384 };

static const struct {
    uint16_t group;
    int nid;
} nids[] = {
    {HBK_GROUP_X25519, NID_X25519},
    {HBK_GROUP_P256, NID_X9_62_prime256v1},
    {HBK_GROUP_P384, NID_secp384r1},
};

static hbk_status add_word(struct hbk_buffer *text, const char *word)
{
    return hbk_buffer_print(text, "%s%s", hbk_buffer_is_empty(text) ? "" : ":", word);
}

static char *take_text(struct hbk_buffer *text)
{
    char *copy = hbk_slice_to_string(hbk_buffer_slice(text));
    hbk_buffer_fini(text);
    return copy;
}

static char *suites_text(const struct hbk_tls_list *suites)
{
    struct hbk_buffer text;
    hbk_buffer_init(&text, LIST_TEXT_BYTES_MAX);
    hbk_status status = HBK_OK;
    for (size_t i = 0; i < suites->count && status == HBK_OK; i++) {
        status = add_word(&text, hbk_cipher_suite_text(suites->items[i]));
    }
    return take_text(&text);
}

/* libssl has no list of its own for signatures in certificates (signature_algorithms_cert), so
 * those of RSA's older padding stand here, too; TLS 1.3 does not take them elsewhere. */
static char *verify_text(const struct hbk_tls_list *schemes)
{
    static const uint16_t for_certificates[] = {
        HBK_SIGN_RSA_PKCS1_SHA256, HBK_SIGN_RSA_PKCS1_SHA384, HBK_SIGN_RSA_PKCS1_SHA512};
    struct hbk_buffer text;
    hbk_buffer_init(&text, LIST_TEXT_BYTES_MAX);
    hbk_status status = HBK_OK;
    for (size_t i = 0; i < schemes->count && status == HBK_OK; i++) {
        status = add_word(&text, hbk_sign_scheme_text(schemes->items[i]));
    }
    for (size_t i = 0; i < HBK_COUNT(for_certificates) && status == HBK_OK; i++) {
        status = add_word(&text, hbk_sign_scheme_text(for_certificates[i]));
    }
    return take_text(&text);
}

/* What all certificates of the context sign with, each scheme once. */
static char *own_text(const struct hbk_tls_context *context)
{
    struct hbk_tls_list seen = {.count = 0};
    struct hbk_buffer text;
    hbk_buffer_init(&text, LIST_TEXT_BYTES_MAX);
    hbk_status status = HBK_OK;
    for (size_t i = 0; i < context->certificate_count; i++) {
        const struct hbk_tls_certificate *certificate = context->certificates[i];
        for (size_t j = 0; j < certificate->scheme_count; j++) {
            bool is_new = seen.count < HBK_TLS_LIST_MAX;
            for (size_t k = 0; k < seen.count && is_new; k++) {
                is_new = seen.items[k] != certificate->schemes[j];
            }
            if (is_new && status == HBK_OK) {
                seen.items[seen.count++] = certificate->schemes[j];
                status = add_word(&text, hbk_sign_scheme_text(certificate->schemes[j]));
            }
        }
    }
    return take_text(&text);
}

bool hbk_openssl_use(SSL *ssl, const struct hbk_openssl_form *form)
{
    return form != NULL && SSL_use_cert_and_key(ssl, form->leaf, form->key, form->signers, 1) == 1;
}

static bool use_only_certificate(SSL_CTX *ssl, const struct hbk_tls_certificate *certificate)
{
    struct hbk_openssl_form form;
    bool is_good = hbk_openssl_form_init(&form, certificate);
    if (is_good) {
        is_good = SSL_CTX_use_cert_and_key(ssl, form.leaf, form.key, form.signers, 1) == 1;
        hbk_openssl_form_fini(&form); /* libssl holds what it needs */
    }
    return is_good;
}

static char *old_suites_text(const struct hbk_tls_list *suites)
{
    struct hbk_buffer text;
    hbk_buffer_init(&text, LIST_TEXT_BYTES_MAX);
    hbk_status status = HBK_OK;
    for (size_t i = 0; i < suites->count && status == HBK_OK; i++) {
        status = add_word(&text, hbk_tls12_suite_text(suites->items[i]));
    }
    return take_text(&text);
}

static bool set_suites(SSL_CTX *ssl, const struct hbk_tls_context *context)
{
    char *text = suites_text(&context->suites);
    char *old_text = old_suites_text(&context->tls12_suites);
    bool is_good = text != NULL && old_text != NULL && SSL_CTX_set_ciphersuites(ssl, text) == 1 &&
                   SSL_CTX_set_cipher_list(ssl, old_text) == 1;
    free(text);
    free(old_text);
    return is_good;
}

static bool set_groups(SSL_CTX *ssl, const struct hbk_tls_context *context)
{
    int groups[HBK_TLS_LIST_MAX];
    int count = 0;
    for (size_t i = 0; i < context->groups.count; i++) {
        for (size_t j = 0; j < HBK_COUNT(nids); j++) {
            if (nids[j].group == context->groups.items[i]) {
                groups[count++] = nids[j].nid;
            }
        }
    }
    return SSL_CTX_set1_groups(ssl, groups, count) == 1;
}

static bool set_authorities(SSL_CTX *ssl, const struct hbk_tls_context *context)
{
    STACK_OF(X509_NAME) *names = sk_X509_NAME_new_null();
    struct hbk_cursor cursor = hbk_cursor_of(context->authorities);
    bool is_good = names != NULL;
    while (cursor.left.size > 0 && is_good) {
        struct hbk_slice bytes = hbk_cursor_take(&cursor, hbk_cursor_number(&cursor, 2));
        const unsigned char *at = bytes.bytes;
        X509_NAME *name = d2i_X509_NAME(NULL, &at, (long)bytes.size);
        is_good = name != NULL && sk_X509_NAME_push(names, name) > 0;
        if (!is_good) {
            X509_NAME_free(name);
        }
    }
    if (!is_good) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return false;
    }
    SSL_CTX_set_client_CA_list(ssl, names); /* takes them */
    return true;
}

static bool set_protocols(SSL_CTX *ssl, const struct hbk_tls_context *context)
{
    if (context->protocols.size == 0) {
        return true;
    }
    SSL_CTX_set_alpn_select_cb(ssl, hbk_openssl_on_protocols, NULL);
    return SSL_CTX_set_alpn_protos(ssl, context->protocols.bytes,
                                   (unsigned)context->protocols.size) == 0;
}

/* Whether a key signs with all that it can, in the usual order. */
static bool has_usual_schemes(const struct hbk_tls_certificate *certificate)
{
    static const uint16_t rsa[] = {HBK_SIGN_RSA_PSS_RSAE_SHA256, HBK_SIGN_RSA_PSS_RSAE_SHA384,
                                   HBK_SIGN_RSA_PSS_RSAE_SHA512};
    return hbk_private_key_kind(certificate->key) != HBK_KEY_RSA ||
           (certificate->scheme_count == HBK_COUNT(rsa) &&
            memcmp(certificate->schemes, rsa, sizeof rsa) == 0);
}

/* libssl has one list for both ends. It serves when peers may sign with everything that we speak,
 * and we do with everything that our keys can. */
static bool needs_two_lists(const struct hbk_tls_context *context)
{
    enum { ALL_SCHEMES = 6 };
    bool needs = context->verify_schemes.count != ALL_SCHEMES;
    for (size_t i = 0; i < context->certificate_count && !needs; i++) {
        needs = !has_usual_schemes(context->certificates[i]);
    }
    return needs;
}

static void on_event(const SSL *ssl, int where, int value)
{
    struct hbk_openssl_handshake *handshake = SSL_get_app_data(ssl);
    bool is_fatal = value >> 8 == SSL3_AL_FATAL || !handshake->keeps;
    if ((where & SSL_CB_ALERT) != 0 && handshake->failure.alert < 0 && is_fatal) {
        handshake->failure.alert = value & 0xff;
        handshake->failure.alert_is_received = (where & SSL_CB_READ) != 0;
    }
}

static void set_callbacks(SSL_CTX *ssl)
{
    SSL_CTX_set_cert_verify_callback(ssl, hbk_openssl_on_certificates, NULL);
    SSL_CTX_set_keylog_callback(ssl, hbk_openssl_on_secret);
    SSL_CTX_set_info_callback(ssl, on_event);
    SSL_CTX_set_client_hello_cb(ssl, hbk_openssl_on_client_hello, NULL);
    SSL_CTX_set_tlsext_servername_callback(ssl, hbk_openssl_on_server_name);
    SSL_CTX_set_tlsext_status_cb(ssl, hbk_openssl_on_status);
}

static bool set_up(struct hbk_openssl_context *own, const struct hbk_tls_context *context)
{
    SSL_CTX *ssl = own->ssl;
    SSL_CTX_set_options(ssl,
                        SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                            (context->prefers_client_suites ? 0 : SSL_OP_CIPHER_SERVER_PREFERENCE));
    SSL_CTX_clear_options(ssl, SSL_OP_ENABLE_MIDDLEBOX_COMPAT);
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_read_ahead(ssl, 0);
    SSL_CTX_set_max_cert_list(ssl, (long)context->certificate_bytes_max);
    set_callbacks(ssl);
    int version_min = context->allows_tls12 ? TLS1_2_VERSION : TLS1_3_VERSION;
    int version_max = context->only_tls12 ? TLS1_2_VERSION : TLS1_3_VERSION;
    bool is_good = SSL_CTX_set_min_proto_version(ssl, version_min) == 1 &&
                   SSL_CTX_set_max_proto_version(ssl, version_max) == 1 &&
                   SSL_CTX_set_num_tickets(ssl, 0) == 1 && set_suites(ssl, context) &&
                   set_groups(ssl, context) && set_protocols(ssl, context) &&
                   set_authorities(ssl, context) && hbk_openssl_set_up_tickets(own, context);
    own->chooses =
        context->certificate_count > 1 ||
        (context->certificate_count == 1 &&
         (context->certificates[0]->must_match_issuer || context->certificates[0]->needs_staple));
    if (is_good && context->certificate_count == 1 && !own->chooses) {
        is_good = use_only_certificate(ssl, context->certificates[0]);
    }
    own->splits_lists = needs_two_lists(context);
    own->verify_list = verify_text(&context->verify_schemes);
    own->own_list = own_text(context);
    return is_good && own->verify_list != NULL && own->own_list != NULL &&
           SSL_CTX_set1_sigalgs_list(ssl, own->verify_list) == 1;
}

void hbk_openssl_context_free(void *engine_context)
{
    struct hbk_openssl_context *own = engine_context;
    SSL_CTX_free(own->ssl);
    free(own->verify_list);
    free(own->own_list);
    free(own);
}

hbk_status hbk_openssl_context_new(const struct hbk_tls_context *context, void **out_engine_context,
                                   struct hbk_error *error)
{
    ERR_clear_error();
    struct hbk_openssl_context *own = calloc(1, sizeof *own);
    if (own == NULL) {
        return HBK_NO_MEMORY;
    }
    own->ssl = SSL_CTX_new(TLS_method());
    if (own->ssl != NULL && set_up(own, context)) {
        *out_engine_context = own;
        return HBK_OK;
    }
    unsigned long code = ERR_peek_error();
    hbk_status status = HBK_NO_MEMORY;
    if (code != 0 && ERR_GET_REASON(code) != ERR_R_MALLOC_FAILURE) {
        status = HBK_INVALID;
        const char *reason = ERR_reason_error_string(code);
        hbk_error_set(error, status, "libssl refuses the certificate, the key or a list: %s",
                      reason == NULL ? "unknown reason" : reason);
    }
    ERR_clear_error();
    hbk_openssl_context_free(own);
    return status;
}
