/*
 * The redirection in real namespaces: a pod and a stranger joined by a veth pair.
 *
 *     stranger 10.7.0.1 fd07::1  ------  pod 10.7.0.2 fd07::2
 */
#include "os/redirect.h"

#include "netns_harness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

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

/* A connection of the agent's to the workload at port 80. */
struct call {
    int agent, accepted;
};

static void end_call(struct call *call)
{
    hbk_fd_close(&call->agent);
    hbk_fd_close(&call->accepted);
}

static struct call call_workload(int app, const char *to, const char *source, uint32_t mark)
{
    int error = -1;
    struct hbk_address peer;
    struct call call = {.agent = connect_in(pod, to, source, mark, &error)};
    assert_int_equal(error, 0);
    call.accepted = accept_at(app, &peer);
    if (source != NULL) {
        struct hbk_address caller = address_of(source);
        assert_true(hbk_ip_equal(&peer.ip, &caller.ip));
    }
    return call;
}

static void assert_passes_both_ways(const struct call *call)
{
    assert_passes(call->agent, call->accepted, "ask");
    assert_passes(call->accepted, call->agent, "answer");
}

/* The first is how the agent calls, the second what it must not be harmed by. */
static const uint32_t marks_of_agent[] = {HBK_REDIRECT_MARK_REPLY, HBK_REDIRECT_MARK_AGENT};

static void replies_on_a_connection_under_the_callers_address_come_back(void **state)
{
    (void)state;
    HBK_CLEANUP(hbk_fd_close) int app = listen_in(pod, "[::]:80", 0);
    for (size_t i = 0; i < HBK_COUNT(families) * HBK_COUNT(marks_of_agent); i++) {
        size_t family = i / 2;
        HBK_CLEANUP(end_call)
        struct call call = call_workload(app, families[family].pod_80, families[family].stranger_0,
                                         marks_of_agent[i % 2]);
        assert_passes_both_ways(&call);
    }
}

static uint32_t mark_of(int fd)
{
    uint32_t mark = 0;
    socklen_t size = sizeof mark;
    assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_MARK, &mark, &size), 0);
    return mark;
}

static void a_socket_of_the_workload_inherits_the_mark_of_replies_and_never_the_agents(void **state)
{
    (void)state;
    HBK_CLEANUP(hbk_fd_close) int app = listen_in(pod, "[::]:80", 0);
    for (size_t i = 0; i < HBK_COUNT(families) * HBK_COUNT(marks_of_agent); i++) {
        size_t family = i / 2;
        uint32_t mark = marks_of_agent[i % 2];
        HBK_CLEANUP(end_call)
        struct call spoofed =
            call_workload(app, families[family].pod_80, families[family].stranger_0, mark);
        HBK_CLEANUP(end_call)
        struct call self = call_workload(app, families[family].pod_80, NULL, mark);
        assert_int_equal(mark_of(spoofed.accepted), HBK_REDIRECT_MARK_REPLY);
        assert_int_equal(mark_of(self.accepted), HBK_REDIRECT_MARK_REPLY);
        assert_passes_both_ways(&self);
    }
}

static void a_workload_that_changes_the_mark_is_still_answered_for(void **state)
{
    (void)state;
    static const uint32_t marks[] = {0, 0x42};
    HBK_CLEANUP(hbk_fd_close) int app = listen_in(pod, "[::]:80", 0);
    for (size_t i = 0; i < HBK_COUNT(families) * HBK_COUNT(marks); i++) {
        size_t family = i / 2;
        HBK_CLEANUP(end_call)
        struct call call = call_workload(app, families[family].pod_80, families[family].stranger_0,
                                         HBK_REDIRECT_MARK_REPLY);
        assert_int_equal(
            setsockopt(call.accepted, SOL_SOCKET, SO_MARK, &marks[i % 2], sizeof marks[0]), 0);
        assert_passes_both_ways(&call);
    }
}

static void a_refusal_of_the_workload_reaches_the_agent(void **state)
{
    (void)state;
    for (size_t i = 0; i < HBK_COUNT(families); i++) {
        int error = -1;
        HBK_CLEANUP(hbk_fd_close)
        int agent = connect_in(pod, families[i].pod_80, families[i].stranger_0,
                               HBK_REDIRECT_MARK_REPLY, &error);
        assert_int_equal(error, ECONNREFUSED);
    }
}

/* An accepted socket may be disconnected, and connects again with the mark that it inherited. */
static int connect_again(int fd, const char *to)
{
    struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
    struct hbk_address address = address_of(to);
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } name = {.v6 = {.sin6_family = AF_INET6, .sin6_port = htons(address.port)}};
    socklen_t size = sizeof name.v6;
    memcpy(&name.v6.sin6_addr, address.ip.bytes, address.ip.size);
    if (address.ip.size == 4) {
        static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
        memcpy(&name.v6.sin6_addr, mapped, sizeof mapped);
        memcpy(name.v6.sin6_addr.s6_addr + sizeof mapped, address.ip.bytes, 4);
    }
    assert_int_equal(connect(fd, &nowhere, sizeof nowhere), 0);
    if (connect(fd, &name.any, size) < 0 && errno != EINPROGRESS) {
        return errno;
    }
    assert_true(wait_ready(fd, POLLOUT));
    return hbk_socket_error(fd);
}

static void an_inherited_mark_leads_nowhere_else(void **state)
{
    (void)state;
    HBK_CLEANUP(hbk_fd_close) int there = listen_in(stranger, "[::]:80", 0);
    for (size_t i = 0; i < HBK_COUNT(families) * HBK_COUNT(marks_of_agent); i++) {
        size_t family = i / 2;
        HBK_CLEANUP(hbk_fd_close) int app = listen_in(pod, "[::]:80", 0);
        HBK_CLEANUP(end_call)
        struct call call = call_workload(app, families[family].pod_80, families[family].stranger_0,
                                         marks_of_agent[i % 2]);
        hbk_fd_close(&app);
        int error = connect_again(call.accepted, families[family].stranger_80);
        assert_true(error == ECONNREFUSED || error == ENETUNREACH);
        assert_false(has_caller(there));
    }
}

static void assert_congestion_control(int fd, const char *expected)
{
    char name[16] = {0};
    socklen_t size = sizeof name - 1;
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &size), 0);
    assert_string_equal(name, expected);
}

/* Whatever the namespace's default is; the agent's connections between hosts keep that. */
static void within_a_host_the_agents_sockets_control_no_congestion(void **state)
{
    (void)state;
    HBK_CLEANUP(hbk_netns_leave) struct hbk_netns_visit visit = hbk_netns_visit_none();
    HBK_CLEANUP(hbk_fd_close) int listener = -1;
    HBK_CLEANUP(hbk_fd_close) int client = -1;
    struct hbk_address address = address_of("127.0.0.1:7");
    struct hbk_address peer;
    const struct hbk_listen_options listening = {.is_local = true};
    const struct hbk_connect_options connecting = {.is_local = true};
    assert_int_equal(hbk_netns_enter(pod, &visit), HBK_OK);
    assert_int_equal(hbk_socket_listen(&address, &listening, &listener), HBK_OK);
    assert_int_equal(hbk_socket_connect(&address, &connecting, &client), HBK_OK);
    HBK_CLEANUP(hbk_fd_close) int accepted = accept_at(listener, &peer);
    assert_congestion_control(client, "reno");
    assert_congestion_control(accepted, "reno");
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
        cmocka_unit_test_setup(
            a_socket_of_the_workload_inherits_the_mark_of_replies_and_never_the_agents,
            use_pod_redirection),
        cmocka_unit_test_setup(a_workload_that_changes_the_mark_is_still_answered_for,
                               use_pod_redirection),
        cmocka_unit_test_setup(a_refusal_of_the_workload_reaches_the_agent, use_pod_redirection),
        cmocka_unit_test_setup(an_inherited_mark_leads_nowhere_else, use_pod_redirection),
        cmocka_unit_test(within_a_host_the_agents_sockets_control_no_congestion),
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
