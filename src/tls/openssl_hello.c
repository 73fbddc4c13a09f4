/*
 * What a server decides from a ClientHello, and a client from a CertificateRequest: the application
 * protocol, the certificate, the staple. A server looks at the hello before libssl has read it;
 * what is malformed in it is left for libssl to refuse.
 */
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "tls/certificate.h"
#include "tls/openssl.h"

enum {
    NAME_TYPE_HOST = 0, /* RFC 6066, 3 */
    AUTHORITIES_EXTENSION = 47,
    SCHEMES_MAX = 256, /* of a server's request that are looked at */
};

static bool find_extension(SSL *ssl, unsigned type, struct hbk_slice *out_body)
{
    const unsigned char *bytes = NULL;
    size_t size = 0;
    if (SSL_client_hello_get0_ext(ssl, type, &bytes, &size) != 1) {
        return false;
    }
    *out_body = hbk_slice_of(bytes, size);
    return true;
}

/* The list inside an extension that is nothing but a list; empty when it is malformed. */
static struct hbk_slice list_of(SSL *ssl, unsigned type)
{
    struct hbk_slice body = {0};
    if (!find_extension(ssl, type, &body)) {
        return body;
    }
    struct hbk_cursor cursor = hbk_cursor_of(body);
    return hbk_cursor_take(&cursor, hbk_cursor_number(&cursor, 2));
}

/* The host of server_name (RFC 6066, 3); empty when there is none that could be one. */
static struct hbk_slice host_of(SSL *ssl)
{
    struct hbk_cursor cursor = hbk_cursor_of(list_of(ssl, TLSEXT_TYPE_server_name));
    bool is_host = hbk_cursor_number(&cursor, 1) == NAME_TYPE_HOST;
    struct hbk_slice name = hbk_cursor_take(&cursor, hbk_cursor_number(&cursor, 2));
    return is_host && hbk_server_name_is_valid(name) ? name : hbk_slice_of(NULL, 0);
}

/* RFC 8446, 4.2.1: a list with a length of one byte. */
static bool offers_tls13(SSL *ssl)
{
    struct hbk_slice body = {0};
    (void)find_extension(ssl, TLSEXT_TYPE_supported_versions, &body);
    struct hbk_cursor cursor = hbk_cursor_of(body);
    (void)hbk_cursor_number(&cursor, 1);
    while (cursor.left.size > 0 && !cursor.has_failed) {
        if (hbk_cursor_number(&cursor, 2) == HBK_TLS_1_3) {
            return true;
        }
    }
    return false;
}

/* The suites of TLS 1.2 that both speak, by the kind of key that they are for. */
static void read_suites(SSL *ssl, const struct hbk_tls_list *ours, struct hbk_tls_wish *wish)
{
    const unsigned char *bytes = NULL;
    size_t size = SSL_client_hello_get0_ciphers(ssl, &bytes);
    struct hbk_cursor cursor = hbk_cursor_of(hbk_slice_of(bytes, size));
    while (cursor.left.size > 1) {
        uint16_t suite = (uint16_t)hbk_cursor_number(&cursor, 2);
        for (size_t i = 0; i < ours->count; i++) {
            bool is_shared = suite == ours->items[i];
            bool is_rsa = hbk_tls12_suite_is_rsa(suite);
            wish->takes_ecdsa |= is_shared && !is_rsa;
            wish->takes_rsa |= is_shared && is_rsa;
        }
    }
}

/* Our order of suites, with the client's inside each rank: insertion, since there are six. */
static bool order_suites(SSL *ssl, const struct hbk_tls_context *context)
{
    enum { NAME_BYTES = 32 };
    const unsigned char *bytes = NULL;
    size_t size = SSL_client_hello_get0_ciphers(ssl, &bytes);
    size_t places[HBK_TLS_LIST_MAX], order[HBK_TLS_LIST_MAX];
    char text[HBK_TLS_LIST_MAX * NAME_BYTES];
    size_t used = 0;
    for (size_t i = 0; i < context->tls12_suites.count; i++) {
        uint16_t suite = context->tls12_suites.items[i];
        size_t at = 0, k = i;
        while (at + 1 < size && (bytes[at] << 8 | bytes[at + 1]) != suite) {
            at += 2;
        }
        places[i] = at;
        for (; k > 0 && context->tls12_ranks[order[k - 1]] == context->tls12_ranks[i] &&
               places[order[k - 1]] > at;
             k--) {
            order[k] = order[k - 1];
        }
        order[k] = i;
    }
    for (size_t i = 0; i < context->tls12_suites.count; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", i > 0 ? ":" : "",
                                 hbk_tls12_suite_text(context->tls12_suites.items[order[i]]));
    }
    return SSL_set_cipher_list(ssl, text) == 1;
}

static const struct hbk_openssl_form *form_of(const struct hbk_openssl_handshake *handshake,
                                              const struct hbk_tls_certificate *certificate)
{
    return hbk_openssl_shelf_get(&handshake->setup->worker->shelf, certificate);
}

/* Gives the handshake the certificate that suits the client best. Without one libssl goes on and
 * finds that nothing can sign, or something worse about the hello before that. */
static bool choose(SSL *ssl, struct hbk_openssl_handshake *handshake, struct hbk_slice host)
{
    struct hbk_slice status_request;
    struct hbk_tls_wish wish = {
        .wants_staple = find_extension(ssl, TLSEXT_TYPE_status_request, &status_request),
        .now_ns = handshake->setup->now_ns,
        .server_name = host,
        .schemes = list_of(ssl, TLSEXT_TYPE_signature_algorithms),
        .authorities = list_of(ssl, AUTHORITIES_EXTENSION),
        .is_tls12 = handshake->setup->context->only_tls12 || !offers_tls13(ssl),
    };
    read_suites(ssl, &handshake->setup->context->tls12_suites, &wish);
    const struct hbk_tls_certificate *certificate =
        hbk_tls_choose(handshake->setup->context, &wish);
    handshake->certificate = certificate;
    if (certificate == NULL) {
        return true;
    }
    char list[HBK_TLS_LIST_MAX * 32];
    size_t used = 0;
    bool tells_schemes = handshake->context->splits_lists && !wish.is_tls12;
    for (size_t i = 0; i < certificate->scheme_count && tells_schemes; i++) {
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i > 0 ? ":" : "",
                                 hbk_sign_scheme_text(certificate->schemes[i]));
    }
    return hbk_openssl_use(ssl, form_of(handshake, certificate)) &&
           (used == 0 || SSL_set1_sigalgs_list(ssl, list) == 1);
}

int hbk_openssl_on_client_hello(SSL *ssl, int *out_alert, void *argument)
{
    (void)argument;
    struct hbk_openssl_handshake *handshake = SSL_get_app_data(ssl);
    const struct hbk_tls_context *context = handshake->setup->context;
    struct hbk_slice offer;
    /* libssl asks hbk_openssl_on_protocols() only when there is an offer. */
    if (context->requires_protocol &&
        !find_extension(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &offer)) {
        *out_alert = SSL_AD_NO_APPLICATION_PROTOCOL;
        return SSL_CLIENT_HELLO_ERROR;
    }
    struct hbk_slice host = host_of(ssl);
    free(handshake->result.server_name); /* of the hello before a HelloRetryRequest */
    handshake->result.server_name = host.size == 0 ? NULL : hbk_slice_to_string(host);
    bool is_good = host.size == 0 || handshake->result.server_name != NULL;
    if (!handshake->context->chooses) {
        handshake->certificate = context->certificates[0];
    } else {
        is_good = is_good && choose(ssl, handshake, host);
    }
    if (context->has_tls12_ranks && !context->prefers_client_suites) {
        is_good = is_good && order_suites(ssl, context);
    }
    if (!is_good) {
        *out_alert = SSL_AD_INTERNAL_ERROR;
    }
    return is_good ? SSL_CLIENT_HELLO_SUCCESS : SSL_CLIENT_HELLO_ERROR;
}

/* A known name is acknowledged, an unknown one is not an error: the first certificate serves. */
int hbk_openssl_on_server_name(SSL *ssl, int *out_alert, void *argument)
{
    (void)out_alert;
    (void)argument;
    const struct hbk_openssl_handshake *handshake = SSL_get_app_data(ssl);
    return handshake->result.server_name == NULL ? SSL_TLSEXT_ERR_NOACK : SSL_TLSEXT_ERR_OK;
}

int hbk_openssl_on_protocols(SSL *ssl, const unsigned char **out, unsigned char *out_size,
                             const unsigned char *offer, unsigned int offer_size, void *argument)
{
    (void)argument;
    const struct hbk_openssl_handshake *handshake = SSL_get_app_data(ssl);
    const struct hbk_tls_context *context = handshake->setup->context;
    unsigned char *chosen = NULL;
    if (SSL_select_next_proto(&chosen, out_size, context->protocols.bytes,
                              (unsigned)context->protocols.size, offer,
                              offer_size) != OPENSSL_NPN_NEGOTIATED) {
        return context->requires_protocol ? SSL_TLSEXT_ERR_ALERT_FATAL : SSL_TLSEXT_ERR_NOACK;
    }
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* A server's staple; a client's is read when the handshake is done. */
int hbk_openssl_on_status(SSL *ssl, void *argument)
{
    (void)argument;
    const struct hbk_openssl_handshake *handshake = SSL_get_app_data(ssl);
    if (handshake->setup->role == HBK_TLS_CLIENT) {
        return 1;
    }
    const struct hbk_tls_certificate *certificate = handshake->certificate;
    struct hbk_slice staple =
        certificate == NULL ? hbk_slice_of(NULL, 0)
                            : hbk_tls_certificate_staple(certificate, handshake->setup->now_ns);
    if (staple.size == 0) {
        return SSL_TLSEXT_ERR_NOACK;
    }
    unsigned char *copy = OPENSSL_memdup(staple.bytes, staple.size);
    if (copy == NULL) {
        return SSL_TLSEXT_ERR_NOACK; /* a staple is a favour */
    }
    SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)staple.size); /* takes it */
    return SSL_TLSEXT_ERR_OK;
}

/* The server's signature algorithms as they were on the wire; returns their bytes. */
static size_t read_schemes(SSL *ssl, uint8_t out[static 2 * SCHEMES_MAX])
{
    int count = SSL_get_sigalgs(ssl, -1, NULL, NULL, NULL, NULL, NULL);
    size_t used = 0;
    for (int i = 0; i < count && used < 2 * SCHEMES_MAX; i++) {
        unsigned char low = 0;
        unsigned char high = 0;
        (void)SSL_get_sigalgs(ssl, i, NULL, NULL, NULL, &low, &high);
        out[used++] = high;
        out[used++] = low;
    }
    return used;
}

/* The names in a request as they were on the wire; NULL and 0 when out of memory. */
static uint8_t *read_authorities(SSL *ssl, size_t *out_size)
{
    const STACK_OF(X509_NAME) *names = SSL_get0_peer_CA_list(ssl);
    size_t total = 0;
    for (int i = 0; i < sk_X509_NAME_num(names); i++) {
        int size = i2d_X509_NAME(sk_X509_NAME_value(names, i), NULL);
        total += size > 0 ? (size_t)size + 2 : 0;
    }
    uint8_t *list = malloc(total + 1);
    *out_size = 0;
    for (int i = 0; i < sk_X509_NAME_num(names) && list != NULL; i++) {
        unsigned char *at = list + *out_size + 2;
        int size = i2d_X509_NAME(sk_X509_NAME_value(names, i), &at);
        if (size > 0) {
            list[*out_size] = (uint8_t)(size >> 8);
            list[*out_size + 1] = (uint8_t)size;
            *out_size += (size_t)size + 2;
        }
    }
    return list;
}

/* Without a certificate that suits, an empty list is sent, and the server decides. */
int hbk_openssl_on_certificate_request(SSL *ssl, void *argument)
{
    (void)argument;
    struct hbk_openssl_handshake *handshake = SSL_get_app_data(ssl);
    uint8_t schemes[2 * SCHEMES_MAX];
    size_t authorities_bytes = 0;
    uint8_t *authorities = read_authorities(ssl, &authorities_bytes);
    if (authorities == NULL) {
        return 0;
    }
    const struct hbk_tls_wish wish = {
        .schemes = hbk_slice_of(schemes, read_schemes(ssl, schemes)),
        .authorities = hbk_slice_of(authorities, authorities_bytes),
        .is_tls12 = SSL_version(ssl) == TLS1_2_VERSION,
        .takes_rsa = true,
        .takes_ecdsa = true,
    };
    const struct hbk_tls_certificate *certificate =
        hbk_tls_choose(handshake->setup->context, &wish);
    free(authorities);
    ERR_clear_error();
    return certificate == NULL || hbk_openssl_use(ssl, form_of(handshake, certificate));
}
