/*
 * A native end in any state of a handshake, the victim. It gets there by the messages of an honest
 * end, which are opened, kept apart and handed on one by one, each in a record of its own, sealed
 * with the victim's own secrets. What a test puts in between is so always under the right keys:
 * only the state can refuse it.
 */
#pragma once

#include "authority.h"
#include "native_end.h"
#include "tls/alert.h"

/* Of all directions of this file; empty again with each that ends. */
static struct hbk_expanded_keys expanded;

enum { MESSAGES_MAX = 8, MESSAGE_BYTES_MAX = 4 << 10 };

static struct authority authority;

/* ---- conversations ---- */

enum conversation {
    ONE_WAY,
    MUTUAL,
    RETRIED, /* mutual, with a HelloRetryRequest */
    WITHOUT, /* the client is asked and has no certificate */
    CONVERSATIONS,
};

struct message {
    size_t size;
    uint8_t bytes[MESSAGE_BYTES_MAX];
};

struct rig {
    enum hbk_tls_role role; /* the victim's */
    struct pair_worker victims_worker, honest_worker;
    struct hbk_tls_context *client_context, *server_context;
    struct native_end *victim, *honest;
    struct message messages[MESSAGES_MAX]; /* of the honest end, for the victim */
    size_t message_count, message_at;
    struct pair_queue to_honest;
    struct hbk_tls_record_direction from_honest; /* opens what the honest end sealed */
    struct hbk_tls_record_direction to_victim;   /* seals it again */
    bool is_opening, is_sealing;
};

/* Both contexts of a conversation are made once. */
static struct hbk_tls_context *contexts[CONVERSATIONS][2];

HBK_UNUSED static void make_contexts(enum conversation conversation)
{
    static const uint16_t clients_groups[] = {HBK_GROUP_X25519, HBK_GROUP_P256};
    static const uint16_t servers_groups[] = {HBK_GROUP_P256};
    struct hbk_tls_context_options client = {.engine = HBK_TLS_ENGINE_NATIVE};
    struct hbk_tls_context_options server = {.engine = HBK_TLS_ENGINE_NATIVE};
    const struct forged *clients_leaf = NULL;
    switch (conversation) {
    case ONE_WAY:
        server.client_certificate = HBK_TLS_CLIENT_CERTIFICATE_NONE;
        break;
    case WITHOUT:
        server.client_certificate = HBK_TLS_CLIENT_CERTIFICATE_ASKED;
        break;
    case RETRIED:
        client.groups = clients_groups;
        client.group_count = HBK_COUNT(clients_groups);
        server.groups = servers_groups;
        server.group_count = HBK_COUNT(servers_groups);
        clients_leaf = authority_client(&authority, AUTHORITY_P256);
        break;
    case MUTUAL:
        clients_leaf = authority_client(&authority, AUTHORITY_P256);
        break;
    case CONVERSATIONS:
        fail();
    }
    contexts[conversation][HBK_TLS_CLIENT] = authority_context(&authority, client, clients_leaf);
    contexts[conversation][HBK_TLS_SERVER] =
        authority_context(&authority, server, authority_server(&authority, AUTHORITY_P256));
}

HBK_UNUSED static struct rig *rig_new(enum conversation conversation, enum hbk_tls_role role)
{
    struct rig *rig = calloc(1, sizeof *rig);
    enum hbk_tls_role other = role == HBK_TLS_CLIENT ? HBK_TLS_SERVER : HBK_TLS_CLIENT;
    assert_non_null(rig);
    rig->role = role;
    pair_worker_init(&rig->victims_worker, 0);
    pair_worker_init(&rig->honest_worker, 0);
    rig->victim =
        native_end_new(&rig->victims_worker, contexts[conversation][role], role, "cart.test");
    rig->honest =
        native_end_new(&rig->honest_worker, contexts[conversation][other], other, "cart.test");
    return rig;
}

HBK_UNUSED static void rig_free(struct rig *rig)
{
    native_end_free(rig->victim);
    native_end_free(rig->honest);
    hbk_tls_record_direction_fini(&rig->from_honest);
    hbk_tls_record_direction_fini(&rig->to_victim);
    pair_worker_fini(&rig->victims_worker);
    pair_worker_fini(&rig->honest_worker);
    free(rig);
}

HBK_UNUSED static const uint8_t *honest_secret(const struct rig *rig,
                                               const struct hbk_native *handshake)
{
    return rig->role == HBK_TLS_CLIENT ? handshake->server_handshake_secret
                                       : handshake->client_handshake_secret;
}

HBK_UNUSED static void start_direction(struct hbk_tls_record_direction *direction,
                                       const uint8_t *secret, enum hbk_cipher_suite suite)
{
    hbk_tls_record_direction_init(direction, &expanded, suite,
                                  hbk_slice_of(secret, hbk_cipher_suite_hash_bytes(suite)));
}

/* ---- the honest end's messages ---- */

HBK_UNUSED static void keep_messages(struct rig *rig, struct hbk_slice bytes)
{
    while (bytes.size > 0) {
        assert_true(bytes.size >= HBK_MESSAGE_HEADER_BYTES && rig->message_count < MESSAGES_MAX);
        size_t size = HBK_MESSAGE_HEADER_BYTES + ((size_t)bytes.bytes[1] << 16) +
                      ((size_t)bytes.bytes[2] << 8) + bytes.bytes[3];
        struct message *message = &rig->messages[rig->message_count++];
        assert_true(size <= bytes.size && size <= sizeof message->bytes);
        message->size = size;
        memcpy(message->bytes, bytes.bytes, size);
        bytes = hbk_slice_part(bytes, size, bytes.size);
    }
}

/* Opens what the honest end has sent. */
HBK_UNUSED static void keep_output(struct rig *rig)
{
    struct native_end *honest = rig->honest;
    size_t at = 0;
    while (at < honest->output_bytes) {
        size_t size =
            hbk_tls_record_size(hbk_slice_of(honest->output + at, honest->output_bytes - at));
        struct hbk_span record = hbk_span_of(honest->output + at, size);
        assert_true(size > 0 && at + size <= honest->output_bytes);
        at += size;
        if (record.bytes[0] == HBK_TLS_RECORD_HANDSHAKE) {
            keep_messages(rig, hbk_slice_of(record.bytes + HBK_TLS_RECORD_HEADER_BYTES,
                                            size - HBK_TLS_RECORD_HEADER_BYTES));
        } else if (record.bytes[0] == HBK_TLS_RECORD_APPLICATION_DATA) {
            struct hbk_tls_record opened;
            if (!rig->is_opening) {
                rig->is_opening = true;
                start_direction(&rig->from_honest, honest_secret(rig, honest->handshake),
                                honest->handshake->result.suite);
            }
            assert_int_equal(hbk_tls_record_open(&rig->from_honest, record, &opened),
                             HBK_TLS_RECORD_OPENED);
            keep_messages(rig, hbk_slice_of(opened.plain.bytes, opened.plain.size));
        }
    }
}

/* The honest end takes what the victim sent, and computes. */
HBK_UNUSED static void run_honest(struct rig *rig)
{
    struct native_end *honest = rig->honest;
    struct pair_queue *in = &rig->to_honest;
    if (honest->answer == HBK_TLS_DONE) {
        return;
    }
    do {
        size_t consumed = native_end_step(honest, in->bytes, in->size);
        memmove(in->bytes, in->bytes + consumed, in->size - consumed);
        in->size -= consumed;
        keep_output(rig);
        native_end_compute(&rig->honest_worker);
    } while (honest->answer == HBK_TLS_WAITING);
    assert_true(honest->answer == HBK_TLS_WANT_INPUT || honest->answer == HBK_TLS_DONE);
}

/* ---- the victim ---- */

/* A step of the victim with whole records, which it must take; what it sends goes on its way. */
HBK_UNUSED static void step_victim(struct rig *rig, uint8_t *input, size_t size)
{
    struct native_end *victim = rig->victim;
    size_t consumed = native_end_step(victim, input, size);
    if (victim->answer != HBK_TLS_FAILED && victim->answer != HBK_TLS_WAITING) {
        assert_int_equal(consumed, size);
    }
    struct pair_queue *out = &rig->to_honest;
    assert_true(out->size + victim->output_bytes <= sizeof out->bytes);
    memcpy(out->bytes + out->size, victim->output, victim->output_bytes);
    out->size += victim->output_bytes;
}

/* Writes a record as the honest end would now: in the clear, or sealed. Returns its size. */
HBK_UNUSED static size_t write_record(struct rig *rig, uint8_t type, struct hbk_slice body,
                                      uint8_t *out)
{
    memcpy(out + HBK_TLS_RECORD_HEADER_BYTES, body.bytes, body.size);
    const struct hbk_native *handshake = rig->victim->handshake;
    if (!handshake->flight.is_in_protected) {
        out[0] = type;
        out[1] = 3;
        out[2] = 3;
        out[3] = (uint8_t)(body.size >> 8);
        out[4] = (uint8_t)body.size;
        return HBK_TLS_RECORD_HEADER_BYTES + body.size;
    }
    if (!rig->is_sealing) {
        rig->is_sealing = true;
        start_direction(&rig->to_victim, honest_secret(rig, handshake), handshake->result.suite);
    }
    assert_true(
        hbk_tls_record_seal(&rig->to_victim, (enum hbk_tls_record_type)type, out, body.size));
    return body.size + HBK_TLS_RECORD_EXTRA_BYTES;
}

HBK_UNUSED static void deliver_record(struct rig *rig, uint8_t type, struct hbk_slice body)
{
    uint8_t record[MESSAGE_BYTES_MAX + HBK_TLS_RECORD_EXTRA_BYTES];
    assert_true(body.size <= MESSAGE_BYTES_MAX);
    step_victim(rig, record, write_record(rig, type, body, record));
}

HBK_UNUSED static struct hbk_slice next_message(struct rig *rig)
{
    if (rig->message_at == rig->message_count) {
        run_honest(rig);
    }
    assert_true(rig->message_at < rig->message_count);
    struct message *message = &rig->messages[rig->message_at++];
    return hbk_slice_of(message->bytes, message->size);
}

/* Goes on with what is honest until the victim is in the state; never beyond. */
HBK_UNUSED static void reach(struct rig *rig, enum hbk_native_state state)
{
    struct native_end *victim = rig->victim;
    if (victim->handshake->state == HBK_NATIVE_CLIENT_BEGIN) {
        step_victim(rig, NULL, 0);
    }
    while (victim->handshake->state != state) {
        assert_true(victim->answer == HBK_TLS_WANT_INPUT || victim->answer == HBK_TLS_WAITING);
        if (victim->answer == HBK_TLS_WAITING) {
            native_end_compute(&rig->victims_worker);
            step_victim(rig, NULL, 0);
        } else {
            deliver_record(rig, HBK_TLS_RECORD_HANDSHAKE, next_message(rig));
        }
    }
}

/* The victim has failed with an alert, which is the last thing that it sent and will send. */
HBK_UNUSED static void expect_alert(struct rig *rig, int alert)
{
    struct native_end *victim = rig->victim;
    struct hbk_flight *flight = &victim->handshake->flight;
    struct hbk_tls_failure failure = hbk_tls_native.failure(victim->handshake);
    const uint8_t expected[] = {2, (uint8_t)alert};
    assert_int_equal(victim->answer, HBK_TLS_FAILED);
    assert_string_equal(hbk_tls_alert_text(failure.alert), hbk_tls_alert_text(alert));
    assert_false(failure.alert_is_received);
    assert_true(failure.text != NULL && failure.text[0] != '\0');
    assert_int_equal(victim->handshake->state, HBK_NATIVE_FAILED);
    assert_int_equal(victim->handshake->jobs, 0);

    size_t size = flight->is_out_protected ? sizeof expected + HBK_TLS_RECORD_EXTRA_BYTES
                                           : sizeof expected + HBK_TLS_RECORD_HEADER_BYTES;
    assert_int_equal(victim->output_bytes, size);
    if (flight->is_out_protected) {
        struct hbk_tls_record_direction direction;
        struct hbk_tls_record opened;
        start_direction(&direction, flight->out.secret, flight->out.suite);
        direction.sequence = flight->out.sequence - 1;
        assert_int_equal(
            hbk_tls_record_open(&direction, hbk_span_of(victim->output, size), &opened),
            HBK_TLS_RECORD_OPENED);
        assert_int_equal(opened.type, HBK_TLS_RECORD_ALERT);
        assert_slice_equal(hbk_slice_of(opened.plain.bytes, opened.plain.size),
                           hbk_slice_of(expected, sizeof expected));
        hbk_tls_record_direction_fini(&direction);
    } else {
        assert_int_equal(victim->output[0], HBK_TLS_RECORD_ALERT);
        assert_memory_equal(victim->output + HBK_TLS_RECORD_HEADER_BYTES, expected,
                            sizeof expected);
    }
    step_victim(rig, NULL, 0);
    assert_int_equal(victim->answer, HBK_TLS_FAILED);
    assert_int_equal(victim->output_bytes, 0);
}

/* The authority and the contexts of all conversations; once for a program. */
HBK_UNUSED static void rig_set_up(void)
{
    authority_init(&authority, "test root");
    for (unsigned i = 0; i < CONVERSATIONS; i++) {
        make_contexts(i);
    }
}

HBK_UNUSED static void rig_tear_down(void)
{
    for (unsigned i = 0; i < CONVERSATIONS; i++) {
        hbk_tls_context_unref(contexts[i][HBK_TLS_CLIENT]);
        hbk_tls_context_unref(contexts[i][HBK_TLS_SERVER]);
    }
    authority_fini(&authority);
}
