/*
 * Resumption by libssl's tickets. libssl asks us for the keys, which are derived from the
 * context's, and lets us put data of our own into a ticket: what the ticket is bound to
 * (ticket_parts.h), which is judged before libssl may resume. As a client we are handed a session,
 * and keep it beside the peer that it belongs to.
 *
 * The peer of a ticket is not yet the peer of the handshake: libssl may still fall back to a full
 * one, in which the client presents itself anew or not at all.
 */
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "tls/openssl.h"
#include "tls/ticket_parts.h"

enum { IV_BYTES = 16, NEW_SESSION_TICKET = 4 };

/* ---- a server's ---- */

static bool set_keys(const struct hbk_tls_derived_ticket_key *key, const unsigned char *iv,
                     EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, bool is_sealing)
{
    char digest[] = "SHA256";
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)(uintptr_t)key->mac_key,
                                          sizeof key->mac_key),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_MAC_CTX_set_params(mac, parameters) == 1 &&
           EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher_key, iv, is_sealing) == 1;
}

/* Answers as libssl wants: -1 failed, 0 not ours, 1 good, 2 good but to be replaced. */
static int on_ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                         EVP_MAC_CTX *mac, int is_sealing)
{
    const struct hbk_openssl_handshake *handshake = SSL_get_app_data(ssl);
    struct hbk_tls_derived_ticket_key key;
    if (!hbk_tls_ticket_derive(handshake->setup->context->ticket_keys, is_sealing ? NULL : name,
                               &key)) {
        return 0;
    }
    bool is_good = true;
    if (is_sealing) {
        memcpy(name, key.name, sizeof key.name);
        is_good = RAND_bytes(iv, IV_BYTES) == 1;
    }
    is_good = is_good && set_keys(&key, iv, cipher, mac, is_sealing != 0);
    int answer = !is_good ? -1 : key.is_newest ? 1 : 2;
    hbk_secret_wipe(&key, sizeof key);
    return answer;
}

/* Without a binding a ticket is given and never taken back. */
static int on_ticket_made(SSL *ssl, void *argument)
{
    (void)argument;
    const struct hbk_openssl_handshake *handshake = SSL_get_app_data(ssl);
    const struct hbk_tls_result *result = &handshake->result;
    const struct hbk_peer *peer = SSL_session_reused(ssl) ? handshake->ticket_peer : result->peer;
    struct hbk_slice name =
        result->server_name == NULL ? hbk_slice_of(NULL, 0) : hbk_slice_text(result->server_name);
    struct hbk_buffer binding;
    hbk_buffer_init(&binding, HBK_TLS_TICKET_GIVEN_BYTES_MAX);
    if (handshake->certificate != NULL) {
        (void)!hbk_tls_ticket_write_binding(handshake->setup, handshake->certificate, peer, name,
                                            handshake->begun_ns, &binding);
    }
    struct hbk_slice bytes = hbk_buffer_slice(&binding);
    int is_good = SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), bytes.bytes, bytes.size);
    hbk_buffer_fini(&binding);
    return is_good;
}

static SSL_TICKET_RETURN on_ticket_opened(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
                                          size_t name_bytes, SSL_TICKET_STATUS status,
                                          void *argument)
{
    (void)name;
    (void)name_bytes;
    (void)argument;
    struct hbk_openssl_handshake *handshake = SSL_get_app_data(ssl);
    const struct hbk_tls_result *result = &handshake->result;
    bool is_opened = status == SSL_TICKET_SUCCESS || status == SSL_TICKET_SUCCESS_RENEW;
    struct hbk_tls_ticket_content content = {0};
    void *bytes = NULL;
    size_t size = 0;
    if (!is_opened || handshake->certificate == NULL ||
        SSL_SESSION_get0_ticket_appdata(session, &bytes, &size) != 1 ||
        !hbk_tls_ticket_check_binding(
            handshake->setup, handshake->certificate, hbk_slice_of(bytes, size),
            result->server_name == NULL ? hbk_slice_of(NULL, 0)
                                        : hbk_slice_text(result->server_name),
            &content)) {
        ERR_clear_error();
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    }
    hbk_peer_unref(handshake->ticket_peer); /* of a ticket before */
    handshake->ticket_peer = content.peer;
    handshake->begun_ns = content.begun_ns;
    /* A ticket of TLS 1.3 is used once, so another is given. */
    return SSL_SESSION_get_protocol_version(session) == TLS1_3_VERSION ||
                   status == SSL_TICKET_SUCCESS_RENEW
               ? SSL_TICKET_RETURN_USE_RENEW
               : SSL_TICKET_RETURN_USE;
}

/* Records that libssl sends under the keys of the application: the channel goes on behind them. */
static void on_message(int is_written, int version, int type, const void *bytes, size_t size,
                       SSL *ssl, void *argument)
{
    (void)argument;
    struct hbk_openssl_handshake *handshake = SSL_get_app_data(ssl);
    if (is_written && version == TLS1_3_VERSION && type == SSL3_RT_HANDSHAKE && size > 0 &&
        *(const uint8_t *)bytes == NEW_SESSION_TICKET) {
        handshake->result.sent_records +=
            (size + HBK_TLS_PLAIN_BYTES_MAX - 1) / HBK_TLS_PLAIN_BYTES_MAX;
    }
}

static bool set_up_server(struct hbk_openssl_context *own, const struct hbk_tls_context *context)
{
    static const unsigned char id[] = "hauberk"; /* libssl wants one where clients are known */
    SSL_CTX_clear_options(own->ssl, SSL_OP_NO_TICKET);
    SSL_CTX_set_timeout(own->ssl, (long)context->ticket_lifetime_s);
    SSL_CTX_set_msg_callback(own->ssl, on_message);
    return SSL_CTX_set_session_id_context(own->ssl, id, sizeof id - 1) == 1 &&
           SSL_CTX_set_tlsext_ticket_key_evp_cb(own->ssl, on_ticket_key) == 1 &&
           SSL_CTX_set_session_ticket_cb(own->ssl, on_ticket_made, on_ticket_opened, NULL) == 1 &&
           SSL_CTX_set_num_tickets(own->ssl, context->ticket_count) == 1;
}

/* ---- a client's ---- */

/* Keeps the newest session; 1: its reference is ours. A full heap only loses a ticket. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct hbk_openssl_handshake *handshake = SSL_get_app_data(ssl);
    const struct hbk_peer *peer = handshake->result.peer;
    if (handshake->peer != NULL) {
        peer = handshake->peer;
    } else if (SSL_session_reused(ssl) == 1) {
        peer = handshake->ticket_peer;
    }
    struct hbk_tls_ticket *ticket = NULL;
    if (peer == NULL || SSL_SESSION_is_resumable(session) != 1 ||
        hbk_tls_ticket_new_libssl(session, peer, hbk_slice_of(NULL, 0), handshake->setup->now_ns,
                                  &ticket) != HBK_OK) {
        return 0;
    }
    hbk_tls_ticket_unref(handshake->newest);
    handshake->newest = ticket;
    return 1;
}

void hbk_openssl_keep_renewed_ticket(struct hbk_openssl_handshake *handshake)
{
    const struct hbk_tls_setup *setup = handshake->setup;
    SSL *ssl = handshake->ssl;
    if (setup->role != HBK_TLS_CLIENT || !setup->context->resumes ||
        SSL_version(ssl) != TLS1_2_VERSION || SSL_session_reused(ssl) != 1 ||
        setup->ticket == NULL || SSL_get0_session(ssl) == setup->ticket->libssl) {
        return;
    }
    SSL_SESSION *session = SSL_get1_session(ssl);
    if (session != NULL && on_session(ssl, session) != 1) {
        SSL_SESSION_free(session);
    }
}

bool hbk_openssl_set_up_tickets(struct hbk_openssl_context *own,
                                const struct hbk_tls_context *context)
{
    if (context->resumes) {
        SSL_CTX_clear_options(own->ssl, SSL_OP_NO_TICKET);
        SSL_CTX_set_session_cache_mode(own->ssl,
                                       SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(own->ssl, on_session);
    }
    return context->ticket_keys == NULL || set_up_server(own, context);
}

bool hbk_openssl_offer_ticket(struct hbk_openssl_handshake *handshake)
{
    const struct hbk_tls_ticket *ticket = handshake->setup->ticket;
    if (ticket == NULL || ticket->libssl == NULL ||
        !hbk_tls_ticket_is_usable(ticket, handshake->setup)) {
        return true;
    }
    handshake->ticket_peer = hbk_peer_ref(ticket->peer);
    return SSL_set_session(handshake->ssl, ticket->libssl) == 1;
}

struct hbk_tls_ticket *hbk_openssl_take_ticket(void *argument)
{
    struct hbk_openssl_handshake *handshake = argument;
    struct hbk_tls_ticket *newest = handshake->newest;
    handshake->newest = NULL;
    return newest;
}
