/*
 * The redirection in real namespaces: a pod and a stranger joined by a veth pair.
 *
 *     stranger 10.7.0.1 fd07::1  ------  pod 10.7.0.2 fd07::2
 */
#include "os/redirect.h"

#include "netns_harness.h"

#include <errno.h>

#include "os/netlink.h"

static int pod = -1;
static int stranger = -1;

static const uint16_t ssh_port[] = {22};

static const struct {
    const char *stranger_80, *stranger_22, *stranger_0;
    const char *pod_80, *pod_22, *pod_15008;
} families[] = {
    {"10.7.0.1:80", "10.7.0.1:22", "10.7.0.1:0", "10.7.0.2:80", "10.7.0.2:22", "10.7.0.2:15008"},
    {"[fd07::1]:80", "[fd07::1]:22", "[fd07::1]:0", "[fd07::2]:80", "[fd07::2]:22",
     "[fd07::2]:15008"},
};

static void apply(const struct hbk_redirect_spec *spec)
{
    HBK_CLEANUP(hbk_netns_leave) struct hbk_netns_visit visit = hbk_netns_visit_none();
    struct hbk_error error = {0};
    assert_int_equal(hbk_netns_enter(pod, &visit), HBK_OK);
    if (hbk_redirect_apply_here(spec, &error) != HBK_OK) {
        fail_msg("%s", error.text);
    }
}

static int use_pod_redirection(void **state)
{
    (void)state;
    struct hbk_redirect_spec spec = {
        .kind = HBK_REDIRECT_POD,
        .excluded_inbound = {ssh_port, 1},
        .excluded_outbound = {ssh_port, 1},
    };
    apply(&spec);
    return 0;
}

static int use_none(void **state)
{
    (void)state;
    HBK_CLEANUP(hbk_netns_leave) struct hbk_netns_visit visit = hbk_netns_visit_none();
    return hbk_netns_enter(pod, &visit) == HBK_OK && hbk_redirect_remove_here(NULL) == HBK_OK ? 0
                                                                                              : -1;
}

static void assert_original_destination(int fd, const char *expected)
{
    struct hbk_address found;
    struct hbk_address wanted = address_of(expected);
    assert_int_equal(hbk_socket_original_destination(fd, &found), HBK_OK);
    assert_true(hbk_address_equal(&found, &wanted));
}

/* Connects and expects it to arrive at `listener`, on its way to `to`. */
static void assert_captured(int from, const char *to, int listener)
{
    int error = -1;
    struct hbk_address peer;
    HBK_CLEANUP(hbk_fd_close) int client = connect_in(from, to, NULL, 0, &error);
    assert_int_equal(error, 0);
    HBK_CLEANUP(hbk_fd_close) int accepted = accept_at(listener, &peer);
    assert_original_destination(accepted, to);
}

static void assert_direct(int from, const char *to, uint32_t mark, int listener)
{
    int error = -1;
    struct hbk_address peer;
    struct hbk_address local;
    struct hbk_address wanted = address_of(to);
    HBK_CLEANUP(hbk_fd_close) int client = connect_in(from, to, NULL, mark, &error);
    assert_int_equal(error, 0);
    HBK_CLEANUP(hbk_fd_close) int accepted = accept_at(listener, &peer);
    assert_int_equal(hbk_socket_local_address(accepted, &local), HBK_OK);
    assert_true(hbk_address_equal(&local, &wanted));
}

static void assert_refused(int from, const char *to)
{
    int error = -1;
    HBK_CLEANUP(hbk_fd_close) int client = connect_in(from, to, NULL, 0, &error);
    assert_int_equal(error, ECONNREFUSED);
}

static void what_arrives_comes_to_the_inbound_port(void **state)
{
    (void)state;
    HBK_CLEANUP(hbk_fd_close) int agent = listen_in(pod, "[::]:15006", HBK_REDIRECT_MARK_AGENT);
    for (size_t i = 0; i < HBK_COUNT(families); i++) {
        assert_captured(stranger, families[i].pod_80, agent);
    }
}

static void what_leaves_comes_to_the_outbound_port(void **state)
{
    (void)state;
    HBK_CLEANUP(hbk_fd_close) int agent = listen_in(pod, "[::]:15001", HBK_REDIRECT_MARK_AGENT);
    for (size_t i = 0; i < HBK_COUNT(families); i++) {
        assert_captured(pod, families[i].stranger_80, agent);
    }
}

static void hbone_and_excluded_ports_come_as_they_are(void **state)
{
    (void)state;
    HBK_CLEANUP(hbk_fd_close) int hbone = listen_in(pod, "[::]:15008", HBK_REDIRECT_MARK_AGENT);
    HBK_CLEANUP(hbk_fd_close) int ssh = listen_in(pod, "[::]:22", 0);
    HBK_CLEANUP(hbk_fd_close) int ssh_there = listen_in(stranger, "[::]:22", 0);
    for (size_t i = 0; i < HBK_COUNT(families); i++) {
        assert_direct(stranger, families[i].pod_15008, 0, hbone);
        assert_direct(stranger, families[i].pod_22, 0, ssh);
        assert_direct(pod, families[i].stranger_22, 0, ssh_there);
    }
}

static void what_the_agent_sends_is_not_redirected(void **state)
{
    (void)state;
    HBK_CLEANUP(hbk_fd_close) int agent = listen_in(pod, "[::]:15001", HBK_REDIRECT_MARK_AGENT);
    HBK_CLEANUP(hbk_fd_close) int there = listen_in(stranger, "[::]:80", 0);
    for (size_t i = 0; i < HBK_COUNT(families); i++) {
        assert_direct(pod, families[i].stranger_80, HBK_REDIRECT_MARK_AGENT, there);
        assert_false(has_caller(agent));
    }
}

static void a_workload_reaches_itself_directly(void **state)
{
    (void)state;
    HBK_CLEANUP(hbk_fd_close) int app = listen_in(pod, "[::]:80", 0);
    assert_direct(pod, "127.0.0.1:80", 0, app);
    assert_direct(pod, "[::1]:80", 0, app);
    for (size_t i = 0; i < HBK_COUNT(families); i++) {
        assert_direct(pod, families[i].pod_80, 0, app);
    }
}

static void assert_passes(int from, int to, const char *text)
{
    char found[16] = {0};
    assert_int_equal(send(from, text, strlen(text), 0), strlen(text));
    assert_true(wait_ready(to, POLLIN));
    assert_int_equal(recv(to, found, sizeof found - 1, 0), strlen(text));
    assert_string_equal(found, text);
}

static void replies_on_a_connection_under_the_callers_address_come_back(void **state)
{
    (void)state;
    HBK_CLEANUP(hbk_fd_close) int app = listen_in(pod, "[::]:80", 0);
    for (size_t i = 0; i < HBK_COUNT(families); i++) {
        int error = -1;
        struct hbk_address peer;
        struct hbk_address caller = address_of(families[i].stranger_0);
        HBK_CLEANUP(hbk_fd_close)
        int agent = connect_in(pod, families[i].pod_80, families[i].stranger_0,
                               HBK_REDIRECT_MARK_AGENT, &error);
        assert_int_equal(error, 0);
        HBK_CLEANUP(hbk_fd_close) int accepted = accept_at(app, &peer);
        assert_true(hbk_ip_equal(&peer.ip, &caller.ip));
        assert_passes(agent, accepted, "ask");
        assert_passes(accepted, agent, "answer");
    }
}

static void without_its_agent_a_workload_has_no_network(void **state)
{
    (void)state;
    HBK_CLEANUP(hbk_fd_close) int app = listen_in(pod, "[::]:80", 0);
    HBK_CLEANUP(hbk_fd_close) int there = listen_in(stranger, "[::]:80", 0);
    for (size_t i = 0; i < HBK_COUNT(families); i++) {
        assert_refused(pod, families[i].stranger_80);
        assert_refused(stranger, families[i].pod_80);
    }
    assert_false(has_caller(app));
    assert_false(has_caller(there));
}

static void applying_again_replaces_the_table_and_a_bad_one_leaves_it(void **state)
{
    (void)state;
    HBK_CLEANUP(hbk_fd_close) int agent = listen_in(pod, "[::]:15006", HBK_REDIRECT_MARK_AGENT);
    HBK_CLEANUP(hbk_fd_close) int ssh = listen_in(pod, "[::]:22", 0);
    struct hbk_redirect_spec all = {.kind = HBK_REDIRECT_POD};
    apply(&all);
    assert_captured(stranger, families[0].pod_22, agent);

    static const char *const missing_group[] = {"hauberk/no/such/group"};
    struct hbk_redirect_spec bad = {
        .kind = HBK_REDIRECT_HOST,
        .captured_cgroups = missing_group,
        .captured_cgroup_count = 1,
    };
    struct hbk_error error = {0};
    HBK_CLEANUP(hbk_netns_leave) struct hbk_netns_visit visit = hbk_netns_visit_none();
    assert_int_equal(hbk_netns_enter(pod, &visit), HBK_OK);
    assert_int_not_equal(hbk_redirect_apply_here(&bad, &error), HBK_OK);
    assert_non_null(strstr(error.text, "nftables"));
    hbk_netns_leave(&visit);
    assert_captured(stranger, families[0].pod_22, agent);
}

static void taking_it_away_opens_the_network(void **state)
{
    assert_int_equal(use_none(state), 0);
    assert_int_equal(use_none(state), 0);
    HBK_CLEANUP(hbk_fd_close) int app = listen_in(pod, "[::]:80", 0);
    for (size_t i = 0; i < HBK_COUNT(families); i++) {
        assert_direct(stranger, families[i].pod_80, 0, app);
    }
}

static void of_a_host_only_what_is_listed_is_captured(void **state)
{
    (void)state;
    static const uint16_t port_80[] = {80};
    static const uint32_t other_user[] = {12345};
    struct hbk_redirect_spec spec = {
        .kind = HBK_REDIRECT_HOST,
        .captured_inbound = {port_80, 1},
        .captured_outbound = {port_80, 1},
        .captured_uids = other_user,
        .captured_uid_count = 1,
    };
    apply(&spec);
    HBK_CLEANUP(hbk_fd_close) int inbound = listen_in(pod, "[::]:15006", HBK_REDIRECT_MARK_AGENT);
    HBK_CLEANUP(hbk_fd_close) int outbound = listen_in(pod, "[::]:15001", HBK_REDIRECT_MARK_AGENT);
    HBK_CLEANUP(hbk_fd_close) int ssh = listen_in(pod, "[::]:22", 0);
    HBK_CLEANUP(hbk_fd_close) int ssh_there = listen_in(stranger, "[::]:22", 0);
    for (size_t i = 0; i < HBK_COUNT(families); i++) {
        assert_captured(stranger, families[i].pod_80, inbound);
        assert_captured(pod, families[i].stranger_80, outbound);
        assert_direct(stranger, families[i].pod_22, 0, ssh);
        assert_direct(pod, families[i].stranger_22, 0, ssh_there);
    }
}

static void of_a_host_the_connections_of_a_listed_user_are_captured(void **state)
{
    (void)state;
    const uint32_t us[] = {0}; /* as seen in the namespace, where the tests are root */
    struct hbk_redirect_spec spec = {
        .kind = HBK_REDIRECT_HOST,
        .captured_uids = us,
        .captured_uid_count = 1,
    };
    apply(&spec);
    HBK_CLEANUP(hbk_fd_close) int outbound = listen_in(pod, "[::]:15001", HBK_REDIRECT_MARK_AGENT);
    HBK_CLEANUP(hbk_fd_close) int there = listen_in(stranger, "[::]:80", 0);
    for (size_t i = 0; i < HBK_COUNT(families); i++) {
        assert_captured(pod, families[i].stranger_22, outbound);
        assert_direct(pod, families[i].stranger_80, HBK_REDIRECT_MARK_AGENT, there);
    }
}

static hbk_status equip(int netns_fd, const char *name, const char *ipv4, const char *ipv6)
{
    HBK_CLEANUP(hbk_netlink_close) struct hbk_netlink *netlink = NULL;
    struct hbk_ip ip;
    HBK_TRY(hbk_netlink_open_in(netns_fd, &netlink, NULL));
    assert_true(hbk_ip_parse(hbk_slice_text(ipv4), &ip));
    HBK_TRY(hbk_netlink_add_address(netlink, name, &ip, 24, NULL));
    HBK_TRY(hbk_netlink_raise(netlink, name, NULL));
    assert_true(hbk_ip_parse(hbk_slice_text(ipv6), &ip));
    return hbk_netlink_add_address(netlink, name, &ip, 64, NULL);
}

static int build(void **state)
{
    (void)state;
    HBK_CLEANUP(hbk_netlink_close) struct hbk_netlink *netlink = NULL;
    assert_int_equal(hbk_netns_create("/run/pod", NULL), HBK_OK);
    assert_int_equal(hbk_netns_create("/run/stranger", NULL), HBK_OK);
    assert_int_equal(hbk_netns_create("/run/pod", NULL), HBK_EXISTS);
    assert_int_equal(hbk_netns_open("/run/pod", &pod, NULL), HBK_OK);
    assert_int_equal(hbk_netns_open("/run/stranger", &stranger, NULL), HBK_OK);
    assert_int_equal(hbk_netlink_open_in(pod, &netlink, NULL), HBK_OK);
    assert_int_equal(hbk_netlink_add_veth(netlink, "eth0", "eth0", stranger, NULL), HBK_OK);
    assert_int_equal(equip(pod, "eth0", "10.7.0.2", "fd07::2"), HBK_OK);
    assert_int_equal(equip(stranger, "eth0", "10.7.0.1", "fd07::1"), HBK_OK);
    return 0;
}

static int run(void *argument)
{
    (void)argument;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_arrives_comes_to_the_inbound_port, use_pod_redirection),
        cmocka_unit_test_setup(what_leaves_comes_to_the_outbound_port, use_pod_redirection),
        cmocka_unit_test_setup(hbone_and_excluded_ports_come_as_they_are, use_pod_redirection),
        cmocka_unit_test_setup(what_the_agent_sends_is_not_redirected, use_pod_redirection),
        cmocka_unit_test_setup(a_workload_reaches_itself_directly, use_pod_redirection),
        cmocka_unit_test_setup(replies_on_a_connection_under_the_callers_address_come_back,
                               use_pod_redirection),
        cmocka_unit_test_setup(without_its_agent_a_workload_has_no_network, use_pod_redirection),
        cmocka_unit_test_setup(applying_again_replaces_the_table_and_a_bad_one_leaves_it,
                               use_pod_redirection),
        cmocka_unit_test_setup(taking_it_away_opens_the_network, use_pod_redirection),
        cmocka_unit_test(of_a_host_only_what_is_listed_is_captured),
        cmocka_unit_test(of_a_host_the_connections_of_a_listed_user_are_captured),
    };
    return cmocka_run_group_tests(tests, build, NULL);
}

int main(void)
{
    return run_isolated(run);
}
