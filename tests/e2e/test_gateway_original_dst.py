"""Clusters of type ORIGINAL_DST: connections that nftables redirects go on to where they meant to.

A client in a network namespace of its own reaches addresses of this one; what goes to ports 80 to
89 is redirected to the proxy. Tests with `proxy` run with ours and with Envoy, with the same file.
"""

import contextlib
import socket
import subprocess

import pytest

from harness import gateway, health, namespace, program, wait

NET = "10.77.0"
CLIENT, HERE, OTHER = f"{NET}.2", f"{NET}.1", f"{NET}.3"
FRONT = health.FRONT
FILTER = "type.googleapis.com/envoy.extensions.filters.listener.original_dst.v3.OriginalDst"
TCP_PROXY = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
RULES = f"""
table ip original {{
  chain before {{
    type nat hook prerouting priority -100;
    tcp dport 80-89 redirect to :{FRONT}
  }}
}}
"""


def run(*command, **options):
    subprocess.run(command, check=True, capture_output=True, timeout=30, **options)


@pytest.fixture(scope="module")
def client():
    there = namespace.Namespace("client")
    try:
        run("ip", "link", "add", "original0", "type", "veth", "peer", "name", "eth0", "netns",
            str(there.holder.pid))
        for address in (HERE, OTHER):
            run("ip", "address", "add", f"{address}/24", "dev", "original0")
        run("ip", "link", "set", "original0", "up")
        there.ip(f"address add {CLIENT}/24 dev eth0", "link set eth0 up")
        run("nft", "-f", "-", input=RULES.encode())
        yield there
    finally:
        for command in ("nft delete table ip original", "ip link delete original0"):
            subprocess.run(command.split(), check=False, capture_output=True, timeout=30)
        there.close()


@pytest.fixture(params=["hauberk", "envoy"])
def proxy(request, private_namespaces, client, start, tmp_path, find_peer_program):
    envoy = find_peer_program("envoy") if request.param == "envoy" else None

    def run_proxy(cluster, listener=None):
        text = listener or http_listener()
        return health.start_proxy(start, tmp_path, envoy, cluster, listeners=text)

    return run_proxy


@pytest.fixture
def ours(private_namespaces, client, start, tmp_path):
    def run_ours(cluster, **options):
        text = http_listener()
        return health.start_proxy(start, tmp_path, None, cluster, listeners=text, **options)

    return run_ours


def http_listener():
    filters = f'listener_filters: [{{name: original, typed_config: {{"@type": {FILTER}}}}}]'
    text = gateway.http_listener(FRONT, health.TO_UP, listener=filters)
    return text.replace("127.0.0.1", "0.0.0.0")


def tcp_listener():
    return f"""
  - name: front
    address: {{socket_address: {{address: 0.0.0.0, port_value: {FRONT}}}}}
    listener_filters: [{{name: original, typed_config: {{"@type": {FILTER}}}}}]
    filter_chains:
    - filters:
      - name: tcp
        typed_config: {{"@type": {TCP_PROXY}, stat_prefix: t, cluster: up}}
"""


def cluster(options="", interval="60s"):
    return f"""
  - name: up
    type: ORIGINAL_DST
    lb_policy: CLUSTER_PROVIDED
    connect_timeout: 5s
    cleanup_interval: {interval}
    {options}
"""


class Named:
    """A host that answers every request with its name, and keeps the connection."""

    def __init__(self, address, port, name):
        def act(_, connection, stream):
            while head := gateway.read_head(stream):
                body = name.encode()
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
                connection.sendall(body)
                if b"connection: close" in head.lower():
                    return

        self.stage = gateway.Stage(port, act, address)

    def __enter__(self):
        return self.stage

    def __exit__(self, *_):
        self.stage.close()


@contextlib.contextmanager
def hosts():
    with Named(HERE, 80, "here:80"), Named(OTHER, 80, "other:80"), Named(HERE, 81, "here:81"):
        yield


def ask(client, address, port, *fields):
    lines = ["GET / HTTP/1.1", "Host: any.test", *fields, "Connection: close"]
    with client.connect(address, port) as connection:
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        received = b""
        while piece := connection.recv(65536):
            received += piece
    return gateway.Reply(received)


def test_each_connection_goes_on_to_where_it_meant_to(proxy, client):
    with hosts():
        running = proxy(cluster())
        assert ask(client, HERE, 80).body == b"here:80"
        assert ask(client, OTHER, 80).body == b"other:80"
        assert ask(client, HERE, 81).body == b"here:81"
        assert ask(client, HERE, 80).body == b"here:80"
        wait.until(lambda: running.stat("cluster.up.membership_total") >= 3, "three hosts")
        assert ask(client, OTHER, 82).status == b"HTTP/1.1 503 Service Unavailable"


def test_tcp_goes_on_to_where_it_meant_to(proxy, client):
    with hosts():
        proxy(cluster(), tcp_listener())
        assert ask(client, OTHER, 80).body == b"other:80"
        assert ask(client, HERE, 81).body == b"here:81"


def test_a_connection_that_was_not_redirected_leads_nowhere(ours, client):
    """Envoy connects to itself, again and again, where connection tracking is on."""
    running = ours(cluster())
    reply = ask(client, HERE, FRONT)
    assert reply.status == b"HTTP/1.1 503 Service Unavailable"
    assert reply.body == b"no healthy upstream"
    assert running.stat("cluster.up.upstream_cx_none_healthy") == 1


def test_a_header_names_the_host_where_the_cluster_says_so(proxy, client):
    with hosts():
        running = proxy(cluster("original_dst_lb_config: {use_http_header: true}"))
        field = "x-envoy-original-dst-host: "
        assert ask(client, HERE, FRONT, f"{field}{OTHER}:80").body == b"other:80"
        assert ask(client, HERE, 80, f"{field}{OTHER}:80").body == b"other:80"
        assert ask(client, HERE, 80).body == b"here:80"
        assert running.stat("cluster.up.original_dst_host_invalid") == 0
        for wrong in ("localhost:80", "10.0.0.1", "nonsense", "10.0.0.1:80x"):
            assert ask(client, HERE, 80, f"{field}{wrong}").body == b"here:80"
        assert running.stat("cluster.up.original_dst_host_invalid") == 4


def test_a_header_of_another_name_and_a_port_of_the_files(proxy, client):
    options = (
        "original_dst_lb_config: {use_http_header: true, http_header_name: X-Where, "
        "upstream_port_override: 81}"
    )
    with hosts():
        proxy(cluster(options))
        assert ask(client, HERE, FRONT, f"x-where: {HERE}:80").body == b"here:81"
        assert ask(client, HERE, 80).body == b"here:81"


def test_hosts_that_nobody_asks_for_go_and_come_again(ours, client):
    """Envoy keeps them as long as their idle connections."""
    with hosts():
        running = ours(cluster(interval="0.05s"))
        for _ in range(3):
            assert ask(client, HERE, 80).body == b"here:80"
            wait.until(lambda: running.stat("cluster.up.membership_total") == 0, "no host")
        wait.until(lambda: running.stat("cluster.up.upstream_cx_active") == 0, "no connection")


def test_a_host_stays_as_long_as_somebody_uses_it(proxy, client):
    with hosts():
        running = proxy(cluster(interval="0.05s"), tcp_listener())
        with client.connect(OTHER, 80) as connection:
            for _ in range(3):
                connection.sendall(b"GET / HTTP/1.1\r\nHost: any.test\r\n\r\n")
                assert b" 200 " in gateway.read_head(stream := connection.makefile("rb"))
                assert stream.read(8) == b"other:80"
                assert ask(client, HERE, 80).body == b"here:80"
                wait.until(
                    lambda: running.stat("cluster.up.upstream_cx_active") == 1, "one connection"
                )


def test_hosts_are_no_more_than_their_limit(ours):
    """A header names as many hosts as there is room for, and one more."""
    limit = 4096
    options = "original_dst_lb_config: {use_http_header: true}"
    running = ours(cluster(options), options=("--concurrency", "1"))
    with socket.create_connection(("127.0.0.1", FRONT), timeout=10) as connection:
        stream = connection.makefile("rb")
        for i in range(limit + 1):
            host = f"127.1.{i >> 8}.{i & 255}:9"
            connection.sendall(
                f"GET / HTTP/1.1\r\nHost: a\r\nx-envoy-original-dst-host: {host}\r\n\r\n".encode()
            )
            head = gateway.read_head(stream)
            assert b" 503 " in head
            size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            body = stream.read(size)
        assert body == b"no healthy upstream"
    assert running.stat("cluster.up.original_dst_host_overflow") == 1
    assert running.stat("cluster.up.membership_total") == limit


def test_what_does_not_belong_to_such_a_cluster_is_refused(tmp_path):
    wrong = {
        "health_checks: [{timeout: 1s, interval: 1s, unhealthy_threshold: 1, "
        "healthy_threshold: 1, tcp_health_check: {}}]": "ORIGINAL_DST are not supported yet",
        "original_dst_lb_config: {http_header_name: x}": "without use_http_header",
        "original_dst_lb_config: {metadata_key: {}}": "metadata_key",
    }
    for options, reason in wrong.items():
        path = tmp_path / "wrong.yaml"
        path.write_text(gateway.bootstrap(health.ADMIN, http_listener(), cluster(options)))
        result = program.hauberk("gateway", "-c", path, "--mode", "validate")
        assert result.returncode != 0, options
        assert reason in result.stdout + result.stderr, result.stderr
