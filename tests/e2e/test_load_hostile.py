"""`hauberk load` against servers that break the rules: every call ends, counted by what happened
and explained in words, and the program with it."""

import json
import struct

import pytest

from harness import namespace, service
from harness.program import hauberk

PORT = 7800
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def load(handler, *options, timeout="20s"):
    """Two calls, one after the other; returns what is under "hauberk" in the result."""
    with service.Service(namespace.Here(), "127.0.0.1", PORT, handler):
        done = hauberk("load", "--json", "-quiet", "-c", "1", "-n", "2", "-timeout", timeout,
                       *options, f"http://127.0.0.1:{PORT}/")
    assert done.returncode == 1, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)["hauberk"]


def timeout_of(kind):
    """Short where it is waited for; elsewhere a loaded machine is not a failure."""
    return "500ms" if kind == "timeout" else "20s"


def expect(result, kind, words):
    found = (result["calls"], result["failed"], result["errors"][kind])
    assert found == (2, 2, 2), result["errors"]
    assert words in result["error_reasons"].get(kind, "")


# ---- HTTP/1.1 ----


def once(answer):
    def handle(connection):
        if connection.recv(service.PIECE_BYTES):
            connection.sendall(answer)

    return handle


def without_end(begin, piece):
    def handle(connection):
        connection.recv(service.PIECE_BYTES)
        connection.sendall(begin)
        while True:
            connection.sendall(piece)

    return handle


def silent(connection):
    while connection.recv(service.PIECE_BYTES):
        pass


@pytest.mark.parametrize("handler, kind, words", [
    pytest.param(once(CHUNKED + b"FFFFFFFFFFFFFFFFFF\r\nabc"), "malformed", "chunk", id="size"),
    pytest.param(once(CHUNKED + b"-1\r\nabc"), "malformed", "chunk", id="negative size"),
    pytest.param(without_end(CHUNKED, b"1;" + b"a" * 65536), "malformed", "chunk",
                 id="extension without end"),
    pytest.param(without_end(CHUNKED + b"0\r\n", b"x: y\r\n" * 4096), "malformed", "chunk",
                 id="trailers without end"),
    pytest.param(without_end(OK, b"x: y\r\n" * 4096), "malformed", "head",
                 id="headers without end"),
    pytest.param(without_end(b"", b"HTTP/1.1 102 Wait\r\n\r\n" * 1000), "malformed", "1xx",
                 id="interim answers without end"),
    pytest.param(without_end(OK + b"\r\n", b"x" * 65536), "timeout", "", id="body without end"),
    pytest.param(once(OK + b"Content-Length: 2\r\n\r\nokok"), "malformed", "behind the end",
                 id="longer than its length"),
    pytest.param(once(OK + b"Content-Length: 99999999999999999999\r\n\r\nok"), "malformed",
                 "Content-Length", id="length that is no number"),
    pytest.param(once(OK + b"Content-Length: 9\r\n\r\nok"), "early_close", "",
                 id="close in the body"),
    pytest.param(once(OK), "early_close", "", id="close in the head"),
    pytest.param(silent, "timeout", "", id="silence"),
])
def test_answers_that_break_http_1(private_namespaces, handler, kind, words):
    expect(load(handler, timeout=timeout_of(kind)), kind, words)


def test_a_server_that_talks_before_it_is_asked_is_not_dialled_in_a_storm(private_namespaces):
    dialled = []

    def talk(connection):
        dialled.append(connection)
        connection.sendall((OK + b"Content-Length: 0\r\n\r\n") * 3)
        silent(connection)

    result = load(talk, "-qps", "2")
    assert result["failed"] == 2
    # What comes first, our request or its bytes, is up to the clock.
    assert result["error_reasons"]["malformed"] in ("bytes that nobody asked for",
                                                    "bytes behind the end of the answer")
    assert len(dialled) < 20


# ---- HTTP/2 ----


def frame(kind, flags, stream, payload=b""):
    size = struct.pack(">I", len(payload))[1:]
    return size + bytes([kind, flags]) + struct.pack(">I", stream) + payload


DATA, HEADERS, _, RST_STREAM, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUED = range(10)
END_STREAM, END_HEADERS, ACK = 1, 4, 1
STATUS_200 = b"\x88"


# A field of 4,000 bytes that goes into the table, and ten thousand times that field.
BOMB = b"\x40\x01a\x7f\x81\x1e" + b"b" * 4000 + b"\xbe" * 10000


def setting(name, value):
    return frame(SETTINGS, 0, 0, struct.pack(">HI", name, value))


def take(connection, size):
    taken = b""
    while len(taken) < size:
        piece = connection.recv(size - len(taken))
        if not piece:
            raise ConnectionError
        taken += piece
    return taken


def requests(connection, settings):
    """Begins HTTP/2 and yields the stream of each request."""
    take(connection, 24)
    connection.sendall(settings)
    while True:
        head = take(connection, 9)
        take(connection, int.from_bytes(head[:3], "big"))
        if head[3] == SETTINGS and not head[4] & ACK:
            connection.sendall(frame(SETTINGS, ACK, 0))
        elif head[3] == HEADERS:
            yield int.from_bytes(head[5:], "big")


def answer(stream):
    return frame(HEADERS, END_HEADERS, stream, STATUS_200) + frame(DATA, END_STREAM, stream, b"ok")


def each(make, settings=frame(SETTINGS, 0, 0)):
    def handle(connection):
        for stream in requests(connection, settings):
            connection.sendall(make(stream))

    return handle


def flood(make, begin=lambda stream: b""):
    def handle(connection):
        for stream in requests(connection, frame(SETTINGS, 0, 0)):
            connection.sendall(begin(stream))
            while True:
                connection.sendall(make(stream) * 1000)

    return handle


def begun(flags):
    return lambda stream: frame(HEADERS, flags, stream, STATUS_200)


@pytest.mark.parametrize("handler, kind", [
    pytest.param(flood(lambda stream: frame(SETTINGS, 0, 0)), "malformed", id="SETTINGS flood"),
    pytest.param(flood(lambda stream: frame(PING, 0, 0, b"12345678")), "malformed",
                 id="PING flood"),
    pytest.param(flood(lambda stream: frame(DATA, 0, stream), begun(END_HEADERS)), "malformed",
                 id="empty DATA flood"),
    pytest.param(flood(lambda stream: frame(CONTINUED, 0, stream), begun(0)), "malformed",
                 id="CONTINUATION flood"),
    pytest.param(each(lambda stream: frame(WINDOW, 0, 0, struct.pack(">I", 2**31 - 1)) * 2),
                 "malformed", id="windows that overflow"),
    pytest.param(each(lambda stream: b"", setting(4, 0)), "timeout", id="window of nothing"),
    pytest.param(each(lambda stream: frame(HEADERS, 5, stream, STATUS_200 + BOMB)), "malformed",
                 id="header bomb"),
    pytest.param(each(lambda stream: frame(HEADERS, 5, stream, b"\xff" * 20)), "malformed",
                 id="no HPACK"),
    pytest.param(each(lambda stream: frame(HEADERS, 4, stream, STATUS_200 + b"\x5c\x011") +
                      frame(DATA, END_STREAM, stream, b"okok")), "malformed",
                 id="longer than its length"),
    pytest.param(each(lambda stream: frame(PUSH, 4, stream, struct.pack(">I", 2) + STATUS_200)),
                 "malformed", id="push"),
    pytest.param(each(lambda stream: frame(RST_STREAM, 0, stream, struct.pack(">I", 7))), "reset",
                 id="every stream refused"),
    pytest.param(each(lambda stream: frame(GOAWAY, 0, 0, bytes(8)) + answer(stream)), "reset",
                 id="GOAWAY before the answer"),
])
def test_answers_that_break_http_2(private_namespaces, handler, kind):
    result = load(handler, "-h2", "-payload-size", "100000", timeout=timeout_of(kind))
    expect(result, kind, "")
    assert kind == "timeout" or result["error_reasons"][kind] != ""


@pytest.mark.parametrize("make", [
    lambda stream: frame(GOAWAY, 0, 0, struct.pack(">II", 2**31 - 1, 0)) + answer(stream),
    lambda stream: frame(GOAWAY, 0, 0, struct.pack(">II", stream, 0)) + answer(stream),
    lambda stream: answer(stream) + frame(GOAWAY, 0, 0, struct.pack(">II", stream, 0)),
    lambda stream: setting(1, 2**32 - 1) + answer(stream),
], ids=["GOAWAY ahead", "GOAWAY with the stream", "GOAWAY behind", "huge header table"])
def test_what_a_server_may_do_fails_no_call(private_namespaces, make):
    with service.Service(namespace.Here(), "127.0.0.1", PORT, each(make)):
        done = hauberk("load", "-quiet", "-h2", "-c", "1", "-n", "5", f"http://127.0.0.1:{PORT}/")
    assert done.returncode == 0, done.stdout


def test_a_run_without_a_single_call_is_a_failure_that_says_so(private_namespaces):
    with service.Service(namespace.Here(), "127.0.0.1", PORT, each(answer, setting(3, 0))):
        done = hauberk("load", "-quiet", "-h2", "-c", "1", "-qps", "0", "-t", "100ms",
                       f"http://127.0.0.1:{PORT}/")
    assert done.returncode == 1 and "not one request" in done.stderr


# ---- TLS ----


@pytest.mark.parametrize("engine", ["openssl", "native"])
@pytest.mark.parametrize("handler, words", [
    pytest.param(silent, "connect timed out", id="silence"),
    pytest.param(once(b"HTTP/1.1 400 Bad\r\n\r\n" + bytes(1000)), "TLS handshake failed: ",
                 id="plain text"),
    pytest.param(without_end(b"", b"\x16\x03\x03\0\0" * 1000), "TLS handshake failed: ",
                 id="records of nothing without end"),
])
def test_servers_that_stall_or_break_tls_are_told_from_each_other(private_namespaces, engine,
                                                                  handler, words):
    timeout = "500ms" if handler is silent else "20s"
    with service.Service(namespace.Here(), "127.0.0.1", PORT, handler):
        done = hauberk("load", "-quiet", "-k", "--engine", engine, "-c", "1", "-t", "200ms",
                       "-timeout", timeout, f"https://127.0.0.1:{PORT}/")
    assert done.returncode == 1 and words in done.stderr
