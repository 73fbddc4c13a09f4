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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connect_request_arrives_with_its_fields),
        cmocka_unit_test(data_passes_both_ways_and_half_close_keeps_the_other_half),
    };
    return cmocka_run_group_tests_name("http2", tests, NULL, NULL);
}
