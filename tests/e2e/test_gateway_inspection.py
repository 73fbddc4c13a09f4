"""What a client can do to the filter that looks at its ClientHello: it may not wait for ever."""

import socket

import pytest

from harness import gateway, health, raw_tls

INSPECTED = (
    "listener_filters_timeout: 0s\n"
    "    listener_filters: [{name: tls, typed_config: {"
    '"@type": type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector'
    "%s}}]"
)
ANSWER = "{match: {prefix: /}, direct_response: {status: 200}}"


@pytest.fixture(params=["hauberk", "envoy"])
def serve(request, private_namespaces, start, tmp_path, find_peer_program):
    envoy = find_peer_program("envoy") if request.param == "envoy" else None

    def run(more=""):
        listener = gateway.http_listener(health.FRONT, ANSWER, listener=INSPECTED % more)
        running = health.start_proxy(start, tmp_path, envoy, "", listeners=listener)
        running.is_envoy = envoy is not None
        return running

    return run


def beginning(size):
    """The first bytes of a ClientHello of that many bytes, which never gets whole."""
    return raw_tls.message(1, bytes(size))[: size + 3]


def in_records(data, size):
    pieces = (data[i : i + size] for i in range(0, len(data), size))
    return b"".join(raw_tls.record(22, piece, 0x0301) for piece in pieces)


HELLOS = {
    "records of one byte": (in_records(beginning(5000), 1), ""),
    "records of few bytes": (in_records(beginning(12000), 3), ""),
    "more than the file allows": (
        in_records(beginning(3000), 512),
        ", max_client_hello_size: 2000",
    ),
}


@pytest.mark.parametrize("name", HELLOS)
def test_a_hello_that_fills_the_room_ends_the_connection(serve, name):
    data, more = HELLOS[name]
    running = serve(more)
    with socket.create_connection(("127.0.0.1", health.FRONT), timeout=10) as client:
        try:
            client.sendall(data)
            assert client.recv(1) == b""
        except (ConnectionResetError, BrokenPipeError):
            pass
    if not running.is_envoy:
        name = f"listener.127.0.0.1_{health.FRONT}.downstream_listener_filter_error"
        running.wait_for(name, 1)
    assert running.get().status == b"HTTP/1.1 200 OK"
