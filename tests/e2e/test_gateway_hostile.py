"""Clients of the gateway that attack: each has its answer and its counter, nothing is left behind,
and the honest are served. One gateway stands for all of them, as it would under siege."""

import contextlib
import socket
import struct
import threading

import pytest

import conftest
from harness import frames, gateway, program, siege, wait

FRONT, SLOW, TCP, ADMIN, UPSTREAM = 24400, 24401, 24402, 24409, 24410

GROWTH_BYTES_MAX = siege.GROWTH_BYTES_MAX
TCP_PROXY = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
ROUTES = (
    '{match: {path: /hello}, direct_response: {status: 200, body: {inline_string: "hello"}}}, '
    "{match: {prefix: /}, route: {cluster: up}}"
)
TCP_LISTENER = f"""
  - name: tcp
    address: {{socket_address: {{address: 127.0.0.1, port_value: {TCP}}}}}
    per_connection_buffer_limit_bytes: 65536
    filter_chains:
    - filters:
      - name: tcp
        typed_config: {{"@type": {TCP_PROXY}, stat_prefix: tcp, cluster: up, idle_timeout: 0.5s}}
"""
LARGE_BYTES = 32 << 20


class Scene:
    """The gateway under attack, and an upstream that notes which requests reached it."""

    def __init__(self, running):
        self.running = running
        self.seen = []  # request lines
        self.stage = gateway.Stage(UPSTREAM, self.act)

    def act(self, _, connection, stream):
        while head := gateway.read_head(stream):
            line = head.split(b"\r\n")[0]
            self.seen.append(line)
            try:
                gateway.Upstream.read_body(head.lower(), stream)
            except ValueError:
                return  # cut off
            if b" /large" in line:
                connection.sendall(
                    f"HTTP/1.1 200 OK\r\nContent-Length: {LARGE_BYTES}\r\n\r\n".encode()
                )
                for _ in range(LARGE_BYTES >> 16):
                    connection.sendall(bytes(1 << 16))
            else:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nup")

    def stat(self, name):
        return self.running.stat(name)


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    if conftest.namespaces_forbidden is not None:
        conftest.skip_or_fail(f"namespaces are forbidden here: {conftest.namespaces_forbidden}")
    folder = tmp_path_factory.mktemp("hostile")
    running = None

    def start(name, command):
        nonlocal running
        running = program.Program(name, command, folder)
        return running

    timely = "request_headers_timeout: 0.3s, request_timeout: 0.6s, stream_idle_timeout: 1s"
    listeners = (
        gateway.http_listener(FRONT, ROUTES)
        + gateway.http_listener(
            SLOW, ROUTES, name="slow", manager=timely.replace(", ", "\n          ")
        )
        + TCP_LISTENER
    )
    text = gateway.bootstrap(ADMIN, listeners, gateway.http_cluster(UPSTREAM))
    try:
        scene = Scene(gateway.run(start, folder, text, ADMIN))
        warm_up()
        yield scene
        complaint = running.end()
    finally:
        running.kill()
    assert complaint is None, complaint


@pytest.fixture(autouse=True)
def scene(stage):
    """What the gateway holds before an attack is what it holds after, and it serves."""
    assert_serves()
    process = stage.running.program
    wait.until(lambda: not any(level(stage)), "nobody to be there")
    memory = process.memory_private_dirty_bytes()
    stage.seen.clear()
    yield stage
    assert_serves()
    wait.until(lambda: not any(level(stage)), "nothing to be left behind")
    if siege.IS_MEMORY_TOLD:
        grown = process.memory_private_dirty_bytes() - memory
        assert grown <= GROWTH_BYTES_MAX, f"it grew by {grown} bytes"


def warm_up():
    """Pools and the heap keep what a peak took: the largest comes before anything is measured."""
    for path in ("/hello", "/up"):
        with http2() as client:
            client.settimeout(2)
            frames_of(client, rapid_resets(path))
    ask_and_read_nothing()


def level(stage):
    names = ("front", "slow")
    return [stage.stat(f"http.{name}.downstream_rq_active") for name in names] + [
        stage.stat(f"http.{name}.downstream_cx_active") for name in names
    ]


def assert_serves():
    assert gateway.exchange(FRONT, request("/hello", "Connection: close")).endswith(b"hello")


@contextlib.contextmanager
def counted(scene, name, least=1):
    """The counter grows by at least `least`."""
    before = scene.stat(name)
    yield
    wait.until(lambda: scene.stat(name) >= before + least, f"{name} to grow by {least}")


def request(path, *fields, method="GET"):
    return ("\r\n".join([f"{method} {path} HTTP/1.1", "Host: a", *fields]) + "\r\n\r\n").encode()


# ---- HTTP/2 ----

WHOLE = frames.END_HEADERS | frames.END_STREAM
HELLO = [(":method", "GET"), (":scheme", "http"), (":path", "/hello"), (":authority", "a")]
PROTOCOL_ERRORS = "http.front.downstream_cx_protocol_error"


def block(path="/hello", *more):
    fields = [one if one[0] != ":path" else (":path", path) for one in HELLO]
    return b"".join(frames.field(*one) for one in [*fields, *more])


def headers(stream, flags=WHOLE, path="/hello"):
    return frames.frame(frames.HEADERS, flags, stream, block(path))


@contextlib.contextmanager
def http2(port=FRONT, settings=b""):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(frames.PREFACE + frames.frame(frames.SETTINGS, 0, 0, settings))
        yield client


def frames_of(client, data):
    """Sends all of it, unless the gateway ends before; returns the frames until it ends or falls
    silent, as (kind, flags, stream, payload)."""

    def send():
        with contextlib.suppress(OSError):
            client.sendall(data)

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    received = b""
    with contextlib.suppress(OSError):
        while piece := client.recv(1 << 16):
            received += piece
    out, at = [], 0
    while at + 9 <= len(received):
        size = int.from_bytes(received[at : at + 3], "big")
        stream = int.from_bytes(received[at + 5 : at + 9], "big")
        out.append((received[at + 3], received[at + 4], stream, received[at + 9 : at + 9 + size]))
        at += 9 + size
    return out


def goaway_code(answer):
    codes = [struct.unpack(">I", one[3][4:8])[0] for one in answer if one[0] == frames.GOAWAY]
    return codes[-1] if codes else None


def reset_codes(answer):
    return [struct.unpack(">I", one[3])[0] for one in answer if one[0] == frames.RST_STREAM]


ONE_PING = frames.frame(frames.PING, 0, 0, bytes(8))
FLOODS = {
    "PING": ONE_PING * 20000,
    "answers to PINGs that nobody sent": frames.frame(frames.PING, frames.ACK, 0, bytes(8)) * 20000,
    "SETTINGS": frames.frame(frames.SETTINGS, 0, 0) * 20000,
    "SETTINGS that move every window": (
        frames.frame(frames.SETTINGS, 0, 0, frames.setting(4, 0))
        + frames.frame(frames.SETTINGS, 0, 0, frames.setting(4, 0x7FFFFFFF))
    )
    * 10000,
    "empty DATA": headers(1, frames.END_HEADERS, "/up")
    + frames.frame(frames.DATA, 0, 1) * 40000,
    "PRIORITY": frames.frame(frames.PRIORITY, 0, 1, struct.pack(">IB", 0, 1)) * 40000,
    "WINDOW_UPDATE": frames.window_update(0, 1) * 40000,
    "frames of no known type": frames.frame(0xFA, 0, 0) * 40000,
    "malformed requests": b"".join(
        frames.frame(frames.HEADERS, WHOLE, 1 + 2 * i, frames.field("x", "y")) for i in range(4000)
    ),
    "CONTINUATION": frames.frame(frames.HEADERS, frames.END_STREAM, 1, block())
    + frames.frame(frames.CONTINUATION, 0, 1, frames.field("a", "b")) * 1000,
    "empty CONTINUATION": frames.frame(frames.HEADERS, frames.END_STREAM, 1, block())
    + frames.frame(frames.CONTINUATION, 0, 1) * 1000,
    "a block without end": frames.frame(frames.HEADERS, 0, 1, block())
    + b"".join(
        frames.frame(frames.CONTINUATION, 0, 1, frames.field("a", "b" * 16000)) for _ in range(9)
    ),
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_of_http2_ends_in_enhance_your_calm(scene, name):
    with counted(scene, PROTOCOL_ERRORS), http2() as client:
        assert goaway_code(frames_of(client, FLOODS[name])) == frames.ENHANCE_YOUR_CALM


def rapid_resets(path):
    return b"".join(headers(1 + 2 * i, path=path) + frames.reset(1 + 2 * i) for i in range(9000))


@pytest.mark.parametrize("path", ["/hello", "/up"], ids=["answered here", "led on"])
def test_rapid_reset_ends_in_enhance_your_calm(scene, path):
    """CVE-2023-44487: requests that are reset at once."""
    flood = rapid_resets(path)
    before = scene.stat("http.front.downstream_rq_total")
    with counted(scene, PROTOCOL_ERRORS if path == "/up" else "http.front.downstream_rq_total"):
        with http2() as client:
            client.settimeout(2)
            answer = frames_of(client, flood)
    if path == "/up":
        assert goaway_code(answer) == frames.ENHANCE_YOUR_CALM
        assert scene.stat("http.front.downstream_rq_total") - before <= 4200
    else:  # each was answered before its reset came: that is no attack that would cost more
        assert goaway_code(answer) in (None, frames.ENHANCE_YOUR_CALM)


def ask_and_read_nothing():
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(20)
        client.connect(("127.0.0.1", FRONT))
        with contextlib.suppress(OSError):
            client.sendall(frames.PREFACE + frames.frame(frames.SETTINGS, 0, 0))
            client.sendall(b"".join(headers(1 + 2 * i) for i in range(100000)))


def test_a_flood_whose_answers_nobody_reads_ends_too(scene):
    with counted(scene, "http.front.downstream_cx_destroy"):
        ask_and_read_nothing()


def test_an_hpack_bomb_is_refused_by_its_size_when_unpacked(scene):
    """Each byte stands for a field of four thousand."""
    bomb = block() + frames.kept_field("x", "y" * 3900) + frames.indexed(62) * 8000
    with counted(scene, PROTOCOL_ERRORS), http2() as client:
        client.settimeout(2)
        answer = frames_of(client, frames.frame(frames.HEADERS, WHOLE, 1, bomb) + headers(3))
    assert reset_codes(answer) == [frames.ENHANCE_YOUR_CALM]
    assert [one[2] for one in answer if one[0] == frames.HEADERS] == [3]


def test_too_many_fields_are_refused(scene):
    many = b"".join(frames.field(f"x{i}", "") for i in range(200))
    with counted(scene, PROTOCOL_ERRORS), http2() as client:
        client.settimeout(2)
        answer = frames_of(client, frames.frame(frames.HEADERS, WHOLE, 1, block() + many))
    assert reset_codes(answer) == [frames.ENHANCE_YOUR_CALM]


def test_responses_that_nobody_takes_end_in_time_and_are_not_gathered(scene):
    """Windows of zero: two hundred large responses wait, each with a small part of itself."""
    process = scene.running.program
    before = process.memory_private_dirty_bytes()
    count = 200
    flood = b"".join(headers(1 + 2 * i, path="/large") for i in range(count))
    with counted(scene, "http.slow.downstream_rq_idle_timeout", count):
        with http2(SLOW, frames.setting(4, 0)) as client:
            client.sendall(flood)
            scene.running.wait_for("http.slow.downstream_rq_active", count)
            peak = [0]

            def is_over():
                peak[0] = max(peak[0], process.memory_private_dirty_bytes() - before)
                return scene.stat("http.slow.downstream_rq_active") == 0

            wait.until(is_over, "the responses to be given up")
    if siege.IS_MEMORY_TOLD:
        assert peak[0] <= count * (160 << 10), f"{peak[0]} bytes"


def test_a_window_that_opens_by_single_bytes_costs_the_client_as_much_as_us(scene):
    """Every byte asks for a frame of its own; nothing piles up, and it ends with the client."""
    with http2(SLOW, frames.setting(4, 0)) as client:
        client.settimeout(2)
        client.sendall(headers(1, path="/large"))
        answer = frames_of(client, frames.window_update(1, 1) * 2000)
    assert sum(len(one[3]) for one in answer if one[0] == frames.DATA) == 2000


def test_a_body_that_trickles_is_given_up_after_the_time_for_requests(scene):
    with counted(scene, "http.slow.downstream_rq_timeout"), http2(SLOW) as client:
        client.sendall(headers(1, frames.END_HEADERS, "/up"))
        stop = threading.Event()

        def trickle():
            with contextlib.suppress(OSError):
                while not stop.wait(0.05):
                    client.sendall(frames.frame(frames.DATA, 0, 1, b"x"))

        sender = threading.Thread(target=trickle)
        sender.start()
        try:
            status = next(
                one
                for one in iter(lambda: read_frame(client), None)
                if one[0] in (frames.HEADERS, frames.RST_STREAM)
            )
        finally:
            stop.set()
            sender.join()
    assert status[0] == frames.HEADERS
    assert b"408" in status[3]


def read_exactly(client, size):
    data = b""
    while len(data) < size:
        piece = client.recv(size - len(data))
        if not piece:
            return None
        data += piece
    return data


def read_frame(client):
    head = read_exactly(client, 9)
    if head is None:
        return None
    return head[3], head[4], head[8], read_exactly(client, int.from_bytes(head[:3], "big"))


# ---- HTTP/1 ----

EVIL = request("/evil")


def posted(*fields, body=b"", version="1.1"):
    head = "\r\n".join([f"POST /up HTTP/{version}", "Host: a", *fields]) + "\r\n\r\n"
    return head.encode("latin-1") + body


# Requests that two parsers might end in different places; what follows must never be one.
SMUGGLED = {
    "CL.TE": posted("Content-Length: 6", "Transfer-Encoding: chunked", body=b"0\r\n\r\n" + EVIL),
    "TE.CL": posted(
        "Transfer-Encoding: chunked", "Content-Length: 4", body=b"5c\r\n" + EVIL + b"\r\n0\r\n\r\n"
    ),
    "two codings": posted(
        "Transfer-Encoding: chunked", "Transfer-Encoding: identity", body=b"0\r\n\r\n" + EVIL
    ),
    "a coding twice": posted("Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n" + EVIL),
    "a coding that looks like chunked": posted("Transfer-Encoding: xchunked", body=EVIL),
    "a coding in quotes": posted('Transfer-Encoding: "chunked"', body=b"0\r\n\r\n" + EVIL),
    "a vertical tab before chunked": posted("Transfer-Encoding: \vchunked", body=EVIL),
    "a coding in HTTP/1.0": posted("Transfer-Encoding: chunked", body=EVIL, version="1.0"),
    "a blank before the colon": posted("Transfer-Encoding : chunked", body=b"0\r\n\r\n" + EVIL),
    "a name that is folded": posted("Transfer-Encoding:", " chunked", body=b"0\r\n\r\n" + EVIL),
    "a folded field": posted("X: a", "\tb", body=EVIL),
    "a fold in front": posted(" X: a", body=EVIL),
    "a bare line feed": b"POST /up HTTP/1.1\r\nHost: a\nContent-Length: 0\r\n\r\n" + EVIL,
    "only line feeds": b"POST /up HTTP/1.1\nHost: a\n\n" + EVIL + b"\r\n\r\n",
    "a bare carriage return": posted("X: a\rContent-Length: 3", body=EVIL),
    "lengths that differ": posted("Content-Length: 0", "Content-Length: 5", body=EVIL),
    "lengths that agree": posted("Content-Length: 0", "Content-Length: 0", body=EVIL),
    "a list of lengths": posted("Content-Length: 0, 0", body=EVIL),
    "a length with a sign": posted("Content-Length: +0", body=EVIL),
    "a negative length": posted("Content-Length: -1", body=EVIL),
    "a length in hexadecimal": posted("Content-Length: 0x0", body=EVIL),
    "a length beyond all numbers": posted("Content-Length: 18446744073709551616", body=EVIL),
    "an empty length": posted("Content-Length:", body=EVIL),
    "a NUL in a value": posted("X: a\0b", body=EVIL),
    "a NUL in a name": posted("X\0: a", body=EVIL),
    "a NUL in the target": b"GET /a\0b HTTP/1.1\r\nHost: a\r\n\r\n" + EVIL,
    "two hosts": b"GET /up HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" + EVIL,
    "a blank in the target": b"GET /up /evil HTTP/1.1\r\nHost: a\r\n\r\n" + EVIL,
    "a chunk without size": posted("Transfer-Encoding: chunked", body=b"\r\n\r\n" + EVIL),
    "a chunk of a negative size": posted("Transfer-Encoding: chunked", body=b"-1\r\n" + EVIL),
    "a chunk of 0x size": posted("Transfer-Encoding: chunked", body=b"0x0\r\n\r\n" + EVIL),
    "a chunk beyond all numbers": posted(
        "Transfer-Encoding: chunked", body=b"10000000000000000\r\n" + EVIL
    ),
    "a chunk that ends in a line feed": posted(
        "Transfer-Encoding: chunked", body=b"0\n\n" + EVIL
    ),
    "a chunk that is longer than its size": posted(
        "Transfer-Encoding: chunked", body=b"1\r\nab\r\n0\r\n\r\n" + EVIL
    ),
    "a line feed in a chunk's extension": posted(
        "Transfer-Encoding: chunked", body=b"1;x\n\r\na\r\n0\r\n\r\n" + EVIL
    ),
}


@pytest.mark.parametrize("name", SMUGGLED)
def test_nothing_is_smuggled_behind_a_request_that_may_be_read_in_two_ways(scene, name):
    with counted(scene, PROTOCOL_ERRORS):
        received = gateway.exchange(FRONT, SMUGGLED[name])
    status = received.split(b" ")[1] if received else b""
    assert status in (b"400", b"501")
    assert received.count(b"HTTP/1.1 ") == 1
    assert not any(b"evil" in line for line in scene.seen)


TOO_LARGE = {
    "a head of 64 KiB": (request("/hello", "X: " + "x" * 65536), b"431"),
    "a head without end": (request("/hello", "X: " + "x" * 120000)[:-4], b"431"),
    "too many fields": (request("/hello", *[f"X{i}: y" for i in range(200)]), b"431"),
    "a target of 9000 bytes": (request("/" + "x" * 9000), b"414"),
    "a method without end": (b"x" * 70000, b"431"),
}


@pytest.mark.parametrize("name", TOO_LARGE)
def test_what_is_too_large_is_refused_with_its_status(scene, name):
    data, status = TOO_LARGE[name]
    counter = PROTOCOL_ERRORS if status == b"414" else "http.front.downstream_rq_too_large"
    with counted(scene, counter):
        received = gateway.exchange(FRONT, data)
    assert received.split(b" ")[1] == status
    assert b"connection: close\r\n" in received


def test_a_chunk_line_without_end_is_refused(scene):
    body = b"1;" + b"x" * 70000
    with counted(scene, PROTOCOL_ERRORS):
        received = gateway.exchange(FRONT, posted("Transfer-Encoding: chunked", body=body))
    assert received.split(b" ")[1] == b"400"


def test_trailers_without_end_are_refused(scene):
    body = b"0\r\n" + b"X: y\r\n" * 20000
    with counted(scene, PROTOCOL_ERRORS):
        received = gateway.exchange(FRONT, posted("Transfer-Encoding: chunked", body=body))
    assert received.split(b" ")[1] == b"400"


def trickled(first, then):
    """Sends `first` at once and `then` byte by byte, until an answer comes; returns it."""
    with socket.create_connection(("127.0.0.1", SLOW), timeout=10) as client:
        client.sendall(first)
        stop = threading.Event()

        def trickle():
            with contextlib.suppress(OSError):
                for byte in then:
                    if stop.wait(0.02):
                        return
                    client.sendall(bytes([byte]))

        sender = threading.Thread(target=trickle)
        sender.start()
        received = b""
        try:
            with contextlib.suppress(ConnectionResetError):
                while piece := client.recv(65536):
                    received += piece
        finally:
            stop.set()
            sender.join()
    return received


def test_a_head_that_trickles_ends_in_408(scene):
    with counted(scene, "http.slow.downstream_rq_header_timeout"):
        received = trickled(b"GET /hello HTTP/1.1\r\n", b"X: y\r\n" * 1000)
    assert received.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert received.endswith(b"request header timeout")


def test_a_body_that_trickles_ends_in_408(scene):
    with counted(scene, "http.slow.downstream_rq_timeout"):
        received = trickled(posted("Content-Length: 100000"), b"x" * 100000)
    assert received.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert received.endswith(b"request timeout")


def test_a_body_that_stops_ends_in_408(scene):
    with counted(scene, "http.slow.downstream_rq_timeout"):
        received = trickled(posted("Content-Length: 100000"), b"")
    assert received.startswith(b"HTTP/1.1 408 Request Timeout\r\n")


def test_a_response_that_nobody_reads_is_given_up(scene):
    with socket.socket() as client, counted(scene, "http.slow.downstream_rq_idle_timeout"):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(20)
        client.connect(("127.0.0.1", SLOW))
        client.sendall(request("/large"))
    wait.until(lambda: scene.stat("http.slow.downstream_rq_active") == 0, "its end")


def test_a_thousand_clients_that_say_nothing_hold_little(scene):
    process = scene.running.program
    before = process.memory_private_dirty_bytes()
    count, active = 1000, "http.front.downstream_cx_active"
    with contextlib.ExitStack() as clients:
        for _ in range(count):
            client = clients.enter_context(socket.create_connection(("127.0.0.1", FRONT)))
            client.sendall(b"GET /hello HTTP/1.1\r\n")
        scene.running.wait_for(active, count)
        grown = process.memory_private_dirty_bytes() - before
        if siege.IS_MEMORY_TOLD:
            assert grown <= count * 4096, f"{grown} bytes"
    wait.until(lambda: scene.stat(active) == 0, "all to be gone")


def test_a_tcp_client_that_does_not_take_the_last_bytes_is_let_go(scene):
    # In this order: the client stays until it is counted, however late it is accepted.
    with socket.socket() as client, counted(scene, "tcp.tcp.idle_timeout"):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(20)
        client.connect(("127.0.0.1", TCP))
        client.sendall(request("/large"))
        client.shutdown(socket.SHUT_WR)
    wait.until(lambda: scene.stat("listener.127.0.0.1_24402.downstream_cx_active") == 0, "its end")
