"""Handshakes of clients that say nothing, or nonsense: before HTTP and before tcp_proxy alike."""

import contextlib
import socket

import pytest

from harness import gateway, tls_gateway, wait

FRONT, ADMIN, UPSTREAM = 24700, 24709, 24710
TCP_PROXY = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
ROUTES = "{match: {prefix: /}, route: {cluster: up}}"
LOG = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"


@pytest.fixture(autouse=True)
def loopback(private_namespaces):
    """Ports are this test's own."""


def listener(kind, folder, timeout):
    tls = (
        "transport_socket_connect_timeout: "
        f'{timeout}\n      transport_socket: {{name: tls, typed_config: {{"@type": '
        f"{tls_gateway.TLS}.DownstreamTlsContext, common_tls_context: {{tls_certificates: "
        f"{{certificate_chain: {{filename: {folder}/front.pem}}, "
        f"private_key: {{filename: {folder}/front.key}}}}}}}}}}"
    )
    log = (
        f'access_log: {{name: log, typed_config: {{"@type": {LOG}, path: {folder}/log, '
        "log_format: {text_format_source: {inline_string: "
        '"%CONNECTION_TERMINATION_DETAILS%|%DOWNSTREAM_TRANSPORT_FAILURE_REASON%\\n"}}}}'
    )
    if kind == "http":
        return gateway.http_listener(FRONT, ROUTES, socket=tls, listener=log)
    return f"""
  - name: front
    address: {{socket_address: {{address: 127.0.0.1, port_value: {FRONT}}}}}
    {log}
    filter_chains:
    - filters:
      - {{name: tcp, typed_config: {{"@type": {TCP_PROXY}, stat_prefix: front, cluster: up}}}}
      {tls}
"""


def serve(start, folder, kind, timeout):
    tls_gateway.make_pair(folder, "front", kind="ec")
    text = gateway.bootstrap(ADMIN, listener(kind, folder, timeout), gateway.http_cluster(UPSTREAM))
    return gateway.run(start, folder, text, ADMIN, "--file-flush-interval-msec", "20")


def stat(name):
    return f"listener.127.0.0.1_{FRONT}.{name}"


def wait_at_door(_, connection, stream):
    stream.read()


def assert_gone(running, folder, line):
    wait.until(lambda: running.stat(stat("downstream_cx_active")) == 0, "its end")
    wait.until(lambda: running.stat("cluster.up.upstream_cx_active") == 0, "the upstream's end")
    wait.until(lambda: line in (folder / "log").read_text(), f"{line} in the log")
    assert running.stat(stat("ssl.handshake")) == 0


@pytest.mark.parametrize("kind", ["http", "tcp"])
@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01"], ids=["nothing", "a beginning"])
def test_who_says_nothing_is_let_go_in_time(start, tmp_path, kind, said):
    running = serve(start, tmp_path, kind, "0.3s")
    with gateway.Stage(UPSTREAM, wait_at_door):
        with socket.create_connection(("127.0.0.1", FRONT), timeout=20) as client:
            with contextlib.suppress(OSError):  # a starved test may come too late with it
                client.sendall(said)
            running.wait_for(stat("downstream_cx_transport_socket_connect_timeout"), 1)
            assert_gone(running, tmp_path, "transport socket timeout was reached|connect_time_out")
    assert running.stat(stat("ssl.connection_error")) == 0


@pytest.mark.parametrize("kind", ["http", "tcp"])
def test_nonsense_is_counted_before_either_filter(start, tmp_path, kind):
    running = serve(start, tmp_path, kind, "20s")
    with gateway.Stage(UPSTREAM, wait_at_door):
        with socket.create_connection(("127.0.0.1", FRONT), timeout=20) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            running.wait_for(stat("ssl.connection_error"), 1)
            assert_gone(running, tmp_path, "-|TLS_error:")
    assert running.stat(stat("downstream_cx_transport_socket_connect_timeout")) == 0
