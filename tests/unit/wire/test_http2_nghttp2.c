/*
 * Our session against nghttp2's, which shares nothing with it but HPACK: in both roles, with many
 * streams at once, bytes cut at random, and streams reset at random by either side. Every byte of a
 * stream is a function of its place, so that both sides can check what they get.
 */
#include "wire/http2.h"

#include <nghttp2/nghttp2.h>

#include "http2_end.h"

enum {
    FLOWS = 60,
    FLOW_BYTES_MAX = 300000,
    TURNS_MAX = 20000,
};

enum direction {
    FROM_US,
    FROM_THEM,
};

struct flow {
    struct hbk_h2_stream stream;
    uint32_t id;
    uint32_t size[2]; /* by direction: to be sent */
    uint32_t sent[2];
    uint32_t got[2];
    uint32_t held; /* lent to us and not consumed */
    bool is_begun, is_over_here, is_over_there, was_reset, is_answered;
};

struct scene {
    struct end us;
    nghttp2_session *them;
    bool we_serve;
    unsigned seed;
    size_t begun;
    struct flow flows[FLOWS];
};

static uint8_t byte_at(uint32_t id, enum direction direction, uint32_t place)
{
    return (uint8_t)(place * 31 + place / 251 + id * 7 + direction);
}

static struct flow *flow_of(struct scene *scene, uint32_t id)
{
    assert_in_range(id, 1, 2 * FLOWS - 1);
    return &scene->flows[id / 2];
}

static void take_bytes(struct flow *flow, enum direction direction, struct hbk_slice data)
{
    for (size_t i = 0; i < data.size; i++) {
        assert_int_equal(data.bytes[i],
                         byte_at(flow->id, direction, flow->got[direction] + (uint32_t)i));
    }
    flow->got[direction] += (uint32_t)data.size;
    assert_true(flow->got[direction] <= flow->size[direction]);
}

static ssize_t they_read(nghttp2_session *session, int32_t id, uint8_t *bytes, size_t size,
                         uint32_t *flags, nghttp2_data_source *source, void *user)
{
    (void)session;
    (void)source;
    struct flow *flow = flow_of(user, (uint32_t)id);
    uint32_t left = flow->size[FROM_THEM] - flow->sent[FROM_THEM];
    uint32_t count = left < size ? left : (uint32_t)size;
    for (uint32_t i = 0; i < count; i++) {
        bytes[i] = byte_at(flow->id, FROM_THEM, flow->sent[FROM_THEM] + i);
    }
    flow->sent[FROM_THEM] += count;
    if (flow->sent[FROM_THEM] == flow->size[FROM_THEM]) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    }
    return (ssize_t)count;
}

static int they_got_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes,
                         size_t size, void *user)
{
    (void)session;
    (void)flags;
    take_bytes(flow_of(user, (uint32_t)id), FROM_US, hbk_slice_of(bytes, size));
    return 0;
}

static int they_got_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct scene *scene = user;
    if (frame->hd.type != NGHTTP2_HEADERS) {
        return 0;
    }
    flow_of(scene, (uint32_t)frame->hd.stream_id)->is_answered = true;
    if (!scene->we_serve) {
        static uint8_t name[] = ":status";
        static uint8_t value[] = "200";
        nghttp2_nv status = {name, value, sizeof(name) - 1, sizeof(value) - 1, 0};
        nghttp2_data_provider provider = {.read_callback = they_read};
        assert_int_equal(
            nghttp2_submit_response(session, frame->hd.stream_id, &status, 1, &provider), 0);
    }
    return 0;
}

static int they_closed(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
    (void)session;
    struct flow *flow = flow_of(user, (uint32_t)id);
    flow->is_over_there = true;
    flow->was_reset |= code != HBK_H2_NO_ERROR;
    return 0;
}

/* Any complaint of nghttp2 about our frames is a failure of ours. */
static int they_complain(nghttp2_session *session, const nghttp2_frame *frame, int code, void *user)
{
    (void)session;
    (void)user;
    fail_msg("nghttp2 refused a frame of type %d: %s", frame->hd.type, nghttp2_strerror(code));
    return 0;
}

static void they_begin(struct scene *scene)
{
    nghttp2_session_callbacks *callbacks;
    assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, they_got_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, they_got_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, they_closed);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, they_complain);
    int made = scene->we_serve ? nghttp2_session_client_new(&scene->them, callbacks, scene)
                               : nghttp2_session_server_new(&scene->them, callbacks, scene);
    assert_int_equal(made, 0);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, (uint32_t)rand_r(&scene->seed) % 200000 + 100},
        {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, (uint32_t)rand_r(&scene->seed) % 100000 + 16384},
        {NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, (uint32_t)rand_r(&scene->seed) % 5000},
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 30},
    };
    assert_int_equal(
        nghttp2_submit_settings(scene->them, NGHTTP2_FLAG_NONE, settings, HBK_COUNT(settings)), 0);
}

static struct flow *begin_flow(struct scene *scene)
{
    struct flow *flow = &scene->flows[scene->begun++];
    *flow = (struct flow){.id = (uint32_t)(flow - scene->flows) * 2 + 1, .is_begun = true};
    flow->size[FROM_US] = (uint32_t)rand_r(&scene->seed) % FLOW_BYTES_MAX;
    flow->size[FROM_THEM] = (uint32_t)rand_r(&scene->seed) % FLOW_BYTES_MAX;
    return flow;
}

static void they_open(struct scene *scene)
{
    static uint8_t text[] = ":methodCONNECT:authority10.0.0.1:80";
    nghttp2_nv fields[] = {{text, text + 7, 7, 7, 0}, {text + 14, text + 24, 10, 11, 0}};
    nghttp2_data_provider provider = {.read_callback = they_read};
    struct flow *flow = begin_flow(scene);
    int32_t id = nghttp2_submit_request(scene->them, NULL, fields, 2, &provider, NULL);
    assert_int_equal(id, flow->id);
}

static void we_open(struct scene *scene)
{
    if (!hbk_h2_can_open(&scene->us.session)) {
        return;
    }
    struct flow *flow = begin_flow(scene);
    struct hbk_h2_field field = {
        .name = HBK_SLICE("forwarded"),
        .value = HBK_SLICE("for=\"10.0.0.1:5\""),
        .is_volatile = flow->id % 4 == 1,
    };
    assert_int_equal(
        hbk_h2_open_connect(&scene->us.session, &flow->stream, HBK_SLICE("10.0.0.1:80"), &field, 1),
        HBK_OK);
    assert_int_equal(flow->stream.id, flow->id);
}

static void we_take_event(struct scene *scene, const struct hbk_h2_event *event)
{
    switch (event->kind) {
    case HBK_H2_REQUEST: {
        struct flow *flow = flow_of(scene, event->stream_id);
        assert_slice_equal(event->fields->authority, HBK_SLICE("10.0.0.1:80"));
        assert_int_equal(hbk_h2_accept(&scene->us.session, event, &flow->stream), HBK_OK);
        assert_int_equal(hbk_h2_respond(&scene->us.session, &flow->stream, 200, NULL, 0, false),
                         HBK_OK);
        break;
    }
    case HBK_H2_RESPONSE:
        assert_int_equal(event->code, 200);
        break;
    case HBK_H2_DATA: {
        struct flow *flow = HBK_CONTAINER(event->stream, struct flow, stream);
        take_bytes(flow, FROM_THEM, event->data);
        flow->held += (uint32_t)event->data.size;
        if (event->is_last) {
            assert_int_equal(flow->got[FROM_THEM], flow->size[FROM_THEM]);
        }
        break;
    }
    case HBK_H2_RESET:
        assert_false(event->is_ours);
        flow_of(scene, event->stream_id)->was_reset = true;
        break;
    default:
        break;
    }
}

static void we_send(struct scene *scene, struct flow *flow)
{
    static uint8_t bytes[50000];
    uint32_t left = flow->size[FROM_US] - flow->sent[FROM_US];
    uint32_t count = (uint32_t)rand_r(&scene->seed) % (uint32_t)sizeof(bytes) + 1;
    count = count < left ? count : left;
    for (uint32_t i = 0; i < count; i++) {
        bytes[i] = byte_at(flow->id, FROM_US, flow->sent[FROM_US] + i);
    }
    flow->sent[FROM_US] +=
        (uint32_t)end_send(&scene->us, &flow->stream, hbk_slice_of(bytes, count), count == left);
}

/* One flow's turn: some of it is sent, some of what we hold is consumed, rarely it is reset. */
static void turn_flow(struct scene *scene, struct flow *flow)
{
    if (!flow->is_begun || (flow->stream.flags & HBK_H2_FLAG_OPEN) == 0) {
        return;
    }
    uint32_t consumed = flow->held == 0 ? 0 : (uint32_t)rand_r(&scene->seed) % flow->held + 1;
    hbk_h2_consumed(&scene->us.session, &flow->stream, consumed);
    flow->held -= consumed;
    if ((flow->stream.flags & HBK_H2_FLAG_LOCAL_ENDED) == 0) {
        we_send(scene, flow);
    }
    if (flow->id % 6 == 1 && rand_r(&scene->seed) % 50 == 0 && !hbk_h2_is_closed(&flow->stream)) {
        flow->was_reset = true;
        if (rand_r(&scene->seed) % 2 == 0) {
            hbk_h2_reset(&scene->us.session, &flow->stream, HBK_H2_CANCEL);
        } else if (!flow->is_over_there && flow->is_answered) {
            assert_int_equal(nghttp2_submit_rst_stream(scene->them, NGHTTP2_FLAG_NONE,
                                                       (int32_t)flow->id, HBK_H2_CANCEL),
                             0);
        }
    }
}

static void pass_to_them(struct scene *scene)
{
    size_t size = hbk_buffer_size(&scene->us.out);
    size = size == 0 ? 0 : (size_t)rand_r(&scene->seed) % size + 1;
    ssize_t used =
        nghttp2_session_mem_recv(scene->them, hbk_buffer_slice(&scene->us.out).bytes, size);
    assert_int_equal(used, size);
    hbk_buffer_consume(&scene->us.out, size);
}

static void pass_to_us(struct scene *scene)
{
    const uint8_t *bytes;
    ssize_t size = nghttp2_session_mem_send(scene->them, &bytes);
    assert_true(size >= 0);
    struct hbk_slice left = hbk_slice_of(bytes, (size_t)size);
    while (left.size > 0) {
        size_t step = (size_t)rand_r(&scene->seed) % left.size + 1;
        struct hbk_slice input = hbk_slice_of(left.bytes, step);
        struct hbk_h2_event event;
        while (hbk_h2_read(&scene->us.session, &input, &event) == HBK_H2_EVENT) {
            we_take_event(scene, &event);
        }
        if (scene->us.session.has_failed) {
            fail_msg("%s", scene->us.session.failure_text);
        }
        left = hbk_slice_part(left, step, left.size);
    }
}

static bool is_finished(const struct scene *scene)
{
    size_t over = 0;
    for (size_t i = 0; i < FLOWS; i++) {
        const struct flow *flow = &scene->flows[i];
        over += flow->is_begun && hbk_h2_is_closed(&flow->stream) && flow->is_over_there;
    }
    return over == FLOWS;
}

static void run_scene(bool we_serve, unsigned seed)
{
    static struct scene scene;
    scene = (struct scene){.we_serve = we_serve, .seed = seed};
    end_init(&scene.us, we_serve ? HBK_H2_SERVER : HBK_H2_CLIENT, NULL);
    they_begin(&scene);
    size_t turns = 0;
    for (; turns < TURNS_MAX && !is_finished(&scene); turns++) {
        hbk_h2_set_time(&scene.us.session, turns * 1000000);
        if (scene.begun < FLOWS && rand_r(&scene.seed) % 3 == 0) {
            we_serve ? they_open(&scene) : we_open(&scene);
        }
        for (size_t i = 0; i < FLOWS; i++) {
            turn_flow(&scene, &scene.flows[i]);
        }
        pass_to_them(&scene);
        pass_to_us(&scene);
    }
    assert_true(turns < TURNS_MAX);
    for (size_t i = 0; i < FLOWS; i++) {
        const struct flow *flow = &scene.flows[i];
        if (!flow->was_reset) {
            assert_int_equal(flow->got[FROM_US], flow->size[FROM_US]);
            assert_int_equal(flow->got[FROM_THEM], flow->size[FROM_THEM]);
        }
    }
    assert_int_equal(hbk_h2_streams_open(&scene.us.session), 0);
    nghttp2_session_del(scene.them);
    end_fini(&scene.us);
}

static void our_server_serves_an_nghttp2_client(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 6; seed++) {
        run_scene(true, seed);
    }
}

static void our_client_is_served_by_an_nghttp2_server(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 6; seed++) {
        run_scene(false, seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_server_serves_an_nghttp2_client),
        cmocka_unit_test(our_client_is_served_by_an_nghttp2_server),
    };
    return cmocka_run_group_tests_name("http2_nghttp2", tests, NULL, NULL);
}
