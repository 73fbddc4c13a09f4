/*
 * The engine on the system's libssl. It performs the handshake only: libssl reads and writes
 * through a BIO that lies on the caller's spans, our verdict takes the place of its own judgement
 * of certificates, and the traffic secrets come out through the key-log callback when both sides
 * are done. libssl reads exactly the records of the handshake, since read-ahead is off; what
 * follows in the input is the channel's.
 */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/secret.h"
#include "tls/alert.h"
#include "tls/engine.h"

enum {
    TEXT_BYTES_MAX = HBK_ERROR_TEXT_BYTES_MAX + 64,
    CLIENT_SECRET_SEEN = 1,
    SERVER_SECRET_SEEN = 2,
};

/* For libssl; the order is ours as client, and as server (RFC 8446 suites; ambient.md 3b). */
static const char suites[] = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384";
static const uint8_t protocols[] = {2, 'h', '2'}; /* RFC 7301, 3.1 */

struct handshake {
    const struct hbk_tls_setup *setup; /* borrowed, outlives this */
    SSL *ssl;

    /* The spans of the step under way, for the BIO. */
    struct hbk_slice input;
    struct hbk_span output;
    size_t consumed;
    size_t written;

    struct hbk_tls_result result;
    unsigned secrets_seen;

    struct hbk_verdict_failure verdict;
    struct hbk_tls_failure failure;
    char failure_text[TEXT_BYTES_MAX];
};

/* ---- the BIO on the caller's spans ---- */

static int span_read(BIO *bio, char *to, int size)
{
    struct handshake *handshake = BIO_get_data(bio);
    size_t left = handshake->input.size - handshake->consumed;
    BIO_clear_retry_flags(bio);
    if (left == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    size_t taken = (size_t)size < left ? (size_t)size : left;
    memcpy(to, handshake->input.bytes + handshake->consumed, taken);
    handshake->consumed += taken;
    return (int)taken;
}

static int span_write(BIO *bio, const char *from, int size)
{
    struct handshake *handshake = BIO_get_data(bio);
    size_t room = handshake->output.size - handshake->written;
    BIO_clear_retry_flags(bio);
    if (room == 0) {
        BIO_set_retry_write(bio);
        return -1;
    }
    size_t taken = (size_t)size < room ? (size_t)size : room;
    memcpy(handshake->output.bytes + handshake->written, from, taken);
    handshake->written += taken;
    return (int)taken;
}

static long span_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static BIO_METHOD *span_method; /* made once; lives as long as the process */
static pthread_once_t span_once = PTHREAD_ONCE_INIT;

static void make_span_method(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "hauberk span");
    if (method != NULL && BIO_meth_set_read(method, span_read) == 1 &&
        BIO_meth_set_write(method, span_write) == 1 &&
        BIO_meth_set_ctrl(method, span_control) == 1) {
        span_method = method;
        return;
    }
    BIO_meth_free(method);
}

/* ---- what libssl asks us ---- */

/* Failures of certificates in libssl's own words, from which it makes the alert. */
static int certificate_error(enum hbk_verdict_reason reason)
{
    switch (reason) {
    case HBK_VERDICT_NONE:
        return X509_V_ERR_OUT_OF_MEM; /* internal_error */
    case HBK_VERDICT_MALFORMED:
    case HBK_VERDICT_BAD_PATH:
        return X509_V_ERR_CERT_REJECTED; /* bad_certificate */
    case HBK_VERDICT_EXPIRED:
        return X509_V_ERR_CERT_HAS_EXPIRED;
    case HBK_VERDICT_REVOKED:
        return X509_V_ERR_CERT_REVOKED;
    case HBK_VERDICT_UNKNOWN_CA:
        return X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY; /* unknown_ca */
    case HBK_VERDICT_BAD_USAGE:
        return X509_V_ERR_INVALID_PURPOSE; /* unsupported_certificate */
    case HBK_VERDICT_UNEXPECTED:
        return X509_V_ERR_CERT_REJECTED;
    }
    HBK_UNREACHABLE();
}

static hbk_status judge(struct handshake *handshake, const struct hbk_chain *chain)
{
    const struct hbk_tls_setup *setup = handshake->setup;
    const struct hbk_bundle_set *bundles = setup->credential->bundles;
    enum hbk_peer_role role = setup->role == HBK_TLS_CLIENT ? HBK_PEER_SERVER : HBK_PEER_CLIENT;
    const struct hbk_peer *peer = NULL;
    HBK_TRY(setup->verdicts == NULL
                ? hbk_verdict_judge(chain, bundles, role, setup->now_ns, &peer, &handshake->verdict)
                : hbk_verdict_cache_judge(setup->verdicts, chain, bundles, role, setup->now_ns,
                                          &peer, &handshake->verdict));
    hbk_status status = hbk_verdict_match(peer, &setup->expectation, &handshake->verdict);
    if (status != HBK_OK) {
        hbk_peer_unref(peer);
        return status;
    }
    hbk_peer_unref(handshake->result.peer);
    handshake->result.peer = peer;
    return HBK_OK;
}

/* The presented certificates as DER. On failure what was made so far is the caller's to free. */
static hbk_status encode_chain(STACK_OF(X509) * presented, struct hbk_slice *certificates,
                               X509 **parsed, size_t *count)
{
    for (int i = 0; i < sk_X509_num(presented); i++) {
        unsigned char *bytes = NULL;
        X509 *certificate = sk_X509_value(presented, i);
        int size = *count < HBK_CHAIN_CERTIFICATES_MAX ? i2d_X509(certificate, &bytes) : -1;
        if (size < 0) {
            return *count < HBK_CHAIN_CERTIFICATES_MAX ? HBK_NO_MEMORY : HBK_LIMIT;
        }
        parsed[*count] = certificate;
        certificates[(*count)++] = hbk_slice_of(bytes, (size_t)size);
    }
    return HBK_OK;
}

static int on_certificates(X509_STORE_CTX *context, void *argument)
{
    (void)argument;
    SSL *ssl = X509_STORE_CTX_get_ex_data(context, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct handshake *handshake = SSL_get_app_data(ssl);
    struct hbk_slice certificates[HBK_CHAIN_CERTIFICATES_MAX];
    X509 *parsed[HBK_CHAIN_CERTIFICATES_MAX];
    size_t count = 0;
    hbk_status status =
        encode_chain(X509_STORE_CTX_get0_untrusted(context), certificates, parsed, &count);
    if (status == HBK_OK) {
        const struct hbk_chain chain = {certificates, parsed, count};
        status = judge(handshake, &chain);
    }
    for (size_t i = 0; i < count; i++) {
        OPENSSL_free((void *)(uintptr_t)certificates[i].bytes);
    }
    if (status == HBK_OK) {
        X509_STORE_CTX_set_error(context, X509_V_OK);
        return 1;
    }
    if (handshake->verdict.error.status == HBK_OK) {
        hbk_error_set(&handshake->verdict.error, status, "certificates cannot be judged: %s",
                      hbk_status_text(status));
    }
    X509_STORE_CTX_set_error(context, certificate_error(handshake->verdict.reason));
    return 0;
}

static int digit_of(char letter)
{
    if (letter >= '0' && letter <= '9') {
        return letter - '0';
    }
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

/* Reads hexadecimal digits up to the end of the line; returns the bytes, 0 for anything else. */
static size_t read_digits(const char *text, uint8_t out[static HBK_TLS_RECORD_SECRET_BYTES_MAX])
{
    size_t used = 0;
    for (; text[0] != '\0'; text += 2) {
        int high = digit_of(text[0]);
        int low = high < 0 ? -1 : digit_of(text[1]);
        if (low < 0 || used == HBK_TLS_RECORD_SECRET_BYTES_MAX) {
            return 0;
        }
        out[used++] = (uint8_t)(high << 4 | low);
    }
    return used;
}

/* Lines of the SSLKEYLOGFILE format: label, client random, secret; in hexadecimal. */
static void on_secret(const SSL *ssl, const char *line)
{
    static const char client_label[] = "CLIENT_TRAFFIC_SECRET_0 ";
    static const char server_label[] = "SERVER_TRAFFIC_SECRET_0 ";
    struct handshake *handshake = SSL_get_app_data(ssl);
    const char *secret = strrchr(line, ' ');
    uint8_t *to = NULL;
    unsigned seen = 0;
    if (strncmp(line, client_label, sizeof client_label - 1) == 0) {
        to = handshake->result.client_secret;
        seen = CLIENT_SECRET_SEEN;
    } else if (strncmp(line, server_label, sizeof server_label - 1) == 0) {
        to = handshake->result.server_secret;
        seen = SERVER_SECRET_SEEN;
    }
    if (to != NULL && secret != NULL) {
        handshake->result.secret_bytes = read_digits(secret + 1, to);
        handshake->secrets_seen |= seen;
    }
}

static void on_event(const SSL *ssl, int where, int value)
{
    struct handshake *handshake = SSL_get_app_data(ssl);
    if ((where & SSL_CB_ALERT) != 0 && handshake->failure.alert == HBK_ALERT_NONE) {
        handshake->failure.alert = value & 0xff;
        handshake->failure.alert_is_received = (where & SSL_CB_READ) != 0;
    }
}

/* A client that offers no application protocol at all is refused at its first message; libssl asks
 * on_protocols() only when there is an offer. */
static int on_client_hello(SSL *ssl, int *out_alert, void *argument)
{
    const unsigned char *offer = NULL;
    size_t size = 0;
    (void)argument;
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &offer,
                                  &size) == 1) {
        return SSL_CLIENT_HELLO_SUCCESS;
    }
    *out_alert = SSL_AD_NO_APPLICATION_PROTOCOL;
    return SSL_CLIENT_HELLO_ERROR;
}

static int on_protocols(SSL *ssl, const unsigned char **out, unsigned char *out_size,
                        const unsigned char *offer, unsigned int offer_size, void *argument)
{
    (void)ssl;
    (void)argument;
    unsigned char *chosen = NULL;
    if (SSL_select_next_proto(&chosen, out_size, protocols, sizeof protocols, offer, offer_size) !=
        OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* ---- contexts ---- */

static bool use_own_certificate(SSL_CTX *context, const struct hbk_svid *svid)
{
    STACK_OF(X509) *signers = sk_X509_new_null();
    bool is_good = signers != NULL;
    for (size_t i = 1; i < svid->certificate_count && is_good; i++) {
        is_good = sk_X509_push(signers, svid->certificates[i]) > 0;
    }
    is_good = is_good && SSL_CTX_use_cert_and_key(context, svid->certificates[0], svid->private_key,
                                                  signers, 1) == 1;
    sk_X509_free(signers);
    return is_good;
}

static bool set_up(SSL_CTX *context)
{
    int groups[] = {NID_X25519, NID_X9_62_prime256v1, NID_secp384r1}; /* RFC 8446, 4.2.7 */
    SSL_CTX_set_options(context,
                        SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_clear_options(context, SSL_OP_ENABLE_MIDDLEBOX_COMPAT);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_read_ahead(context, 0);
    SSL_CTX_set_max_cert_list(context, HBK_CHAIN_BYTES_MAX);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_cert_verify_callback(context, on_certificates, NULL);
    SSL_CTX_set_keylog_callback(context, on_secret);
    SSL_CTX_set_info_callback(context, on_event);
    SSL_CTX_set_client_hello_cb(context, on_client_hello, NULL);
    SSL_CTX_set_alpn_select_cb(context, on_protocols, NULL);
    return SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1 &&
           SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1 &&
           SSL_CTX_set_ciphersuites(context, suites) == 1 &&
           SSL_CTX_set1_groups(context, groups, HBK_COUNT(groups)) == 1 &&
           SSL_CTX_set_num_tickets(context, 0) == 1 &&
           SSL_CTX_set_alpn_protos(context, protocols, sizeof protocols) == 0;
}

static hbk_status context_new(const struct hbk_tls_credential *credential, void **out_context,
                              struct hbk_error *error)
{
    pthread_once(&span_once, make_span_method);
    ERR_clear_error();
    SSL_CTX *context = SSL_CTX_new(TLS_method());
    if (span_method != NULL && context != NULL && set_up(context) &&
        use_own_certificate(context, credential->svid)) {
        *out_context = context;
        return HBK_OK;
    }
    unsigned long code = ERR_peek_error();
    hbk_status status = HBK_NO_MEMORY;
    if (code != 0 && ERR_GET_REASON(code) != ERR_R_MALLOC_FAILURE) {
        status = HBK_INVALID;
        const char *reason = ERR_reason_error_string(code);
        hbk_error_set(error, status, "libssl refuses the certificate or key: %s",
                      reason == NULL ? "unknown reason" : reason);
    }
    ERR_clear_error();
    SSL_CTX_free(context);
    return status;
}

static void context_free(void *context)
{
    SSL_CTX_free(context);
}

/* ---- handshakes ---- */

static void handshake_free(void *argument)
{
    struct handshake *handshake = argument;
    SSL_free(handshake->ssl);
    hbk_peer_unref(handshake->result.peer);
    hbk_secret_wipe(&handshake->result, sizeof handshake->result);
    free(handshake);
}

static hbk_status handshake_new(const struct hbk_tls_setup *setup, void **out_handshake)
{
    struct handshake *handshake = calloc(1, sizeof *handshake);
    if (handshake == NULL) {
        return HBK_NO_MEMORY;
    }
    handshake->setup = setup;
    handshake->failure = (struct hbk_tls_failure){.alert = HBK_ALERT_NONE};
    handshake->ssl = SSL_new(setup->credential->context);
    BIO *bio = BIO_new(span_method);
    if (handshake->ssl == NULL || bio == NULL || SSL_set_app_data(handshake->ssl, handshake) != 1) {
        BIO_free(bio);
        ERR_clear_error();
        handshake_free(handshake);
        return HBK_NO_MEMORY;
    }
    BIO_set_data(bio, handshake);
    BIO_set_init(bio, 1);
    SSL_set_bio(handshake->ssl, bio, bio);
    if (setup->role == HBK_TLS_CLIENT) {
        SSL_set_connect_state(handshake->ssl);
    } else {
        SSL_set_accept_state(handshake->ssl);
    }
    *out_handshake = handshake;
    return HBK_OK;
}

/* Puts the cause into one sentence: our verdict, the peer's alert, or libssl's reason. */
static enum hbk_tls_answer fail(struct handshake *handshake)
{
    struct hbk_tls_failure *failure = &handshake->failure;
    const char *reason = ERR_reason_error_string(ERR_peek_error());
    failure->status = HBK_INVALID;
    if (handshake->verdict.error.status != HBK_OK) {
        failure->status = handshake->verdict.error.status;
        (void)snprintf(handshake->failure_text, sizeof handshake->failure_text, "%s",
                       handshake->verdict.error.text);
    } else if (failure->alert_is_received) {
        failure->status = HBK_CLOSED;
        (void)snprintf(handshake->failure_text, sizeof handshake->failure_text, "%s",
                       hbk_tls_alert_received_text(failure->alert));
    } else if (failure->alert == HBK_ALERT_CERTIFICATE_REQUIRED) {
        failure->status = HBK_UNTRUSTED;
        (void)snprintf(handshake->failure_text, sizeof handshake->failure_text,
                       "the peer presented no certificate");
    } else if (failure->alert == HBK_ALERT_NO_APPLICATION_PROTOCOL) {
        failure->status = HBK_UNSUPPORTED;
        (void)snprintf(handshake->failure_text, sizeof handshake->failure_text,
                       "the peer does not speak the application protocol h2");
    } else {
        (void)snprintf(handshake->failure_text, sizeof handshake->failure_text, "TLS: %s",
                       reason == NULL ? "the handshake failed" : reason);
    }
    failure->text = handshake->failure_text;
    return HBK_TLS_FAILED;
}

static enum hbk_tls_answer finish(struct handshake *handshake)
{
    struct hbk_tls_result *result = &handshake->result;
    const unsigned char *protocol = NULL;
    unsigned int size = 0;
    bool is_256 = SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(handshake->ssl)) ==
                  HBK_SUITE_AES_256_GCM_SHA384;
    result->suite = is_256 ? HBK_SUITE_AES_256_GCM_SHA384 : HBK_SUITE_AES_128_GCM_SHA256;
    SSL_get0_alpn_selected(handshake->ssl, &protocol, &size);
    result->has_protocol =
        hbk_slice_equal(hbk_slice_of(protocol, size), hbk_slice_of(protocols + 1, 2));
    bool has_secrets = handshake->secrets_seen == (CLIENT_SECRET_SEEN | SERVER_SECRET_SEEN) &&
                       result->secret_bytes == (is_256 ? 48u : 32u);
    return has_secrets && result->peer != NULL ? HBK_TLS_DONE : fail(handshake);
}

static enum hbk_tls_answer answer_of(struct handshake *handshake, int returned)
{
    if (returned == 1) {
        return finish(handshake);
    }
    switch (SSL_get_error(handshake->ssl, returned)) {
    case SSL_ERROR_WANT_READ:
        return HBK_TLS_WANT_INPUT;
    case SSL_ERROR_WANT_WRITE:
        return HBK_TLS_WANT_ROOM;
    default:
        return fail(handshake);
    }
}

static enum hbk_tls_answer step(void *argument, struct hbk_slice input, size_t *out_consumed,
                                struct hbk_span output, size_t *out_written)
{
    struct handshake *handshake = argument;
    handshake->input = input;
    handshake->output = output;
    handshake->consumed = 0;
    handshake->written = 0;
    ERR_clear_error();
    enum hbk_tls_answer answer = answer_of(handshake, SSL_do_handshake(handshake->ssl));
    ERR_clear_error();
    *out_consumed = handshake->consumed;
    *out_written = handshake->written;
    handshake->input = hbk_slice_of(NULL, 0);
    handshake->output = hbk_span_of(NULL, 0);
    return answer;
}

static void take_result(void *argument, struct hbk_tls_result *out_result)
{
    struct handshake *handshake = argument;
    *out_result = handshake->result;
    handshake->result.peer = NULL;
}

static struct hbk_tls_failure failure(const void *argument)
{
    const struct handshake *handshake = argument;
    return handshake->failure;
}

/* Everything is computed within the step. */
static uint64_t job(const void *handshake)
{
    (void)handshake;
    return 0;
}

const struct hbk_tls_engine hbk_tls_openssl = {
    .name = "openssl",
    .context_new = context_new,
    .context_free = context_free,
    .handshake_new = handshake_new,
    .handshake_free = handshake_free,
    .step = step,
    .take_result = take_result,
    .failure = failure,
    .job = job,
};
