#include "os/marker.h"

#include "harness.h"

enum { HEADERS4 = 14 + 20 + 20, HEADERS6 = 14 + 40 + 20, FRAME_MAX = 512 };

/* An Ethernet frame with a TCP segment; `flow` varies the port. */
static struct hbk_slice frame_of(uint8_t frame[static FRAME_MAX], bool is_ipv6, uint8_t flow,
                                 const char *payload, size_t padding)
{
    size_t size = strlen(payload);
    size_t headers = is_ipv6 ? HEADERS6 : HEADERS4;
    memset(frame, 0, FRAME_MAX);
    uint8_t *ip = frame + 14;
    frame[12] = is_ipv6 ? 0x86 : 0x08;
    frame[13] = is_ipv6 ? 0xdd : 0x00;
    if (is_ipv6) {
        ip[0] = 0x60;
        ip[5] = (uint8_t)(20 + size);
        ip[6] = 6;
    } else {
        ip[0] = 0x45;
        ip[3] = (uint8_t)(40 + size);
        ip[9] = 6;
    }
    uint8_t *tcp = frame + headers - 20;
    tcp[1] = flow;
    tcp[12] = 5 << 4;
    memcpy(frame + headers, payload, size);
    return hbk_slice_of(frame, headers + size + padding);
}

static void a_marker_is_found_wherever_it_is_cut(void **state)
{
    (void)state;
    static const struct {
        const char *payloads[4];
        uint64_t expected;
    } cases[] = {
        {{"xxMARKERxx"}, 1},       {{"MARKERMARKER"}, 2},
        {{"xxMAR", "KERxx"}, 1},   {{"M", "ARKE", "R"}, 1},
        {{"MARKER", "MARKER"}, 2}, {{"MARKEMARKE", "R"}, 1},
        {{"xxMAR", "xKERxx"}, 0},  {{"MARKE"}, 0},
        {{"", "xx"}, 0},
    };
    for (size_t i = 0; i < 2 * HBK_COUNT(cases); i++) {
        struct hbk_marker *marker = NULL;
        uint64_t found = 0;
        const char *const *payloads = cases[i / 2].payloads;
        assert_int_equal(hbk_marker_new(HBK_SLICE("MARKER"), &marker), HBK_OK);
        for (size_t j = 0; j < 4 && payloads[j] != NULL; j++) {
            uint8_t frame[FRAME_MAX];
            found += hbk_marker_search(marker, frame_of(frame, i % 2, 1, payloads[j], 0));
        }
        assert_int_equal(found, cases[i / 2].expected);
        hbk_marker_free(&marker);
    }
}

static void payloads_of_different_flows_are_not_joined(void **state)
{
    (void)state;
    struct hbk_marker *marker = NULL;
    uint8_t frame[FRAME_MAX];
    assert_int_equal(hbk_marker_new(HBK_SLICE("MARKER"), &marker), HBK_OK);
    assert_int_equal(hbk_marker_search(marker, frame_of(frame, false, 1, "MAR", 0)), 0);
    assert_int_equal(hbk_marker_search(marker, frame_of(frame, false, 2, "KER", 0)), 0);
    assert_int_equal(hbk_marker_search(marker, frame_of(frame, false, 1, "KER", 0)), 1);
    hbk_marker_free(&marker);
}

static void padding_of_short_frames_is_not_payload(void **state)
{
    (void)state;
    struct hbk_marker *marker = NULL;
    uint8_t frame[FRAME_MAX];
    assert_int_equal(hbk_marker_new(HBK_SLICE("MARKER"), &marker), HBK_OK);
    assert_int_equal(hbk_marker_search(marker, frame_of(frame, false, 1, "MAR", 3)), 0);
    assert_int_equal(hbk_marker_search(marker, frame_of(frame, false, 1, "KER", 0)), 1);
    hbk_marker_free(&marker);
}

static void frames_cut_anywhere_are_searched_without_harm(void **state)
{
    (void)state;
    struct hbk_marker *marker = NULL;
    uint8_t frame[FRAME_MAX];
    assert_int_equal(hbk_marker_new(HBK_SLICE("MARKER"), &marker), HBK_OK);
    for (size_t size = 0; size < HEADERS6 + 6; size++) {
        for (unsigned i = 0; i < 2; i++) {
            struct hbk_slice whole = frame_of(frame, i == 1, 1, "MARKER", 0);
            (void)hbk_marker_search(marker, hbk_slice_part(whole, 0, size));
        }
    }
    assert_int_equal(hbk_marker_search(marker, HBK_SLICE("a MARKER in no packet at all")), 1);
    hbk_marker_free(&marker);
}

static void markers_of_unusable_size_are_refused(void **state)
{
    (void)state;
    uint8_t bytes[HBK_MARKER_BYTES_MAX + 1] = {0};
    static const size_t sizes[] = {0, 1, HBK_MARKER_BYTES_MAX + 1};
    for (size_t i = 0; i < HBK_COUNT(sizes); i++) {
        struct hbk_marker *marker = NULL;
        assert_int_equal(hbk_marker_new(hbk_slice_of(bytes, sizes[i]), &marker), HBK_INVALID);
        assert_null(marker);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_marker_is_found_wherever_it_is_cut),
        cmocka_unit_test(payloads_of_different_flows_are_not_joined),
        cmocka_unit_test(padding_of_short_frames_is_not_payload),
        cmocka_unit_test(frames_cut_anywhere_are_searched_without_harm),
        cmocka_unit_test(markers_of_unusable_size_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
