/* What a peer may do only so often, or only so long: floods, resets, header blocks, streams. */
#include "wire/http2.h"

#include "http2_scene.h"

static void floods_of_frames_that_achieve_nothing_are_stopped(void **state)
{
    (void)state;
    static const struct sent frames[] = {
        ZEROS(H2_DATA, 0, 1, 0),
        FRAME(H2_DATA, H2_FLAG_PADDED, 1, "\0"),
        ZEROS(H2_PRIORITY, 0, 1, 5),
        ZEROS(H2_PRIORITY, 0, 99, 5),
        ZEROS(H2_SETTINGS, 0, 0, 0),
        ZEROS(H2_SETTINGS, 0, 0, 600),
        ZEROS(H2_SETTINGS, H2_FLAG_ACK, 0, 0),
        ZEROS(H2_PING, 0, 0, 8),
        ZEROS(H2_PING, H2_FLAG_ACK, 0, 8),
        ZEROS(0xee, 0, 0, 0),
        ZEROS(0xee, 0, 1, 100),
        FRAME(H2_WINDOW_UPDATE, 0, 0, "\0\0\0\1"),
        FRAME(H2_WINDOW_UPDATE, 0, 1, "\0\0\0\1"),
        ZEROS(H2_GOAWAY, 0, 0, 8),
    };
    for (size_t i = 0; i < HBK_COUNT(frames); i++) {
        struct scene scene;
        scene_init(&scene, HBK_H2_SERVER);
        size_t count = flood(&scene, &frames[i], 4 * HBK_H2_NOISE_MAX);
        assert_int_equal(scene.end.session.failure_code, HBK_H2_ENHANCE_YOUR_CALM);
        assert_true(count <= HBK_H2_NOISE_MAX + 100);
        end_fini(&scene.end);
    }
}

static void time_and_work_pay_for_frames_that_achieve_nothing(void **state)
{
    (void)state;
    struct scene scene;
    scene_init(&scene, HBK_H2_SERVER);
    struct sent ping = ZEROS(H2_PING, 0, 0, 8);
    for (uint64_t second = 1; second <= 1000; second++) {
        hbk_h2_set_time(&scene.end.session, second * 1000000000);
        assert_int_equal(flood(&scene, &ping, 100), 100);
        hbk_buffer_clear(&scene.end.out);
    }
    assert_false(scene.end.session.has_failed);
    end_fini(&scene.end);
}

/* A session that is old, and quiet until then, allows no second burst on top of the first. */
static void time_that_has_passed_pays_for_no_more_than_there_was(void **state)
{
    (void)state;
    struct scene scene;
    scene_init(&scene, HBK_H2_SERVER);
    struct sent ping = ZEROS(H2_PING, 0, 0, 8);
    hbk_h2_set_time(&scene.end.session, UINT64_C(1000000000000));
    size_t count = flood(&scene, &ping, 4 * HBK_H2_NOISE_MAX);
    assert_int_equal(scene.end.session.failure_code, HBK_H2_ENHANCE_YOUR_CALM);
    assert_in_range(count, HBK_H2_NOISE_MAX / 5, HBK_H2_NOISE_MAX / 5 + 20);
    end_fini(&scene.end);
}

/* CVE-2023-44487. */
static void requests_that_are_reset_at_once_are_stopped(void **state)
{
    (void)state;
    struct scene scene;
    scene_init(&scene, HBK_H2_SERVER);
    hbk_h2_set_time(&scene.end.session, UINT64_C(1000000000000));
    uint32_t id = 3;
    for (; id < 10 * HBK_H2_EARLY_RESETS_MAX && !scene.end.session.has_failed; id += 2) {
        struct hbk_buffer bytes;
        hbk_buffer_init(&bytes, 1 << 20);
        add_frame(&bytes, &(struct sent)FRAME(H2_HEADERS, WHOLE, id, CONNECT));
        add_frame(&bytes, &(struct sent)ZEROS(H2_RST_STREAM, 0, id, 4));
        scene.accepted_count = 1;
        read_all(&scene, hbk_buffer_slice(&bytes), SIZE_MAX);
        hbk_buffer_fini(&bytes);
    }
    assert_int_equal(scene.end.session.failure_code, HBK_H2_ENHANCE_YOUR_CALM);
    assert_in_range(id, HBK_H2_EARLY_RESETS_MAX, 2 * HBK_H2_EARLY_RESETS_MAX + 8);
    end_fini(&scene.end);
}

static void blocks_of_header_fields_have_limits(void **state)
{
    (void)state;
    struct scene scene;
    scene_init(&scene, HBK_H2_SERVER);
    struct sent headers = FRAME(H2_HEADERS, 0, 3, CONNECT);
    struct sent continuation = ZEROS(H2_CONTINUATION, 0, 3, 0);
    flood(&scene, &headers, 1);
    assert_int_equal(flood(&scene, &continuation, 1000), HBK_H2_CONTINUATIONS_MAX + 1);
    assert_int_equal(scene.end.session.failure_code, HBK_H2_ENHANCE_YOUR_CALM);
    end_fini(&scene.end);

    /* Three frames of an endless value. */
    scene_init(&scene, HBK_H2_SERVER);
    char value[HBK_H2_FRAME_BYTES_MAX];
    memset(value, 'x', sizeof(value));
    memcpy(value, "\0\1a\x7f\xff\xff\x02", 7);
    struct sent begin = {H2_HEADERS, 0, 3, value, sizeof(value)};
    struct sent more = {H2_CONTINUATION, 0, 3, value + 8, sizeof(value) - 8};
    flood(&scene, &begin, 1);
    assert_int_equal(flood(&scene, &more, 1000), 2);
    assert_true(scene.end.session.has_failed);
    end_fini(&scene.end);

    /* Too many fields, and too long a list, cost the stream alone, and HPACK stays in step. */
    scene_init(&scene, HBK_H2_SERVER);
    char fields[sizeof(CONNECT) - 1 + 4 * (HBK_H2_FIELDS_MAX + 1)];
    memcpy(fields, CONNECT, sizeof(CONNECT) - 1);
    for (size_t i = 0; i <= HBK_H2_FIELDS_MAX; i++) {
        memcpy(fields + sizeof(CONNECT) - 1 + 4 * i, "\0\1a\0", 4);
    }
    struct sent many = {H2_HEADERS, WHOLE, 3, fields, sizeof(fields)};
    flood(&scene, &many, 1);
    uint32_t id = 0;
    uint32_t code = 0;
    assert_true(find_sent(&scene.end, H2_RST_STREAM, &id, &code));
    assert_int_equal(id, 3);
    assert_int_equal(code, HBK_H2_ENHANCE_YOUR_CALM);
    many.id = 5;
    many.size -= 4;
    flood(&scene, &many, 1);
    assert_int_equal(scene.requests, 1);
    assert_false(scene.end.session.has_failed);
    end_fini(&scene.end);
}

static void streams_beyond_the_limit_are_refused_and_leave_the_rest_alone(void **state)
{
    (void)state;
    struct scene scene = {0};
    struct hbk_h2_config config = HBK_H2_CONFIG_DEFAULT;
    config.streams_max = 2;
    end_init(&scene.end, HBK_H2_SERVER, &config);
    read_all(&scene, HBK_SLICE("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), SIZE_MAX);
    flood(&scene, &(struct sent){.type = H2_SETTINGS}, 1);
    for (uint32_t id = 1; id <= 5; id += 2) {
        flood(&scene, &(struct sent)FRAME(H2_HEADERS, WHOLE, id, CONNECT), 1);
    }
    assert_int_equal(scene.requests, 2);
    uint32_t id = 0;
    uint32_t code = 0;
    assert_true(find_sent(&scene.end, H2_RST_STREAM, &id, &code));
    assert_int_equal(id, 5);
    assert_int_equal(code, HBK_H2_REFUSED_STREAM);
    /* DATA that was under way is no offence, up to the window that it was sent under. */
    for (size_t i = 0; i < 4; i++) {
        flood(&scene, &(struct sent)ZEROS(H2_DATA, 0, 5, 16384), 1);
    }
    assert_false(scene.end.session.has_failed);
    flood(&scene, &(struct sent)FRAME(H2_DATA, 0, 5, "x"), 1);
    assert_int_equal(scene.end.session.failure_code, HBK_H2_STREAM_CLOSED);
    end_fini(&scene.end);
}

/* RFC 9113, 6.8: streams above the id of our GOAWAY are ignored, with what was sent on them. */
static void streams_behind_our_goaway_are_ignored(void **state)
{
    (void)state;
    struct scene scene;
    scene_init(&scene, HBK_H2_SERVER);
    hbk_h2_goaway(&scene.end.session, HBK_H2_NO_ERROR);
    flood(&scene, &(struct sent)FRAME(H2_HEADERS, WHOLE, 3, CONNECT), 1);
    flood(&scene, &(struct sent)FRAME(H2_DATA, 0, 3, "early"), 1);
    flood(&scene, &(struct sent)FRAME(H2_DATA, 0, 1, "x"), 1);
    assert_int_equal(scene.requests, 0);
    assert_false(scene.end.session.has_failed);
    end_fini(&scene.end);
}

/* A client takes a request above it to another connection; ours must not claim it afterwards. */
static void a_second_goaway_claims_no_stream_that_the_first_gave_up(void **state)
{
    (void)state;
    for (size_t fails = 0; fails < 2; fails++) {
        struct scene scene;
        scene_init(&scene, HBK_H2_SERVER);
        hbk_h2_goaway(&scene.end.session, HBK_H2_NO_ERROR);
        flood(&scene, &(struct sent)FRAME(H2_HEADERS, WHOLE, 3, CONNECT), 1);
        hbk_buffer_clear(&scene.end.out);
        if (fails) {
            flood(&scene, &(struct sent)ZEROS(H2_GOAWAY, 0, 0, 7), 1);
        } else {
            hbk_h2_goaway(&scene.end.session, HBK_H2_NO_ERROR);
        }
        struct hbk_slice sent = hbk_buffer_slice(&scene.end.out);
        assert_int_equal(sent.bytes[3], H2_GOAWAY);
        assert_int_equal(h2_load_u32(sent.bytes + HBK_H2_FRAME_HEADER_BYTES), 1);
        end_fini(&scene.end);
    }
}

static void credit_of_padding_is_given_back(void **state)
{
    (void)state;
    struct scene scene;
    scene_init(&scene, HBK_H2_SERVER);
    /* 300 frames of one byte and 255 of padding: more than a window, of which 300 are held. */
    char padded[257] = "\377x";
    struct sent frame = {H2_DATA, H2_FLAG_PADDED, 1, padded, sizeof(padded)};
    assert_int_equal(flood(&scene, &frame, 300), 300);
    assert_false(scene.end.session.has_failed);
    assert_false(hbk_h2_is_closed(&scene.accepted[0]));
    end_fini(&scene.end);
}

static void a_closed_stream_is_not_found_again(void **state)
{
    (void)state;
    for (size_t is_ours = 0; is_ours < 2; is_ours++) {
        struct scene scene;
        scene_init(&scene, HBK_H2_SERVER);
        flood(&scene, &(struct sent)FRAME(H2_DATA, 0, 1, "x"), 1);
        if (is_ours) {
            hbk_h2_reset(&scene.end.session, &scene.accepted[0], HBK_H2_CANCEL);
        } else {
            flood(&scene, &(struct sent)ZEROS(H2_RST_STREAM, 0, 1, 4), 1);
        }
        memset(&scene.accepted[0], 0xee, sizeof(scene.accepted[0]));
        scene.accepted[0].id = 1;
        flood(&scene, &(struct sent)FRAME(H2_DATA, 0, 1, "y"), 1);
        assert_int_equal(scene.end.session.has_failed, !is_ours);
        assert_int_equal(scene.accepted[0].send_credit, (int32_t)0xeeeeeeee);
        end_fini(&scene.end);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(floods_of_frames_that_achieve_nothing_are_stopped),
        cmocka_unit_test(time_and_work_pay_for_frames_that_achieve_nothing),
        cmocka_unit_test(time_that_has_passed_pays_for_no_more_than_there_was),
        cmocka_unit_test(requests_that_are_reset_at_once_are_stopped),
        cmocka_unit_test(blocks_of_header_fields_have_limits),
        cmocka_unit_test(streams_beyond_the_limit_are_refused_and_leave_the_rest_alone),
        cmocka_unit_test(streams_behind_our_goaway_are_ignored),
        cmocka_unit_test(a_second_goaway_claims_no_stream_that_the_first_gave_up),
        cmocka_unit_test(credit_of_padding_is_given_back),
        cmocka_unit_test(a_closed_stream_is_not_found_again),
    };
    return cmocka_run_group_tests_name("http2_limits", tests, NULL, NULL);
}
