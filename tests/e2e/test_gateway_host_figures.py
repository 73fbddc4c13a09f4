"""/clusters: what is counted of each host, and where it is, beside Envoy with one file."""

import json

import pytest

from harness import gateway, twins, wait

OURS, ENVOYS, UPSTREAM, NOBODY = 21000, 22000, 23000, 23001
TCP_PROXY = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
ROUTES = (
    "{match: {prefix: /nobody}, route: {cluster: nobody}}, "
    "{match: {prefix: /silent}, route: {cluster: up, timeout: 0.2s}}, "
    "{match: {prefix: /tried}, route: {cluster: up, prefix_rewrite: /silent, timeout: 5s, "
    "retry_policy: {retry_on: 5xx, num_retries: 1, per_try_timeout: 0.2s, "
    "retry_back_off: {base_interval: 0.001s}}}}, "
    "{match: {prefix: /}, route: {cluster: up}}"
)
PATHS = ["/", "/", "/status/404", "/status/503", "/hang-up", "/garbage", "/half", "/silent",
         "/tried", "/nobody"]  # fmt: skip
LIMITS = "circuit_breakers: {thresholds: [{max_requests: 7}, {priority: HIGH, max_retries: 2}]}"


def write(folder, name, base):
    tcp = "".join(
        f"""
  - name: {cluster}
    address: {{socket_address: {{address: 127.0.0.1, port_value: {base + port}}}}}
    filter_chains:
    - filters:
      - name: tcp
        typed_config: {{"@type": {TCP_PROXY}, stat_prefix: tcp, cluster: {cluster}}}"""
        for port, cluster in ((1, "tcp"), (2, "tcp_nobody"))
    )
    located = gateway.http_cluster(UPSTREAM, LIMITS).replace(
        "- lb_endpoints:", "- locality: {region: here, zone: near}\n        lb_endpoints:"
    )
    clusters = (
        located
        + gateway.http_cluster(NOBODY, name="nobody")
        + gateway.http_cluster(UPSTREAM, name="tcp")
        + gateway.http_cluster(NOBODY, name="tcp_nobody")
    )
    path = folder / f"{name}.yaml"
    listeners = gateway.http_listener(base, ROUTES) + tcp
    path.write_text(gateway.bootstrap(base + 99, listeners, clusters), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def pair(tmp_path_factory, find_peer_program):
    folder = tmp_path_factory.mktemp("figures")
    upstreams = [gateway.Upstream(UPSTREAM)]
    with twins.run(
        folder, find_peer_program("envoy"), (OURS, ENVOYS), write, upstreams
    ) as running:
        for base in (OURS, ENVOYS):
            for path in PATHS:
                ask(base, path)
            ask(base + 1, "/")
            ask(base + 2, "/")
        yield running


def ask(port, path):
    request = f"GET {path} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"
    return gateway.exchange(port, request.encode())


def lines(base):
    return sorted(gateway.Running(None, base + 99).admin("/clusters").splitlines())


def test_the_text_has_envoys_lines(pair):
    wait.until(lambda: lines(OURS) == lines(ENVOYS), "the same lines of both", 20)
    host = f"up::127.0.0.1:{UPSTREAM}"
    shown = lines(OURS)
    for line in ("region::here", "zone::near", "rq_timeout::3", "cx_active::0", "rq_active::0"):
        assert f"{host}::{line}" in shown
    assert f"nobody::127.0.0.1:{NOBODY}::cx_connect_fail::1" in shown
    assert "up::high_priority::max_retries::2" in shown


def test_json_has_the_same(pair):
    def read(base):
        text = gateway.Running(None, base + 99).admin("/clusters?format=json")
        return sorted(json.loads(text)["cluster_statuses"], key=lambda one: one["name"])

    wait.until(lambda: read(OURS) == read(ENVOYS), "the same of both", 20)


def test_exchanges_of_tcp_proxies_count_in_their_clusters(pair):
    names = [f"cluster.{cluster}.upstream_rq_{name}" for cluster in ("tcp", "tcp_nobody")
             for name in ("total", "active", "pending_total", "pending_active")]  # fmt: skip

    def read(base):
        running = gateway.Running(None, base + 99)
        return {name: running.stat(name) for name in names}

    wait.until(lambda: read(OURS) == read(ENVOYS), "the same figures of both", 20)
