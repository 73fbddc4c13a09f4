"""The gateway between clients and upstreams that do as they like: whatever comes of it, the gateway
lives (and the sanitizers are silent), and when all have left it holds nothing of them."""

import concurrent.futures
import contextlib

import pytest

from harness import chaos, gateway, wait

FRONT, TCP, ADMIN, HTTP1, HTTP2 = 24800, 24801, 24809, 24810, 24811
CLIENTS = 400
SEED = 20261129

TCP_PROXY = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
SMALL = "per_connection_buffer_limit_bytes: 20000"
AGAIN = (
    "retry_policy: {retry_on: '5xx,reset,refused-stream,connect-failure', num_retries: 2, "
    "per_try_timeout: 0.2s, retry_back_off: {base_interval: 0.001s, max_interval: 0.01s}}"
)
ROUTES = ", ".join(
    [
        f"{{match: {{prefix: /h1/again}}, route: {{cluster: http1, timeout: 0.6s, {AGAIN}}}}}",
        f"{{match: {{prefix: /h2/again}}, route: {{cluster: http2, timeout: 0.6s, {AGAIN}}}}}",
        "{match: {prefix: /h1}, route: {cluster: http1, timeout: 0.4s}}",
        "{match: {prefix: /h2}, route: {cluster: http2, timeout: 0.4s}}",
        "{match: {path: /here}, direct_response: {status: 200, body: {inline_string: hello}}}",
        "{match: {path: /away}, redirect: {https_redirect: true}}",
    ]
)
MANAGER = """request_timeout: 0.8s
          stream_idle_timeout: 0.6s
          request_headers_timeout: 0.6s
          delayed_close_timeout: 0.2s
          http_protocol_options: {accept_http_10: true}
          common_http_protocol_options: {idle_timeout: 1s, max_requests_per_connection: 7}"""
TCP_LISTENER = f"""
  - name: tcp
    address: {{socket_address: {{address: 127.0.0.1, port_value: {TCP}}}}}
    {SMALL}
    filter_chains:
    - filters:
      - name: tcp
        typed_config:
          {{"@type": {TCP_PROXY}, stat_prefix: tcp, cluster: http1, idle_timeout: 0.5s}}
"""
LIMITS = "circuit_breakers: {thresholds: [{max_connections: 4, max_pending_requests: 8}]}"


@pytest.fixture(autouse=True)
def loopback(private_namespaces):
    """Ports are this test's own."""


def serve(start, folder):
    listeners = gateway.http_listener(FRONT, ROUTES, manager=MANAGER, listener=SMALL)
    more = f"{SMALL}\n    {LIMITS}\n    "
    clusters = gateway.http_cluster(
        HTTP1, more + "max_requests_per_connection: 5", name="http1"
    ) + gateway.http_cluster(HTTP2, more + gateway.HTTP2_UPSTREAM, name="http2")
    text = gateway.bootstrap(ADMIN, listeners + TCP_LISTENER, clusters)
    return gateway.run(start, folder, text, ADMIN)


def left(running):
    """What the gateway still holds of exchanges and of clients."""
    held = {}
    for line in running.admin("/stats").splitlines():
        name, _, value = line.partition(": ")
        if name.startswith(("http.", "cluster.")) and name.endswith("_active") and value != "0":
            held[name] = value
    return {name: held[name] for name in held if not name.endswith("upstream_cx_active")}


def play(number):
    dice = chaos.Dice(SEED + number)
    acts = [(chaos.http1_client, FRONT), (chaos.http2_client, FRONT), (chaos.tcp_client, TCP)]
    chaos.play_client(dice, *dice.choice([acts[0], acts[0], acts[1], acts[1], acts[2]]))


def test_peers_that_do_as_they_like_leave_nothing_behind(start, tmp_path):
    running = serve(start, tmp_path)
    with contextlib.ExitStack() as stages:
        stages.enter_context(gateway.Stage(HTTP1, chaos.http1_upstream(SEED)))
        stages.enter_context(gateway.Stage(HTTP2, chaos.http2_upstream(SEED)))
        with concurrent.futures.ThreadPoolExecutor(24) as pool:
            for played in [pool.submit(play, number) for number in range(CLIENTS)]:
                played.result(60)
        wait.until(lambda: not left(running), "nothing to be left", 30)
    answer = gateway.exchange(FRONT, b"GET /here HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert answer.endswith(b"hello")
