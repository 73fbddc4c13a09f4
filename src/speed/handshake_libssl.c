/*
 * The yardstick: libssl as a program uses it that knows nothing of us. It computes with its own
 * keys, at once, and judges certificates itself. What a careful program sets is set: buffers are
 * released, its own chain is not rebuilt for each handshake, no session is cached.
 */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "identity/bundle.h"
#include "identity/svid.h"
#include "speed/handshake_speaker.h"
#include "tls/openssl.h"

struct session {
    SSL *ssl;
    struct hbk_slice input; /* of the call under way, what is left of it */
    struct hbk_span output; /* likewise */
    SSL_SESSION *ticket;    /* owned; may be NULL */
};

/* ---- a BIO on the spans of the call under way ---- */

static int span_read(BIO *bio, char *to, int size)
{
    struct session *session = BIO_get_data(bio);
    size_t taken = (size_t)size < session->input.size ? (size_t)size : session->input.size;
    BIO_clear_retry_flags(bio);
    if (taken == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(to, session->input.bytes, taken);
    session->input = hbk_slice_of(session->input.bytes + taken, session->input.size - taken);
    return (int)taken;
}

static int span_write(BIO *bio, const char *from, int size)
{
    struct session *session = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    HBK_ASSERT((size_t)size <= session->output.size); /* no flight here is that long */
    memcpy(session->output.bytes, from, (size_t)size);
    session->output =
        hbk_span_of(session->output.bytes + size, session->output.size - (size_t)size);
    return size;
}

static BIO_METHOD *span_method; /* made once */
static pthread_once_t span_once = PTHREAD_ONCE_INIT;

static void make_span_method(void)
{
    span_method = hbk_openssl_bio_method("bench span", span_read, span_write);
}

static BIO *span_new(struct session *session)
{
    pthread_once(&span_once, make_span_method);
    return hbk_openssl_bio_of(span_method, session);
}

/* ---- the context ---- */

static int on_ticket(SSL *ssl, SSL_SESSION *ticket)
{
    struct session *session = SSL_get_app_data(ssl);
    SSL_SESSION_free(session->ticket);
    session->ticket = ticket;
    return 1; /* taken */
}

static int on_protocols(SSL *ssl, const unsigned char **out, unsigned char *out_size,
                        const unsigned char *offer, unsigned int offer_size, void *argument)
{
    (void)ssl;
    (void)argument;
    static const unsigned char ours[] = "\x02h2";
    unsigned char *chosen = NULL;
    if (SSL_select_next_proto(&chosen, out_size, ours, sizeof ours - 1, offer, offer_size) !=
        OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static bool use_certificate(SSL_CTX *context, const struct hbk_svid *svid)
{
    bool is_good = SSL_CTX_use_certificate(context, svid->certificates[0]) == 1 &&
                   SSL_CTX_use_PrivateKey(context, svid->private_key) == 1;
    for (size_t i = 1; i < svid->certificate_count && is_good; i++) {
        is_good = SSL_CTX_add1_chain_cert(context, svid->certificates[i]) == 1;
    }
    return is_good;
}

static bool trust_roots(SSL_CTX *context, const struct hbk_bundle *bundle)
{
    bool is_good = true;
    for (size_t i = 0; i < bundle->root_count && is_good; i++) {
        is_good = X509_STORE_add_cert(SSL_CTX_get_cert_store(context), bundle->roots[i]) == 1;
    }
    return is_good;
}

/* The same version, suite and group as the others speak. */
static bool set_algorithms(SSL_CTX *context, bool is_tls12)
{
    int version = is_tls12 ? TLS1_2_VERSION : TLS1_3_VERSION;
    int groups[] = {NID_X25519};
    return SSL_CTX_set_min_proto_version(context, version) == 1 &&
           SSL_CTX_set_max_proto_version(context, version) == 1 &&
           SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256") == 1 &&
           SSL_CTX_set_cipher_list(context, "ECDHE-RSA-AES128-GCM-SHA256") == 1 &&
           SSL_CTX_set1_groups(context, groups, HBK_COUNT(groups)) == 1;
}

static bool set_up(SSL_CTX *context, const struct hbk_handshake_kind *kind, bool is_server)
{
    static const unsigned char id[] = "speed";
    bool judges = !is_server || kind->is_mutual;
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_clear_options(context, SSL_OP_ENABLE_MIDDLEBOX_COMPAT);
    SSL_CTX_set_verify(context,
                       judges ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT : SSL_VERIFY_NONE,
                       NULL);
    SSL_CTX_set_session_cache_mode(
        context, is_server || !kind->resumes ? SSL_SESS_CACHE_OFF
                                             : SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, on_ticket);
    SSL_CTX_set_alpn_select_cb(context, on_protocols, NULL);
    if (!kind->resumes) {
        SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    }
    return SSL_CTX_set_num_tickets(context, kind->resumes ? 1 : 0) == 1 &&
           SSL_CTX_set_session_id_context(context, id, sizeof id - 1) == 1 &&
           set_algorithms(context, kind->is_tls12) &&
           SSL_CTX_set_alpn_protos(context, (const unsigned char *)"\x02h2", 3) == 0;
}

hbk_status hbk_handshake_libssl_new(const struct hbk_handshake_kind *kind,
                                    const struct hbk_svid *svid, const struct hbk_bundle *bundle,
                                    bool is_server, SSL_CTX **out_context)
{
    SSL_CTX *context = SSL_CTX_new(TLS_method());
    if (context != NULL && set_up(context, kind, is_server) && trust_roots(context, bundle) &&
        (svid == NULL || use_certificate(context, svid))) {
        *out_context = context;
        return HBK_OK;
    }
    ERR_clear_error();
    SSL_CTX_free(context);
    return HBK_IO;
}

void hbk_handshake_libssl_free(SSL_CTX *context)
{
    SSL_CTX_free(context);
}

/* ---- sessions ---- */

static void free_session(void *argument)
{
    struct session *session = argument;
    if (session != NULL) {
        if (session->ssl != NULL) {
            /* Else the ticket of a connection that was not shut down is bad. */
            SSL_set_shutdown(session->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        }
        SSL_free(session->ssl);
        SSL_SESSION_free(session->ticket);
        free(session);
    }
}

static hbk_status begin(struct hbk_handshake_end *end, void *ticket, void **out_session)
{
    struct session *session = calloc(1, sizeof *session);
    if (session == NULL) {
        return HBK_NO_MEMORY;
    }
    session->ssl = SSL_new(end->libssl);
    BIO *bio = span_new(session);
    if (session->ssl == NULL || bio == NULL || SSL_set_app_data(session->ssl, session) != 1 ||
        (ticket != NULL && SSL_set_session(session->ssl, ticket) != 1)) {
        BIO_free(bio);
        free_session(session);
        return HBK_NO_MEMORY;
    }
    SSL_set_bio(session->ssl, bio, bio); /* takes it */
    if (end->is_server) {
        SSL_set_accept_state(session->ssl);
    } else {
        SSL_set_connect_state(session->ssl);
    }
    *out_session = session;
    return HBK_OK;
}

static enum hbk_tls_answer answer_of(const struct session *session, int returned)
{
    switch (SSL_get_error(session->ssl, returned)) {
    case SSL_ERROR_NONE:
        return HBK_TLS_DONE;
    case SSL_ERROR_WANT_READ:
        return HBK_TLS_WANT_INPUT;
    default:
        return HBK_TLS_FAILED;
    }
}

static enum hbk_tls_answer shake(void *argument, struct hbk_span input, size_t *out_consumed,
                                 struct hbk_span output, size_t *out_written)
{
    struct session *session = argument;
    session->input = hbk_slice_of(input.bytes, input.size);
    session->output = output;
    enum hbk_tls_answer answer = answer_of(session, SSL_do_handshake(session->ssl));
    *out_consumed = input.size - session->input.size;
    *out_written = output.size - session->output.size;
    return answer;
}

static size_t say(void *argument, struct hbk_span output)
{
    struct session *session = argument;
    session->output = output;
    int written = SSL_write(session->ssl, "x", 1);
    HBK_ASSERT(written == 1);
    return output.size - session->output.size;
}

static enum hbk_tls_answer hear(void *argument, struct hbk_span input, size_t *out_consumed)
{
    struct session *session = argument;
    uint8_t bytes[64];
    session->input = hbk_slice_of(input.bytes, input.size);
    session->output = hbk_span_of(NULL, 0);
    enum hbk_tls_answer answer =
        answer_of(session, SSL_read(session->ssl, bytes, (int)sizeof bytes));
    *out_consumed = input.size - session->input.size;
    return answer;
}

static bool was_resumed(const void *argument)
{
    const struct session *session = argument;
    return SSL_session_reused(session->ssl) == 1;
}

static bool is_tls12(const void *argument)
{
    const struct session *session = argument;
    return SSL_version(session->ssl) == TLS1_2_VERSION;
}

static void *take_ticket(void *argument)
{
    struct session *session = argument;
    SSL_SESSION *ticket = session->ticket;
    session->ticket = NULL;
    return ticket;
}

static void free_ticket(void *ticket)
{
    SSL_SESSION_free(ticket);
}

static const char *failure(void *session)
{
    (void)session;
    const char *reason = ERR_reason_error_string(ERR_peek_error());
    return reason == NULL ? "the handshake failed" : reason;
}

const struct hbk_handshake_speaker hbk_handshake_libssl = {
    .begin = begin,
    .shake = shake,
    .say = say,
    .hear = hear,
    .was_resumed = was_resumed,
    .is_tls12 = is_tls12,
    .take_ticket = take_ticket,
    .free_ticket = free_ticket,
    .failure = failure,
    .free = free_session,
};
