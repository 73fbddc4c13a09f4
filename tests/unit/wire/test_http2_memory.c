/* What the HTTP/2 session takes from the heap: nothing per frame, and any single failure is met. */
#include "wire/http2.h"

#include "allocation.h"
#include "http2_end.h"

enum { STREAMS = 100 };

/* Input in pieces that cut every frame somewhere, so that payloads must be gathered. */
enum { PIECE_BYTES = 7 };

struct pair {
    struct end client, server;
    struct hbk_h2_stream near[STREAMS], far[STREAMS];
    size_t accepted;
};

/* Passes what was sent in pieces. False: a session failed. */
static bool pass(struct pair *pair, struct end *from, struct end *to)
{
    struct hbk_slice bytes = hbk_buffer_slice(&from->out);
    enum hbk_h2_answer answer = HBK_H2_NEED_MORE;
    while (bytes.size > 0 && answer != HBK_H2_FAILED) {
        struct hbk_slice input = hbk_slice_part(bytes, 0, PIECE_BYTES);
        bytes = hbk_slice_part(bytes, PIECE_BYTES, bytes.size);
        struct hbk_h2_event event;
        while ((answer = hbk_h2_read(&to->session, &input, &event)) == HBK_H2_EVENT) {
            if (event.kind == HBK_H2_REQUEST && pair->accepted < STREAMS) {
                struct hbk_h2_stream *stream = &pair->far[pair->accepted];
                if (hbk_h2_accept(&to->session, &event, stream) == HBK_OK) {
                    pair->accepted++;
                    hbk_status status = hbk_h2_respond(&to->session, stream, 200, NULL, 0, false);
                    assert_true(status == HBK_OK || status == HBK_CLOSED);
                }
            } else if (event.kind == HBK_H2_DATA) {
                hbk_h2_consumed(&to->session, event.stream, event.data.size);
            }
        }
    }
    hbk_buffer_clear(&from->out);
    return answer != HBK_H2_FAILED;
}

static void open_all(struct pair *pair)
{
    for (size_t i = 0; i < STREAMS; i++) {
        hbk_status status = hbk_h2_open_connect(&pair->client.session, &pair->near[i],
                                                HBK_SLICE("10.0.0.1:80"), NULL, 0);
        assert_true(status == HBK_OK || status == HBK_NO_MEMORY || status == HBK_CLOSED);
    }
}

/* Buffers of the ends are grown first, so that what is counted is the sessions' own. */
static void pair_init(struct pair *pair)
{
    *pair = (struct pair){0};
    end_init(&pair->client, HBK_H2_CLIENT, NULL);
    end_init(&pair->server, HBK_H2_SERVER, NULL);
    struct hbk_span room;
    assert_int_equal(hbk_buffer_reserve(&pair->client.out, 4 << 20, &room), HBK_OK);
    assert_int_equal(hbk_buffer_reserve(&pair->server.out, 4 << 20, &room), HBK_OK);
    assert_true(pass(pair, &pair->client, &pair->server));
    assert_true(pass(pair, &pair->server, &pair->client));
}

static void pair_fini(struct pair *pair)
{
    end_fini(&pair->client);
    end_fini(&pair->server);
}

static void established_streams_allocate_nothing(void **state)
{
    (void)state;
    static struct pair pair;
    static uint8_t payload[5000];
    pair_init(&pair);
    open_all(&pair);
    assert_true(pass(&pair, &pair.client, &pair.server));
    assert_true(pass(&pair, &pair.server, &pair.client));
    assert_int_equal(pair.accepted, STREAMS);

    size_t before = allocation_count();
    for (size_t round = 0; round < 20; round++) {
        for (size_t i = 0; i < STREAMS; i++) {
            assert_int_equal(end_send(&pair.client, &pair.near[i],
                                      hbk_slice_of(payload, sizeof(payload)), false),
                             sizeof(payload));
            end_send(&pair.server, &pair.far[i], hbk_slice_of(payload, 100), false);
        }
        assert_true(pass(&pair, &pair.client, &pair.server));
        assert_true(pass(&pair, &pair.server, &pair.client));
    }
    assert_int_equal(allocation_count(), before);
    pair_fini(&pair);
}

static void a_failed_allocation_costs_a_stream_or_the_session_and_no_more(void **state)
{
    (void)state;
    static struct pair pair;
    bool was_reached = true;
    size_t n = 1;
    for (; was_reached; n++) {
        pair_init(&pair);
        size_t before = allocation_count();
        allocation_fail(n);
        open_all(&pair);
        hbk_h2_ping(&pair.client.session, 1);
        bool is_alive =
            pass(&pair, &pair.client, &pair.server) && pass(&pair, &pair.server, &pair.client);
        allocation_fail(0);
        was_reached = allocation_count() - before >= n;
        assert_true(is_alive || pair.server.session.has_failed || pair.client.session.has_failed);
        if (!was_reached) {
            assert_true(is_alive);
            assert_int_equal(pair.accepted, STREAMS);
        }
        pair_fini(&pair);
    }
    assert_true(n > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(established_streams_allocate_nothing),
        cmocka_unit_test(a_failed_allocation_costs_a_stream_or_the_session_and_no_more),
    };
    return cmocka_run_group_tests_name("http2_memory", tests, NULL, NULL);
}
