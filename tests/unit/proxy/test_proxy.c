#include "proxy/proxy.h"

#include <net/if.h>
#include <sys/ioctl.h>

#include "config/mesh_file.h"
#include "forge.h"
#include "os/netns_harness.h"

/* Two workers, their control thread, and a pod in the namespace of the test. */
enum { WORKERS = 2 };

static const char mesh_text[] =
    "workloads:\n"
    "- {uid: c//Pod/shop/cart, name: cart, namespace: shop, serviceAccount: cart, node: here,\n"
    "   trustDomain: td.test, protocol: HBONE, workloadIps: [127.0.0.1]}\n"
    "peerAuthentications:\n"
    "- {name: strict, namespace: shop, mode: STRICT}\n";

static struct hbk_loop control;
static struct hbk_mailbox control_mailbox;
static struct hbk_team team;
static struct hbk_proxy proxy;
static struct hbk_telemetry totals;
static bool is_done;
static size_t pods_listed, connections_listed;

static void on_done(void *context)
{
    (void)context;
    is_done = true;
}

static void on_list(void *context, const struct hbk_connection_list *list)
{
    (void)context;
    pods_listed = list->pod_count;
    connections_listed = list->count;
    is_done = true;
}

static void wait_done(void)
{
    while (!is_done) {
        hbk_loop_turn(&control, UINT64_MAX);
    }
    is_done = false;
}

static uint64_t count_of(enum hbk_counter counter)
{
    hbk_proxy_collect(&proxy, &totals, on_done, NULL);
    wait_done();
    return totals.counters[counter];
}

static int set_up(void **state)
{
    (void)state;
    struct hbk_net_config config = HBK_NET_CONFIG_DEFAULT;
    assert_int_equal(hbk_loop_init(&control), HBK_OK);
    assert_int_equal(hbk_mailbox_init(&control_mailbox, &control), HBK_OK);
    assert_int_equal(hbk_team_start(&team, WORKERS, &control, &control_mailbox), HBK_OK);
    assert_int_equal(hbk_proxy_init(&proxy, &team, &config), HBK_OK);
    assert_int_equal(hbk_telemetry_init(&totals), HBK_OK);
    is_done = false;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hbk_proxy_fini(&proxy);
    hbk_mailbox_close(&control_mailbox);
    hbk_mailbox_fini(&control_mailbox);
    hbk_loop_fini(&control);
    hbk_telemetry_fini(&totals);
    return 0;
}

static void publish(void)
{
    static struct hbk_report report;
    struct hbk_mesh *mesh = NULL;
    hbk_status status =
        hbk_mesh_file_parse("test.yaml", HBK_SLICE(mesh_text), NULL, &mesh, &report);
    if (status != HBK_OK) {
        fail_msg("%s", report.count > 0 ? report.lines[0] : hbk_status_text(status));
    }
    hbk_proxy_publish(&proxy, mesh);
    hbk_mesh_unref(mesh);
}

static hbk_status add_pod(struct hbk_tls_credential *credential, unsigned *out_worker)
{
    const struct hbk_workload *workload =
        hbk_mesh_workload(proxy.mesh, HBK_SLICE("c//Pod/shop/cart"));
    struct hbk_proxy_pod pod = {
        .uid = HBK_SLICE("c//Pod/shop/cart"),
        .netns_fd = -1,
        .identity = workload->identity,
        .credential = credential,
    };
    struct hbk_error error = {0};
    return hbk_proxy_add_pod(&proxy, &pod, out_worker, &error);
}

static struct hbk_tls_credential *new_credential(void)
{
    struct forged root = forge((struct forge)FORGE_ROOT("proxy root"));
    struct forged leaf = forge((struct forge){.signer = &root});
    struct hbk_bundle_set *bundles = forge_bundle_set("td.test", root.certificate);
    struct hbk_svid *svid = forge_svid(&leaf);
    struct hbk_tls_credential *credential = NULL;
    assert_int_equal(
        hbk_tls_credential_new(svid, bundles, 1, HBK_TLS_ENGINE_OPENSSL, &credential, NULL),
        HBK_OK);
    hbk_svid_unref(svid);
    hbk_bundle_set_unref(bundles);
    forged_free(&leaf);
    forged_free(&root);
    return credential;
}

static int connect_to(uint16_t port)
{
    struct hbk_address to = address_of("127.0.0.1:1");
    struct hbk_connect_options options = {0};
    int fd = -1;
    to.port = port;
    assert_int_equal(hbk_socket_connect(&to, &options, &fd), HBK_OK);
    return fd;
}

/* Waits until the other side has ended or reset the connection. */
static void wait_closed(int fd)
{
    uint8_t byte;
    do {
        assert_true(wait_ready(fd, POLLIN));
    } while (recv(fd, &byte, 1, 0) > 0);
    close(fd);
}

static void snapshots_follow_each_other_and_are_let_go(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        publish();
    }
    assert_int_equal(count_of(HBK_COUNTER_TUNNELS_OPEN_SERVER), 0);
}

static void a_pod_without_a_certificate_refuses_tunnels_and_plain_text(void **state)
{
    (void)state;
    unsigned worker = 0;
    publish();
    assert_int_equal(add_pod(NULL, &worker), HBK_OK);
    wait_closed(connect_to(15008));
    wait_closed(connect_to(15006));
    wait_closed(connect_to(15001));
    assert_int_equal(count_of(HBK_COUNTER_REFUSED_NO_IDENTITY), 1);
    assert_int_equal(totals.counters[HBK_COUNTER_ACCEPTED_INBOUND_HBONE], 1);
    assert_int_equal(totals.counters[HBK_COUNTER_ACCEPTED_INBOUND_PLAIN], 1);
    assert_int_equal(totals.counters[HBK_COUNTER_ACCEPTED_OUTBOUND], 1);
    assert_int_equal(totals.counters[HBK_COUNTER_REFUSED_RECURSIVE], 2);
}

static void a_tunnel_that_is_not_tls_is_counted_with_its_reason(void **state)
{
    (void)state;
    unsigned worker = 0;
    struct hbk_tls_credential *credential = new_credential();
    publish();
    assert_int_equal(add_pod(credential, &worker), HBK_OK);
    int fd = connect_to(15008);
    assert_true(wait_ready(fd, POLLOUT));
    assert_int_equal(send(fd, "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL), 18);
    wait_closed(fd);
    assert_int_equal(count_of(HBK_COUNTER_HANDSHAKES_FAILED_OPENSSL_PROTOCOL), 1);
    assert_int_equal(totals.counters[HBK_COUNTER_TUNNELS_CLOSED_PROTOCOL], 1);
    assert_int_equal(totals.counters[HBK_COUNTER_TUNNELS_OPENED_SERVER], 1);
    assert_int_equal(totals.counters[HBK_COUNTER_TUNNELS_OPEN_SERVER], 0);
    hbk_tls_credential_unref(credential);
}

static void a_pod_goes_and_its_ports_are_free_for_the_next(void **state)
{
    (void)state;
    unsigned worker = 0;
    publish();
    for (int i = 0; i < 20; i++) {
        assert_int_equal(add_pod(NULL, &worker), HBK_OK);
        assert_int_equal(add_pod(NULL, &worker), HBK_IN_USE);
        hbk_proxy_list(&proxy, on_list, NULL);
        wait_done();
        assert_int_equal(pods_listed, 1);
        assert_int_equal(connections_listed, 0);
        hbk_proxy_remove_pod(&proxy, HBK_SLICE("c//Pod/shop/cart"), worker);
        hbk_proxy_list(&proxy, on_list, NULL); /* the worker has heard of it when this comes back */
        wait_done();
    }
}

static void a_drain_waits_for_what_is_live_until_its_deadline(void **state)
{
    (void)state;
    unsigned worker = 0;
    struct hbk_tls_credential *credential = new_credential();
    publish();
    assert_int_equal(add_pod(credential, &worker), HBK_OK);
    int fd = connect_to(15008); /* a handshake that never goes on is cut at once */
    assert_true(wait_ready(fd, POLLOUT));
    while (count_of(HBK_COUNTER_TUNNELS_OPEN_SERVER) == 0) {
    }
    hbk_proxy_drain(&proxy, 60 * HBK_NS_PER_S, on_done, NULL);
    wait_done();
    wait_closed(fd);
    assert_int_equal(count_of(HBK_COUNTER_TUNNELS_OPEN_SERVER), 0);
    hbk_tls_credential_unref(credential);
}

static void the_end_may_come_in_the_middle_of_everything(void **state)
{
    unsigned worker = 0;
    struct hbk_tls_credential *credential = new_credential();
    for (int i = 0; i < 10; i++) {
        publish();
        assert_int_equal(add_pod(credential, &worker), HBK_OK);
        int fd = connect_to(15008);
        hbk_proxy_renew(&proxy, hbk_tls_credential_id(credential), credential);
        hbk_proxy_list(&proxy, on_list, NULL);
        hbk_proxy_drain(&proxy, i % 2 == 0 ? 0 : 60 * HBK_NS_PER_S, on_done, NULL);
        assert_int_equal(tear_down(state), 0);
        close(fd);
        assert_int_equal(set_up(state), 0);
    }
    hbk_tls_credential_unref(credential);
}

#define proxy_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

static void raise_loopback(void)
{
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &request), 0);
    close(fd);
}

static int run(void *argument)
{
    (void)argument;
    raise_loopback();
    const struct CMUnitTest tests[] = {
        proxy_test(snapshots_follow_each_other_and_are_let_go),
        proxy_test(a_pod_without_a_certificate_refuses_tunnels_and_plain_text),
        proxy_test(a_tunnel_that_is_not_tls_is_counted_with_its_reason),
        proxy_test(a_pod_goes_and_its_ports_are_free_for_the_next),
        proxy_test(a_drain_waits_for_what_is_live_until_its_deadline),
        proxy_test(the_end_may_come_in_the_middle_of_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
    return run_isolated(run);
}
