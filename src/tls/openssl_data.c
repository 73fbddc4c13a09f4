/*
 * Application data of connections that stay with libssl: those of TLS 1.2, and a client's of
 * TLS 1.3 that wants tickets, which libssl alone can read. libssl is shown one record at a time, so
 * that nothing of the next one is consumed; it decrypts into memory of its own and copies the
 * plaintext over the record in the input. What it wants to say by itself (alerts, answers to key
 * updates) is kept until the next flush.
 *
 * A record longer than any that may be good is shown to libssl in pieces: it refuses the record,
 * with the alert for that.
 */
#include <openssl/err.h>
#include <string.h>

#include "tls/gather.h"
#include "tls/openssl.h"
#include "tls/record.h"

/* A record's header, explicit nonce and tag; and once a key update before it. */
enum { RECORD_EXTRA_BYTES = 5 + 8 + 16, CONTROL_EXTRA_BYTES = 32 };

static void begin_call(struct hbk_openssl_handshake *handshake, struct hbk_slice input,
                       struct hbk_span output)
{
    handshake->input = input;
    handshake->output = output;
    handshake->consumed = 0;
    handshake->written = 0;
    ERR_clear_error();
}

static void end_call(struct hbk_openssl_handshake *handshake)
{
    ERR_clear_error();
    handshake->input = hbk_slice_of(NULL, 0);
    handshake->output = hbk_span_of(NULL, 0);
}

static enum hbk_tls_answer fail(struct hbk_openssl_handshake *handshake)
{
    handshake->has_failed = true;
    return hbk_openssl_fail(handshake);
}

/* ---- opening ---- */

/* How much of the input libssl is shown: a whole record; 0: there is none yet. */
static size_t record_in_front(struct hbk_openssl_handshake *handshake, struct hbk_slice input)
{
    if (handshake->is_inside) {
        return input.size;
    }
    size_t size = hbk_tls_record_size(input);
    if (size > HBK_TLS_RECORD_BYTES_MAX) {
        handshake->is_inside = true;
        return input.size;
    }
    return input.size < size ? 0 : size;
}

static enum hbk_tls_answer answer_of(struct hbk_openssl_handshake *handshake, int returned)
{
    if (returned == 1) {
        return HBK_TLS_DONE;
    }
    switch (SSL_get_error(handshake->ssl, returned)) {
    case SSL_ERROR_WANT_READ: /* a record without application data */
        return HBK_TLS_DONE;
    case SSL_ERROR_ZERO_RETURN:
        handshake->is_closed = true;
        return HBK_TLS_CLOSED;
    default:
        return fail(handshake);
    }
}

static enum hbk_tls_answer open_record(void *argument, struct hbk_span input, size_t *out_consumed,
                                       struct hbk_slice *out_plain)
{
    struct hbk_openssl_handshake *handshake = argument;
    *out_consumed = 0;
    *out_plain = hbk_slice_of(NULL, 0);
    if (handshake->has_failed) {
        return HBK_TLS_FAILED;
    }
    if (handshake->is_closed) {
        *out_consumed = input.size; /* what follows is ignored */
        return HBK_TLS_CLOSED;
    }
    size_t size = record_in_front(handshake, hbk_slice_of(input.bytes, input.size));
    if (size == 0) {
        return HBK_TLS_WANT_INPUT;
    }
    size_t plain_bytes = 0;
    size_t room = size < HBK_TLS_PLAIN_BYTES_MAX ? size : HBK_TLS_PLAIN_BYTES_MAX;
    begin_call(handshake, hbk_slice_of(input.bytes, size), hbk_span_of(NULL, 0));
    enum hbk_tls_answer answer =
        answer_of(handshake, SSL_read_ex(handshake->ssl, input.bytes, room, &plain_bytes));
    *out_consumed = answer == HBK_TLS_CLOSED ? input.size : handshake->consumed;
    *out_plain = hbk_slice_of(input.bytes, answer == HBK_TLS_DONE ? plain_bytes : 0);
    end_call(handshake);
    return answer;
}

/* ---- sealing ---- */

static enum hbk_tls_answer flush(void *argument, struct hbk_span output, size_t *out_written)
{
    struct hbk_openssl_handshake *handshake = argument;
    *out_written = 0;
    if (handshake->pending_bytes > output.size) {
        return HBK_TLS_WANT_ROOM;
    }
    if (handshake->pending_bytes > 0) {
        memcpy(output.bytes, handshake->pending, handshake->pending_bytes);
    }
    *out_written = handshake->pending_bytes;
    handshake->pending_bytes = 0;
    return HBK_TLS_DONE;
}

static enum hbk_tls_answer seal(void *argument, const struct hbk_slice *plain, size_t count,
                                struct hbk_span output, size_t *out_sealed, size_t *out_written)
{
    struct hbk_openssl_handshake *handshake = argument;
    struct hbk_gather gather = {.slices = plain, .count = count};
    uint8_t gathered[HBK_TLS_PLAIN_BYTES_MAX];
    *out_sealed = 0;
    *out_written = 0;
    if (handshake->has_failed || handshake->is_shut) {
        return HBK_TLS_FAILED;
    }
    if (flush(handshake, output, out_written) != HBK_TLS_DONE) {
        return HBK_TLS_WANT_ROOM;
    }
    while (hbk_gather_has_bytes(&gather)) {
        size_t room = output.size - *out_written;
        if (room <= RECORD_EXTRA_BYTES + CONTROL_EXTRA_BYTES) {
            return HBK_TLS_WANT_ROOM;
        }
        room -= RECORD_EXTRA_BYTES + CONTROL_EXTRA_BYTES;
        struct hbk_slice piece = hbk_gather_take(
            &gather, gathered, room < HBK_TLS_PLAIN_BYTES_MAX ? room : HBK_TLS_PLAIN_BYTES_MAX);
        size_t done = 0;
        begin_call(handshake, hbk_slice_of(NULL, 0),
                   hbk_span_of(output.bytes + *out_written, output.size - *out_written));
        bool is_good = SSL_write_ex(handshake->ssl, piece.bytes, piece.size, &done) == 1;
        enum hbk_tls_answer answer = is_good && done == piece.size ? HBK_TLS_DONE : fail(handshake);
        *out_written += handshake->written;
        end_call(handshake);
        if (answer != HBK_TLS_DONE) {
            return answer;
        }
        *out_sealed += piece.size;
    }
    return HBK_TLS_DONE;
}

static size_t sealed_bytes_max(size_t plain_bytes)
{
    size_t records = plain_bytes / HBK_TLS_PLAIN_BYTES_MAX + 1;
    return HBK_TLS_CONTROL_BYTES_MAX + plain_bytes + CONTROL_EXTRA_BYTES +
           records * RECORD_EXTRA_BYTES;
}

static size_t plain_bytes_max(size_t room_bytes)
{
    size_t fixed = HBK_TLS_CONTROL_BYTES_MAX + CONTROL_EXTRA_BYTES;
    if (room_bytes <= fixed) {
        return 0;
    }
    size_t room = room_bytes - fixed;
    size_t full = room / (HBK_TLS_PLAIN_BYTES_MAX + RECORD_EXTRA_BYTES);
    size_t rest = room % (HBK_TLS_PLAIN_BYTES_MAX + RECORD_EXTRA_BYTES);
    return full * HBK_TLS_PLAIN_BYTES_MAX +
           (rest > RECORD_EXTRA_BYTES ? rest - RECORD_EXTRA_BYTES : 0);
}

/* ---- the rest ---- */

static bool has_output(const void *argument)
{
    const struct hbk_openssl_handshake *handshake = argument;
    return handshake->pending_bytes > 0;
}

static bool has_failed(const void *argument)
{
    const struct hbk_openssl_handshake *handshake = argument;
    return handshake->has_failed;
}

static enum hbk_tls_answer shut_down(void *argument, struct hbk_span output, size_t *out_written)
{
    struct hbk_openssl_handshake *handshake = argument;
    *out_written = 0;
    if (handshake->is_shut || handshake->has_failed) {
        return HBK_TLS_DONE;
    }
    if (output.size < HBK_TLS_CONTROL_BYTES_MAX) {
        return HBK_TLS_WANT_ROOM;
    }
    (void)!flush(handshake, output, out_written);
    begin_call(handshake, hbk_slice_of(NULL, 0),
               hbk_span_of(output.bytes + *out_written, output.size - *out_written));
    (void)SSL_shutdown(handshake->ssl);
    *out_written += handshake->written;
    end_call(handshake);
    handshake->is_shut = true;
    return HBK_TLS_DONE;
}

/* RFC 7627, 6: without an extended master secret, what is exported may be another session's, too.
 */
static hbk_status export_keys(void *argument, struct hbk_slice label, struct hbk_slice context,
                              struct hbk_span out)
{
    const struct hbk_openssl_handshake *handshake = argument;
    SSL *ssl = handshake->ssl;
    if (SSL_version(ssl) != TLS1_3_VERSION && SSL_get_extms_support(ssl) != 1) {
        return HBK_UNSUPPORTED;
    }
    int is_good =
        SSL_export_keying_material(ssl, out.bytes, out.size, (const char *)label.bytes, label.size,
                                   context.bytes, context.size, context.bytes != NULL);
    ERR_clear_error();
    return is_good == 1 ? HBK_OK : HBK_IO;
}

const struct hbk_tls_kept_data hbk_openssl_data = {
    .open = open_record,
    .seal = seal,
    .sealed_bytes_max = sealed_bytes_max,
    .plain_bytes_max = plain_bytes_max,
    .has_output = has_output,
    .has_failed = has_failed,
    .flush = flush,
    .shutdown = shut_down,
    .export_keys = export_keys,
    .take_ticket = hbk_openssl_take_ticket,
};
