/*
 * Client and server tunnels in one loop, with real certificates and sockets:
 *
 *     flow.app == flow.relay --client tunnel-- == --server tunnel-- served.relay == served.app
 *
 * A test holds both applications' ends and turns the loop. Flows and what serves them are paired by
 * the number that the CONNECT carries as its port.
 */
#pragma once

#include "loopback.h"

#include "forge.h"
#include "net/relay.h"
#include "net/tunnel.h"
#include "net/upstream.h"
#include "tls/credential.h"
#include "tls/session.h"

enum { FLOWS_MAX = 64 };

enum serving {
    SERVE,         /* connect, answer 200, relay */
    SERVE_REFUSE,  /* answer 503 */
    SERVE_SILENCE, /* take the request and do nothing */
    SERVE_RESET,   /* reset the stream */
    SERVE_CLOSE,   /* close the tunnel under it */
};

struct flow {
    struct hbk_relay relay;
    struct hbk_waiter waiter;
    unsigned number;
    int app;
    unsigned answers, closed, refusals;
    uint32_t status;
    bool is_fresh, retries, was_given;
    enum hbk_failure_kind kind;
    char why[HBK_FAILURE_TEXT_BYTES_MAX];
};

struct served {
    struct hbk_relay relay;
    int app;
    bool was_accepted;
    unsigned closed;
    enum hbk_failure_kind kind;
};

struct scene {
    struct bench bench;
    struct forged root;
    struct hbk_bundle_set *bundles;
    struct hbk_tls_credential *client, *server;
    struct hbk_upstream upstream;
    struct hbk_upstream_key key;
    enum serving serving;
    bool is_small;   /* kernel buffers of all sockets */
    bool dial_fails; /* at once */
    int dial_fd;     /* what the next dial returns instead of a pair; -1: nothing */
    int peer_fd;     /* where the other end of the next pair goes, without a server; -2: nowhere */
    unsigned stale;  /* so many tunnels are drained when they open */
    unsigned dials, opened, servers_closed;
    struct hbk_list servers; /* through tunnel->link */
    struct flow flows[FLOWS_MAX];
    struct served served[FLOWS_MAX];
};

static struct scene scene;
static enum hbk_tls_engine_kind scene_engine; /* of both sides */

/* The server's side ------------------------------------------------------------------------- */

static void served_connected(struct hbk_relay *relay, int error)
{
    assert_int_equal(error, 0);
    hbk_relay_answer(relay, 200, NULL, 0);
    hbk_relay_start(relay);
}

static void served_closed(struct hbk_relay *relay)
{
    struct served *served = HBK_CONTAINER(relay, struct served, relay);
    served->closed++;
    served->kind = relay->failure.kind;
    hbk_failure_clear(&relay->failure);
}

static const struct hbk_relay_events served_events = {
    .on_connected = served_connected,
    .on_closed = served_closed,
};

static unsigned number_of(const struct hbk_h2_event *event)
{
    struct hbk_address address;
    assert_true(hbk_address_parse(event->fields->authority, &address));
    assert_true(address.port < FLOWS_MAX);
    return address.port;
}

static void on_request(struct hbk_tunnel *tunnel, const struct hbk_h2_event *event)
{
    struct served *served = &scene.served[number_of(event)];
    int fds[2];
    if (scene.serving == SERVE_CLOSE) {
        hbk_tunnel_close(tunnel);
        return;
    }
    *served = (struct served){.app = -1, .was_accepted = true};
    hbk_relay_init_bare(&served->relay, &scene.bench.net, &served_events);
    if (hbk_relay_accept(&served->relay, tunnel, event) != HBK_OK) {
        served->closed = 1;
        return;
    }
    switch (scene.serving) {
    case SERVE:
        loopback_pair(fds, scene.is_small);
        served->app = fds[0];
        (void)!hbk_relay_connect(&served->relay, fds[1]);
        return;
    case SERVE_REFUSE:
        hbk_relay_answer(&served->relay, 503, NULL, 0);
        return;
    case SERVE_RESET:
        hbk_relay_abort(&served->relay, HBK_H2_REFUSED_STREAM);
        return;
    case SERVE_SILENCE:
    case SERVE_CLOSE:
        return;
    }
}

static void server_opened(struct hbk_tunnel *tunnel)
{
    (void)tunnel;
}

static void server_closed(struct hbk_tunnel *tunnel)
{
    scene.servers_closed++;
    hbk_link_remove(&tunnel->link);
}

static const struct hbk_tunnel_events server_events = {
    .on_open = server_opened,
    .on_request = on_request,
    .on_closed = server_closed,
};

static void serve(int fd)
{
    struct hbk_tls_options options = {.role = HBK_TLS_SERVER, .worker = scene.bench.net.batch.tls};
    struct hbk_tls_session *tls = NULL;
    struct hbk_tunnel *tunnel = NULL;
    if (hbk_tls_session_new(hbk_tls_credential_context(scene.server), &options,
                            hbk_clock_realtime_ns(), &tls) != HBK_OK) {
        close(fd);
        return;
    }
    if (hbk_tunnel_start(&scene.bench.net, true, fd, tls, &server_events, NULL, &tunnel) ==
        HBK_OK) {
        hbk_list_append(&scene.servers, &tunnel->link);
    }
}

HBK_UNUSED static struct hbk_tunnel *first_server(void)
{
    assert_false(hbk_list_is_empty(&scene.servers));
    return HBK_CONTAINER(scene.servers.head.next, struct hbk_tunnel, link);
}

/* The client's side ------------------------------------------------------------------------- */

static hbk_status dial(void *context, const struct hbk_upstream_key *key, int *out_fd,
                       struct hbk_tls_session **out_tls, struct hbk_failure *out_failure)
{
    (void)context;
    (void)key;
    int fds[2];
    struct hbk_tls_options options = {.role = HBK_TLS_CLIENT, .worker = scene.bench.net.batch.tls};
    scene.dials++;
    if (scene.dial_fails) {
        hbk_failure_set(out_failure, HBK_FAILURE_CONNECT, HBK_NO_ROUTE, 0, "no route");
        return HBK_NO_ROUTE;
    }
    HBK_TRY(hbk_tls_session_new(hbk_tls_credential_context(scene.client), &options,
                                hbk_clock_realtime_ns(), out_tls));
    if (scene.dial_fd >= 0) {
        *out_fd = scene.dial_fd;
        scene.dial_fd = -1;
        return HBK_OK;
    }
    loopback_pair(fds, scene.is_small);
    *out_fd = fds[0];
    if (scene.peer_fd == -1) {
        scene.peer_fd = fds[1];
    } else {
        serve(fds[1]);
    }
    return HBK_OK;
}

static void on_open(void *context, const struct hbk_upstream_key *key, struct hbk_tunnel *tunnel)
{
    (void)context;
    assert_ptr_equal(key->identity, scene.key.identity);
    scene.opened++;
    if (scene.stale > 0) {
        scene.stale--;
        hbk_tunnel_drain(tunnel);
    }
}

static void flow_given(struct hbk_waiter *waiter, struct hbk_tunnel *tunnel, bool is_fresh)
{
    struct flow *flow = HBK_CONTAINER(waiter, struct flow, waiter);
    char authority[32];
    flow->is_fresh = is_fresh;
    flow->was_given = true;
    (void)snprintf(authority, sizeof authority, "10.0.0.1:%u", flow->number);
    if (hbk_relay_ask(&flow->relay, tunnel, hbk_slice_text(authority), NULL, 0) != HBK_OK) {
        hbk_relay_abort(&flow->relay, HBK_H2_CANCEL);
    }
}

static void flow_failed(struct hbk_waiter *waiter, const struct hbk_failure *failure)
{
    struct flow *flow = HBK_CONTAINER(waiter, struct flow, waiter);
    hbk_failure_copy(&flow->relay.failure, failure);
    hbk_relay_abort(&flow->relay, HBK_H2_CANCEL);
}

static const struct hbk_waiter_events waiter_events = {
    .on_tunnel = flow_given,
    .on_failed = flow_failed,
};

static void flow_answered(struct hbk_relay *relay, uint32_t status)
{
    struct flow *flow = HBK_CONTAINER(relay, struct flow, relay);
    flow->answers++;
    flow->status = status;
    if (status == 200) {
        hbk_relay_start(relay);
    } else {
        hbk_relay_abort(relay, HBK_H2_NO_ERROR);
    }
}

static void flow_refused(struct hbk_relay *relay)
{
    struct flow *flow = HBK_CONTAINER(relay, struct flow, relay);
    flow->refusals++;
    if (flow->retries && flow->refusals == 1) {
        hbk_failure_clear(&relay->failure);
        hbk_upstream_acquire(&scene.upstream, &scene.key, true, &flow->waiter);
    } else {
        hbk_relay_abort(relay, HBK_H2_CANCEL);
    }
}

static void flow_closed(struct hbk_relay *relay)
{
    struct flow *flow = HBK_CONTAINER(relay, struct flow, relay);
    hbk_upstream_cancel(&scene.upstream, &flow->waiter);
    flow->closed++;
    flow->kind = relay->failure.kind;
    (void)snprintf(flow->why, sizeof flow->why, "%s",
                   relay->failure.kind == HBK_FAILURE_NONE ? ""
                                                           : hbk_failure_text(&relay->failure));
    hbk_failure_clear(&relay->failure);
}

static const struct hbk_relay_events flow_events = {
    .on_answer = flow_answered,
    .on_refused = flow_refused,
    .on_closed = flow_closed,
};

/* An application connects. */
static struct flow *begin(unsigned number)
{
    struct flow *flow = &scene.flows[number];
    int fds[2];
    loopback_pair(fds, scene.is_small);
    *flow = (struct flow){.number = number, .app = fds[0]};
    scene.served[number] = (struct served){.app = -1};
    hbk_waiter_init(&flow->waiter, &waiter_events);
    if (hbk_relay_init(&flow->relay, &scene.bench.net, fds[1], false, &flow_events) != HBK_OK) {
        flow->closed = 1;
        return flow;
    }
    hbk_upstream_acquire(&scene.upstream, &scene.key, false, &flow->waiter);
    return flow;
}

/* ... and is answered with 200. */
HBK_UNUSED static struct flow *join(unsigned number)
{
    struct flow *flow = begin(number);
    turn_until(&scene.bench, flow->answers == 1);
    assert_int_equal(flow->status, 200);
    return flow;
}

HBK_UNUSED static struct hbk_tunnel *tunnel_of(const struct flow *flow)
{
    assert_non_null(flow->relay.tunnel);
    return flow->relay.tunnel;
}

/* Beginning and end ------------------------------------------------------------------------- */

static struct hbk_tls_credential *credential_of(const struct forged *leaf)
{
    struct hbk_svid *svid = forge_svid(leaf);
    struct hbk_tls_credential *credential = NULL;
    struct hbk_error error = {0};
    assert_int_equal(
        hbk_tls_credential_new(svid, scene.bundles, 1, scene_engine, &credential, &error), HBK_OK);
    hbk_svid_unref(svid);
    return credential;
}

/* The certificate of the server ends in an hour, that of the client in two. */
static int set_up(void **state)
{
    (void)state;
    scene = (struct scene){.dial_fd = -1, .peer_fd = -2};
    bench_init(&scene.bench);
    hbk_list_init(&scene.servers);
    scene.root = forge((struct forge)FORGE_ROOT("scene root"));
    scene.bundles = forge_bundle_set("td.test", scene.root.certificate);
    struct forged server = forge((struct forge){.signer = &scene.root});
    struct forged client =
        forge((struct forge){.signer = &scene.root,
                             .names = "critical,URI:spiffe://td.test/ns/shop/sa/web",
                             .end_ns = FORGE_NOW_NS + 2 * FORGE_HOUR_NS});
    scene.server = credential_of(&server);
    scene.client = credential_of(&client);
    scene.key.identity = hbk_tls_credential_id(scene.client);
    forged_free(&server);
    forged_free(&client);
    struct hbk_upstream_config config = {.dial = dial, .on_open = on_open};
    hbk_upstream_init(&scene.upstream, &scene.bench.net, &config);
    for (unsigned i = 0; i < FLOWS_MAX; i++) {
        scene.flows[i].app = -1;
        scene.served[i].app = -1;
    }
    return 0;
}

static void close_tunnel(void *context, const struct hbk_upstream_key *key,
                         struct hbk_tunnel *tunnel)
{
    (void)context;
    (void)key;
    hbk_tunnel_close(tunnel);
}

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

static bool is_quiet(void)
{
    for (unsigned i = 0; i < FLOWS_MAX; i++) {
        const struct flow *flow = &scene.flows[i];
        const struct served *served = &scene.served[i];
        if ((flow->relay.net != NULL && flow->closed == 0) ||
            (served->was_accepted && served->closed == 0)) {
            return false;
        }
    }
    return scene.bench.net.tunnels.objects_used == 0 && scene.upstream.groups.count == 0;
}

/* Cuts all that is left, and demands that each was closed once and nothing leaked. */
static int tear_down(void **state)
{
    (void)state;
    for (unsigned i = 0; i < FLOWS_MAX; i++) {
        if (scene.flows[i].relay.net != NULL && scene.flows[i].closed == 0) {
            hbk_relay_abort(&scene.flows[i].relay, HBK_H2_CANCEL);
        }
    }
    turns(&scene.bench, 5);
    hbk_upstream_each(&scene.upstream, close_tunnel, NULL);
    HBK_LIST_EACH (link, &scene.servers) {
        hbk_tunnel_close(HBK_CONTAINER(link, struct hbk_tunnel, link));
    }
    turn_until(&scene.bench, is_quiet());
    const struct hbk_net_counters *counters = &scene.bench.net.counters;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(counters->tunnels_opened[i], counters->tunnels_closed[i]);
        assert_int_equal(counters->streams_opened[i], counters->streams_closed[i]);
    }
    for (unsigned i = 0; i < FLOWS_MAX; i++) {
        assert_true(scene.flows[i].closed <= 1 && scene.served[i].closed <= 1);
        close_fd(&scene.flows[i].app);
        close_fd(&scene.served[i].app);
    }
    close_fd(&scene.peer_fd);
    hbk_upstream_fini(&scene.upstream);
    hbk_tls_credential_unref(scene.client);
    hbk_tls_credential_unref(scene.server);
    hbk_bundle_set_unref(scene.bundles);
    forged_free(&scene.root);
    bench_fini(&scene.bench);
    return 0;
}

/* Runs an array of tests with each TLS engine. */
#define run_with_each_engine(tests)                                     \
    ((scene_engine = HBK_TLS_ENGINE_NATIVE,                             \
      cmocka_run_group_tests_name("native", tests, NULL, NULL) != 0) || \
     (scene_engine = HBK_TLS_ENGINE_OPENSSL,                            \
      cmocka_run_group_tests_name("openssl", tests, NULL, NULL) != 0))

#define scene_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
