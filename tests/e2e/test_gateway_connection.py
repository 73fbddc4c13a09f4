"""Clients' connections at the gateway: their ends, what comes ahead, slow sides, and drains."""

import contextlib
import json
import os
import signal
import socket
import struct
import threading

import pytest

from harness import frames, gateway, program, wait

FRONT, ADMIN, UPSTREAM = 24200, 24209, 24210

HELLO = '{match: {path: /hello}, direct_response: {status: 200, body: {inline_string: "hello"}}}'
TO_UP = "{match: {prefix: /}, route: {cluster: up, timeout: 60s}}"


@pytest.fixture(autouse=True)
def loopback(private_namespaces):
    """Ports are this test's own."""


def serve(start, folder, cluster="", options=(), **listener):
    text = gateway.bootstrap(
        ADMIN,
        gateway.http_listener(FRONT, f"{HELLO}, {TO_UP}", **listener),
        gateway.http_cluster(UPSTREAM, cluster),
    )
    return gateway.run(start, folder, text, ADMIN, *options)


@contextlib.contextmanager
def connected(receive_bytes=0):
    with socket.socket() as client:
        if receive_bytes:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        client.settimeout(30)
        client.connect(("127.0.0.1", FRONT))
        yield client


def read_reply(stream):
    """(status line, body) of one response with a length."""
    head = gateway.read_head(stream)
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0] or b"0")
    return head.split(b"\r\n")[0], stream.read(length)


def request(path, *fields, method="GET"):
    return ("\r\n".join([f"{method} {path} HTTP/1.1", "Host: a", *fields]) + "\r\n\r\n").encode()


# ---- ends ----


def test_an_answer_before_the_end_of_an_upload_reaches_the_client(start, tmp_path):
    """A client that writes first and reads afterwards finds an answer, and no reset."""
    serve(start, tmp_path)
    body = bytes(8 << 20)
    with connected() as client:
        client.sendall(request("/hello", f"Content-Length: {len(body)}", method="POST") + body)
        received = b""
        while piece := client.recv(65536):
            received += piece
    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert received.endswith(b"hello")


def test_a_client_that_never_ends_is_let_go_after_the_delayed_close(start, tmp_path):
    running = serve(start, tmp_path, manager="delayed_close_timeout: 0.2s")
    with connected() as client:
        client.sendall(request("/hello", "Connection: close"))
        while client.recv(65536):
            pass
        running.wait_for("http.front.downstream_cx_destroy", 1)


def test_a_large_last_response_is_not_cut_off_by_the_delayed_close(start, tmp_path):
    """The time counts from the last bytes that the client took."""
    size = 6 << 20

    def act(_, connection, stream):
        gateway.read_head(stream)
        connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode())
        connection.sendall(bytes(size))

    running = serve(start, tmp_path, manager="delayed_close_timeout: 0.3s")
    with gateway.Stage(UPSTREAM, act), connected(receive_bytes=4096) as client:
        client.sendall(request("/", "Connection: close"))
        stream = client.makefile("rb", buffering=8192)
        head = gateway.read_head(stream)
        total = 0
        while piece := stream.read1(8192):
            total += len(piece)
            if total < 200000:
                running.admin("/ready")  # takes its time, as this client does
    assert head.startswith(b"HTTP/1.1 200 ")
    assert total == size


# ---- what comes ahead ----


def test_any_number_of_requests_may_be_sent_ahead(start, tmp_path):
    """More than any buffer of ours holds; the upstream answers only after all were sent."""
    serve(start, tmp_path)
    count, may_answer = 40, threading.Event()

    def act(_, connection, stream):
        while gateway.read_head(stream):
            may_answer.wait(20)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nup")

    padding = "x" * 12000
    data = b"".join(request(f"/{i}", f"X-Padding: {padding}") for i in range(count))
    with gateway.Stage(UPSTREAM, act), connected() as client:
        sender = threading.Thread(target=client.sendall, args=(data,))
        sender.start()
        may_answer.set()
        stream = client.makefile("rb")
        replies = [read_reply(stream) for _ in range(count)]
        sender.join(20)
    assert replies == [(b"HTTP/1.1 200 OK", b"up")] * count


def test_requests_ahead_of_a_body_that_is_slow_to_be_taken(start, tmp_path):
    """The body pauses the connection; what lies behind it waits unread until its turn."""
    size = 2 << 20
    may_read = threading.Event()

    def act(_, connection, stream):
        while head := gateway.read_head(stream):
            if b"content-length: " in head:
                may_read.wait(20)
                stream.read(size)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nup")

    running = serve(start, tmp_path, listener="per_connection_buffer_limit_bytes: 32768")
    data = request("/", f"Content-Length: {size}", method="POST") + bytes(size)
    data += b"".join(request(f"/{i}", f"X-Padding: {'x' * 12000}") for i in range(20))
    with gateway.Stage(UPSTREAM, act), connected() as client:
        sender = threading.Thread(target=client.sendall, args=(data,))
        sender.start()
        running.wait_for("cluster.up.upstream_rq_active", 1)
        may_read.set()
        stream = client.makefile("rb")
        replies = [read_reply(stream) for _ in range(21)]
        sender.join(20)
    assert replies == [(b"HTTP/1.1 200 OK", b"up")] * 21


# ---- sides of different speed ----

SMALL_LISTENER = {"listener": "per_connection_buffer_limit_bytes: 32768"}
SMALL_CLUSTER = {"cluster": "per_connection_buffer_limit_bytes: 32768"}


@pytest.mark.parametrize("limits", [SMALL_LISTENER, SMALL_CLUSTER], ids=["listener", "cluster"])
@pytest.mark.parametrize("is_chunked", [False, True], ids=["length", "chunks of one byte"])
def test_a_slow_client_gets_a_large_response_whole(start, tmp_path, limits, is_chunked):
    size = (400 << 10) if is_chunked else (12 << 20)

    def act(_, connection, stream):
        gateway.read_head(stream)
        if is_chunked:
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            connection.sendall(b"1\r\nx\r\n" * size + b"0\r\n\r\n")
        else:
            connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode())
            connection.sendall(b"x" * size)

    running = serve(start, tmp_path, **limits)
    with gateway.Stage(UPSTREAM, act), connected(receive_bytes=4096) as client:
        client.sendall(request("/", "Connection: close"))
        stream = client.makefile("rb")
        gateway.read_head(stream)
        # Nothing is read until the gateway has stopped taking bytes from the upstream.
        taken = [-1, 0]
        while taken[-1] != taken[-2]:
            taken.append(running.stat("cluster.up.upstream_cx_rx_bytes_total"))
        body = stream.read()
    assert (gateway.dechunk(body) if is_chunked else body) == b"x" * size


@pytest.mark.parametrize("limits", [SMALL_LISTENER, SMALL_CLUSTER], ids=["listener", "cluster"])
@pytest.mark.parametrize("is_chunked", [False, True], ids=["length", "chunks of one byte"])
def test_a_slow_upstream_gets_a_large_body_whole(start, tmp_path, limits, is_chunked):
    size = (400 << 10) if is_chunked else (12 << 20)
    may_read = threading.Event()

    def act(_, connection, stream):
        head = gateway.read_head(stream)
        may_read.wait(20)
        body = gateway.Upstream.read_body(head.lower(), stream)
        connection.sendall(f"HTTP/1.1 200 OK\r\nX-Size: {len(body)}\r\n\r\n".encode())

    running = serve(start, tmp_path, **limits)
    if is_chunked:
        data = request("/", "Transfer-Encoding: chunked", "Connection: close", method="POST")
        data += b"1\r\nx\r\n" * size + b"0\r\n\r\n"
    else:
        data = request("/", f"Content-Length: {size}", "Connection: close", method="POST")
        data += bytes(size)
    with gateway.Stage(UPSTREAM, act), connected() as client:
        sender = threading.Thread(target=client.sendall, args=(data,))
        sender.start()
        running.wait_for("cluster.up.upstream_rq_active", 1)
        taken = [-1, 0]
        while taken[-1] != taken[-2]:
            taken.append(running.stat("http.front.downstream_cx_rx_bytes_total"))
        may_read.set()
        received = b""
        while piece := client.recv(65536):
            received += piece
        sender.join(20)
    assert f"x-size: {size}\r\n".encode() in received


# ---- drains ----


def hold_response(may_answer, has_come):
    def act(_, connection, stream):
        gateway.read_head(stream)
        has_come.set()
        may_answer.wait(20)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate")

    return act


@pytest.mark.parametrize("drains_first", [False, True], ids=["SIGTERM", "drain_listeners before"])
def test_a_drain_lets_the_request_in_flight_end(start, tmp_path, drains_first):
    may_answer, has_come = threading.Event(), threading.Event()
    running = serve(start, tmp_path)
    with gateway.Stage(UPSTREAM, hold_response(may_answer, has_come)), connected() as client:
        client.sendall(request("/slow"))
        assert has_come.wait(20)
        if drains_first:
            assert running.admin("/drain_listeners", method="POST") == "OK\n"
        running.program.process.terminate()
        running.program.wait_for_log("draining")
        wait.until(lambda: is_refused(FRONT), "the listener to close")
        may_answer.set()
        received = b""
        while piece := client.recv(65536):
            received += piece
    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"connection: close\r\n" in received
    assert received.endswith(b"late")
    assert running.program.process.wait(timeout=20) == 0


def is_refused(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_second_signal_ends_a_drain_at_once(start, tmp_path):
    may_answer, has_come = threading.Event(), threading.Event()
    running = serve(start, tmp_path)
    with gateway.Stage(UPSTREAM, hold_response(may_answer, has_come)), connected() as client:
        client.sendall(request("/slow"))
        assert has_come.wait(20)
        running.program.process.terminate()
        running.program.wait_for_log("draining")
        wait.until(lambda: is_refused(FRONT), "the listener to close")
        running.program.process.send_signal(signal.SIGTERM)
        assert running.program.process.wait(timeout=20) == 0
        may_answer.set()


@pytest.mark.parametrize("idle", ["3600s", "0s"])
def test_a_drain_closes_connections_at_rest(start, tmp_path, idle):
    running = serve(
        start, tmp_path, manager=f"common_http_protocol_options: {{idle_timeout: {idle}}}"
    )
    with connected() as client:
        client.sendall(request("/hello"))
        assert read_reply(client.makefile("rb")) == (b"HTTP/1.1 200 OK", b"hello")
        running.program.process.terminate()
        assert client.recv(65536) == b""
    assert running.program.process.wait(timeout=20) == 0


def read_frames(stream, until):
    """Frames as (kind, flags, stream id, payload), up to one for which `until` is true."""
    while True:
        head = stream.read(9)
        assert len(head) == 9, "the connection ended before the frame that was waited for"
        size, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
        one = (kind, flags, int.from_bytes(head[5:9], "big"), stream.read(size))
        if until(one):
            return one


def test_a_drain_tells_http2_clients_which_of_their_requests_were_handled(start, tmp_path):
    running = serve(start, tmp_path)
    block = b"".join(
        frames.field(*one)
        for one in [
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/hello"),
            (":authority", "a"),
        ]
    )
    whole = frames.END_HEADERS | frames.END_STREAM
    with connected() as client:
        stream = client.makefile("rb")
        client.sendall(frames.PREFACE + frames.frame(frames.SETTINGS, 0, 0))
        client.sendall(frames.frame(frames.HEADERS, whole, 1, block))
        read_frames(stream, lambda one: one[0] == frames.DATA and one[1] & frames.END_STREAM)
        running.program.process.terminate()
        first = read_frames(stream, lambda one: one[0] == frames.GOAWAY)
        assert struct.unpack(">II", first[3][:8]) == (0x7FFFFFFF, 0)
        ping = read_frames(stream, lambda one: one[0] == frames.PING)
        # A request that crossed with the news is still served; the answer to the PING is the end.
        client.sendall(frames.frame(frames.HEADERS, whole, 3, block))
        client.sendall(frames.frame(frames.PING, frames.ACK, 0, ping[3]))
        answer = read_frames(stream, lambda one: one[0] in (frames.HEADERS, frames.GOAWAY))
        assert answer[:3] == (frames.HEADERS, frames.END_HEADERS, 3)
        last = read_frames(stream, lambda one: one[0] == frames.GOAWAY)
        assert struct.unpack(">II", last[3][:8]) == (3, 0)
    assert running.program.process.wait(timeout=20) == 0


# ---- configurations ----

TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3"
FILE_LOG = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"


def validate(path):
    return program.hauberk("gateway", "--mode", "validate", "-c", path)


def tls_socket(chain, key):
    return (
        "transport_socket: {name: tls, typed_config: {"
        f'"@type": {TLS}.DownstreamTlsContext, common_tls_context: {{tls_certificates: '
        f"{{certificate_chain: {{filename: {chain}}}, private_key: {{filename: {key}}}}}}}}}}}"
    )


def log_manager(path, text="%PROTOCOL%"):
    return (
        f'access_log: {{name: file, typed_config: {{"@type": {FILE_LOG}, path: {path}, '
        f'log_format: {{text_format_source: {{inline_string: "{text}\\n"}}}}}}}}'
    )


def make_pair(folder, name):
    program.run(
        *("openssl", "req", "-x509", "-new", "-batch", "-newkey", "rsa:2048", "-nodes"),
        *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
        *("-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem"),
    )
    return folder / f"{name}.pem", folder / f"{name}.key"


def test_validate_says_what_serve_would_refuse(tmp_path):
    chain, key = make_pair(tmp_path, "one")
    _, foreign = make_pair(tmp_path, "other")
    cases = {
        "allow_absolute_url": {"manager": "http_protocol_options: {allow_absolute_url: false}"},
        "nowhere.pem": {"socket": tls_socket(tmp_path / "nowhere.pem", key)},
        "key": {"socket": tls_socket(chain, foreign)},
        "%NONSENSE%": {"manager": log_manager(tmp_path / "log", "%NONSENSE%")},
    }
    path = tmp_path / "gateway.yaml"
    for text, listener in cases.items():
        path.write_text(gateway.bootstrap(ADMIN, gateway.http_listener(FRONT, HELLO, **listener)))
        done = validate(path)
        assert (done.returncode, done.stdout) == (1, ""), text
        assert text in done.stderr


def test_validate_leaves_nothing_behind(tmp_path):
    chain, key = make_pair(tmp_path, "one")
    log = tmp_path / "access.log"
    path = tmp_path / "gateway.yaml"
    good = gateway.http_listener(
        FRONT, HELLO, socket=tls_socket(chain, key), manager=log_manager(log)
    )
    path.write_text(gateway.bootstrap(ADMIN, good))
    done = validate(path)
    assert (done.returncode, done.stderr) == (0, "")
    assert not log.exists()


def write_secret(path, chain, key):
    secret = {
        "resources": [
            {
                "@type": f"{TLS}.Secret",
                "name": "pair",
                "tls_certificate": {
                    "certificate_chain": {"filename": str(chain)},
                    "private_key": {"filename": str(key)},
                },
            }
        ]
    }
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(secret))
    temporary.rename(path)


def served_certificate():
    found = program.run(
        "openssl", "s_client", "-connect", f"127.0.0.1:{FRONT}", "-servername", "localhost",
    )  # fmt: skip
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    return begin + found.partition(begin)[2].partition(end)[0] + end


def test_secrets_in_a_directory_that_is_never_quiet_are_renewed_and_followed(start, tmp_path):
    """Something is written beside the secret all the time, and it moves to another directory."""
    busy, elsewhere = tmp_path / "busy", tmp_path / "elsewhere"
    busy.mkdir()
    elsewhere.mkdir()
    first, second = make_pair(busy, "first"), make_pair(elsewhere, "second")
    third = make_pair(tmp_path, "third")
    write_secret(busy / "sds.json", *first)
    socket_text = (
        "transport_socket: {name: tls, typed_config: {"
        f'"@type": {TLS}.DownstreamTlsContext, common_tls_context: '
        "{tls_certificate_sds_secret_configs: {name: pair, sds_config: "
        f"{{path_config_source: {{path: {busy}/sds.json}}}}}}}}}}}}"
    )
    serve(start, tmp_path, socket=socket_text)
    is_over = threading.Event()

    def disturb():
        while not is_over.wait(0.001):
            (busy / "noise.new").write_text("x")
            (busy / "noise.new").rename(busy / "noise")

    noise = threading.Thread(target=disturb)
    noise.start()
    try:
        assert served_certificate() == first[0].read_text().strip()
        write_secret(busy / "sds.json", *second)
        expected = second[0].read_text().strip()
        wait.until(lambda: served_certificate() == expected, "the second certificate")
        is_over.set()
        noise.join()
        # What the noise has still caused is over when the secret has gone back and forth.
        for pair in (first, second):
            write_secret(busy / "sds.json", *pair)
            expected = pair[0].read_text().strip()
            wait.until(lambda text=expected: served_certificate() == text, "the pair in quiet")
        # The directory of the second pair was unknown at the start; it is watched now.
        for fresh, name in zip(third, ("second.pem", "second.key"), strict=True):
            os.rename(fresh, elsewhere / name)
        expected = (elsewhere / "second.pem").read_text().strip()
        wait.until(lambda: served_certificate() == expected, "the renewed pair")
    finally:
        is_over.set()
        noise.join()


def test_a_client_that_never_answers_the_drain_has_its_second_and_no_more(start, tmp_path):
    """It sends on instead, requests too, and its connection ends all the same."""
    options = "common_http_protocol_options: {max_connection_duration: 0.3s}"
    running = serve(start, tmp_path, manager=options)
    fields = [(":method", "GET"), (":scheme", "http"), (":path", "/hello"), (":authority", "a")]
    block = b"".join(frames.field(*one) for one in fields)
    stop = threading.Event()
    with connected() as client:
        client.sendall(frames.PREFACE + frames.frame(frames.SETTINGS, 0, 0))

        def send_on():
            number = 1
            with contextlib.suppress(OSError):
                while not stop.wait(0.1):
                    client.sendall(frames.frame(frames.HEADERS, 5, number, block))
                    client.sendall(frames.window_update(0, 1))
                    number += 2

        sender = threading.Thread(target=send_on)
        sender.start()
        try:
            with contextlib.suppress(ConnectionResetError):
                while client.recv(65536):
                    pass
        finally:
            stop.set()
            sender.join()
    wait.until(lambda: running.stat("http.front.downstream_cx_active") == 0, "its end")
    assert running.stat("http.front.downstream_cx_max_duration_reached") == 1
