/*
 * The engine `openssl`: the system's libssl, fed through a BIO that reads and writes the caller's
 * spans, so that no byte is copied into a memory BIO.
 *
 * libssl takes records apart as it likes: it reads five bytes, then the rest. So that an incomplete
 * record stays with the caller, open() looks at the record headers first (RFC 8446, 5.1) and shows
 * libssl whole records only. Plaintext is shorter than its record, so it is read right into the
 * part of the input that libssl has taken already.
 *
 * Invariants
 * 1. input and output point into the caller's spans only during a call; between calls they are
 *    empty, and what libssl writes then (an alert) goes to `pending`.
 * 2. A seal never meets a full output: chunks are cut so that their records fit.
 */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/secret.h"
#include "tls/engine.h"

enum {
    RECORD_HEADER_BYTES = 5,
    PENDING_BYTES_MAX = 256, /* an alert or a key update, several times */
};

static const unsigned char alpn_h2[] = {2, 'h', '2'};

struct openssl_state {
    SSL *ssl; /* owned */
    struct hbk_slice input;
    struct hbk_span output;
    size_t output_bytes; /* written to output */
    size_t pending_bytes;
    uint8_t pending[PENDING_BYTES_MAX];
    bool has_shut;
};

/* The BIO ----------------------------------------------------------------------------------- */

static int bio_read(BIO *bio, char *bytes, size_t size, size_t *out_size)
{
    struct openssl_state *state = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (state->input.size == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    size_t taken = size < state->input.size ? size : state->input.size;
    memcpy(bytes, state->input.bytes, taken);
    state->input = hbk_slice_part(state->input, taken, state->input.size);
    *out_size = taken;
    return 1;
}

static int bio_write(BIO *bio, const char *bytes, size_t size, size_t *out_size)
{
    struct openssl_state *state = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    bool has_output = state->output.bytes != NULL;
    size_t room = has_output ? state->output.size - state->output_bytes
                             : sizeof state->pending - state->pending_bytes;
    if (room == 0) {
        BIO_set_retry_write(bio);
        return 0;
    }
    size_t taken = size < room ? size : room;
    if (has_output) {
        memcpy(state->output.bytes + state->output_bytes, bytes, taken);
        state->output_bytes += taken;
    } else {
        memcpy(state->pending + state->pending_bytes, bytes, taken);
        state->pending_bytes += taken;
    }
    *out_size = taken;
    return 1;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static BIO_METHOD *bio_method;
static int session_index = -1; /* of the session in an SSL */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void set_up_once(void)
{
    bio_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "hauberk span");
    session_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    HBK_ASSERT(bio_method != NULL && session_index >= 0);
    HBK_ASSERT(BIO_meth_set_read_ex(bio_method, bio_read) == 1 &&
               BIO_meth_set_write_ex(bio_method, bio_write) == 1 &&
               BIO_meth_set_ctrl(bio_method, bio_control) == 1);
}

static struct openssl_state *state_of(const struct hbk_tls_session *session)
{
    return session->state;
}

static void show(struct openssl_state *state, struct hbk_slice input, struct hbk_span output)
{
    state->input = input;
    state->output = output;
    state->output_bytes = 0;
}

static void hide(struct openssl_state *state)
{
    show(state, hbk_slice_of(NULL, 0), hbk_span_of(NULL, 0));
}

/* Certificates ------------------------------------------------------------------------------ */

static struct hbk_tls_session *session_of(const SSL *ssl)
{
    return SSL_get_ex_data(ssl, session_index);
}

/* libssl derives the alert that it sends from this. */
static int verify_error_of(const struct hbk_tls_session *session)
{
    switch (session->refusal) {
    case HBK_VERDICT_NONE:
        return X509_V_ERR_UNSPECIFIED;
    case HBK_VERDICT_MALFORMED:
    case HBK_VERDICT_BAD_PATH:
        return X509_V_ERR_CERT_REJECTED;
    case HBK_VERDICT_EXPIRED:
        return X509_V_ERR_CERT_HAS_EXPIRED;
    case HBK_VERDICT_REVOKED:
        return X509_V_ERR_CERT_REVOKED;
    case HBK_VERDICT_UNKNOWN_CA:
        return X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY;
    case HBK_VERDICT_BAD_USAGE:
        return X509_V_ERR_INVALID_PURPOSE;
    case HBK_VERDICT_UNEXPECTED:
        return X509_V_ERR_APPLICATION_VERIFICATION;
    }
    HBK_UNREACHABLE();
}

static hbk_status judge_parsed(struct hbk_tls_session *session, STACK_OF(X509) * presented)
{
    struct hbk_slice ders[HBK_CHAIN_CERTIFICATES_MAX] = {0};
    X509 *parsed[HBK_CHAIN_CERTIFICATES_MAX];
    int count = sk_X509_num(presented);
    if (count < 1 || count > HBK_CHAIN_CERTIFICATES_MAX) {
        (void)hbk_tls_fail(session, HBK_UNTRUSTED,
                           "the peer presented %d certificates; 1 to %d are allowed", count,
                           HBK_CHAIN_CERTIFICATES_MAX);
        return HBK_UNTRUSTED;
    }
    hbk_status status = HBK_OK;
    for (int i = 0; i < count && status == HBK_OK; i++) {
        unsigned char *der = NULL;
        parsed[i] = sk_X509_value(presented, i);
        int size = i2d_X509(parsed[i], &der);
        status = size > 0 ? HBK_OK : HBK_NO_MEMORY;
        ders[i] = hbk_slice_of(der, size > 0 ? (size_t)size : 0);
    }
    if (status == HBK_OK) {
        struct hbk_chain chain = {.certificates = ders, .parsed = parsed, .count = (size_t)count};
        status = hbk_tls_judge(session, &chain);
    }
    for (int i = 0; i < count; i++) {
        OPENSSL_free((void *)(uintptr_t)ders[i].bytes);
    }
    return status;
}

/* Takes the place of libssl's own verification. */
static int on_verify(X509_STORE_CTX *context, void *argument)
{
    (void)argument;
    const SSL *ssl = X509_STORE_CTX_get_ex_data(context, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct hbk_tls_session *session = session_of(ssl);
    if (judge_parsed(session, X509_STORE_CTX_get0_untrusted(context)) != HBK_OK) {
        X509_STORE_CTX_set_error(context, verify_error_of(session));
        return 0;
    }
    X509_STORE_CTX_set_error(context, X509_V_OK);
    return 1;
}

static int on_select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_size,
                          const unsigned char *in, unsigned in_size, void *argument)
{
    (void)ssl;
    (void)argument;
    for (unsigned i = 0; i < in_size && i + 1U + in[i] <= in_size; i += 1U + in[i]) {
        if (in[i] == 2 && in[i + 1] == 'h' && in[i + 2] == '2') {
            *out = in + i + 1;
            *out_size = 2;
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL; /* no_application_protocol */
}

static void on_info(const SSL *ssl, int where, int value)
{
    struct hbk_tls_session *session = session_of(ssl);
    int alert = value & 0xff;
    if ((where & SSL_CB_ALERT) != 0 && session != NULL && alert != SSL_AD_CLOSE_NOTIFY &&
        session->alert < 0) {
        session->alert = alert;
        session->alert_is_received = (where & SSL_CB_READ) != 0;
    }
}

/* Contexts ---------------------------------------------------------------------------------- */

static bool configure(SSL_CTX *context)
{
    static const char suites[] = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384";
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN |
                                  SSL_MODE_ENABLE_PARTIAL_WRITE);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_cert_verify_callback(context, on_verify, NULL);
    SSL_CTX_set_alpn_select_cb(context, on_select_alpn, NULL);
    SSL_CTX_set_info_callback(context, on_info);
    return SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1 &&
           SSL_CTX_set_ciphersuites(context, suites) == 1 &&
           SSL_CTX_set1_groups_list(context, "X25519:P-256:P-384") == 1 &&
           SSL_CTX_set_num_tickets(context, 0) == 1 &&
           SSL_CTX_set_alpn_protos(context, alpn_h2, sizeof alpn_h2) == 0;
}

static bool use_svid(SSL_CTX *context, const struct hbk_svid *svid)
{
    bool is_used = SSL_CTX_use_certificate(context, svid->certificates[0]) == 1 &&
                   SSL_CTX_use_PrivateKey(context, svid->private_key) == 1;
    for (size_t i = 1; is_used && i < svid->certificate_count; i++) {
        is_used = SSL_CTX_add1_chain_cert(context, svid->certificates[i]) == 1;
    }
    return is_used;
}

static hbk_status context_new(const struct hbk_svid *svid, void **out_context,
                              struct hbk_error *error)
{
    HBK_ASSERT(pthread_once(&once, set_up_once) == 0);
    SSL_CTX *context = SSL_CTX_new(TLS_method());
    if (context == NULL || !configure(context) || !use_svid(context, svid)) {
        const char *reason = ERR_reason_error_string(ERR_peek_last_error());
        hbk_status status =
            hbk_error_set(error, HBK_IO, "libssl does not take the certificate of %.*s: %s",
                          HBK_SLICE_ARGS(svid->id->text), reason == NULL ? "no reason" : reason);
        ERR_clear_error();
        SSL_CTX_free(context);
        return status;
    }
    *out_context = context;
    return HBK_OK;
}

static void context_free(void *context)
{
    SSL_CTX_free(context);
}

/* Sessions ---------------------------------------------------------------------------------- */

static hbk_status session_init(struct hbk_tls_session *session, void *context)
{
    struct openssl_state *state = calloc(1, sizeof *state);
    SSL *ssl = state == NULL ? NULL : SSL_new(context);
    BIO *bio = ssl == NULL ? NULL : BIO_new(bio_method);
    if (bio == NULL || SSL_set_ex_data(ssl, session_index, session) != 1) {
        BIO_free(bio);
        SSL_free(ssl);
        free(state);
        ERR_clear_error();
        return HBK_NO_MEMORY;
    }
    BIO_set_data(bio, state);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    if (session->role == HBK_TLS_CLIENT) {
        SSL_set_connect_state(ssl);
    } else {
        SSL_set_accept_state(ssl);
    }
    state->ssl = ssl;
    session->state = state;
    return HBK_OK;
}

static void session_fini(struct hbk_tls_session *session)
{
    struct openssl_state *state = state_of(session);
    SSL_free(state->ssl);
    hbk_secret_wipe(state, sizeof *state);
    free(state);
}

/* What libssl has to complain about; the verdict's own failure was kept before. */
static enum hbk_tls_answer fail(struct hbk_tls_session *session)
{
    unsigned long code = ERR_peek_error();
    const char *reason = code == 0 ? NULL : ERR_reason_error_string(code);
    if (session->alert >= 0 && session->alert_is_received) {
        (void)hbk_tls_fail(session, HBK_CLOSED, "the peer sent the alert %s",
                           hbk_tls_alert_text(session->alert));
    } else {
        (void)hbk_tls_fail(session, HBK_INVALID, "%s",
                           reason == NULL ? "the connection broke off" : reason);
    }
    ERR_clear_error();
    return HBK_TLS_FAILED;
}

static enum hbk_tls_answer finish_handshake(struct hbk_tls_session *session)
{
    const unsigned char *protocol = NULL;
    unsigned size = 0;
    SSL_get0_alpn_selected(state_of(session)->ssl, &protocol, &size);
    if (size != 2 || memcmp(protocol, "h2", 2) != 0) {
        return hbk_tls_fail(session, HBK_UNSUPPORTED,
                            "the peer does not speak the application protocol h2");
    }
    if (session->peer == NULL) {
        return hbk_tls_fail(session, HBK_UNTRUSTED, "the peer presented no certificate");
    }
    return HBK_TLS_DONE;
}

static enum hbk_tls_answer handshake(struct hbk_tls_session *session, struct hbk_slice input,
                                     size_t *out_consumed, struct hbk_span output,
                                     size_t *out_written)
{
    struct openssl_state *state = state_of(session);
    show(state, input, output);
    ERR_clear_error();
    int result = SSL_do_handshake(state->ssl);
    int error = result == 1 ? SSL_ERROR_NONE : SSL_get_error(state->ssl, result);
    *out_consumed = input.size - state->input.size;
    *out_written = state->output_bytes;
    hide(state);
    switch (error) {
    case SSL_ERROR_NONE:
        return finish_handshake(session);
    case SSL_ERROR_WANT_READ:
        return HBK_TLS_WANT_INPUT;
    case SSL_ERROR_WANT_WRITE:
        return HBK_TLS_WANT_ROOM;
    default:
        return fail(session);
    }
}

/* Size of the whole records at the front. */
static size_t whole_records(struct hbk_span input)
{
    size_t size = 0;
    while (input.size - size >= RECORD_HEADER_BYTES) {
        const uint8_t *header = input.bytes + size;
        size_t record = RECORD_HEADER_BYTES + ((size_t)header[3] << 8 | header[4]);
        if (record > HBK_TLS_RECORD_BYTES_MAX) {
            return size + RECORD_HEADER_BYTES; /* libssl refuses it by its header */
        }
        if (record > input.size - size) {
            break;
        }
        size += record;
    }
    return size;
}

static enum hbk_tls_answer read_failed(struct hbk_tls_session *session, int error)
{
    if (error == SSL_ERROR_ZERO_RETURN) {
        return HBK_TLS_CLOSED;
    }
    return fail(session);
}

static enum hbk_tls_answer open_records(struct hbk_tls_session *session, struct hbk_span input,
                                        size_t *out_consumed, struct hbk_slice *out_plain)
{
    struct openssl_state *state = state_of(session);
    size_t whole = whole_records(input);
    *out_consumed = 0;
    *out_plain = hbk_slice_of(input.bytes, 0);
    if (whole == 0) {
        int over = SSL_get_shutdown(state->ssl) & SSL_RECEIVED_SHUTDOWN;
        return over != 0             ? HBK_TLS_CLOSED
               : session->has_failed ? HBK_TLS_FAILED
                                     : HBK_TLS_WANT_INPUT;
    }
    show(state, hbk_slice_of(input.bytes, whole), hbk_span_of(NULL, 0));
    ERR_clear_error();
    int error = SSL_ERROR_NONE;
    while (error == SSL_ERROR_NONE && (state->input.size > 0 || SSL_pending(state->ssl) > 0)) {
        size_t size = 0;
        int result =
            SSL_read_ex(state->ssl, input.bytes + out_plain->size, HBK_TLS_PLAIN_BYTES_MAX, &size);
        error = result == 1 ? SSL_ERROR_NONE : SSL_get_error(state->ssl, result);
        out_plain->size += size;
    }
    *out_consumed = whole - state->input.size;
    hide(state);
    if (error == SSL_ERROR_NONE || error == SSL_ERROR_WANT_READ) {
        return HBK_TLS_DONE;
    }
    /* Plaintext before the end or the failure is lent first; the next call says the rest. */
    enum hbk_tls_answer answer = read_failed(session, error);
    return out_plain->size > 0 ? HBK_TLS_DONE : answer;
}

/* Gathers up to a record's plain bytes from slices; one slice needs no copy. */
struct gather {
    const struct hbk_slice *slices;
    size_t count;
    size_t offset; /* in the first slice */
};

static struct hbk_slice next_chunk(struct gather *gather, size_t size_max, uint8_t *scratch)
{
    while (gather->count > 0 && gather->offset == gather->slices[0].size) {
        gather->slices++;
        gather->count--;
        gather->offset = 0;
    }
    if (gather->count == 0) {
        return hbk_slice_of(NULL, 0);
    }
    struct hbk_slice first = hbk_slice_part(*gather->slices, gather->offset, size_max);
    if (gather->count == 1 || first.size == size_max) {
        gather->offset += first.size;
        return first;
    }
    size_t size = 0;
    while (gather->count > 0 && size < size_max) {
        struct hbk_slice part = hbk_slice_part(*gather->slices, gather->offset, size_max - size);
        if (part.size > 0) {
            memcpy(scratch + size, part.bytes, part.size);
        }
        size += part.size;
        gather->offset += part.size;
        if (gather->offset == gather->slices[0].size) {
            gather->slices++;
            gather->count--;
            gather->offset = 0;
        }
    }
    return hbk_slice_of(scratch, size);
}

static bool write_pending(struct openssl_state *state, struct hbk_span output, size_t *out_written)
{
    if (output.size - *out_written < state->pending_bytes) {
        return false;
    }
    memcpy(output.bytes + *out_written, state->pending, state->pending_bytes);
    *out_written += state->pending_bytes;
    state->pending_bytes = 0;
    return true;
}

static enum hbk_tls_answer seal(struct hbk_tls_session *session, const struct hbk_slice *plain,
                                size_t count, struct hbk_span output, size_t *out_sealed,
                                size_t *out_written)
{
    struct openssl_state *state = state_of(session);
    struct gather gather = {.slices = plain, .count = count};
    uint8_t scratch[HBK_TLS_PLAIN_BYTES_MAX];
    *out_sealed = 0;
    *out_written = 0;
    if (state->has_shut || session->has_failed) {
        return HBK_TLS_FAILED;
    }
    if (!write_pending(state, output, out_written)) {
        return HBK_TLS_WANT_ROOM;
    }
    for (;;) {
        size_t room = output.size - *out_written;
        size_t reserve =
            HBK_TLS_RECORD_EXTRA_BYTES + (SSL_get_key_update_type(state->ssl) != SSL_KEY_UPDATE_NONE
                                              ? HBK_TLS_CONTROL_BYTES_MAX
                                              : 0);
        size_t size_max = room > reserve ? room - reserve : 0;
        size_max = size_max < HBK_TLS_PLAIN_BYTES_MAX ? size_max : HBK_TLS_PLAIN_BYTES_MAX;
        struct gather before = gather;
        struct hbk_slice chunk = next_chunk(&gather, size_max == 0 ? 1 : size_max, scratch);
        if (chunk.size == 0) {
            return HBK_TLS_DONE;
        }
        if (size_max == 0) {
            gather = before;
            return HBK_TLS_WANT_ROOM;
        }
        size_t taken = 0;
        show(state, hbk_slice_of(NULL, 0), hbk_span_of(output.bytes + *out_written, room));
        int result = SSL_write_ex(state->ssl, chunk.bytes, chunk.size, &taken);
        *out_written += state->output_bytes;
        hide(state);
        if (result != 1 || taken != chunk.size) {
            return fail(session);
        }
        *out_sealed += taken;
    }
}

static bool has_output(const struct hbk_tls_session *session)
{
    const struct openssl_state *state = state_of(session);
    return state->pending_bytes > 0 || (!state->has_shut && !session->has_failed &&
                                        SSL_get_key_update_type(state->ssl) != SSL_KEY_UPDATE_NONE);
}

static enum hbk_tls_answer flush(struct hbk_tls_session *session, struct hbk_span output,
                                 size_t *out_written)
{
    struct openssl_state *state = state_of(session);
    *out_written = 0;
    if (output.size < HBK_TLS_CONTROL_BYTES_MAX || output.size < state->pending_bytes) {
        return HBK_TLS_WANT_ROOM;
    }
    (void)write_pending(state, output, out_written);
    if (!has_output(session)) {
        return HBK_TLS_DONE;
    }
    show(state, hbk_slice_of(NULL, 0),
         hbk_span_of(output.bytes + *out_written, output.size - *out_written));
    int result = SSL_do_handshake(state->ssl);
    *out_written += state->output_bytes;
    hide(state);
    return result == 1 ? HBK_TLS_DONE : fail(session);
}

static enum hbk_tls_answer shut_down(struct hbk_tls_session *session, struct hbk_span output,
                                     size_t *out_written)
{
    struct openssl_state *state = state_of(session);
    *out_written = 0;
    if (state->has_shut || session->has_failed) {
        return HBK_TLS_DONE;
    }
    if (output.size < HBK_TLS_CONTROL_BYTES_MAX || output.size < state->pending_bytes) {
        return HBK_TLS_WANT_ROOM;
    }
    (void)write_pending(state, output, out_written);
    show(state, hbk_slice_of(NULL, 0),
         hbk_span_of(output.bytes + *out_written, output.size - *out_written));
    (void)SSL_shutdown(state->ssl);
    *out_written += state->output_bytes;
    hide(state);
    ERR_clear_error();
    state->has_shut = true;
    return HBK_TLS_DONE;
}

static void update_keys(struct hbk_tls_session *session)
{
    struct openssl_state *state = state_of(session);
    (void)SSL_key_update(state->ssl, SSL_KEY_UPDATE_REQUESTED);
}

static const char *cipher_text(const struct hbk_tls_session *session)
{
    return SSL_get_cipher_name(state_of(session)->ssl);
}

const struct hbk_tls_engine hbk_tls_engine_openssl = {
    .context_new = context_new,
    .context_free = context_free,
    .session_init = session_init,
    .session_fini = session_fini,
    .handshake = handshake,
    .open = open_records,
    .seal = seal,
    .has_output = has_output,
    .flush = flush,
    .shutdown = shut_down,
    .update_keys = update_keys,
    .cipher_text = cipher_text,
};
