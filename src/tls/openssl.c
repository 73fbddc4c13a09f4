/*
 * The engine on the system's libssl. For TLS 1.3 it performs the handshake only: libssl reads and
 * writes through a BIO that lies on the caller's spans, our verdict takes the place of its own
 * judgement of certificates, and the traffic secrets come out through the key-log callback when
 * both sides are done. libssl reads exactly the records of the handshake, since read-ahead is off;
 * what follows in the input is the channel's. Private keys are their provider's: where libssl needs
 * one, it waits on a fibre (openssl_fibre.h). Connections of TLS 1.2 stay with libssl
 * (openssl_data.c).
 */
#include "tls/openssl.h"

#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/address.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/secret.h"
#include "tls/alert.h"
#include "tls/ticket.h"

static void handshake_free(void *argument)
{
    struct hbk_openssl_handshake *handshake = argument;
    hbk_openssl_fibre_fini(&handshake->fibre, handshake->ssl);
    if (handshake->keeps && !handshake->has_failed) {
        /* Else libssl forbids the tickets of a connection that was not shut down to resume. */
        SSL_set_shutdown(handshake->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    }
    SSL_free(handshake->ssl);
    hbk_peer_unref(handshake->result.peer);
    hbk_peer_unref(handshake->ticket_peer);
    hbk_peer_unref(handshake->peer);
    hbk_tls_ticket_unref(handshake->newest);
    free(handshake->result.server_name);
    free(handshake->result.staple.bytes);
    hbk_secret_wipe(&handshake->result, sizeof handshake->result);
    free(handshake);
}

/* libssl has one list of signature schemes for what a peer may use and what we do. */
static bool set_lists(const struct hbk_openssl_handshake *handshake)
{
    const struct hbk_openssl_context *context = handshake->context;
    SSL *ssl = handshake->ssl;
    if (!context->splits_lists) {
        return true;
    }
    bool is_client = handshake->setup->role == HBK_TLS_CLIENT;
    char *first = is_client ? context->verify_list : context->own_list;
    char *of_clients = is_client ? context->own_list : context->verify_list;
    return (first[0] == '\0' || SSL_set1_sigalgs_list(ssl, first) == 1) &&
           (of_clients[0] == '\0' || SSL_set1_client_sigalgs_list(ssl, of_clients) == 1);
}

static bool set_server_name(SSL *ssl, struct hbk_slice name)
{
    char text[HBK_SERVER_NAME_BYTES_MAX + 1];
    struct hbk_ip ip;
    if (name.size == 0 || hbk_ip_parse(name, &ip)) {
        return true; /* RFC 6066, 3: addresses are not sent */
    }
    HBK_ASSERT(name.size < sizeof text);
    memcpy(text, name.bytes, name.size);
    text[name.size] = '\0';
    return SSL_set_tlsext_host_name(ssl, text) == 1;
}

static bool set_up_client(struct hbk_openssl_handshake *handshake)
{
    const struct hbk_tls_setup *setup = handshake->setup;
    SSL *ssl = handshake->ssl;
    SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL);
    SSL_set_connect_state(ssl);
    if (handshake->context->chooses) {
        SSL_set_cert_cb(ssl, hbk_openssl_on_certificate_request, NULL);
    }
    return set_server_name(ssl, setup->server_name) && hbk_openssl_offer_ticket(handshake) &&
           (!setup->context->asks_staple ||
            SSL_set_tlsext_status_type(ssl, TLSEXT_STATUSTYPE_ocsp) == 1);
}

static void set_up_server(const struct hbk_openssl_handshake *handshake)
{
    int mode = SSL_VERIFY_NONE;
    switch (handshake->setup->context->client_certificate) {
    case HBK_TLS_CLIENT_CERTIFICATE_REQUIRED:
        mode = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
        break;
    case HBK_TLS_CLIENT_CERTIFICATE_ASKED:
        mode = SSL_VERIFY_PEER;
        break;
    case HBK_TLS_CLIENT_CERTIFICATE_NONE:
        break;
    }
    SSL_set_verify(handshake->ssl, mode, NULL);
    SSL_set_accept_state(handshake->ssl);
}

static bool set_up(struct hbk_openssl_handshake *handshake)
{
    BIO *bio = hbk_openssl_bio_new(handshake);
    if (bio == NULL || handshake->ssl == NULL || SSL_set_app_data(handshake->ssl, handshake) != 1 ||
        !set_lists(handshake)) {
        BIO_free(bio);
        return false;
    }
    SSL_set_bio(handshake->ssl, bio, bio); /* takes it */
    if (handshake->setup->role == HBK_TLS_CLIENT) {
        return set_up_client(handshake);
    }
    set_up_server(handshake);
    return true;
}

/* The owner of a session may change until its first step. */
static void on_fibre(void *owner)
{
    const struct hbk_openssl_handshake *handshake = owner;
    if (handshake->setup->on_progress != NULL) {
        handshake->setup->on_progress(handshake->setup->owner);
    }
}

static hbk_status handshake_new(const struct hbk_tls_setup *setup, void **out_handshake)
{
    struct hbk_openssl_handshake *handshake = calloc(1, sizeof *handshake);
    if (handshake == NULL) {
        return HBK_NO_MEMORY;
    }
    handshake->setup = setup;
    handshake->context = setup->context->engine_context[HBK_TLS_ENGINE_OPENSSL];
    handshake->failure = (struct hbk_tls_failure){.alert = HBK_ALERT_NONE};
    handshake->begun_ns = setup->now_ns;
    handshake->ssl = SSL_new(handshake->context->ssl);
    if (!set_up(handshake)) {
        ERR_clear_error();
        handshake_free(handshake);
        return HBK_NO_MEMORY;
    }
    if (setup->context->certificate_count > 0) {
        hbk_openssl_fibre_init(&handshake->fibre, &setup->worker->fibres, on_fibre, handshake);
    }
    *out_handshake = handshake;
    return HBK_OK;
}

/* Puts the cause into one sentence: our verdict, the peer's alert, or libssl's reason. */
enum hbk_tls_answer hbk_openssl_fail(struct hbk_openssl_handshake *handshake)
{
    struct hbk_tls_failure *failure = &handshake->failure;
    const char *reason = ERR_reason_error_string(ERR_peek_error());
    const char *text = NULL;
    failure->status = HBK_INVALID;
    if (handshake->verdict.error.status != HBK_OK) {
        failure->status = handshake->verdict.error.status;
        text = handshake->verdict.error.text;
    } else if (failure->alert_is_received) {
        failure->status = HBK_CLOSED;
        text = hbk_tls_alert_received_text(failure->alert);
    } else if (failure->alert == HBK_ALERT_CERTIFICATE_REQUIRED ||
               ERR_GET_REASON(ERR_peek_error()) == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) {
        failure->status = HBK_UNTRUSTED;
        text = "the peer presented no certificate";
    } else if (failure->alert == HBK_ALERT_NO_APPLICATION_PROTOCOL) {
        failure->status = HBK_UNSUPPORTED;
        text = handshake->setup->context->protocol_failure;
    } else if (failure->alert == HBK_ALERT_PROTOCOL_VERSION) {
        failure->status = HBK_UNSUPPORTED;
    }
    (void)snprintf(handshake->failure_text, sizeof handshake->failure_text, "%s%s",
                   text == NULL ? "TLS: " : "",
                   text != NULL     ? text
                   : reason != NULL ? reason
                                    : "the handshake failed");
    failure->text = handshake->failure_text;
    return HBK_TLS_FAILED;
}

static enum hbk_tls_answer answer_of(struct hbk_openssl_handshake *handshake, int returned)
{
    if (returned == 1) {
        return hbk_openssl_read_result(handshake) == HBK_OK ? HBK_TLS_DONE
                                                            : hbk_openssl_fail(handshake);
    }
    switch (SSL_get_error(handshake->ssl, returned)) {
    case SSL_ERROR_WANT_READ:
        return HBK_TLS_WANT_INPUT;
    case SSL_ERROR_WANT_WRITE:
        return HBK_TLS_WANT_ROOM;
    default:
        return hbk_openssl_fail(handshake);
    }
}

/* Who has no key signs nothing and needs no fibre. */
static enum hbk_tls_answer shake(struct hbk_openssl_handshake *handshake)
{
    int returned = 0;
    if (handshake->fibre.fibres == NULL) {
        returned = SSL_do_handshake(handshake->ssl);
    } else if (hbk_openssl_fibre_step(&handshake->fibre, handshake->ssl, hbk_clock_monotonic_ns(),
                                      &returned)) {
        return HBK_TLS_WAITING;
    }
    return answer_of(handshake, returned);
}

static enum hbk_tls_answer step(void *argument, struct hbk_span input, size_t *out_consumed,
                                struct hbk_span output, size_t *out_written)
{
    struct hbk_openssl_handshake *handshake = argument;
    handshake->input = hbk_slice_of(input.bytes, input.size);
    handshake->output = output;
    handshake->consumed = 0;
    handshake->written = 0;
    ERR_clear_error();
    enum hbk_tls_answer answer = shake(handshake);
    ERR_clear_error();
    *out_consumed = handshake->consumed;
    *out_written = handshake->written;
    handshake->input = hbk_slice_of(NULL, 0);
    handshake->output = hbk_span_of(NULL, 0);
    return answer;
}

static void take_result(void *argument, struct hbk_tls_result *out_result)
{
    struct hbk_openssl_handshake *handshake = argument;
    *out_result = handshake->result;
    hbk_secret_wipe(handshake->result.client_secret, sizeof handshake->result.client_secret);
    hbk_secret_wipe(handshake->result.server_secret, sizeof handshake->result.server_secret);
    hbk_secret_wipe(handshake->result.exporter_secret, sizeof handshake->result.exporter_secret);
    handshake->result.peer = NULL;
    handshake->result.server_name = NULL;
    handshake->result.staple = hbk_span_of(NULL, 0);
    handshake->keeps = out_result->keeps_engine;
    if (handshake->keeps && out_result->peer != NULL) {
        handshake->peer = hbk_peer_ref(out_result->peer);
    }
}

static const struct hbk_tls_certificate *own_certificate(const void *argument)
{
    const struct hbk_openssl_handshake *handshake = argument;
    return handshake->certificate;
}

static struct hbk_tls_failure failure(const void *argument)
{
    const struct hbk_openssl_handshake *handshake = argument;
    return handshake->failure;
}

const struct hbk_tls_engine hbk_tls_openssl = {
    .kind = HBK_TLS_ENGINE_OPENSSL,
    .context_new = hbk_openssl_context_new,
    .context_free = hbk_openssl_context_free,
    .handshake_new = handshake_new,
    .handshake_free = handshake_free,
    .step = step,
    .take_result = take_result,
    .own_certificate = own_certificate,
    .failure = failure,
    .data = &hbk_openssl_data,
};
