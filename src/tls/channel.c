/*
 * Why not libssl here too: it costs two to three times the cipher for each record of a few hundred
 * bytes, keeps 24 KB per connection, and copies. The record layer of TLS 1.3 is small enough to be
 * read in one sitting, and the native engine needs it anyway.
 *
 * Invariants:
 *   1. After has_failed nothing is opened or sealed but the one alert.
 *   2. Plaintext before a failure or a close is lent before either is told.
 *   3. A key update that we send is the last record under its key: flush() changes the key in the
 *      same step (RFC 8446, 4.6.3).
 */
#include "tls/channel.h"

#include "base/assert.h"
#include "tls/alert.h"
#include "tls/gather.h"

/* RFC 8446, B.3. */
enum {
    KEY_UPDATE_BYTES = 5,
    ALERT_BYTES = 2,
    ALERT_LEVEL_WARNING = 1,
    ALERT_LEVEL_FATAL = 2,
};

static const char no_memory_text[] = "no memory for the cipher";

void hbk_channel_init(struct hbk_tls_channel *channel, enum hbk_tls_role role,
                      struct hbk_expanded_keys *keys, enum hbk_cipher_suite suite,
                      struct hbk_slice client_secret, struct hbk_slice server_secret,
                      uint16_t record_size_limit)
{
    /* RFC 8449, 4: the limit counts the type's byte; a larger one than the protocol's says nothing.
     */
    bool is_limited = record_size_limit > 0 && record_size_limit <= HBK_TLS_PLAIN_BYTES_MAX;
    HBK_ASSERT(record_size_limit == 0 || record_size_limit >= HBK_TLS_RECORD_SIZE_LIMIT_MIN);
    *channel = (struct hbk_tls_channel){
        .role = role,
        .plain_bytes_max =
            is_limited ? (uint16_t)(record_size_limit - 1) : (uint16_t)HBK_TLS_PLAIN_BYTES_MAX,
        .failure = {HBK_CLOSED, HBK_ALERT_NONE, false, "we have ended the connection"},
    };
    bool is_client = role == HBK_TLS_CLIENT;
    hbk_tls_record_direction_init(&channel->in, keys, suite,
                                  is_client ? server_secret : client_secret);
    hbk_tls_record_direction_init(&channel->out, keys, suite,
                                  is_client ? client_secret : server_secret);
}

void hbk_channel_fini(struct hbk_tls_channel *channel)
{
    hbk_tls_record_direction_fini(&channel->in);
    hbk_tls_record_direction_fini(&channel->out);
}

void hbk_channel_fail(struct hbk_tls_channel *channel, hbk_status status, int alert,
                      const char *text)
{
    if (channel->has_failed) {
        return;
    }
    channel->has_failed = true;
    channel->has_alert = alert != HBK_ALERT_NONE && !channel->is_shut;
    channel->failure = (struct hbk_tls_failure){.status = status, .alert = alert, .text = text};
}

static void fail_unexpected(struct hbk_tls_channel *channel, const char *text)
{
    hbk_channel_fail(channel, HBK_INVALID, HBK_ALERT_UNEXPECTED_MESSAGE, text);
}

/* RFC 8446, 6. */
static void take_alert(struct hbk_tls_channel *channel, struct hbk_span body)
{
    if (body.size == 0) {
        fail_unexpected(channel, "an empty alert"); /* 5.4 */
    } else if (body.size != ALERT_BYTES) {
        hbk_channel_fail(channel, HBK_INVALID, HBK_ALERT_DECODE_ERROR, "an alert of a wrong size");
    } else if (body.bytes[0] != ALERT_LEVEL_WARNING && body.bytes[0] != ALERT_LEVEL_FATAL) {
        hbk_channel_fail(channel, HBK_INVALID, HBK_ALERT_ILLEGAL_PARAMETER,
                         "an alert of an unknown level");
    } else if (body.bytes[1] == HBK_ALERT_CLOSE_NOTIFY) {
        channel->is_closed = true;
    } else if (body.bytes[1] == HBK_ALERT_USER_CANCELED) {
        if (++channel->warnings > HBK_CHANNEL_WARNINGS_MAX) {
            hbk_channel_fail(channel, HBK_INVALID, HBK_ALERT_DECODE_ERROR,
                             "too many warnings in a row");
        }
    } else {
        hbk_channel_fail(channel, HBK_CLOSED, HBK_ALERT_NONE,
                         hbk_tls_alert_received_text(body.bytes[1]));
        channel->failure.alert = body.bytes[1];
        channel->failure.alert_is_received = true;
    }
}

/* RFC 8446, 4.6.3. `is_last`: no byte follows in the record, which is under the old key. */
static void take_key_update(struct hbk_tls_channel *channel, uint8_t request, bool is_last)
{
    if (!is_last) {
        fail_unexpected(channel, "a message behind a key update in one record");
    } else if (request > 1) {
        hbk_channel_fail(channel, HBK_INVALID, HBK_ALERT_ILLEGAL_PARAMETER,
                         "a key update with an unknown request");
    } else {
        hbk_tls_record_direction_update(&channel->in);
        channel->has_update |= request == 1; /* one answer serves all requests before it */
    }
}

/* The header of a message is complete: may such a message come now? */
static void judge_message(struct hbk_tls_channel *channel)
{
    const uint8_t *header = channel->message_header;
    uint32_t size = (uint32_t)header[1] << 16 | (uint32_t)header[2] << 8 | header[3];
    channel->message_left = size;
    if (header[0] == HBK_MESSAGE_KEY_UPDATE) {
        if (size != 1) {
            hbk_channel_fail(channel, HBK_INVALID, HBK_ALERT_DECODE_ERROR,
                             "a key update of a wrong size");
        }
    } else if (header[0] != HBK_MESSAGE_NEW_SESSION_TICKET || channel->role != HBK_TLS_CLIENT) {
        fail_unexpected(channel, "a handshake message that may not come after the handshake");
    } else if (size == 0 || size > HBK_CHANNEL_TICKET_BYTES_MAX) {
        hbk_channel_fail(channel, HBK_INVALID, HBK_ALERT_DECODE_ERROR, "a ticket of a wrong size");
    }
}

/* A piece of a ticket. */
static void take_ticket(struct hbk_tls_channel *channel, struct hbk_slice piece, bool is_last)
{
    if (channel->tickets == NULL) {
        return;
    }
    struct hbk_complaint complaint = hbk_tls_ticket_sink_take(channel->tickets, piece, is_last);
    if (complaint.alert != HBK_ALERT_NONE) {
        hbk_channel_fail(channel, HBK_INVALID, complaint.alert, complaint.text);
    }
}

/* Handshake messages behind the handshake; they may be spread over records (RFC 8446, 5.1). Tickets
 * are skipped where nobody resumes. */
static void take_handshake(struct hbk_tls_channel *channel, struct hbk_span body)
{
    if (body.size == 0) {
        fail_unexpected(channel, "an empty handshake record");
    }
    size_t at = 0;
    while (at < body.size && !channel->has_failed) {
        if (channel->message_header_bytes < sizeof channel->message_header) {
            channel->message_header[channel->message_header_bytes++] = body.bytes[at++];
            if (channel->message_header_bytes == sizeof channel->message_header) {
                judge_message(channel);
            }
            continue;
        }
        size_t left = body.size - at;
        uint32_t taken = left < channel->message_left ? (uint32_t)left : channel->message_left;
        if (channel->message_header[0] == HBK_MESSAGE_KEY_UPDATE) {
            take_key_update(channel, body.bytes[at], at + 1 == body.size);
        } else {
            take_ticket(channel, hbk_slice_of(body.bytes + at, taken),
                        taken == channel->message_left);
        }
        at += taken;
        channel->message_left -= taken;
        if (channel->message_left == 0) {
            channel->message_header_bytes = 0;
        }
    }
}

/* What is not application data. */
static void take_control(struct hbk_tls_channel *channel, const struct hbk_tls_record *record)
{
    if (record->type == HBK_TLS_RECORD_HANDSHAKE) {
        take_handshake(channel, record->plain);
    } else if (channel->message_header_bytes > 0) {
        fail_unexpected(channel, "another record within a handshake message");
    } else if (record->type == HBK_TLS_RECORD_ALERT) {
        take_alert(channel, record->plain);
    } else if (record->type != HBK_TLS_RECORD_APPLICATION_DATA) {
        fail_unexpected(channel, "a record of unknown type");
    }
    if (record->type != HBK_TLS_RECORD_ALERT) {
        channel->warnings = 0;
    }
    bool is_empty = record->plain.size == 0;
    channel->empty_records = is_empty ? (uint8_t)(channel->empty_records + 1) : 0;
    channel->control_records += !is_empty;
    if (channel->empty_records > HBK_CHANNEL_IDLE_RECORDS_MAX ||
        channel->control_records > HBK_CHANNEL_IDLE_RECORDS_MAX) {
        fail_unexpected(channel, "too many records without application data");
    }
}

static void fail_record(struct hbk_tls_channel *channel, enum hbk_tls_record_answer answer)
{
    switch (answer) {
    case HBK_TLS_RECORD_UNEXPECTED:
        fail_unexpected(channel, "a record that is not encrypted, or is empty");
        break;
    case HBK_TLS_RECORD_TOO_LONG:
        hbk_channel_fail(channel, HBK_INVALID, HBK_ALERT_RECORD_OVERFLOW, "a record too long");
        break;
    case HBK_TLS_RECORD_BAD:
        hbk_channel_fail(channel, HBK_INVALID, HBK_ALERT_BAD_RECORD_MAC,
                         "a record that was changed on its way");
        break;
    case HBK_TLS_RECORD_NO_MEMORY:
        hbk_channel_fail(channel, HBK_NO_MEMORY, HBK_ALERT_INTERNAL_ERROR, no_memory_text);
        break;
    case HBK_TLS_RECORD_OPENED:
    case HBK_TLS_RECORD_PARTIAL:
        HBK_UNREACHABLE();
    }
}

/* Adds a record's bytes to the plaintext collected so far: the first stay where they are, later
 * ones are moved behind them, over headers and tags that nobody needs any more. */
static void collect(struct hbk_span *plain, struct hbk_span piece)
{
    if (plain->size == 0) {
        *plain = piece;
        return;
    }
    memmove(plain->bytes + plain->size, piece.bytes, piece.size);
    plain->size += piece.size;
}

/* Whether the record in front should be left for the next call, as a slice of its own. */
static bool is_for_next_call(struct hbk_span plain, struct hbk_span rest)
{
    return plain.size > 0 &&
           hbk_tls_record_size(hbk_slice_of(rest.bytes, rest.size)) > HBK_CHANNEL_JOIN_BYTES_MAX;
}

/* Opens records until the input, a limit or the connection ends; returns the bytes consumed. */
static size_t open_records(struct hbk_tls_channel *channel, struct hbk_span input,
                           struct hbk_span *plain)
{
    size_t consumed = 0;
    while (!channel->has_failed && !channel->is_closed) {
        struct hbk_span rest = hbk_span_of(input.bytes + consumed, input.size - consumed);
        if (is_for_next_call(*plain, rest)) {
            break;
        }
        struct hbk_tls_record record;
        enum hbk_tls_record_answer answer = hbk_tls_record_open(&channel->in, rest, &record);
        if (answer == HBK_TLS_RECORD_PARTIAL) {
            break;
        }
        if (answer == HBK_TLS_RECORD_OPENED &&
            hbk_tls_record_is_above(&record, channel->record_size_limit)) {
            answer = HBK_TLS_RECORD_TOO_LONG;
        }
        if (answer != HBK_TLS_RECORD_OPENED) {
            fail_record(channel, answer);
            break;
        }
        consumed += record.record_bytes;
        if (record.type == HBK_TLS_RECORD_APPLICATION_DATA && record.plain.size > 0 &&
            channel->message_header_bytes == 0) {
            channel->empty_records = 0;
            channel->control_records = 0;
            channel->warnings = 0;
            collect(plain, record.plain);
        } else {
            take_control(channel, &record);
        }
    }
    return consumed;
}

enum hbk_tls_answer hbk_channel_open(struct hbk_tls_channel *channel, struct hbk_span input,
                                     size_t *out_consumed, struct hbk_slice *out_plain)
{
    struct hbk_span plain = {0};
    *out_consumed = open_records(channel, input, &plain);
    *out_plain = hbk_slice_of(plain.bytes, plain.size);
    if (plain.size > 0) {
        return HBK_TLS_DONE;
    }
    if (channel->has_failed) {
        return HBK_TLS_FAILED;
    }
    if (channel->is_closed) {
        *out_consumed = input.size; /* RFC 8446, 6.1: what follows is ignored */
        return HBK_TLS_CLOSED;
    }
    return *out_consumed > 0 ? HBK_TLS_DONE : HBK_TLS_WANT_INPUT;
}

/* Writes one small record of ours. */
static enum hbk_tls_answer write_control(struct hbk_tls_channel *channel,
                                         enum hbk_tls_record_type type, struct hbk_slice body,
                                         struct hbk_span output, size_t *written)
{
    if (output.size - *written < body.size + HBK_TLS_RECORD_EXTRA_BYTES) {
        return HBK_TLS_WANT_ROOM;
    }
    uint8_t *out = output.bytes + *written;
    memcpy(out + HBK_TLS_RECORD_HEADER_BYTES, body.bytes, body.size);
    if (!hbk_tls_record_seal(&channel->out, type, out, body.size)) {
        hbk_channel_fail(channel, HBK_NO_MEMORY, HBK_ALERT_NONE, no_memory_text);
        return HBK_TLS_FAILED;
    }
    *written += body.size + HBK_TLS_RECORD_EXTRA_BYTES;
    return HBK_TLS_DONE;
}

static enum hbk_tls_answer write_alert(struct hbk_tls_channel *channel, int alert,
                                       struct hbk_span output, size_t *written)
{
    bool is_end = alert == HBK_ALERT_CLOSE_NOTIFY;
    const uint8_t body[ALERT_BYTES] = {is_end ? ALERT_LEVEL_WARNING : ALERT_LEVEL_FATAL,
                                       (uint8_t)alert};
    return write_control(channel, HBK_TLS_RECORD_ALERT, hbk_slice_of(body, sizeof body), output,
                         written);
}

static enum hbk_tls_answer write_update(struct hbk_tls_channel *channel, struct hbk_span output,
                                        size_t *written)
{
    const uint8_t body[KEY_UPDATE_BYTES] = {HBK_MESSAGE_KEY_UPDATE, 0, 0, 1,
                                            channel->update_is_request};
    enum hbk_tls_answer answer = write_control(channel, HBK_TLS_RECORD_HANDSHAKE,
                                               hbk_slice_of(body, sizeof body), output, written);
    if (answer != HBK_TLS_DONE) {
        return answer;
    }
    channel->has_update = false;
    channel->update_is_request = false;
    hbk_tls_record_direction_update(&channel->out);
    return HBK_TLS_DONE;
}

bool hbk_channel_has_output(const struct hbk_tls_channel *channel)
{
    return channel->has_failed ? channel->has_alert : channel->has_update && !channel->is_shut;
}

enum hbk_tls_answer hbk_channel_flush(struct hbk_tls_channel *channel, struct hbk_span output,
                                      size_t *out_written)
{
    *out_written = 0;
    if (!hbk_channel_has_output(channel)) {
        return HBK_TLS_DONE;
    }
    if (!channel->has_failed) {
        return write_update(channel, output, out_written);
    }
    enum hbk_tls_answer answer = write_alert(channel, channel->failure.alert, output, out_written);
    channel->has_alert = answer == HBK_TLS_WANT_ROOM;
    return channel->has_alert ? HBK_TLS_WANT_ROOM : HBK_TLS_DONE;
}

enum hbk_tls_answer hbk_channel_shutdown(struct hbk_tls_channel *channel, struct hbk_span output,
                                         size_t *out_written)
{
    *out_written = 0;
    if (channel->is_shut || channel->has_failed) {
        return HBK_TLS_DONE;
    }
    enum hbk_tls_answer answer = write_alert(channel, HBK_ALERT_CLOSE_NOTIFY, output, out_written);
    channel->is_shut = answer == HBK_TLS_DONE;
    return answer;
}

void hbk_channel_update_keys(struct hbk_tls_channel *channel, bool asks_peer)
{
    channel->has_update = true;
    channel->update_is_request |= asks_peer;
}

/* One record of as many bytes as fit; HBK_TLS_DONE when it was written. */
static enum hbk_tls_answer seal_record(struct hbk_tls_channel *channel, struct hbk_gather *gather,
                                       struct hbk_span room, size_t *out_sealed)
{
    if (room.size <= HBK_TLS_RECORD_EXTRA_BYTES) {
        return HBK_TLS_WANT_ROOM;
    }
    size_t fits = room.size - HBK_TLS_RECORD_EXTRA_BYTES;
    fits = fits < channel->plain_bytes_max ? fits : channel->plain_bytes_max;
    *out_sealed = hbk_gather_copy(gather, room.bytes + HBK_TLS_RECORD_HEADER_BYTES, fits);
    if (!hbk_tls_record_seal(&channel->out, HBK_TLS_RECORD_APPLICATION_DATA, room.bytes,
                             *out_sealed)) {
        hbk_channel_fail(channel, HBK_NO_MEMORY, HBK_ALERT_NONE, no_memory_text);
        return HBK_TLS_FAILED;
    }
    return HBK_TLS_DONE;
}

enum hbk_tls_answer hbk_channel_seal(struct hbk_tls_channel *channel, const struct hbk_slice *plain,
                                     size_t count, struct hbk_span output, size_t *out_sealed,
                                     size_t *out_written)
{
    struct hbk_gather gather = {.slices = plain, .count = count};
    *out_sealed = 0;
    *out_written = 0;
    for (;;) {
        if (channel->has_failed || channel->is_shut) {
            return HBK_TLS_FAILED;
        }
        if (HBK_UNLIKELY(channel->out.sequence >= HBK_TLS_RECORD_SEALED_MAX)) {
            channel->has_update = true;
        }
        enum hbk_tls_answer answer = HBK_TLS_DONE;
        if (HBK_UNLIKELY(channel->has_update)) {
            answer = write_update(channel, output, out_written);
        }
        if (answer != HBK_TLS_DONE || !hbk_gather_has_bytes(&gather)) {
            return answer;
        }
        size_t sealed = 0;
        struct hbk_span room = hbk_span_of(output.bytes + *out_written, output.size - *out_written);
        answer = seal_record(channel, &gather, room, &sealed);
        if (answer != HBK_TLS_DONE) {
            return answer;
        }
        *out_sealed += sealed;
        *out_written += sealed + HBK_TLS_RECORD_EXTRA_BYTES;
    }
}

enum { UPDATE_RECORD_BYTES = KEY_UPDATE_BYTES + HBK_TLS_RECORD_EXTRA_BYTES };

size_t hbk_channel_sealed_bytes_max(const struct hbk_tls_channel *channel, size_t plain_bytes)
{
    size_t records = plain_bytes / channel->plain_bytes_max + 1;
    return UPDATE_RECORD_BYTES + plain_bytes + records * HBK_TLS_RECORD_EXTRA_BYTES;
}

size_t hbk_channel_plain_bytes_max(const struct hbk_tls_channel *channel, size_t room_bytes)
{
    if (room_bytes <= UPDATE_RECORD_BYTES) {
        return 0;
    }
    size_t room = room_bytes - UPDATE_RECORD_BYTES;
    size_t record_bytes = (size_t)channel->plain_bytes_max + HBK_TLS_RECORD_EXTRA_BYTES;
    size_t full = room / record_bytes;
    size_t rest = room % record_bytes;
    return full * channel->plain_bytes_max +
           (rest > HBK_TLS_RECORD_EXTRA_BYTES ? rest - HBK_TLS_RECORD_EXTRA_BYTES : 0);
}
