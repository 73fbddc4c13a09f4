/* Sessions of any engines that meet: handshakes with their jobs, data, keys of both sides. */
#pragma once

#include "authority.h"
#include "pair.h"
#include "tls/alert.h"

/* How the bytes travel. */
struct meeting_pace {
    size_t input_max, room_max; /* of one step; 0: all that there is */
    bool is_random;             /* from 1 to these */
};

static const struct meeting_pace meeting_at_once;

HBK_UNUSED static size_t meeting_piece(size_t size_max, bool is_random)
{
    size_t whole = 40000;
    size_t size = size_max == 0 ? whole : size_max;
    return is_random ? 1 + (size_t)rand() % size : size;
}

/* Runs handshakes and their jobs until neither side gets any further. */
HBK_UNUSED static void meeting_run(struct pair_worker *worker, struct pair *pair,
                                   struct meeting_pace pace)
{
    size_t idle = 0;
    while (idle < 2) {
        size_t moved =
            pair_step(pair->client, &pair->to_client, &pair->to_server,
                      meeting_piece(pace.input_max, pace.is_random),
                      meeting_piece(pace.room_max, pace.is_random), &pair->client_answer);
        moved += pair_step(pair->server, &pair->to_server, &pair->to_client,
                           meeting_piece(pace.input_max, pace.is_random),
                           meeting_piece(pace.room_max, pace.is_random), &pair->server_answer);
        while (hbk_key_worker_flush(worker->keys, hbk_clock_monotonic_ns())) {
        }
        idle = moved > 0 ? 0 : idle + 1;
    }
}

/* A pair before its first step; the client wants "cart.test". */
HBK_UNUSED static struct pair *meeting_of(struct pair_worker *worker,
                                          struct hbk_tls_context *client,
                                          struct hbk_tls_context *server,
                                          struct hbk_tls_ticket *ticket, int64_t now_ns)
{
    const struct hbk_tls_options options = {.server_name = HBK_SLICE("cart.test"),
                                            .ticket = ticket};
    struct pair *pair = pair_of(worker, client, options, server, now_ns);
    pair->client_answer = HBK_TLS_WANT_INPUT;
    pair->server_answer = HBK_TLS_WANT_INPUT;
    return pair;
}

/* Both are done; else the test fails with what they say. */
HBK_UNUSED static void meeting_expect_done(const struct pair *pair)
{
    if (pair->client_answer == HBK_TLS_FAILED) {
        fail_msg("the client failed: %s", hbk_tls_failure(pair->client).text);
    }
    if (pair->server_answer == HBK_TLS_FAILED) {
        fail_msg("the server failed: %s", hbk_tls_failure(pair->server).text);
    }
    assert_string_equal(hbk_tls_answer_text(pair->client_answer), "done");
    assert_string_equal(hbk_tls_answer_text(pair->server_answer), "done");
}

/* One side failed with that alert of its own, the other received it. */
HBK_UNUSED static void meeting_expect_failed(const struct pair *pair, bool is_client, int alert)
{
    const struct hbk_tls_session *sender = is_client ? pair->client : pair->server;
    const struct hbk_tls_session *receiver = is_client ? pair->server : pair->client;
    assert_string_equal(hbk_tls_answer_text(is_client ? pair->client_answer : pair->server_answer),
                        "failed");
    struct hbk_tls_failure failure = hbk_tls_failure(sender);
    assert_string_equal(hbk_tls_alert_text(failure.alert), hbk_tls_alert_text(alert));
    assert_false(failure.alert_is_received);
    if ((is_client ? pair->server_answer : pair->client_answer) == HBK_TLS_FAILED) {
        failure = hbk_tls_failure(receiver);
        assert_string_equal(hbk_tls_alert_text(failure.alert), hbk_tls_alert_text(alert));
        assert_true(failure.alert_is_received);
    }
}

/* Seals all of `plain` into the queue. */
HBK_UNUSED static void meeting_seal(struct hbk_tls_session *session, struct hbk_slice plain,
                                    struct pair_queue *out)
{
    size_t sealed = 0;
    size_t written = 0;
    enum hbk_tls_answer answer = hbk_tls_seal(
        session, &plain, 1, hbk_span_of(out->bytes + out->size, sizeof out->bytes - out->size),
        &sealed, &written);
    assert_string_equal(hbk_tls_answer_text(answer), "done");
    out->size += written;
}

/* Opens all of the queue into `out`, which holds `out_max`; returns how much, and the last answer.
 */
HBK_UNUSED static size_t meeting_open(struct hbk_tls_session *session, struct pair_queue *in,
                                      uint8_t *out, size_t out_max, enum hbk_tls_answer *answer)
{
    size_t used = 0;
    do {
        size_t consumed = 0;
        struct hbk_slice plain;
        *answer = hbk_tls_open(session, hbk_span_of(in->bytes, in->size), &consumed, &plain);
        assert_true(used + plain.size <= out_max);
        if (plain.size > 0) {
            memcpy(out + used, plain.bytes, plain.size);
            used += plain.size;
        }
        memmove(in->bytes, in->bytes + consumed, in->size - consumed);
        in->size -= consumed;
    } while (*answer == HBK_TLS_DONE);
    return used;
}

/* Bytes pass from one to the other. */
HBK_UNUSED static void meeting_say(struct hbk_tls_session *from, struct pair_queue *wire,
                                   struct hbk_tls_session *to, size_t size)
{
    uint8_t *said = malloc(size);
    uint8_t *heard = malloc(size);
    assert_true(said != NULL && heard != NULL);
    for (size_t i = 0; i < size; i++) {
        said[i] = (uint8_t)(i * 7 + size);
    }
    enum hbk_tls_answer answer = HBK_TLS_FAILED;
    meeting_seal(from, hbk_slice_of(said, size), wire);
    size_t used = meeting_open(to, wire, heard, size, &answer);
    assert_string_equal(hbk_tls_answer_text(answer), "want input");
    assert_slice_equal(hbk_slice_of(heard, used), hbk_slice_of(said, size));
    free(said);
    free(heard);
}

/* Both sides have the same keys: data passes both ways, and exported keys are equal. */
HBK_UNUSED static void meeting_expect_same_keys(struct pair *pair)
{
    static const size_t sizes[] = {1, 100, 16384, 40000};
    uint8_t of_client[80];
    uint8_t of_server[80];
    for (size_t i = 0; i < HBK_COUNT(sizes); i++) {
        meeting_say(pair->client, &pair->to_server, pair->server, sizes[i]);
        meeting_say(pair->server, &pair->to_client, pair->client, sizes[i]);
    }
    struct hbk_slice label = HBK_SLICE("EXPORTER-test");
    struct hbk_slice context = HBK_SLICE("a context");
    assert_int_equal(
        hbk_tls_export(pair->client, label, context, hbk_span_of(of_client, sizeof of_client)),
        HBK_OK);
    assert_int_equal(
        hbk_tls_export(pair->server, label, context, hbk_span_of(of_server, sizeof of_server)),
        HBK_OK);
    assert_memory_equal(of_client, of_server, sizeof of_client);
}
