#include "wire/http2.h"

#include "http2_end.h"

static const struct hbk_h2_field baggage[] = {
    {.name = {(const uint8_t *)"baggage", 7}, .value = {(const uint8_t *)"k8s.cluster.name=c", 18}},
};

/* A client, a server, and one CONNECT stream that both know. */
struct pair {
    struct end client, server;
    struct hbk_h2_stream near, far;
};

static void pair_init(struct pair *pair)
{
    *pair = (struct pair){0};
    end_init(&pair->client, HBK_H2_CLIENT, NULL);
    end_init(&pair->server, HBK_H2_SERVER, NULL);
    ends_settle(&pair->client, &pair->server);
}

static void pair_open(struct pair *pair)
{
    assert_int_equal(hbk_h2_open_connect(&pair->client.session, &pair->near,
                                         HBK_SLICE("10.0.0.1:80"), baggage, HBK_COUNT(baggage)),
                     HBK_OK);
    struct hbk_h2_event event = ends_wait(&pair->client, &pair->server, HBK_H2_REQUEST);
    assert_int_equal(hbk_h2_accept(&pair->server.session, &event, &pair->far), HBK_OK);
    assert_int_equal(hbk_h2_respond(&pair->server.session, &pair->far, 200, NULL, 0, false),
                     HBK_OK);
    event = ends_wait(&pair->server, &pair->client, HBK_H2_RESPONSE);
    assert_int_equal(event.code, 200);
}

static void pair_fini(struct pair *pair)
{
    end_fini(&pair->client);
    end_fini(&pair->server);
}

static void a_connect_request_arrives_with_its_fields(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair);
    assert_int_equal(hbk_h2_open_connect(&pair.client.session, &pair.near, HBK_SLICE("10.0.0.1:80"),
                                         baggage, HBK_COUNT(baggage)),
                     HBK_OK);
    struct hbk_h2_event event = ends_wait(&pair.client, &pair.server, HBK_H2_REQUEST);
    assert_int_equal(event.stream_id, 1);
    assert_false(event.is_last);
    assert_slice_equal(event.fields->method, HBK_SLICE("CONNECT"));
    assert_slice_equal(event.fields->authority, HBK_SLICE("10.0.0.1:80"));
    assert_int_equal(event.fields->scheme.size, 0);
    assert_int_equal(event.fields->path.size, 0);
    struct hbk_slice value;
    assert_true(hbk_h2_find_field(event.fields, HBK_SLICE("baggage"), &value));
    assert_slice_equal(value, HBK_SLICE("k8s.cluster.name=c"));
    assert_false(hbk_h2_find_field(event.fields, HBK_SLICE("forwarded"), &value));
    pair_fini(&pair);
}

static void data_passes_both_ways_and_half_close_keeps_the_other_half(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair);
    pair_open(&pair);

    assert_int_equal(end_send(&pair.client, &pair.near, HBK_SLICE("ping"), true), 4);
    assert_false(hbk_h2_is_closed(&pair.near));
    assert_int_equal(hbk_h2_send_credit(&pair.client.session, &pair.near), 0);
    struct hbk_h2_event event = ends_wait(&pair.client, &pair.server, HBK_H2_DATA);
    assert_ptr_equal(event.stream, &pair.far);
    assert_slice_equal(event.data, HBK_SLICE("ping"));
    assert_true(event.is_last);
    assert_false(hbk_h2_is_closed(&pair.far));

    assert_int_equal(end_send(&pair.server, &pair.far, HBK_SLICE("pong"), false), 4);
    event = ends_wait(&pair.server, &pair.client, HBK_H2_DATA);
    assert_slice_equal(event.data, HBK_SLICE("pong"));
    assert_false(event.is_last);
    assert_int_equal(end_send(&pair.server, &pair.far, HBK_SLICE(""), true), 0);
    assert_true(hbk_h2_is_closed(&pair.far));
    event = ends_wait(&pair.server, &pair.client, HBK_H2_DATA);
    assert_int_equal(event.data.size, 0);
    assert_true(event.is_last);
    assert_true(hbk_h2_is_closed(&pair.near));
    assert_int_equal(hbk_h2_streams_open(&pair.client.session), 0);
    assert_int_equal(hbk_h2_streams_open(&pair.server.session), 0);
    pair_fini(&pair);
}

/* What came out of a session, as text; DATA that came in parts counts as one. */
struct transcript {
    struct hbk_buffer text;
    struct hbk_h2_stream *last_data;
    uint64_t data_hash;
    size_t data_bytes;
};

static void end_data(struct transcript *transcript)
{
    if (transcript->last_data != NULL) {
        assert_int_equal(hbk_buffer_print(&transcript->text, "DATA %u %zu %llx\n",
                                          transcript->last_data->id, transcript->data_bytes,
                                          (unsigned long long)transcript->data_hash),
                         HBK_OK);
    }
    transcript->last_data = NULL;
    transcript->data_bytes = 0;
    transcript->data_hash = 0;
}

static void note_event(struct transcript *transcript, const struct hbk_h2_event *event)
{
    if (event->kind == HBK_H2_DATA) {
        if (transcript->last_data != event->stream) {
            end_data(transcript);
        }
        transcript->last_data = event->stream;
        transcript->data_bytes += event->data.size;
        for (size_t i = 0; i < event->data.size; i++) {
            transcript->data_hash = transcript->data_hash * 31 + event->data.bytes[i];
        }
        if (!event->is_last) {
            return;
        }
    }
    end_data(transcript);
    struct hbk_slice authority = event->fields == NULL || event->kind != HBK_H2_REQUEST
                                     ? HBK_SLICE("")
                                     : event->fields->authority;
    struct hbk_slice text = event->kind == HBK_H2_GOAWAY ? event->data : authority;
    assert_int_equal(hbk_buffer_print(&transcript->text, "%d %u %d %u %.*s\n", (int)event->kind,
                                      event->stream_id, event->is_last,
                                      event->kind == HBK_H2_DATA ? 0 : event->code,
                                      HBK_SLICE_ARGS(text)),
                     HBK_OK);
}

/* A server reads the recorded bytes of a client in steps; what happened is written down. */
static void replay(struct hbk_slice bytes, size_t step_max, unsigned seed,
                   struct transcript *transcript, struct hbk_buffer *out_sent)
{
    struct end server;
    static struct hbk_h2_stream streams[16];
    size_t stream_count = 0;
    memset(streams, 0, sizeof(streams));
    end_init(&server, HBK_H2_SERVER, NULL);
    hbk_buffer_init(&transcript->text, 1 << 20);
    transcript->last_data = NULL;
    end_data(transcript);
    while (bytes.size > 0) {
        size_t step = step_max < bytes.size ? step_max : bytes.size;
        step = seed == 0 ? step : 1 + (size_t)rand_r(&seed) % step;
        struct hbk_slice input = hbk_slice_of(bytes.bytes, step);
        bytes = hbk_slice_part(bytes, step, bytes.size);
        struct hbk_h2_event event = {0};
        while (hbk_h2_read(&server.session, &input, &event) == HBK_H2_EVENT) {
            note_event(transcript, &event);
            if (event.kind == HBK_H2_REQUEST) {
                assert_int_equal(hbk_h2_accept(&server.session, &event, &streams[stream_count++]),
                                 HBK_OK);
            }
            event.fields = NULL;
        }
        assert_int_equal(input.size, 0);
    }
    end_data(transcript);
    hbk_h2_fini(&server.session);
    *out_sent = server.out;
}

/* What a client sends that opens streams, fills windows, resets, pings and drains. */
static void record(struct hbk_buffer *bytes)
{
    struct pair pair;
    pair_init(&pair);
    hbk_buffer_init(bytes, END_OUT_BYTES_MAX);
    end_fini(&pair.client);
    end_init(&pair.client, HBK_H2_CLIENT, NULL);
    static uint8_t payload[40000];
    for (size_t i = 0; i < sizeof(payload); i++) {
        payload[i] = (uint8_t)(i * 7 + i / 256);
    }
    struct hbk_h2_stream streams[4] = {0};
    for (size_t i = 0; i < HBK_COUNT(streams); i++) {
        assert_int_equal(hbk_h2_open_connect(&pair.client.session, &streams[i],
                                             HBK_SLICE("10.0.0.1:80"), baggage, 1),
                         HBK_OK);
        end_send(&pair.client, &streams[i], hbk_slice_of(payload, 1 + 4000 * i), false);
    }
    hbk_h2_ping(&pair.client.session, 7);
    end_send(&pair.client, &streams[1], hbk_slice_of(payload, 30000), true);
    hbk_h2_reset(&pair.client.session, &streams[2], HBK_H2_CANCEL);
    end_send(&pair.client, &streams[3], HBK_SLICE(""), true);
    hbk_h2_drain(&pair.client.session);
    end_send(&pair.client, &streams[0], HBK_SLICE("last"), true);
    assert_int_equal(hbk_buffer_append(bytes, hbk_buffer_slice(&pair.client.out)), HBK_OK);
    pair_fini(&pair);
}

static void events_and_answers_are_the_same_however_the_bytes_are_split(void **state)
{
    (void)state;
    struct hbk_buffer bytes;
    record(&bytes);
    struct transcript whole = {0};
    struct hbk_buffer whole_sent;
    replay(hbk_buffer_slice(&bytes), SIZE_MAX, 0, &whole, &whole_sent);
    assert_true(hbk_buffer_size(&whole.text) > 100);
    for (unsigned round = 0; round < 60; round++) {
        static const size_t steps[] = {1, 2, 3, 8, 9, 10, 17, 100, 1000, 16384};
        struct transcript split = {0};
        struct hbk_buffer split_sent;
        replay(hbk_buffer_slice(&bytes), steps[round % HBK_COUNT(steps)],
               round < HBK_COUNT(steps) ? 0 : round, &split, &split_sent);
        assert_slice_equal(hbk_buffer_slice(&split.text), hbk_buffer_slice(&whole.text));
        assert_slice_equal(hbk_buffer_slice(&split_sent), hbk_buffer_slice(&whole_sent));
        hbk_buffer_fini(&split.text);
        hbk_buffer_fini(&split_sent);
    }
    hbk_buffer_fini(&whole.text);
    hbk_buffer_fini(&whole_sent);
    hbk_buffer_fini(&bytes);
}

static void a_request_with_trailers_is_answered_behind_them(void **state)
{
    (void)state;
    struct pair pair;
    struct hbk_h2_request request = {.method = HBK_SLICE("POST"),
                                     .scheme = HBK_SLICE("http"),
                                     .authority = HBK_SLICE("a"),
                                     .path = HBK_SLICE("/")};
    pair_init(&pair);
    assert_int_equal(hbk_h2_open(&pair.client.session, &pair.near, &request, NULL, 0, false),
                     HBK_OK);
    struct hbk_h2_event event = ends_wait(&pair.client, &pair.server, HBK_H2_REQUEST);
    assert_int_equal(hbk_h2_accept(&pair.server.session, &event, &pair.far), HBK_OK);
    assert_int_equal(hbk_h2_trail(&pair.client.session, &pair.near, baggage, HBK_COUNT(baggage)),
                     HBK_OK);
    event = ends_wait(&pair.client, &pair.server, HBK_H2_TRAILERS);
    assert_true(event.is_last);
    assert_int_equal(hbk_h2_respond(&pair.server.session, &pair.far, 200, NULL, 0, true), HBK_OK);
    event = ends_wait(&pair.server, &pair.client, HBK_H2_RESPONSE);
    assert_int_equal(event.code, 200);
    assert_true(hbk_h2_is_closed(&pair.near) && hbk_h2_is_closed(&pair.far));
    pair_fini(&pair);
}

static void a_request_that_is_not_accepted_is_refused_by_the_next_read(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair);
    assert_int_equal(
        hbk_h2_open_connect(&pair.client.session, &pair.near, HBK_SLICE("a:1"), NULL, 0), HBK_OK);
    ends_wait(&pair.client, &pair.server, HBK_H2_REQUEST);
    end_read_quietly(&pair.server, HBK_SLICE(""));
    struct hbk_h2_event event = ends_wait(&pair.server, &pair.client, HBK_H2_RESET);
    assert_int_equal(event.code, HBK_H2_REFUSED_STREAM);
    assert_false(event.is_ours);
    assert_true(hbk_h2_is_closed(&pair.near));
    pair_fini(&pair);
}

static void a_request_may_be_refused_with_a_status(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair);
    assert_int_equal(
        hbk_h2_open_connect(&pair.client.session, &pair.near, HBK_SLICE("a:1"), NULL, 0), HBK_OK);
    struct hbk_h2_event event = ends_wait(&pair.client, &pair.server, HBK_H2_REQUEST);
    end_send(&pair.client, &pair.near, HBK_SLICE("early"), false);
    hbk_h2_refuse(&pair.server.session, &event, 503);
    event = ends_wait(&pair.server, &pair.client, HBK_H2_RESPONSE);
    assert_int_equal(event.code, 503);
    assert_true(event.is_last);
    event = ends_wait(&pair.server, &pair.client, HBK_H2_RESET);
    assert_int_equal(event.code, HBK_H2_NO_ERROR);
    ends_settle(&pair.client, &pair.server);
    assert_false(pair.server.session.has_failed);
    pair_fini(&pair);
}

static void a_stream_may_be_reset_in_the_midst_of_its_data(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair);
    pair_open(&pair);
    static uint8_t payload[10000];
    end_send(&pair.client, &pair.near, hbk_slice_of(payload, sizeof(payload)), true);
    struct hbk_slice bytes = hbk_buffer_slice(&pair.client.out);
    struct hbk_slice part = hbk_slice_part(bytes, 0, 5000);
    struct hbk_h2_event event;
    assert_int_equal(hbk_h2_read(&pair.server.session, &part, &event), HBK_H2_EVENT);
    hbk_h2_reset(&pair.server.session, &pair.far, HBK_H2_CANCEL);
    assert_true(hbk_h2_is_closed(&pair.far));
    memset(&pair.far, 0xee, sizeof(pair.far));
    end_read_quietly(&pair.server, hbk_slice_part(bytes, 5000, bytes.size));
    assert_false(pair.server.session.has_failed);
    event = ends_wait(&pair.server, &pair.client, HBK_H2_RESET);
    assert_int_equal(event.code, HBK_H2_CANCEL);
    pair_fini(&pair);
}

/* RFC 9113, 6.9.2. */
static void a_window_may_become_negative_and_opens_again(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair);
    pair_open(&pair);
    static uint8_t payload[HBK_H2_STREAM_WINDOW_BYTES];
    assert_int_equal(
        end_send(&pair.client, &pair.near, hbk_slice_of(payload, sizeof(payload)), false),
        sizeof(payload));
    assert_int_equal(hbk_h2_send_credit(&pair.client.session, &pair.near), 0);

    /* Window 65,536 - 65,536 + 100 - 65,536: no event until it is above zero. */
    struct hbk_h2_event event;
    struct hbk_slice settings = hbk_slice_of("\0\0\6\4\0\0\0\0\0\0\4\0\0\0\144", 15);
    assert_int_equal(hbk_h2_read(&pair.client.session, &settings, &event), HBK_H2_EVENT);
    assert_int_equal(event.kind, HBK_H2_SETTINGS);
    assert_int_equal(hbk_h2_send_credit(&pair.client.session, &pair.near), 0);
    end_read_quietly(&pair.client, hbk_slice_of("\0\0\4\10\0\0\0\0\1\0\0\377\234", 13));
    assert_int_equal(hbk_h2_send_credit(&pair.client.session, &pair.near), 0);
    struct hbk_slice one = hbk_slice_of("\0\0\4\10\0\0\0\0\1\0\0\0\1", 13);
    assert_int_equal(hbk_h2_read(&pair.client.session, &one, &event), HBK_H2_EVENT);
    assert_int_equal(event.kind, HBK_H2_CREDIT);
    assert_ptr_equal(event.stream, &pair.near);
    assert_int_equal(hbk_h2_send_credit(&pair.client.session, &pair.near), 1);
    pair_fini(&pair);
}

static void a_stream_that_nobody_reads_stops_no_other(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair);
    pair_open(&pair);
    static uint8_t payload[HBK_H2_STREAM_WINDOW_BYTES];
    struct hbk_slice window = hbk_slice_of(payload, sizeof(payload));

    /* One stream stays unread at the full window; others send many connection windows. */
    end_send(&pair.client, &pair.near, window, false);
    ends_settle(&pair.client, &pair.server);
    struct hbk_h2_stream near = {0};
    struct hbk_h2_stream far = {0};
    assert_int_equal(hbk_h2_open_connect(&pair.client.session, &near, HBK_SLICE("b:1"), NULL, 0),
                     HBK_OK);
    struct hbk_h2_event event = ends_wait(&pair.client, &pair.server, HBK_H2_REQUEST);
    assert_int_equal(hbk_h2_accept(&pair.server.session, &event, &far), HBK_OK);
    size_t total = 0;
    while (total < 3 * (size_t)HBK_H2_CONNECTION_WINDOW_BYTES) {
        size_t sent = end_send(&pair.client, &near, window, false);
        assert_true(sent > 0);
        ends_settle(&pair.client, &pair.server);
        hbk_h2_consumed(&pair.server.session, &far, sent);
        ends_settle(&pair.client, &pair.server);
        total += sent;
    }
    assert_int_equal(hbk_h2_send_credit(&pair.client.session, &pair.near), 0);
    pair_fini(&pair);
}

/* Sends until blocked, has the server consume all of it, and returns the bytes. */
static size_t send_round(struct pair *pair)
{
    static uint8_t payload[2 * HBK_H2_STREAM_WINDOW_BYTES_MAX];
    size_t sent =
        end_send(&pair->client, &pair->near, hbk_slice_of(payload, sizeof(payload)), false);
    ends_settle(&pair->client, &pair->server);
    hbk_h2_consumed(&pair->server.session, &pair->far, sent);
    ends_settle(&pair->client, &pair->server);
    return sent;
}

static void windows_grow_for_fast_streams_and_shrink_for_slow_ones(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair);
    pair_open(&pair);
    uint64_t now_ns = 1;
    assert_int_equal(send_round(&pair), HBK_H2_STREAM_WINDOW_BYTES);
    for (size_t i = 0; i < 20; i++) {
        hbk_h2_set_time(&pair.server.session, now_ns += 1000000);
        send_round(&pair);
    }
    assert_int_equal(send_round(&pair), HBK_H2_STREAM_WINDOW_BYTES_MAX);
    assert_int_equal(pair.server.session.growth_bytes,
                     HBK_H2_STREAM_WINDOW_BYTES_MAX - HBK_H2_STREAM_WINDOW_BYTES);
    for (size_t i = 0; i < 20; i++) {
        hbk_h2_set_time(&pair.server.session, now_ns += 10000000000);
        send_round(&pair);
    }
    assert_int_equal(pair.server.session.growth_bytes, 0);
    assert_int_equal(send_round(&pair), HBK_H2_STREAM_WINDOW_BYTES);
    pair_fini(&pair);
}

static void growth_of_all_windows_has_a_budget(void **state)
{
    (void)state;
    enum { STREAMS = 64 };
    struct pair pair;
    pair_init(&pair);
    static struct hbk_h2_stream near[STREAMS];
    static struct hbk_h2_stream far[STREAMS];
    static uint8_t payload[HBK_H2_STREAM_WINDOW_BYTES_MAX];
    memset(near, 0, sizeof(near));
    memset(far, 0, sizeof(far));
    for (size_t i = 0; i < STREAMS; i++) {
        assert_int_equal(
            hbk_h2_open_connect(&pair.client.session, &near[i], HBK_SLICE("b:1"), NULL, 0), HBK_OK);
        struct hbk_h2_event event = ends_wait(&pair.client, &pair.server, HBK_H2_REQUEST);
        assert_int_equal(hbk_h2_accept(&pair.server.session, &event, &far[i]), HBK_OK);
    }
    for (size_t round = 0; round < 8; round++) {
        for (size_t i = 0; i < STREAMS; i++) {
            size_t sent =
                end_send(&pair.client, &near[i], hbk_slice_of(payload, sizeof(payload)), false);
            ends_settle(&pair.client, &pair.server);
            hbk_h2_consumed(&pair.server.session, &far[i], sent);
            ends_settle(&pair.client, &pair.server);
        }
    }
    uint64_t sum = 0;
    for (size_t i = 0; i < STREAMS; i++) {
        sum += far[i].receive_window;
    }
    assert_true(sum <=
                (uint64_t)STREAMS * HBK_H2_STREAM_WINDOW_BYTES + HBK_H2_WINDOW_GROWTH_BYTES_MAX);
    assert_true(pair.server.session.growth_bytes > HBK_H2_WINDOW_GROWTH_BYTES_MAX / 2);
    for (size_t i = 0; i < STREAMS; i++) {
        hbk_h2_reset(&pair.server.session, &far[i], HBK_H2_CANCEL);
    }
    assert_int_equal(pair.server.session.growth_bytes, 0);
    pair_fini(&pair);
}

/* RFC 9113, 6.8. */
static void a_draining_server_takes_what_crosses_its_first_goaway(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair);
    pair_open(&pair);
    hbk_h2_drain(&pair.server.session);
    assert_true(hbk_h2_is_draining(&pair.server.session));

    /* This request crosses the announcement on its way, and is still taken. */
    struct hbk_h2_stream near = {0};
    struct hbk_h2_stream far = {0};
    assert_int_equal(hbk_h2_open_connect(&pair.client.session, &near, HBK_SLICE("b:1"), NULL, 0),
                     HBK_OK);
    struct hbk_h2_event event = ends_wait(&pair.client, &pair.server, HBK_H2_REQUEST);
    assert_int_equal(hbk_h2_accept(&pair.server.session, &event, &far), HBK_OK);

    event = ends_wait(&pair.server, &pair.client, HBK_H2_GOAWAY);
    assert_int_equal(event.last_stream_id, 0x7fffffff);
    assert_false(hbk_h2_can_open(&pair.client.session));
    struct hbk_h2_stream more = {0};
    assert_int_equal(hbk_h2_open_connect(&pair.client.session, &more, HBK_SLICE("c:1"), NULL, 0),
                     HBK_CLOSED);
    /* The rest of the server's output holds its PING; the answer brings the final GOAWAY. */
    end_read_quietly(&pair.client, hbk_buffer_slice(&pair.server.out));
    hbk_buffer_clear(&pair.server.out);
    end_read_quietly(&pair.server, hbk_buffer_slice(&pair.client.out));
    hbk_buffer_clear(&pair.client.out);
    event = ends_wait(&pair.server, &pair.client, HBK_H2_GOAWAY);
    assert_int_equal(event.last_stream_id, 3);
    assert_int_equal(hbk_h2_streams_open(&pair.server.session), 2);
    assert_int_equal(end_send(&pair.client, &near, HBK_SLICE("still here"), true), 10);
    event = ends_wait(&pair.client, &pair.server, HBK_H2_DATA);
    assert_slice_equal(event.data, HBK_SLICE("still here"));
    pair_fini(&pair);
}

static void a_client_opens_no_more_than_the_server_allows(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair);
    struct hbk_slice settings = hbk_slice_of("\0\0\6\4\0\0\0\0\0\0\3\0\0\0\1", 15);
    struct hbk_h2_event event;
    assert_int_equal(hbk_h2_read(&pair.client.session, &settings, &event), HBK_H2_EVENT);
    struct hbk_h2_stream second = {0};
    assert_true(hbk_h2_can_open(&pair.client.session));
    pair_open(&pair);
    assert_false(hbk_h2_can_open(&pair.client.session));
    assert_int_equal(hbk_h2_open_connect(&pair.client.session, &second, HBK_SLICE("b:1"), NULL, 0),
                     HBK_LIMIT);
    hbk_h2_reset(&pair.client.session, &pair.near, HBK_H2_CANCEL);
    assert_true(hbk_h2_can_open(&pair.client.session));
    pair_fini(&pair);
}

/* RFC 9113, 5.1.1. */
static void a_client_whose_ids_are_used_up_is_draining(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair);
    pair.client.session.next_stream_id = 0x7fffffff;
    pair_open(&pair);
    assert_int_equal(pair.near.id, 0x7fffffff);
    assert_false(hbk_h2_can_open(&pair.client.session));
    assert_true(hbk_h2_is_draining(&pair.client.session));
    assert_int_equal(end_send(&pair.server, &pair.far, HBK_SLICE("x"), true), 1);
    struct hbk_h2_event event = ends_wait(&pair.server, &pair.client, HBK_H2_DATA);
    assert_ptr_equal(event.stream, &pair.near);
    pair_fini(&pair);
}

static void a_ping_comes_back_with_its_number(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair);
    hbk_h2_ping(&pair.client.session, UINT64_C(0x0123456789abcdef));
    end_read_quietly(&pair.server, hbk_buffer_slice(&pair.client.out));
    struct hbk_h2_event event = ends_wait(&pair.server, &pair.client, HBK_H2_PING_ACK);
    assert_int_equal(event.opaque, UINT64_C(0x0123456789abcdef));
    pair_fini(&pair);
}

/* A sink that is full from the n-th frame on, for every n. */
struct narrow {
    struct end end;
    size_t left;
};

static struct hbk_span narrow_reserve(void *owner, size_t size)
{
    struct narrow *narrow = owner;
    if (narrow->left == 0) {
        return hbk_span_of(NULL, 0);
    }
    narrow->left--;
    return end_reserve(&narrow->end, size);
}

static void a_sink_without_room_ends_the_session_quietly(void **state)
{
    (void)state;
    struct hbk_buffer bytes;
    record(&bytes);
    bool was_enough = false;
    for (size_t left = 0; !was_enough; left++) {
        struct narrow narrow = {.left = left};
        hbk_buffer_init(&narrow.end.out, END_OUT_BYTES_MAX);
        struct hbk_h2_sink sink = {
            .owner = &narrow, .reserve = narrow_reserve, .commit = end_commit};
        if (left == 0) {
            assert_int_equal(hbk_h2_init(&narrow.end.session, HBK_H2_SERVER, NULL, &sink),
                             HBK_CLOSED);
            hbk_buffer_fini(&narrow.end.out);
            continue;
        }
        assert_int_equal(hbk_h2_init(&narrow.end.session, HBK_H2_SERVER, NULL, &sink), HBK_OK);
        struct hbk_slice input = hbk_buffer_slice(&bytes);
        struct hbk_h2_event event;
        struct hbk_h2_stream streams[8] = {0};
        size_t count = 0;
        enum hbk_h2_answer answer;
        while ((answer = hbk_h2_read(&narrow.end.session, &input, &event)) == HBK_H2_EVENT) {
            if (event.kind == HBK_H2_REQUEST) {
                assert_int_equal(hbk_h2_accept(&narrow.end.session, &event, &streams[count]),
                                 HBK_OK);
                hbk_status status =
                    hbk_h2_respond(&narrow.end.session, &streams[count], 200, NULL, 0, false);
                assert_true(status == HBK_OK || narrow.end.session.has_failed);
                count++;
            }
        }
        was_enough = answer == HBK_H2_NEED_MORE;
        assert_int_equal(was_enough, !narrow.end.session.has_failed);
        for (size_t i = 0; i < count; i++) {
            hbk_h2_reset(&narrow.end.session, &streams[i], HBK_H2_CANCEL);
            assert_true(hbk_h2_is_closed(&streams[i]));
        }
        end_fini(&narrow.end);
    }
    hbk_buffer_fini(&bytes);
}

/* A stream of a stress test: every one counts a sequence of bytes for itself. */
struct load {
    struct hbk_h2_stream near, far;
    uint32_t sent, received, held;
};

static void open_load(struct pair *pair, struct load *load)
{
    *load = (struct load){0};
    assert_int_equal(
        hbk_h2_open_connect(&pair->client.session, &load->near, HBK_SLICE("b:1"), NULL, 0), HBK_OK);
    struct hbk_h2_event event = ends_wait(&pair->client, &pair->server, HBK_H2_REQUEST);
    assert_int_equal(hbk_h2_accept(&pair->server.session, &event, &load->far), HBK_OK);
}

static void send_load(struct pair *pair, struct load *load, unsigned *seed)
{
    static uint8_t payload[20000];
    size_t size = (size_t)rand_r(seed) % sizeof(payload);
    for (size_t i = 0; i < size; i++) {
        payload[i] = (uint8_t)(load->sent + i);
    }
    bool is_last = rand_r(seed) % 8 == 0;
    load->sent +=
        (uint32_t)end_send(&pair->client, &load->near, hbk_slice_of(payload, size), is_last);
}

/* The server reads all there is; returns how many streams ended. */
static size_t receive_loads(struct pair *pair)
{
    struct hbk_slice bytes = hbk_buffer_slice(&pair->client.out);
    struct hbk_h2_event event;
    size_t ended = 0;
    while (hbk_h2_read(&pair->server.session, &bytes, &event) == HBK_H2_EVENT) {
        if (event.kind != HBK_H2_DATA) {
            continue;
        }
        struct load *load = HBK_CONTAINER(event.stream, struct load, far);
        for (size_t i = 0; i < event.data.size; i++) {
            assert_int_equal(event.data.bytes[i], (uint8_t)(load->received + i));
        }
        load->received += (uint32_t)event.data.size;
        load->held += (uint32_t)event.data.size;
        assert_true(load->held <= HBK_H2_STREAM_WINDOW_BYTES_MAX);
        ended += event.is_last;
    }
    assert_false(pair->server.session.has_failed);
    hbk_buffer_clear(&pair->client.out);
    return ended;
}

/* Sometimes a part is consumed; sometimes, and once it has ended, the stream is closed. */
static void settle_load(struct pair *pair, struct load *load, unsigned *seed)
{
    if (rand_r(seed) % 2 == 0) {
        uint32_t consumed = load->held == 0 ? 0 : (uint32_t)rand_r(seed) % load->held + 1;
        hbk_h2_consumed(&pair->server.session, &load->far, consumed);
        load->held -= consumed;
    }
    if (rand_r(seed) % 16 == 0 || (load->near.flags & HBK_H2_FLAG_LOCAL_ENDED) != 0) {
        assert_int_equal(load->sent, load->received);
        if (rand_r(seed) % 2 == 0) {
            hbk_h2_reset(&pair->server.session, &load->far, HBK_H2_CANCEL);
        } else {
            hbk_h2_reset(&pair->client.session, &load->near, HBK_H2_CANCEL);
        }
    }
}

static void many_streams_share_a_connection_without_loss(void **state)
{
    (void)state;
    enum { STREAMS = 500, TURNS = 30000 };
    static struct load loads[STREAMS];
    memset(loads, 0, sizeof(loads));
    struct pair pair;
    pair_init(&pair);
    unsigned seed = 1;
    size_t ended = 0;
    uint32_t most = 0;
    for (size_t turn = 0; turn < TURNS; turn++) {
        struct load *load = &loads[(size_t)rand_r(&seed) % STREAMS];
        if ((load->near.flags & HBK_H2_FLAG_OPEN) == 0) {
            open_load(&pair, load);
            continue;
        }
        send_load(&pair, load, &seed);
        ended += receive_loads(&pair);
        settle_load(&pair, load, &seed);
        ends_settle(&pair.client, &pair.server);
        uint32_t open = hbk_h2_streams_open(&pair.client.session);
        assert_int_equal(open, hbk_h2_streams_open(&pair.server.session));
        most = open > most ? open : most;
    }
    assert_true(ended > 100);
    assert_true(most > STREAMS / 2);
    for (size_t i = 0; i < STREAMS; i++) {
        hbk_h2_reset(&pair.client.session, &loads[i].near, HBK_H2_CANCEL);
    }
    ends_settle(&pair.client, &pair.server);
    assert_int_equal(hbk_h2_streams_open(&pair.server.session), 0);
    assert_true(pair.server.session.table.bits <= 4);
    assert_int_equal(pair.server.session.growth_bytes, 0);
    pair_fini(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connect_request_arrives_with_its_fields),
        cmocka_unit_test(data_passes_both_ways_and_half_close_keeps_the_other_half),
        cmocka_unit_test(events_and_answers_are_the_same_however_the_bytes_are_split),
        cmocka_unit_test(a_request_with_trailers_is_answered_behind_them),
        cmocka_unit_test(a_request_that_is_not_accepted_is_refused_by_the_next_read),
        cmocka_unit_test(a_request_may_be_refused_with_a_status),
        cmocka_unit_test(a_stream_may_be_reset_in_the_midst_of_its_data),
        cmocka_unit_test(a_window_may_become_negative_and_opens_again),
        cmocka_unit_test(a_stream_that_nobody_reads_stops_no_other),
        cmocka_unit_test(windows_grow_for_fast_streams_and_shrink_for_slow_ones),
        cmocka_unit_test(growth_of_all_windows_has_a_budget),
        cmocka_unit_test(a_draining_server_takes_what_crosses_its_first_goaway),
        cmocka_unit_test(a_client_opens_no_more_than_the_server_allows),
        cmocka_unit_test(a_client_whose_ids_are_used_up_is_draining),
        cmocka_unit_test(a_ping_comes_back_with_its_number),
        cmocka_unit_test(a_sink_without_room_ends_the_session_quietly),
        cmocka_unit_test(many_streams_share_a_connection_without_loss),
    };
    return cmocka_run_group_tests_name("http2", tests, NULL, NULL);
}
