/* Plain libssl as a stranger at the other end of one of our sessions, set up well or badly. */
#pragma once

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "pair.h"

static struct forged stranger; /* libssl's usual certificate */

/* How libssl is set up; zeroes are a good peer. */
struct habits {
    bool is_server;
    bool has_no_certificate;
    bool has_no_demands;   /* does not ask for our certificate */
    int version;           /* the only one; default TLS 1.3 */
    const char *protocols; /* as RFC 7301 writes them; "" offers none; default "\2h2" */
    int group;             /* the only one, a NID; default: many */
    const char *suites;    /* of TLS 1.3 */
    const char *ciphers;   /* of TLS 1.2 */
    const char *schemes;   /* what it signs and verifies with; default: many */
    unsigned long options; /* SSL_OP_ of libssl to set */
    size_t tickets;
    const struct forged *certificate; /* default: stranger */
};

struct interop {
    struct pair_worker *worker; /* the session's */
    struct hbk_tls_session *session;
    SSL_CTX *context;
    SSL *ssl;
    BIO *to_ssl, *from_ssl; /* borrowed from ssl */
    enum hbk_tls_answer answer;
    int ssl_result;
    struct pair_queue wire; /* from libssl to the session */
};

HBK_UNUSED static int accept_anybody(int is_good, X509_STORE_CTX *context)
{
    (void)is_good;
    (void)context;
    return 1;
}

HBK_UNUSED static int choose_first(SSL *ssl, const unsigned char **out, unsigned char *out_size,
                                   const unsigned char *offer, unsigned int offer_size,
                                   void *argument)
{
    const char *protocols = argument;
    (void)ssl;
    unsigned char *chosen = NULL;
    if (SSL_select_next_proto(&chosen, out_size, (const unsigned char *)protocols,
                              (unsigned)strlen(protocols), offer,
                              offer_size) != OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_NOACK;
    }
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

HBK_UNUSED static SSL_CTX *make_context(const struct habits *habits)
{
    SSL_CTX *context = SSL_CTX_new(TLS_method());
    int version = habits->version == 0 ? TLS1_3_VERSION : habits->version;
    const char *protocols = habits->protocols == NULL ? "\2h2" : habits->protocols;
    const struct forged *own = habits->certificate == NULL ? &stranger : habits->certificate;
    assert_non_null(context);
    SSL_CTX_set_min_proto_version(context, version);
    SSL_CTX_set_max_proto_version(context, version);
    SSL_CTX_set_options(context, habits->options);
    SSL_CTX_set_verify(context,
                       habits->has_no_demands ? SSL_VERIFY_NONE
                                              : SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                       accept_anybody);
    SSL_CTX_set_num_tickets(context, habits->tickets);
    if (protocols[0] != '\0') {
        SSL_CTX_set_alpn_protos(context, (const unsigned char *)protocols,
                                (unsigned)strlen(protocols));
        SSL_CTX_set_alpn_select_cb(context, choose_first, (void *)(uintptr_t)protocols);
    }
    if (habits->group != 0) {
        int group = habits->group;
        assert_int_equal(SSL_CTX_set1_groups(context, &group, 1), 1);
    }
    if (habits->suites != NULL) {
        assert_int_equal(SSL_CTX_set_ciphersuites(context, habits->suites), 1);
    }
    if (habits->ciphers != NULL) {
        assert_int_equal(SSL_CTX_set_cipher_list(context, habits->ciphers), 1);
    }
    if (habits->schemes != NULL) {
        assert_int_equal(SSL_CTX_set1_sigalgs_list(context, (char *)(uintptr_t)habits->schemes), 1);
    }
    if (!habits->has_no_certificate) {
        assert_int_equal(SSL_CTX_use_certificate(context, own->certificate), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey(context, own->key), 1);
    }
    return context;
}

/* A stranger of these habits, on a context that is made for it or given, against a session. */
HBK_UNUSED static struct interop *interop_of(const struct habits *habits, SSL_CTX *context,
                                             struct pair_worker *its_worker,
                                             struct hbk_tls_context *ours,
                                             struct hbk_tls_options options)
{
    struct interop *interop = calloc(1, sizeof *interop);
    assert_non_null(interop);
    interop->context = context == NULL ? make_context(habits) : context;
    if (context != NULL) {
        SSL_CTX_up_ref(context);
    }
    interop->ssl = SSL_new(interop->context);
    interop->to_ssl = BIO_new(BIO_s_mem());
    interop->from_ssl = BIO_new(BIO_s_mem());
    SSL_set_bio(interop->ssl, interop->to_ssl, interop->from_ssl);
    if (habits->is_server) {
        SSL_set_accept_state(interop->ssl);
    } else {
        SSL_set_connect_state(interop->ssl);
    }
    interop->worker = its_worker;
    options.role = habits->is_server ? HBK_TLS_CLIENT : HBK_TLS_SERVER;
    options.worker = its_worker->tls;
    assert_int_equal(hbk_tls_session_new(ours, &options, FORGE_NOW_NS, &interop->session), HBK_OK);
    return interop;
}

HBK_UNUSED static void interop_free(struct interop *interop)
{
    hbk_tls_session_free(interop->session);
    SSL_set_shutdown(interop->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); /* it may resume */
    SSL_free(interop->ssl);
    SSL_CTX_free(interop->context);
    ERR_clear_error();
    free(interop);
}

/* What libssl has written goes on the wire. */
HBK_UNUSED static void carry(struct interop *interop)
{
    int size = BIO_read(interop->from_ssl, interop->wire.bytes + interop->wire.size,
                        (int)(sizeof interop->wire.bytes - interop->wire.size));
    interop->wire.size += size > 0 ? (size_t)size : 0;
}

HBK_UNUSED static void step_session(struct interop *interop)
{
    uint8_t out[20000];
    size_t consumed = 0;
    size_t written = 0;
    if (interop->answer == HBK_TLS_FAILED || interop->answer == HBK_TLS_DONE) {
        return;
    }
    interop->answer =
        hbk_tls_handshake(interop->session, hbk_span_of(interop->wire.bytes, interop->wire.size),
                          &consumed, hbk_span_of(out, sizeof out), &written);
    memmove(interop->wire.bytes, interop->wire.bytes + consumed, interop->wire.size - consumed);
    interop->wire.size -= consumed;
    BIO_write(interop->to_ssl, out, (int)written);
    if (interop->answer == HBK_TLS_WAITING) {
        pair_worker_flush(interop->worker);
        step_session(interop);
    }
}

HBK_UNUSED static void interop_shake(struct interop *interop)
{
    interop->answer = HBK_TLS_WANT_INPUT;
    for (unsigned i = 0; i < 6; i++) {
        step_session(interop);
        interop->ssl_result = SSL_do_handshake(interop->ssl);
        carry(interop);
    }
}

HBK_UNUSED static void send_to_ssl(struct interop *interop, struct hbk_slice plain)
{
    uint8_t out[20000];
    size_t sealed = 0;
    size_t written = 0;
    assert_int_equal(
        hbk_tls_seal(interop->session, &plain, 1, hbk_span_of(out, sizeof out), &sealed, &written),
        HBK_TLS_DONE);
    BIO_write(interop->to_ssl, out, (int)written);
    char got[20000];
    assert_int_equal(SSL_read(interop->ssl, got, sizeof got), plain.size);
    assert_memory_equal(got, plain.bytes, plain.size);
    carry(interop);
}

/* Opens what is on the wire until there is data. */
HBK_UNUSED static enum hbk_tls_answer receive(struct interop *interop, struct hbk_slice *plain)
{
    carry(interop);
    size_t at = 0;
    enum hbk_tls_answer answer = HBK_TLS_DONE;
    do {
        size_t consumed = 0;
        answer = hbk_tls_open(interop->session,
                              hbk_span_of(interop->wire.bytes + at, interop->wire.size - at),
                              &consumed, plain);
        at += consumed;
    } while (answer == HBK_TLS_DONE && plain->size == 0);
    interop->wire.size = 0;
    return answer;
}

HBK_UNUSED static void expect_from_ssl(struct interop *interop, struct hbk_slice plain)
{
    struct hbk_slice got;
    assert_int_equal(SSL_write(interop->ssl, plain.bytes, (int)plain.size), plain.size);
    assert_int_equal(receive(interop, &got), HBK_TLS_DONE);
    assert_slice_equal(got, plain);
}
