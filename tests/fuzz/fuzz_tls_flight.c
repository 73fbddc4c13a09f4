/*
 * The record layer of a handshake as a peer that has the keys sees it. The input is a list of
 * records (flags, type, size of two bytes, body), in the clear or sealed here. They are read whole
 * and once more in pieces: what comes of them must be the same, however TCP cuts them.
 */
#include "fuzz_target.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "crypto/hash.h"
#include "tls/flight.h"

/* Of all directions of this file; empty again with each that ends. */
static struct hbk_expanded_keys expanded;

enum { WIRE_BYTES_MAX = 1 << 17, MESSAGES_MAX = 1 << 16, IS_SEALED = 1, IS_RAW = 2 };

static const uint8_t secret[32] = {7};

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

/* How a run is set up, from the first bytes of the input. */
struct plan {
    enum hbk_tls_role role;
    bool allows_ccs;
    enum hbk_flight_skip skip;
    uint8_t clear_messages; /* before keys come */
    uint32_t message_bytes_max, awaited_messages;
    size_t piece_bytes;
};

/* What came of it. */
struct outcome {
    enum hbk_flight_answer answer;
    int alert;
    size_t message_count, message_bytes;
    uint64_t sum;
};

static struct plan plan_of(struct hbk_cursor *input)
{
    uint8_t flags = (uint8_t)hbk_cursor_number(input, 1);
    struct plan plan = {
        .role = (flags & 1) != 0 ? HBK_TLS_CLIENT : HBK_TLS_SERVER,
        .allows_ccs = (flags & 2) != 0,
        .skip = (enum hbk_flight_skip)((flags >> 2 & 3) % 3),
        .message_bytes_max = (flags & 16) != 0 ? 64 : 1 << 16,
        .awaited_messages = (flags & 32) != 0 ? 1u << HBK_MESSAGE_FINISHED : UINT32_MAX,
    };
    plan.clear_messages = (uint8_t)hbk_cursor_number(input, 1);
    plan.piece_bytes = 1 + (size_t)hbk_cursor_number(input, 1);
    return plan;
}

static size_t write_wire(struct hbk_cursor input, uint8_t *wire)
{
    struct hbk_tls_record_direction peer = {0};
    size_t used = 0;
    hbk_tls_record_direction_init(&peer, &expanded, HBK_SUITE_AES_128_GCM_SHA256,
                                  hbk_slice_of(secret, sizeof secret));
    while (input.left.size > 0) {
        uint8_t flags = (uint8_t)hbk_cursor_number(&input, 1);
        uint8_t type = (uint8_t)hbk_cursor_number(&input, 1);
        size_t size = hbk_cursor_number(&input, 2) % (HBK_TLS_PLAIN_BYTES_MAX + 1);
        struct hbk_slice body =
            hbk_cursor_take(&input, size < input.left.size ? size : input.left.size);
        if (input.has_failed || used + body.size + HBK_TLS_RECORD_EXTRA_BYTES > WIRE_BYTES_MAX) {
            break;
        }
        uint8_t *out = wire + used;
        if (body.size > 0) {
            memcpy(out + HBK_TLS_RECORD_HEADER_BYTES, body.bytes, body.size);
        }
        if ((flags & IS_SEALED) != 0) {
            require(hbk_tls_record_seal(&peer, (enum hbk_tls_record_type)type, out, body.size));
            used += body.size + HBK_TLS_RECORD_EXTRA_BYTES;
            continue;
        }
        out[0] = type;
        out[1] = (flags & IS_RAW) != 0 ? (uint8_t)(flags >> 2) : 3;
        out[2] = 3;
        out[3] = (uint8_t)(body.size >> 8);
        out[4] = (uint8_t)body.size;
        used += body.size + HBK_TLS_RECORD_HEADER_BYTES;
    }
    hbk_tls_record_direction_fini(&peer);
    return used;
}

static void note(struct outcome *outcome, const struct hbk_flight_message *message)
{
    require(message->whole.size == message->body.size + HBK_MESSAGE_HEADER_BYTES);
    require(message->body.size == 0 ||
            message->body.bytes == message->whole.bytes + HBK_MESSAGE_HEADER_BYTES);
    require((uint8_t)message->type == message->whole.bytes[0]);
    for (size_t i = 0; i < message->whole.size; i++) {
        outcome->sum = outcome->sum * 31 + message->whole.bytes[i];
    }
    outcome->message_count++;
    outcome->message_bytes += message->whole.size;
}

/* Takes all messages that the input brings; true: it may go on with more. */
static bool take_messages(struct hbk_flight *flight, const struct plan *plan,
                          struct hbk_span *input, struct outcome *outcome)
{
    for (;;) {
        struct hbk_flight_message message;
        struct hbk_complaint complaint = HBK_NO_COMPLAINT;
        uint8_t *before = input->bytes + input->size;
        outcome->answer = hbk_flight_next(flight, input, &message, &complaint);
        require(input->bytes + input->size == before);
        if (outcome->answer != HBK_FLIGHT_MESSAGE) {
            outcome->alert = complaint.alert;
            return outcome->answer == HBK_FLIGHT_WANT_INPUT;
        }
        note(outcome, &message);
        require(message.body.size <= plan->message_bytes_max);
        if (outcome->message_count == plan->clear_messages) {
            /* As the state machine does it: no byte may follow where keys change. */
            if (hbk_flight_has_more(flight)) {
                outcome->answer = HBK_FLIGHT_FAILED;
                outcome->alert = HBK_ALERT_UNEXPECTED_MESSAGE;
                return false;
            }
            hbk_flight_protect_in(flight, HBK_SUITE_AES_128_GCM_SHA256, secret);
        }
        if (outcome->message_count > MESSAGES_MAX) {
            return false;
        }
    }
}

static struct outcome run(const struct plan *plan, const uint8_t *wire, size_t size,
                          size_t piece_bytes)
{
    struct outcome outcome = {.answer = HBK_FLIGHT_WANT_INPUT};
    struct hbk_flight flight;
    uint8_t *bytes = malloc(size + 1);
    require(bytes != NULL);
    memcpy(bytes, wire, size);
    hbk_flight_init(&flight, &expanded, plan->role);
    flight.allows_ccs = plan->allows_ccs;
    flight.skip = plan->skip;
    flight.message_bytes_max = plan->message_bytes_max;
    flight.awaited_messages = plan->awaited_messages;
    if (plan->clear_messages == 0) {
        hbk_flight_protect_in(&flight, HBK_SUITE_AES_128_GCM_SHA256, secret);
    }
    size_t taken = 0;
    size_t shown = 0;
    bool goes_on = true;
    while (goes_on && shown < size) {
        shown = size - shown < piece_bytes ? size : shown + piece_bytes;
        struct hbk_span input = hbk_span_of(bytes + taken, shown - taken);
        goes_on = take_messages(&flight, plan, &input, &outcome);
        taken = shown - input.size;
        require(hbk_flight_keep(&flight) == HBK_OK || !goes_on);
    }
    hbk_flight_send_alert(&flight, HBK_ALERT_INTERNAL_ERROR);
    hbk_flight_fini(&flight);
    free(bytes);
    return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t wire[WIRE_BYTES_MAX];
    struct hbk_cursor input = hbk_cursor_of(hbk_slice_of(data, size));
    struct plan plan = plan_of(&input);
    size_t used = input.has_failed ? 0 : write_wire(input, wire);
    struct outcome whole = run(&plan, wire, used, WIRE_BYTES_MAX);
    struct outcome cut = run(&plan, wire, used, plan.piece_bytes);
    require(whole.answer == cut.answer && whole.alert == cut.alert);
    require(whole.message_count == cut.message_count && whole.sum == cut.sum);
    return 0;
}
