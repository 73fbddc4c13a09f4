/*
 * Most messages arrive whole in one record and are lent from where the record was decrypted. Only a
 * message that is spread over records is put together in memory of our own, and from then on, until
 * that memory is empty again, everything goes through it, so that order is kept.
 *
 * Invariants:
 *   1. `lent` is empty between steps: hbk_flight_keep() moved it.
 *   2. While `message` holds bytes that were not given out, `lent` is empty.
 *   3. Under keys nothing in the clear is taken, except change_cipher_spec (5, D.4) and an alert of
 * a peer that has no keys yet: it ends the connection all the same.
 */
#include "tls/flight.h"

#include "base/assert.h"

enum { ALERT_BYTES = 2, ALERT_LEVEL_WARNING = 1, ALERT_LEVEL_FATAL = 2, FIRST_MINOR = 1 };

void hbk_flight_init(struct hbk_flight *flight, struct hbk_expanded_keys *keys,
                     enum hbk_tls_role role)
{
    *flight = (struct hbk_flight){
        .in = {.keys = keys, .place = HBK_EXPANDED_KEY_NONE},
        .out = {.keys = keys, .place = HBK_EXPANDED_KEY_NONE},
        .record_bytes_max = HBK_TLS_PLAIN_BYTES_MAX,
        .says_tls10 = role == HBK_TLS_CLIENT,
    };
    hbk_buffer_init(&flight->message, HBK_TLS_MESSAGE_BYTES_MAX + HBK_TLS_RECORD_BYTES_MAX);
    hbk_buffer_init(&flight->plain, HBK_FLIGHT_BYTES_MAX);
    hbk_buffer_init(&flight->sealed, HBK_FLIGHT_BYTES_MAX + HBK_FLIGHT_BYTES_MAX / 8);
}

void hbk_flight_fini(struct hbk_flight *flight)
{
    hbk_tls_record_direction_fini(&flight->in);
    hbk_tls_record_direction_fini(&flight->out);
    hbk_buffer_fini(&flight->message);
    hbk_buffer_fini(&flight->plain);
    hbk_buffer_fini(&flight->sealed);
}

/* ---- what arrives ---- */

static enum hbk_flight_answer complain(struct hbk_complaint *complaint, int alert, const char *text)
{
    *complaint = (struct hbk_complaint){.alert = alert, .text = text};
    return HBK_FLIGHT_FAILED;
}

/* An alert (6): close_notify and errors end the handshake, user_canceled is a prelude to them. */
static enum hbk_flight_answer take_alert(struct hbk_flight *flight, struct hbk_slice body,
                                         struct hbk_complaint *complaint)
{
    if (body.size == 0) {
        return complain(complaint, HBK_ALERT_UNEXPECTED_MESSAGE, "an empty alert"); /* 5.4 */
    }
    if (body.size != ALERT_BYTES) {
        return complain(complaint, HBK_ALERT_DECODE_ERROR, "an alert of a wrong size");
    }
    if (body.bytes[0] != ALERT_LEVEL_WARNING && body.bytes[0] != ALERT_LEVEL_FATAL) {
        return complain(complaint, HBK_ALERT_ILLEGAL_PARAMETER, "an alert of an unknown level");
    }
    if (body.bytes[1] == HBK_ALERT_USER_CANCELED) {
        flight->warnings++;
        return flight->warnings <= HBK_FLIGHT_WARNINGS_MAX
                   ? HBK_FLIGHT_MESSAGE
                   : complain(complaint, HBK_ALERT_DECODE_ERROR, "too many warnings in a row");
    }
    *complaint = (struct hbk_complaint){.alert = body.bytes[1]};
    return HBK_FLIGHT_ALERT;
}

static enum hbk_flight_answer take_ccs(struct hbk_flight *flight, struct hbk_slice body,
                                       struct hbk_complaint *complaint)
{
    if (!flight->allows_ccs || body.size != 1 || body.bytes[0] != 1) {
        return complain(complaint, HBK_ALERT_UNEXPECTED_MESSAGE,
                        "a change_cipher_spec that may not come");
    }
    flight->idle_records++;
    return flight->idle_records <= HBK_FLIGHT_IDLE_RECORDS_MAX
               ? HBK_FLIGHT_MESSAGE
               : complain(complaint, HBK_ALERT_UNEXPECTED_MESSAGE,
                          "too many change_cipher_specs in a row");
}

/* The first bytes of a stranger that does not speak TLS at all. */
static const char *judge_stranger(struct hbk_slice input)
{
    static const struct {
        const char *beginning;
        const char *text;
    } strangers[] = {
        {"GET ", "the peer speaks HTTP in the clear"},
        {"POST ", "the peer speaks HTTP in the clear"},
        {"HEAD ", "the peer speaks HTTP in the clear"},
        {"PUT ", "the peer speaks HTTP in the clear"},
        {"PRI ", "the peer speaks HTTP/2 in the clear"},
        {"CONNE", "the peer asks for an HTTP proxy"},
    };
    for (size_t i = 0; i < HBK_COUNT(strangers); i++) {
        if (hbk_slice_starts_with(input, hbk_slice_text(strangers[i].beginning))) {
            return strangers[i].text;
        }
    }
    return "bytes that are no TLS record";
}

/* Judges the header of a record in the clear; HBK_FLIGHT_MESSAGE: it may be read. */
static enum hbk_flight_answer judge_header(const struct hbk_flight *flight, struct hbk_slice input,
                                           size_t record_bytes, struct hbk_complaint *complaint)
{
    uint8_t type = input.bytes[0];
    if (type < HBK_TLS_RECORD_CHANGE_CIPHER_SPEC || type > HBK_TLS_RECORD_APPLICATION_DATA ||
        input.bytes[1] != 3) {
        return complain(complaint, HBK_ALERT_UNEXPECTED_MESSAGE,
                        flight->has_received ? "a record of no known type" : judge_stranger(input));
    }
    size_t size_max = type == HBK_TLS_RECORD_APPLICATION_DATA
                          ? HBK_TLS_RECORD_BYTES_MAX
                          : HBK_TLS_RECORD_HEADER_BYTES + HBK_TLS_PLAIN_BYTES_MAX;
    if (record_bytes > size_max) {
        return complain(complaint, HBK_ALERT_RECORD_OVERFLOW, "a record that is too long");
    }
    return HBK_FLIGHT_MESSAGE;
}

/* A record that may be early data, which is skipped unseen. */
static bool may_skip(struct hbk_flight *flight, enum hbk_flight_skip how, size_t record_bytes)
{
    if (flight->skip != how) {
        return false;
    }
    flight->skipped_bytes += (uint32_t)record_bytes;
    return true;
}

static enum hbk_flight_answer skip(struct hbk_flight *flight, struct hbk_complaint *complaint)
{
    return flight->skipped_bytes <= HBK_FLIGHT_SKIPPED_BYTES_MAX
               ? HBK_FLIGHT_MESSAGE
               : complain(complaint, HBK_ALERT_UNEXPECTED_MESSAGE, "too much early data");
}

/* Takes handshake bytes: lends them, or puts them behind those that are being put together. */
static enum hbk_flight_answer take_handshake(struct hbk_flight *flight, struct hbk_slice bytes,
                                             struct hbk_complaint *complaint)
{
    if (bytes.size == 0) {
        return complain(complaint, HBK_ALERT_UNEXPECTED_MESSAGE, "an empty handshake record");
    }
    flight->idle_records = 0;
    flight->warnings = 0;
    if (hbk_buffer_is_empty(&flight->message)) {
        flight->lent = bytes;
    } else if (hbk_buffer_append(&flight->message, bytes) != HBK_OK) {
        return complain(complaint, HBK_ALERT_INTERNAL_ERROR, "no memory for a handshake message");
    }
    return HBK_FLIGHT_MESSAGE;
}

static bool is_within_message(const struct hbk_flight *flight)
{
    return !hbk_buffer_is_empty(&flight->message);
}

static enum hbk_flight_answer take_content(struct hbk_flight *flight, uint8_t type,
                                           struct hbk_slice body, struct hbk_complaint *complaint)
{
    if (type == HBK_TLS_RECORD_HANDSHAKE) {
        return take_handshake(flight, body, complaint);
    }
    if (is_within_message(flight)) {
        return complain(complaint, HBK_ALERT_UNEXPECTED_MESSAGE,
                        "another record within a handshake message");
    }
    if (type == HBK_TLS_RECORD_ALERT) {
        return take_alert(flight, body, complaint);
    }
    return complain(complaint, HBK_ALERT_UNEXPECTED_MESSAGE,
                    "a record that may not come during the handshake");
}

static enum hbk_flight_answer open_protected(struct hbk_flight *flight, struct hbk_span record,
                                             struct hbk_complaint *complaint)
{
    struct hbk_tls_record opened;
    switch (hbk_tls_record_open(&flight->in, record, &opened)) {
    case HBK_TLS_RECORD_OPENED:
        if (hbk_tls_record_is_above(&opened, flight->record_size_limit)) {
            return complain(complaint, HBK_ALERT_RECORD_OVERFLOW,
                            "a record above the limit that was agreed on");
        }
        flight->skip = HBK_FLIGHT_SKIP_NOTHING;
        return take_content(flight, opened.type,
                            hbk_slice_of(opened.plain.bytes, opened.plain.size), complaint);
    case HBK_TLS_RECORD_PARTIAL:
        HBK_UNREACHABLE();
    case HBK_TLS_RECORD_UNEXPECTED:
        return complain(complaint, HBK_ALERT_UNEXPECTED_MESSAGE,
                        "a record in the clear, or one without content");
    case HBK_TLS_RECORD_TOO_LONG:
        return complain(complaint, HBK_ALERT_RECORD_OVERFLOW, "a record that is too long");
    case HBK_TLS_RECORD_BAD:
        return may_skip(flight, HBK_FLIGHT_SKIP_UNREADABLE, record.size)
                   ? skip(flight, complaint)
                   : complain(complaint, HBK_ALERT_BAD_RECORD_MAC,
                              "a record that was changed, or not sealed by the peer");
    case HBK_TLS_RECORD_NO_MEMORY:
        return complain(complaint, HBK_ALERT_INTERNAL_ERROR, "no memory for the cipher");
    }
    HBK_UNREACHABLE();
}

/* Takes one whole record. */
static enum hbk_flight_answer take_record(struct hbk_flight *flight, struct hbk_span record,
                                          struct hbk_complaint *complaint)
{
    uint8_t type = record.bytes[0];
    struct hbk_slice body = hbk_slice_of(record.bytes + HBK_TLS_RECORD_HEADER_BYTES,
                                         record.size - HBK_TLS_RECORD_HEADER_BYTES);
    if (type == HBK_TLS_RECORD_CHANGE_CIPHER_SPEC) {
        return is_within_message(flight) ? complain(complaint, HBK_ALERT_UNEXPECTED_MESSAGE,
                                                    "another record within a handshake message")
                                         : take_ccs(flight, body, complaint);
    }
    if (!flight->is_in_protected) {
        if (type == HBK_TLS_RECORD_APPLICATION_DATA &&
            may_skip(flight, HBK_FLIGHT_SKIP_APPLICATION, record.size)) {
            return skip(flight, complaint);
        }
        return take_content(flight, type, body, complaint);
    }
    if (type == HBK_TLS_RECORD_ALERT && flight->in.sequence == 0) {
        return take_alert(flight, body, complaint);
    }
    return open_protected(flight, record, complaint);
}

/* Looks for a whole message at the front of `bytes`; false: more bytes are needed. */
static bool find_message(struct hbk_slice bytes, struct hbk_flight_message *out_message)
{
    if (bytes.size < HBK_MESSAGE_HEADER_BYTES) {
        return false;
    }
    size_t size = (size_t)bytes.bytes[1] << 16 | (size_t)bytes.bytes[2] << 8 | bytes.bytes[3];
    if (bytes.size - HBK_MESSAGE_HEADER_BYTES < size) {
        return false;
    }
    *out_message = (struct hbk_flight_message){
        .type = (enum hbk_message_type)bytes.bytes[0],
        .body = hbk_slice_part(bytes, HBK_MESSAGE_HEADER_BYTES, size),
        .whole = hbk_slice_part(bytes, 0, HBK_MESSAGE_HEADER_BYTES + size),
    };
    return true;
}

/* Judges the beginning of a message by its header, which is believed for nothing else. */
static enum hbk_flight_answer judge_message(const struct hbk_flight *flight, struct hbk_slice bytes,
                                            struct hbk_complaint *complaint)
{
    enum { TYPES = 32 };
    if (bytes.size > 0 &&
        (bytes.bytes[0] >= TYPES || (flight->awaited_messages >> bytes.bytes[0] & 1) == 0)) {
        return complain(complaint, HBK_ALERT_UNEXPECTED_MESSAGE,
                        "a handshake message that may not come here");
    }
    if (bytes.size >= HBK_MESSAGE_HEADER_BYTES &&
        ((uint32_t)bytes.bytes[1] << 16 | (uint32_t)bytes.bytes[2] << 8 | bytes.bytes[3]) >
            flight->message_bytes_max) {
        return complain(complaint, HBK_ALERT_ILLEGAL_PARAMETER,
                        "a handshake message that is too long");
    }
    return HBK_FLIGHT_MESSAGE;
}

/* A message from what is here; HBK_FLIGHT_WANT_INPUT when it is not whole. */
static enum hbk_flight_answer next_here(struct hbk_flight *flight,
                                        struct hbk_flight_message *out_message,
                                        struct hbk_complaint *complaint)
{
    hbk_buffer_consume(&flight->message, flight->message_taken_bytes);
    flight->message_taken_bytes = 0;
    bool is_put_together = !hbk_buffer_is_empty(&flight->message);
    struct hbk_slice bytes = is_put_together ? hbk_buffer_slice(&flight->message) : flight->lent;
    enum hbk_flight_answer judged = judge_message(flight, bytes, complaint);
    if (judged != HBK_FLIGHT_MESSAGE) {
        return judged;
    }
    if (find_message(bytes, out_message)) {
        if (is_put_together) {
            flight->message_taken_bytes = out_message->whole.size;
        } else {
            flight->lent = hbk_slice_part(bytes, out_message->whole.size, bytes.size);
        }
        return HBK_FLIGHT_MESSAGE;
    }
    return hbk_flight_keep(flight) == HBK_OK
               ? HBK_FLIGHT_WANT_INPUT
               : complain(complaint, HBK_ALERT_INTERNAL_ERROR, "no memory for a handshake message");
}

enum hbk_flight_answer hbk_flight_next(struct hbk_flight *flight, struct hbk_span *in_out_input,
                                       struct hbk_flight_message *out_message,
                                       struct hbk_complaint *out_complaint)
{
    for (;;) {
        enum hbk_flight_answer answer = next_here(flight, out_message, out_complaint);
        if (answer != HBK_FLIGHT_WANT_INPUT) {
            return answer;
        }
        struct hbk_slice input = hbk_slice_of(in_out_input->bytes, in_out_input->size);
        size_t record_bytes = hbk_tls_record_size(input);
        if (record_bytes == 0) {
            return HBK_FLIGHT_WANT_INPUT;
        }
        answer = judge_header(flight, input, record_bytes, out_complaint);
        if (answer != HBK_FLIGHT_MESSAGE) {
            return answer;
        }
        if (input.size < record_bytes) {
            return HBK_FLIGHT_WANT_INPUT;
        }
        flight->has_received = true;
        struct hbk_span record = hbk_span_of(in_out_input->bytes, record_bytes);
        *in_out_input =
            hbk_span_of(in_out_input->bytes + record_bytes, in_out_input->size - record_bytes);
        answer = take_record(flight, record, out_complaint);
        if (answer != HBK_FLIGHT_MESSAGE) {
            return answer;
        }
    }
}

hbk_status hbk_flight_keep(struct hbk_flight *flight)
{
    hbk_status status = HBK_OK;
    if (flight->lent.size > 0) {
        status = hbk_buffer_append(&flight->message, flight->lent);
    }
    flight->lent = hbk_slice_of(NULL, 0);
    return status;
}

bool hbk_flight_has_more(const struct hbk_flight *flight)
{
    return flight->lent.size > 0 || hbk_buffer_size(&flight->message) > flight->message_taken_bytes;
}

/* ---- keys ---- */

static void protect(struct hbk_tls_record_direction *direction, enum hbk_cipher_suite suite,
                    const uint8_t *secret)
{
    struct hbk_expanded_keys *keys = direction->keys;
    hbk_tls_record_direction_fini(direction);
    hbk_tls_record_direction_init(direction, keys, suite,
                                  hbk_slice_of(secret, hbk_cipher_suite_hash_bytes(suite)));
}

void hbk_flight_protect_in(struct hbk_flight *flight, enum hbk_cipher_suite suite,
                           const uint8_t *secret)
{
    protect(&flight->in, suite, secret);
    flight->is_in_protected = true;
}

void hbk_flight_protect_out(struct hbk_flight *flight, enum hbk_cipher_suite suite,
                            const uint8_t *secret)
{
    protect(&flight->out, suite, secret);
    flight->is_out_protected = true;
}

/* ---- what is sent ---- */

void hbk_flight_limit_records(struct hbk_flight *flight, uint16_t record_size_limit)
{
    if (record_size_limit > 0 && record_size_limit <= flight->record_bytes_max) {
        flight->record_bytes_max = record_size_limit - 1u;
    }
}

hbk_status hbk_flight_reserve(struct hbk_flight *flight, size_t size, struct hbk_span *out_room)
{
    return hbk_buffer_reserve(&flight->plain, size, out_room);
}

/* One record around `plain`, which lies elsewhere. */
static hbk_status write_record(struct hbk_flight *flight, enum hbk_tls_record_type type,
                               struct hbk_slice plain)
{
    struct hbk_span room;
    HBK_TRY(hbk_buffer_reserve(&flight->sealed, plain.size + HBK_TLS_RECORD_EXTRA_BYTES, &room));
    memcpy(room.bytes + HBK_TLS_RECORD_HEADER_BYTES, plain.bytes, plain.size);
    if (flight->is_out_protected) {
        if (!hbk_tls_record_seal(&flight->out, type, room.bytes, plain.size)) {
            return HBK_NO_MEMORY;
        }
        hbk_buffer_commit(&flight->sealed, plain.size + HBK_TLS_RECORD_EXTRA_BYTES);
        return HBK_OK;
    }
    room.bytes[0] = (uint8_t)type;
    room.bytes[1] = 3;
    room.bytes[2] = flight->says_tls10 ? FIRST_MINOR : 3;
    room.bytes[3] = (uint8_t)(plain.size >> 8);
    room.bytes[4] = (uint8_t)plain.size;
    flight->says_tls10 = false;
    hbk_buffer_commit(&flight->sealed, plain.size + HBK_TLS_RECORD_HEADER_BYTES);
    return HBK_OK;
}

hbk_status hbk_flight_seal(struct hbk_flight *flight)
{
    struct hbk_slice left = hbk_buffer_slice(&flight->plain);
    while (left.size > 0) {
        struct hbk_slice piece = hbk_slice_part(left, 0, flight->record_bytes_max);
        HBK_TRY(write_record(flight, HBK_TLS_RECORD_HANDSHAKE, piece));
        left = hbk_slice_part(left, piece.size, left.size);
    }
    hbk_buffer_consume(&flight->plain, hbk_buffer_size(&flight->plain));
    return HBK_OK;
}

hbk_status hbk_flight_send_ccs(struct hbk_flight *flight)
{
    static const uint8_t record[] = {HBK_TLS_RECORD_CHANGE_CIPHER_SPEC, 3, 3, 0, 1, 1};
    if (flight->has_sent_ccs) {
        return HBK_OK;
    }
    HBK_TRY(hbk_buffer_append(&flight->sealed, hbk_slice_of(record, sizeof record)));
    flight->has_sent_ccs = true;
    return HBK_OK;
}

void hbk_flight_discard(struct hbk_flight *flight)
{
    hbk_buffer_consume(&flight->sealed, hbk_buffer_size(&flight->sealed));
}

void hbk_flight_send_alert(struct hbk_flight *flight, int alert)
{
    const uint8_t body[ALERT_BYTES] = {ALERT_LEVEL_FATAL, (uint8_t)alert};
    hbk_buffer_consume(&flight->plain, hbk_buffer_size(&flight->plain));
    if (write_record(flight, HBK_TLS_RECORD_ALERT, hbk_slice_of(body, sizeof body)) != HBK_OK) {
        return; /* the connection ends without it */
    }
}

bool hbk_flight_drain(struct hbk_flight *flight, struct hbk_span output, size_t *in_out_written)
{
    struct hbk_slice sealed = hbk_buffer_slice(&flight->sealed);
    size_t room = output.size - *in_out_written;
    size_t size = sealed.size < room ? sealed.size : room;
    if (size > 0) {
        memcpy(output.bytes + *in_out_written, sealed.bytes, size);
        hbk_buffer_consume(&flight->sealed, size);
        *in_out_written += size;
    }
    return hbk_buffer_is_empty(&flight->sealed);
}
