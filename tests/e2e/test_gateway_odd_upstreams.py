"""Upstreams that keep the letter of their protocol and surprise all the same, and some that do
not: what comes of them at the client's side."""

import concurrent.futures
import socket
import threading

import pytest

from harness import frames, gateway, wait
from test_gateway_upstream import (
    ADMIN,
    FRONT,
    STATUS_200,
    UPSTREAM,
    ask_later,
    get,
    pseudo,
    request_frames,
    serve,
)

MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE = 3, 4


@pytest.fixture(autouse=True)
def loopback(private_namespaces):
    """Ports are this test's own."""


def serve_http2(connection, stream, on_request, settings=b""):
    """Calls `on_request(stream id)` for each request's head; what it returns is sent."""
    stream.read(len(frames.PREFACE))
    connection.sendall(frames.frame(frames.SETTINGS, 0, 0, settings))
    while len(head := stream.read(9)) == 9:
        stream.read(int.from_bytes(head[:3], "big"))
        if head[3] == frames.SETTINGS and not head[4] & frames.ACK:
            connection.sendall(frames.frame(frames.SETTINGS, frames.ACK, 0))
        if head[3] == frames.HEADERS:
            on_request(int.from_bytes(head[5:9], "big"))


def whole(stream, status=STATUS_200, *fields):
    block = status + b"".join(frames.field(*one) for one in fields)
    return frames.frame(frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, stream, block)


def test_who_finds_an_http2_connection_full_gets_another(start, tmp_path):
    """An upstream that allows two exchanges at once, and three that want one."""
    arrived = threading.Semaphore(0)
    may_answer = threading.Event()

    def act(_, connection, stream):
        def later(number):
            arrived.release()
            threading.Thread(target=answer, args=(number,), daemon=True).start()

        def answer(number):
            may_answer.wait(20)
            connection.sendall(whole(number))

        serve_http2(connection, stream, later, frames.setting(MAX_CONCURRENT_STREAMS, 2))

    running = serve(start, tmp_path, gateway.HTTP2_UPSTREAM)
    with gateway.Stage(UPSTREAM, act) as stage, concurrent.futures.ThreadPoolExecutor() as pool:
        asked = []
        for _ in range(3):
            asked.append(ask_later(pool, "/"))
            assert arrived.acquire(timeout=10)
        may_answer.set()
        for one in asked:
            assert one.result(20).startswith(b"HTTP/1.1 200 ")
        assert stage.count == 2
    assert running.stat("cluster.up.upstream_cx_total") == 2


def test_empty_trailers_behind_a_body_that_waits_end_the_response(start, tmp_path):
    """The client's window is shut when they come: nothing but the end is left to send."""

    def act(_, connection, stream):
        serve_http2(
            connection,
            stream,
            lambda number: connection.sendall(
                frames.frame(frames.HEADERS, frames.END_HEADERS, number, STATUS_200)
                + frames.frame(frames.DATA, 0, number, b"body")
                + frames.frame(frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, number)
            ),
        )

    running = serve(start, tmp_path, gateway.HTTP2_UPSTREAM)
    with gateway.Stage(UPSTREAM, act), socket.create_connection(("127.0.0.1", FRONT)) as client:
        client.settimeout(20)
        client.sendall(
            frames.PREFACE
            + frames.frame(frames.SETTINGS, 0, 0, frames.setting(INITIAL_WINDOW_SIZE, 0))
            + request_frames(1, pseudo())
        )
        running.wait_for("cluster.up.upstream_rq_completed", 1)
        wait.until(lambda: running.stat("cluster.up.upstream_rq_active") == 0, "its end")
        client.sendall(frames.window_update(1, 100))
        stream = client.makefile("rb")
        body, flags = b"", 0
        while not flags & frames.END_STREAM:
            head = stream.read(9)
            payload = stream.read(int.from_bytes(head[:3], "big"))
            if int.from_bytes(head[5:9], "big") == 1:
                flags = head[4]
                body += payload if head[3] == frames.DATA else b""
    assert body == b"body"
