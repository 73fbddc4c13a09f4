#include "bench/topology.h"

#include <errno.h>

#include "../os/netns_harness.h"
#include "os/capture.h"

static struct hbk_topology topology;

static int at(enum hbk_place place)
{
    return topology.places[place].netns_fd;
}

static void connect_to(enum hbk_place from, const char *address, int *out_error)
{
    HBK_CLEANUP(hbk_fd_close) int fd = connect_in(at(from), address, NULL, 0, out_error);
}

static void every_pod_reaches_every_other_over_both_families(void **state)
{
    (void)state;
    for (enum hbk_place to = HBK_PLACE_FRONT; to < HBK_PLACES_OF_MESH; to++) {
        HBK_CLEANUP(hbk_fd_close) int listener = listen_in(at(to), "[::]:9000", 0);
        const struct hbk_topology_place *place = &topology.places[to];
        struct hbk_address addresses[] = {{place->ipv4, 9000}, {place->ipv6, 9000}};
        for (enum hbk_place from = HBK_PLACE_ALPHA; from < HBK_PLACES_OF_MESH; from++) {
            for (size_t i = 0; i < HBK_COUNT(addresses); i++) {
                char text[HBK_ADDRESS_TEXT_BYTES_MAX];
                int error = -1;
                connect_to(from, hbk_address_text(&addresses[i], text), &error);
                assert_int_equal(error, 0);
            }
        }
    }
}

static void a_capture_sees_a_marker_on_the_wire_and_only_there(void **state)
{
    (void)state;
    static const char marker[] = "seen-or-not-seen";
    struct hbk_capture *wire = NULL;
    struct hbk_capture *cable = NULL;
    struct hbk_slice bytes = HBK_SLICE(marker);
    assert_int_equal(hbk_capture_start(at(HBK_PLACE_ALPHA), "wire", bytes, &wire, NULL), HBK_OK);
    assert_int_equal(hbk_capture_start(at(HBK_PLACE_ALPHA), "neighbour", bytes, &cable, NULL),
                     HBK_OK);
    HBK_CLEANUP(hbk_fd_close) int listener = listen_in(at(HBK_PLACE_CART), "[::]:9000", 0);
    int error = -1;
    struct hbk_address peer;
    HBK_CLEANUP(hbk_fd_close)
    int client = connect_in(at(HBK_PLACE_FRONT), "10.77.2.11:9000", NULL, 0, &error);
    assert_int_equal(error, 0);
    HBK_CLEANUP(hbk_fd_close) int server = accept_at(listener, &peer);
    assert_int_equal(send(client, marker, 7, 0), 7);
    assert_true(wait_ready(server, POLLIN));
    char found[8];
    assert_int_equal(recv(server, found, sizeof found, 0), 7);
    assert_int_equal(send(client, marker + 7, sizeof marker - 8, 0), sizeof marker - 8);
    assert_true(wait_ready(server, POLLIN));
    struct hbk_capture_counts on_wire = hbk_capture_stop(&wire);
    struct hbk_capture_counts on_cable = hbk_capture_stop(&cable);
    assert_int_equal(on_wire.markers, 1);
    assert_int_equal(on_wire.lost, 0);
    assert_true(on_wire.packets >= 5);
    assert_int_equal(on_cable.markers, 0);
}

static void a_capture_on_no_interface_is_an_error(void **state)
{
    (void)state;
    struct hbk_capture *capture = NULL;
    struct hbk_error error = {0};
    assert_int_equal(
        hbk_capture_start(at(HBK_PLACE_ALPHA), "none", HBK_SLICE("marker"), &capture, &error),
        HBK_NOT_FOUND);
    assert_non_null(strstr(error.text, "none"));
}

static int build(void **state)
{
    (void)state;
    struct hbk_error error = {0};
    if (hbk_topology_build(&topology, HBK_PLACES_OF_MESH, &error) != HBK_OK) {
        fail_msg("%s", error.text);
    }
    return 0;
}

static int take_down(void **state)
{
    (void)state;
    hbk_topology_fini(&topology);
    return 0;
}

static int run(void *argument)
{
    (void)argument;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pod_reaches_every_other_over_both_families),
        cmocka_unit_test(a_capture_sees_a_marker_on_the_wire_and_only_there),
        cmocka_unit_test(a_capture_on_no_interface_is_an_error),
    };
    return cmocka_run_group_tests(tests, build, take_down);
}

int main(void)
{
    return run_isolated(run);
}
