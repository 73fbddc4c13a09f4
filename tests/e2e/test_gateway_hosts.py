"""Hosts, servers, request ids and HTTP/1.0: the same requests to Envoy and to the gateway, answers
and what reached the upstream compared."""

import concurrent.futures

import pytest

from harness import gateway, twins

OURS, ENVOYS, UPSTREAM = 21000, 22000, 23000
UP = "{match: {prefix: /}, route: {cluster: up}}"
# fields of the HTTP connection manager, routes
MANAGERS = [
    ("http_protocol_options: {accept_http_10: true}", UP),
    ("http_protocol_options: {accept_http_10: true, default_host_for_http_10: other.test}", UP),
    ("strip_any_host_port: true", UP),
    ("strip_matching_host_port: true", UP),
    ("strip_trailing_host_dot: true", UP),
    ("server_header_transformation: PASS_THROUGH", UP),
    ("server_header_transformation: APPEND_IF_ABSENT", UP),
    ("server_name: edge", UP),
    ("generate_request_id: false", UP),
    ("use_remote_address: true", UP),
    ("use_remote_address: true\n          preserve_external_request_id: true", UP),
    ("always_set_request_id_in_response: true", UP),
    ("via: edge", UP),
    ("", "{match: {prefix: /}, route: {cluster: named, auto_host_rewrite: true}}"),
    ("", "{match: {prefix: /}, route: {cluster: named, auto_host_rewrite: true, "
         "append_x_forwarded_host: true}}"),
    ("", "{match: {prefix: /}, route: {cluster: up, auto_host_rewrite: true, "
         "append_x_forwarded_host: true}}"),
    ("", "{match: {prefix: /}, route: {cluster: up, host_rewrite_literal: other.test, "
         "append_x_forwarded_host: true}}"),
]  # fmt: skip
REQUESTS = [
    "GET / HTTP/1.1\r\nHost: a.test\r\n",
    "GET / HTTP/1.1\r\nHost: a.test:80\r\n",
    "GET / HTTP/1.1\r\nHost: a.test:PORT\r\n",
    "GET / HTTP/1.1\r\nHost: a.test.\r\n",
    "GET / HTTP/1.1\r\nHost: a.test\r\nX-Request-Id: mine\r\n",
    "GET /headers HTTP/1.1\r\nHost: a.test\r\n",
    "GET / HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-Host: b.test,a.test\r\n",
    "GET / HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-Host: b.test, c.test\r\n",
    "GET / HTTP/1.0\r\nHost: a.test\r\n",
    "GET / HTTP/1.0\r\n",
]


def named_cluster():
    return gateway.http_cluster(UPSTREAM, "type: STRICT_DNS\n    dns_lookup_family: V4_ONLY",
                                name="named").replace("address: 127.0.0.1", "address: localhost")


def write(folder, name, base):
    listeners = "".join(
        gateway.http_listener(base + i, routes, manager, name=f"manager{i}")
        for i, (manager, routes) in enumerate(MANAGERS)
    )
    path = folder / f"{name}.yaml"
    clusters = gateway.http_cluster(UPSTREAM) + named_cluster()
    path.write_text(gateway.bootstrap(base + 99, listeners, clusters))
    return path


@pytest.fixture(scope="module")
def pair(tmp_path_factory, find_peer_program):
    folder = tmp_path_factory.mktemp("hosts")
    upstreams = [gateway.Upstream(UPSTREAM)]
    with twins.run(
        folder, find_peer_program("envoy"), (OURS, ENVOYS), write, upstreams
    ) as running:
        yield running


def outcome(port, request):
    data = request.replace("PORT", str(port)) + "Connection: close\r\n\r\n"
    reply = gateway.Reply(gateway.exchange(port, data.encode()))
    fields = [field for field in reply.fields if not field.startswith(b"content-length")]
    fields = [field.replace(str(port).encode(), b"PORT") for field in fields]
    head, shown, _ = reply.shown()
    shown = [line.replace(str(port).encode(), b"PORT") for line in shown]
    # Envoy gives a client of the loopback the address of the machine.
    shown = [line for line in shown if not line.startswith(b"x-forwarded-for")]
    return reply.status.split(b" ")[1:], fields, head, shown


def test_requests_look_as_they_look_behind_envoy(pair):
    cases = [(i, request) for i in range(len(MANAGERS)) for request in REQUESTS]

    def both(case):
        return [outcome(base + case[0], case[1]) for base in (OURS, ENVOYS)]

    # Side by side, since Envoy takes a second to close what it refuses.
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        found = list(pool.map(both, cases))
    differences = [
        (MANAGERS[number][0], request, ours, envoys)
        for (number, request), (ours, envoys) in zip(cases, found)
        if ours != envoys
    ]
    assert not differences, "\n".join(map(str, differences))
