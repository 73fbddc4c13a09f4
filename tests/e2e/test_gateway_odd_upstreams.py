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


NO_BODIES = {
    "204 with a length": b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
    "204 in chunks": b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
    "1xx with a length": b"HTTP/1.1 102 Processing\r\nContent-Length: 5\r\n\r\n",
    "1xx in chunks": b"HTTP/1.1 103 Hints\r\nTransfer-Encoding: chunked\r\n\r\n",
    "lines without CR": b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
}


@pytest.mark.parametrize("name", NO_BODIES)
def test_a_response_that_contradicts_itself_is_502_and_the_end_of_its_connection(
    start, tmp_path, name
):
    def act(_, connection, stream):
        gateway.read_head(stream)
        connection.sendall(NO_BODIES[name])
        stream.read(1)  # until the gateway ends it

    running = serve(start, tmp_path)
    with gateway.Stage(UPSTREAM, act):
        received = gateway.exchange(FRONT, get("/"))
    assert received.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
    wait.until(lambda: running.stat("cluster.up.upstream_cx_active") == 0, "its end")


def test_connection_names_a_few_fields_and_no_crowd(start, tmp_path):
    """On both sides: each name is looked for in the whole head."""
    crowd = "Connection: " + "a," * 5000

    def act(_, connection, stream):
        gateway.read_head(stream)
        theirs = "Transfer-Encoding: chunked\r\nX-Theirs: 1"
        connection.sendall(f"HTTP/1.1 200 OK\r\n{theirs}\r\n{crowd}\r\n\r\n0\r\n\r\n".encode())

    running = serve(start, tmp_path)
    with gateway.Stage(UPSTREAM, act):
        received = gateway.exchange(FRONT, get("/")).lower()
        assert received.startswith(b"http/1.1 502 ")
        assert b"transfer-encoding" not in received and b"x-theirs" not in received
        assert running.stat("cluster.up.upstream_rq_total") == 1
        assert gateway.exchange(FRONT, get("/", crowd)).startswith(b"HTTP/1.1 400 ")
    assert running.stat("cluster.up.upstream_rq_total") == 1


def test_a_204_comes_without_a_length(start, tmp_path):
    def act(_, connection, stream):
        gateway.read_head(stream)
        connection.sendall(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n")

    serve(start, tmp_path)
    with gateway.Stage(UPSTREAM, act):
        received = gateway.exchange(FRONT, get("/"))
    assert received.startswith(b"HTTP/1.1 204 No Content\r\n")
    assert b"content-length" not in received


NO_HOSTS = ["a b", "a/b", 'a"b', "<a>", "a#b", "a?b", "a\\b", "a\tb", "\xe9", "a|b", "{a}", "u@a"]


def test_a_host_that_no_url_may_have_is_refused_in_either_version(start, tmp_path):
    """It would come back in a Location, or name an entry of a cache."""
    running = serve(start, tmp_path)
    for host in NO_HOSTS:
        head = f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        received = gateway.exchange(FRONT, head.encode("latin-1"))
        assert received.startswith(b"HTTP/1.1 400 "), host
    for target in ("http:///", "http://", "http://a|b/", "http://u@/"):
        received = gateway.exchange(FRONT, get(target))
        assert received.startswith(b"HTTP/1.1 400 "), target
    refused = running.stat("http.front.downstream_rq_4xx")
    for field in ("host", ":authority"):
        data = request_frames(1, [*pseudo()[:3], (field, "a|b")])
        with socket.create_connection(("127.0.0.1", FRONT)) as client:
            client.sendall(frames.PREFACE + frames.frame(frames.SETTINGS, 0, 0) + data)
            refused += 1
            running.wait_for("http.front.downstream_rq_4xx", refused)
    assert running.stat("cluster.up.upstream_rq_total") == 0


def test_lines_that_a_full_disk_loses_are_counted(start, tmp_path):
    log = (
        'access_log: [{name: file, typed_config: {"@type": type.googleapis.com/'
        "envoy.extensions.access_loggers.file.v3.FileAccessLog, path: /dev/full}}]"
    )
    options = ("--file-flush-interval-msec", "20")
    running = serve(start, tmp_path, options=options, manager=log)
    assert running.stat("filesystem.write_failed") == 0
    assert gateway.exchange(FRONT, get("/")).startswith(b"HTTP/1.1 503 ")
    running.wait_for("filesystem.write_failed", 1)


def test_a_response_that_only_the_end_completes_has_none_when_it_is_cut_off(start, tmp_path):
    """To a client of HTTP/1.0 an orderly end would say that it has all."""

    def act(_, connection, stream):
        gateway.read_head(stream)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")

    serve(start, tmp_path, manager="http_protocol_options: {accept_http_10: true}")
    with gateway.Stage(UPSTREAM, act), socket.create_connection(("127.0.0.1", FRONT)) as client:
        client.settimeout(20)
        client.sendall(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            while client.recv(65536):
                pass


def test_a_connection_that_fails_in_the_turn_of_an_answer_leaves_nothing_behind(start, tmp_path):
    """One exchange ends and another fails with its connection, all in one read: the session goes
    after both of them."""
    streams = []

    def act(_, connection, stream):
        def on_request(number):
            streams.append(number)
            if len(streams) == 2:  # an answer, and a frame that ends the connection
                connection.sendall(whole(streams[0]) + frames.frame(frames.PING, 0, 0, b"short"))

        serve_http2(connection, stream, on_request)

    serve(start, tmp_path, gateway.HTTP2_UPSTREAM)
    with gateway.Stage(UPSTREAM, act), concurrent.futures.ThreadPoolExecutor() as pool:
        first = ask_later(pool, "/first")
        wait.until(lambda: len(streams) == 1, "the first to arrive")
        second = ask_later(pool, "/second")
        assert first.result(20).startswith(b"HTTP/1.1 200 ")
        assert second.result(20).startswith(b"HTTP/1.1 502 ")
