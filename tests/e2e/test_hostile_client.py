"""Clients of 15008 that attack: each has its answer, nothing is left behind, the honest are served.

One town stands for all of them, as an agent would under siege.
"""

import contextlib
import socket
import ssl
import struct
import threading

import pytest

from harness import certificates, frames, hbone, mesh, service, siege, wait
from harness.siege import assert_serves
from harness.town import ENGINES

SHORT = f"{wait.SLOWNESS}s"
pytestmark = pytest.mark.parametrize("engine", ENGINES, scope="module")

AGENT_OPTIONS = [
    *("--connect-timeout", SHORT),
    *("--handshake-timeout", SHORT),
    *("--request-timeout", SHORT),
]

FRONT = mesh.spiffe_id("front")
SLOW_PORT, SOURCE_PORT, HOLE_PORT, DIGEST_PORT = 9001, 9002, 9003, 9004


class Scene:
    """The town, somebody outside of it who has a certificate, and the services of cart."""

    def __init__(self, town):
        self.town = town
        self.cart = town.pair.cart.v4
        self.outside = town.pair.alpha.add_pod("outsider").namespace
        authority = certificates.Authority.from_files(
            town.folder / "forged", town.ca / "root.pem", town.ca / "root-key.pem"
        )
        self.authority = authority
        self.identity = authority.issue("front", [FRONT])
        cart = town.pair.cart.namespace
        self.seen = []  # what the digest service was sent, and how it ended
        self.services = [
            service.Service(cart, self.cart, mesh.CART_PORT, service.echo),
            service.Service(cart, self.cart, SOURCE_PORT, service.source(1 << 40)),
            service.Service(cart, self.cart, DIGEST_PORT, self._take_and_tell),
        ]
        cart.run("nft", "add table inet hole")
        cart.run("nft", "add chain inet hole in { type filter hook input priority 0; }")
        cart.run("nft", f"add rule inet hole in tcp dport {HOLE_PORT} drop")

    def _take_and_tell(self, connection):
        """Reads to the end; remembers what came and whether it ended well."""
        received = b""
        try:
            while data := connection.recv(65536):
                received += data
            self.seen.append((received, "end"))
            connection.sendall(b"goodbye")
        except ConnectionResetError:
            self.seen.append((received, "reset"))

    def to(self, port):
        return f"{self.cart}:{port}"

    def client(self):
        return hbone.Client(self.outside, self.cart, self.identity)

    def raw(self):
        """A tunnel whose handshake is done and on which nothing was sent but the preface."""
        context = hbone.tls_context(self.identity, is_server=False)
        tls = context.wrap_socket(self.outside.connect(self.cart, hbone.HBONE_PORT))
        tls.settimeout(wait.DEADLINE_S)
        tls.sendall(frames.PREFACE + frames.frame(frames.SETTINGS, 0, 0))
        return tls


@pytest.fixture(scope="module")
def place(standing_town):
    scene = Scene(standing_town)
    yield scene
    for running in scene.services:
        running.close()


@pytest.fixture
def scene(request, place):
    """The scene in rest, which must be as it was when the test has ended."""
    request.node.programs = place.town.programs
    for running in place.town.programs:
        running.forget_log()
    place.seen.clear()
    with siege.unharmed(place.town):
        yield place


def read_frames(tls):
    """The frames that come until the other side ends, as (kind, flags, stream, payload)."""
    data = b""
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while piece := tls.recv(65536):
            data += piece
            while len(data) >= 9 and len(data) >= 9 + int.from_bytes(data[:3], "big"):
                size = int.from_bytes(data[:3], "big")
                kind, flags, stream = struct.unpack(">BBI", data[3:9])
                yield kind, flags, stream, data[9 : 9 + size]
                data = data[9 + size :]


def goaway_code(tls):
    """The code of the GOAWAY that ends the tunnel; None when it ends without one."""
    code = None
    for kind, _, _, payload in read_frames(tls):
        if kind == frames.GOAWAY:
            code = struct.unpack(">I", payload[4:8])[0]
    return code


def is_enough(tls, pieces):
    """Whether the other side ends the tunnel while or after it is sent `pieces`."""
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        for piece in pieces:
            tls.sendall(piece)
    try:
        for _ in read_frames(tls):
            pass
    except TimeoutError:
        return False
    return True


def ends(connection):
    """Whether the other side closes or resets before the deadline; what it says is dropped."""
    connection.settimeout(wait.DEADLINE_S)
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while connection.recv(65536):
            pass
    return True


def refused(scene, reason):
    return scene.town.beta.metrics().sum("hauberk_connections_refused_total", reason=reason)


# Handshakes


@pytest.mark.parametrize("protocols", [["http/1.1"], ["h3", "spdy/3"], []], ids=str)
def test_a_client_that_does_not_speak_h2_is_refused(scene, protocols):
    context = hbone.tls_context(scene.identity, is_server=False)
    if protocols:
        context.set_alpn_protocols(protocols)
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(scene.identity.roots)
        context.load_cert_chain(scene.identity.chain, scene.identity.key)
    with scene.outside.connect(scene.cart, hbone.HBONE_PORT) as raw:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            with context.wrap_socket(raw) as tls:
                tls.sendall(frames.PREFACE + frames.frame(frames.SETTINGS, 0, 0))
                if tls.recv(1) == b"":
                    raise ConnectionResetError("closed")
    scene.town.beta.wait_for_log(r"tls error: .*application protocol")


def test_a_client_that_says_nothing_is_closed_in_time(scene):
    with scene.outside.connect(scene.cart, hbone.HBONE_PORT) as silent:
        assert_serves(scene.town)
        assert ends(silent)
    scene.town.beta.wait_for_log(r"the handshake timed out")


def client_hello(scene):
    """The first flight of an honest client."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = hbone.tls_context(scene.identity, is_server=False)
    tls = context.wrap_bio(incoming, outgoing)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


def test_a_client_that_drips_its_hello_is_closed_in_time(scene):
    hello = client_hello(scene)
    with scene.outside.connect(scene.cart, hbone.HBONE_PORT) as slow:
        slow.settimeout(0.02 * wait.SLOWNESS)  # the hello must take longer than the deadline
        dripped = 0
        with pytest.raises(ConnectionError):
            for byte in hello:
                slow.sendall(bytes([byte]))
                dripped += 1
                with contextlib.suppress(TimeoutError):
                    if slow.recv(100) == b"":
                        raise ConnectionResetError("closed")
        assert 1 < dripped < len(hello)
    scene.town.beta.wait_for_log(r"the handshake timed out")


def test_a_hello_in_single_bytes_is_understood(scene):
    """What drips fast enough is no attack."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = hbone.tls_context(scene.identity, is_server=False)
    tls = context.wrap_bio(incoming, outgoing)
    with scene.outside.connect(scene.cart, hbone.HBONE_PORT) as raw:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                for byte in outgoing.read():
                    raw.sendall(bytes([byte]))
                incoming.write(raw.recv(65536))
        assert tls.selected_alpn_protocol() == "h2"


def test_five_hundred_silent_clients_keep_nobody_out(place):
    def besiege():
        with contextlib.ExitStack() as stack:
            silent = [
                stack.enter_context(place.outside.connect(place.cart, hbone.HBONE_PORT))
                for _ in range(500)
            ]
            assert_serves(place.town)
            for connection in silent:
                assert ends(connection)

    besiege()  # the heap takes what it needs for this many, once
    with siege.unharmed(place.town):
        besiege()


HELLO_LIES = {
    "a hello of 16 MiB": b"\x16\x03\x01\x40\x00\x01\xff\xff\xff" + b"a" * 16381,
    "an alert": b"\x15\x03\x03\x00\x02\x02\x28",
    "application data": b"\x17\x03\x03\x00\x10" + bytes(16),
    "a record without bytes": b"\x16\x03\x01\x00\x00" * 50,
    "a change of ciphers": b"\x14\x03\x03\x00\x01\x01" * 50,
    "SSL 2": b"\x80\x2e\x01\x00\x02" + bytes(41),
}


@pytest.mark.parametrize("case", HELLO_LIES)
def test_what_is_no_hello_ends_the_handshake(scene, case):
    with scene.outside.connect(scene.cart, hbone.HBONE_PORT) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(HELLO_LIES[case])
        assert ends(connection)
    scene.town.beta.wait_for_log(r"tls error")


def test_a_hello_that_is_cut_at_any_byte_leaves_nothing(scene):
    hello = client_hello(scene)
    for size in range(1, len(hello), 16):
        with scene.outside.connect(scene.cart, hbone.HBONE_PORT) as connection:
            connection.sendall(hello[:size])


# Requests

BAD_AUTHORITIES = [
    "",
    "cart",
    ":80",
    "10.1.2.10",
    "10.1.2.10:",
    "10.1.2.10:0",
    "10.1.2.10:65536",
    "10.1.2.10:99999999999999999999",
    "10.1.2.10:-1",
    "10.1.2.10:+80",
    "10.1.2.10:80:80",
    "[fd00::1",
    "[fd00::1]80",
    "fd00::1:80",
    "[10.1.2.10]:80",
    "user@10.1.2.10:80",
    "10.1.2.10:80/path",
    "10.1.2.10 :80",
    "a" * 300 + ":80",
]


def test_a_bad_authority_is_answered_with_400_and_the_tunnel_lives_on(scene):
    before = refused(scene, "bad_request")
    with scene.client() as client:
        statuses = {authority: client.status_of(authority) for authority in BAD_AUTHORITIES}
        assert set(statuses.values()) <= {400, None}, statuses
        assert client.status_of(scene.to(mesh.CART_PORT)) == 200
    scene.town.beta.wait_metric("hauberk_connections_refused_total", before
        + sum(status == 400 for status in statuses.values()), reason="bad_request")


def test_a_name_that_cart_does_not_serve_is_answered_with_503(scene):
    with scene.client() as client:
        assert client.status_of("nobody.shop.svc.cluster.local:80") == 503
        assert client.status_of("cart.shop.svc.cluster.local:81") == 503
        assert client.status_of("cart.shop.svc.cluster.local:80") == 200


def test_a_connect_to_a_hole_is_answered_with_503_in_time_and_delays_nobody(scene):
    with scene.client() as client:
        lost = [client.connect(scene.to(HOLE_PORT)) for _ in range(20)]
        good = client.connect(scene.to(mesh.CART_PORT))
        client.until(lambda: good.status == 200)
        assert all(stream.status is None for stream in lost)
        client.until(lambda: all(stream.status == 503 for stream in lost))
    scene.town.beta.wait_for_log(r"did not answer in time")


def test_data_before_the_answer_is_delivered(scene):
    with scene.client() as client:
        stream = client.connect(scene.to(mesh.CART_PORT))
        client.send(stream, b"too eager", end=True)
        client.until(lambda: stream.is_ended)
        assert (stream.status, stream.data) == (200, b"too eager")


# The ends of a stream


def test_an_end_of_stream_is_an_end_and_the_other_direction_goes_on(scene):
    with scene.client() as client:
        stream = client.connect(scene.to(DIGEST_PORT))
        client.send(stream, b"all of it", end=True)
        client.until(lambda: stream.is_ended)
        assert stream.data == b"goodbye"
    assert scene.seen == [(b"all of it", "end")]


def test_a_reset_stream_is_a_reset_for_the_application(scene):
    with scene.client() as client:
        stream = client.connect(scene.to(DIGEST_PORT))
        client.send(stream, b"a part")
        client.until(lambda: stream.status == 200)
        client.h2.reset_stream(stream.number, frames.CANCEL)
        client.flush()
        wait.until(lambda: scene.seen, "the application to see its end")
    assert [how for _, how in scene.seen] == ["reset"]


@pytest.mark.parametrize("how", ["end of TCP", "reset of TCP", "close_notify"])
def test_a_tunnel_that_is_cut_is_a_reset_for_the_application(scene, how):
    """Whoever cuts TCP must not be able to make a part look like the whole."""
    with scene.client() as client:
        stream = client.connect(scene.to(DIGEST_PORT))
        client.send(stream, b"a part")
        client.until(lambda: stream.status == 200)
        if how == "close_notify":
            with contextlib.suppress(OSError, ssl.SSLError):
                client.tls.unwrap()
        elif how == "end of TCP":
            socket.socket.shutdown(client.tls, socket.SHUT_WR)
        else:
            client.tls.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
            client.tls.close()
        wait.until(lambda: scene.seen, "the application to see its end")
    assert [how for _, how in scene.seen] == ["reset"]


def test_an_application_that_resets_resets_its_stream_only(scene):
    def reset(connection):
        connection.recv(100)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    cart = scene.town.pair.cart.namespace
    with service.Service(cart, scene.cart, SLOW_PORT, reset), scene.client() as client:
        broken = client.connect(scene.to(SLOW_PORT))
        client.send(broken, b"x")
        client.until(lambda: broken.reset_code is not None)
        whole = client.connect(scene.to(mesh.CART_PORT))
        client.send(whole, b"whole", end=True)
        client.until(lambda: whole.is_ended)
        assert whole.data == b"whole"
    scene.town.beta.wait_for_log(r"connection complete.*error=")


# Peers that stop


def test_a_client_that_stops_reading_is_given_no_memory(scene):
    with scene.raw() as tls:
        tls.sendall(
            frames.frame(frames.SETTINGS, 0, 0, frames.setting(4, 0x7FFFFFFF))
            + frames.window_update(0, 0x7FFF0000 - 65535)
        )
        for number in range(1, 41, 2):
            tls.sendall(frames.connect(number, scene.to(SOURCE_PORT)))

        def is_stuck():
            """No byte left the agent between two looks at its socket."""
            before = bytes_received(scene)
            return before > 0 and before == bytes_received(scene)

        wait.until(is_stuck, "the tunnel to be full")
        level = scene.town.beta.program.memory_private_dirty_bytes()
        assert_serves(scene.town)
        grown = scene.town.beta.program.memory_private_dirty_bytes() - level
        assert grown < siege.GROWTH_BYTES_MAX


def bytes_received(scene):
    """What waits in the kernel for the reader that stopped."""
    listing = scene.outside.run("ss", "-Htn", "dport", "=", ":15008").stdout.split()
    return int(listing[1]) if listing else 0


def test_a_client_that_stops_in_the_middle_of_a_frame_delays_nobody(scene):
    with scene.raw() as tls:
        tls.sendall(
            frames.connect(1, scene.to(mesh.CART_PORT))
            + frames.frame(frames.DATA, 0, 1, bytes(16384))[:100]
        )
        assert_serves(scene.town)
        tls.sendall(bytes(16384 + 9 - 100))
        sizes = (len(frame[3]) for frame in read_frames(tls) if frame[0] == frames.DATA)
        total = 0
        while total < 16384:
            total += next(sizes)
        assert total == 16384


def test_an_application_that_stops_reading_stops_the_client_and_nobody_else(scene):
    gate = threading.Event()
    cart = scene.town.pair.cart.namespace
    with (
        service.Service(cart, scene.cart, SLOW_PORT, lambda connection: gate.wait(60)),
        scene.client() as client,
    ):
        stuck = client.connect(scene.to(SLOW_PORT))
        client.until(lambda: stuck.status == 200)
        client.tls.settimeout(0.5)
        with pytest.raises(TimeoutError):
            client.send(stuck, bytes(64 << 20))
        client.tls.settimeout(wait.DEADLINE_S)
        other = client.connect(scene.to(mesh.CART_PORT))
        client.send(other, b"not stuck", end=True)
        client.until(lambda: other.is_ended)
        assert other.data == b"not stuck"
        gate.set()


# Floods: (bytes, how often), and the codes that the tunnel may end with

FLOODS = {
    "pings": (frames.frame(frames.PING, 0, 0, bytes(8)) * 500, 400),
    "settings": (frames.frame(frames.SETTINGS, 0, 0, frames.setting(4, 65535)) * 500, 400),
    "long settings": (frames.frame(frames.SETTINGS, 0, 0, frames.setting(99, 1) * 2000), 400),
    "acknowledged settings": (frames.frame(frames.SETTINGS, frames.ACK, 0) * 500, 400),
    "priorities": (frames.frame(frames.PRIORITY, 0, 1, bytes(5)) * 500, 400),
    "unknown frames": (frames.frame(0x42, 0, 0, b"?") * 500, 400),
    "updates of the window": (frames.window_update(0, 1) * 500, 400),
    "empty data": (frames.frame(frames.DATA, 0, 1) * 500, 400),
    "padding alone": (
        frames.frame(frames.DATA, frames.PADDED, 1, b"\xff" + bytes(255)) * 50,
        1000,
    ),
}


@pytest.mark.parametrize("case", FLOODS)
def test_a_flood_of_frames_that_do_nothing_ends_the_tunnel(scene, case):
    data, times = FLOODS[case]
    with scene.raw() as tls:
        tls.sendall(frames.connect(1, scene.to(mesh.CART_PORT)))
        assert is_enough(tls, [data] * times), "all of it was taken"
    scene.town.beta.wait_for_log(r"tunnel from .* closed: http2 error: .*ENHANCE_YOUR_CALM")


def test_a_flood_of_pings_whose_answers_nobody_reads_takes_no_memory(scene):
    """Answers pile up in front of a full socket: the tunnel ends before memory does."""
    with scene.raw() as tls:
        tls.settimeout(2)
        level = scene.town.beta.program.memory_private_dirty_bytes()
        with contextlib.suppress(ConnectionError, ssl.SSLError, TimeoutError):
            for _ in range(2000):
                tls.sendall(frames.frame(frames.PING, 0, 0, bytes(8)) * 500)
        grown = scene.town.beta.program.memory_private_dirty_bytes() - level
        assert grown < siege.GROWTH_BYTES_MAX


def test_rapid_resets_end_the_tunnel(scene):
    """CVE-2023-44487."""
    with scene.raw() as tls:
        pairs = (
            frames.connect(number, scene.to(HOLE_PORT)) + frames.reset(number)
            for number in range(1, 40001, 2)
        )
        assert is_enough(tls, pairs), "20,000 resets were taken"
    scene.town.beta.wait_for_log(r"closed: http2 error: .*ENHANCE_YOUR_CALM")


def test_a_block_that_never_ends_ends_the_tunnel(scene):
    """CVE-2024-24549 and its kind: CONTINUATION without end."""
    with scene.raw() as tls:
        tls.sendall(frames.connect(1, scene.to(mesh.CART_PORT), flags=0))
        assert is_enough(tls, [frames.frame(frames.CONTINUATION, 0, 1) * 500] * 400)
    scene.town.beta.wait_for_log(r"closed: http2 error: ")


HEADER_BOMBS = {
    "a value of 40 KB": frames.field("bomb", "x" * 16000),
    "two thousand fields": frames.field("a", "b") * 2000,
    "one field, a thousand times": frames.kept_field("bomb", "x" * 3900)
    + frames.indexed(62) * 1000,
}


@pytest.mark.parametrize("case", HEADER_BOMBS)
def test_a_header_bomb_is_refused_without_memory(scene, case):
    before = scene.town.beta.program.memory_private_dirty_bytes()
    with scene.raw() as tls:
        tls.sendall(frames.connect(1, scene.to(mesh.CART_PORT), extra=HEADER_BOMBS[case]))
        ended = next(
            (
                frame
                for frame in read_frames(tls)
                if frame[0] in (frames.RST_STREAM, frames.GOAWAY)
                or (frame[0] == frames.HEADERS and frame[2] == 1)
            ),
            None,
        )
        assert ended is not None
        assert ended[0] != frames.HEADERS or ended[3] != b"\x88", "it was accepted"
    grown = scene.town.beta.program.memory_private_dirty_bytes() - before
    assert grown < siege.GROWTH_BYTES_MAX


def test_streams_beyond_the_limit_are_refused_and_the_tunnel_lives_on(scene):
    with scene.raw() as tls:
        limit = 2048
        tls.sendall(
            b"".join(
                frames.connect(number, scene.to(HOLE_PORT))
                for number in range(1, 2 * limit + 20, 2)
            )
        )
        refused_streams = set()
        for kind, _, stream, payload in read_frames(tls):
            if kind == frames.RST_STREAM:
                assert struct.unpack(">I", payload) == (frames.REFUSED_STREAM,)
                refused_streams.add(stream)
            if len(refused_streams) == 10:
                break
        assert min(refused_streams) > 2 * limit
        assert_serves(scene.town)


# Frames that break a rule: what is sent, the code of the GOAWAY

BROKEN_RULES = {
    "DATA on an idle stream": (frames.frame(frames.DATA, 0, 1, b"x"), frames.PROTOCOL_ERROR),
    "an even stream": (frames.connect(2, "10.1.2.10:9000"), frames.PROTOCOL_ERROR),
    "a push": (frames.frame(frames.PUSH_PROMISE, 4, 1, bytes(4)), frames.PROTOCOL_ERROR),
    "CONTINUATION of nothing": (
        frames.frame(frames.CONTINUATION, 4, 1, b""),
        frames.PROTOCOL_ERROR,
    ),
    "a frame between HEADERS and CONTINUATION": (
        frames.connect(1, "10.1.2.10:7", flags=0) + frames.frame(frames.PING, 0, 0, bytes(8)),
        frames.PROTOCOL_ERROR,
    ),
    "a block that is no HPACK": (
        frames.frame(frames.HEADERS, 4, 1, b"\xff\xff\xff\xff\xff\xff\xff\xff"),
        frames.COMPRESSION_ERROR,
    ),
    "SETTINGS of 5 bytes": (
        frames.frame(frames.SETTINGS, 0, 0, bytes(5)),
        frames.FRAME_SIZE_ERROR,
    ),
    "SETTINGS on a stream": (frames.frame(frames.SETTINGS, 0, 1), frames.PROTOCOL_ERROR),
    "a window beyond 2^31": (frames.window_update(0, 0x7FFFFFFF) * 2, frames.FLOW_CONTROL_ERROR),
    "an update by nothing": (frames.window_update(0, 0), frames.PROTOCOL_ERROR),
    "an initial window beyond 2^31": (
        frames.frame(frames.SETTINGS, 0, 0, frames.setting(4, 0x80000000)),
        frames.FLOW_CONTROL_ERROR,
    ),
    "a PING of 7 bytes": (frames.frame(frames.PING, 0, 0, bytes(7)), frames.FRAME_SIZE_ERROR),
    "a frame of 16385 bytes": (
        frames.frame(frames.DATA, 0, 1, bytes(16385)),
        frames.FRAME_SIZE_ERROR,
    ),
    "padding longer than its frame": (
        frames.connect(1, "10.1.2.10:9000")
        + frames.frame(frames.DATA, frames.PADDED, 1, b"\x09abc"),
        frames.PROTOCOL_ERROR,
    ),
}


@pytest.mark.parametrize("case", BROKEN_RULES)
def test_a_broken_rule_of_http2_ends_the_tunnel_with_its_code(scene, case):
    data, code = BROKEN_RULES[case]
    with scene.raw() as tls:
        tls.sendall(data)
        assert goaway_code(tls) == code
    scene.town.beta.wait_for_log(r"tunnel from .* closed: http2 error: ")


def test_data_beyond_the_window_is_refused(scene):
    gate = threading.Event()
    cart = scene.town.pair.cart.namespace
    handler = lambda connection: gate.wait(60)  # noqa: E731
    with service.Service(cart, scene.cart, SLOW_PORT, handler), scene.raw() as tls:
        tls.sendall(frames.connect(1, scene.to(SLOW_PORT)))
        assert is_enough(tls, [frames.frame(frames.DATA, 0, 1, bytes(16384))] * 2048)
        gate.set()
    scene.town.beta.wait_for_log(r"closed: http2 error: ")


# The agents' other ports

OTHER_GARBAGE = {
    "zeros": bytes(65536),
    "a hello": b"\x16\x03\x01\x02\x00\x01" + bytes(512),
    "half a request": b"GET /metrics HTTP/1.1\r\nHo",
    "an endless line": b"GET /" + b"a" * 100000,
    "an endless header": b"GET / HTTP/1.1\r\nA: " + b"a" * 100000,
    "a body of 8 EiB": b"POST /logging HTTP/1.1\r\nContent-Length: 9223372036854775807\r\n\r\n",
    "a negative body": b"POST /logging HTTP/1.1\r\nContent-Length: -1\r\n\r\nx",
}


@pytest.mark.parametrize("port", [15000, 15020, 15021])
def test_garbage_on_the_agents_own_ports_is_closed(scene, port):
    host = scene.town.pair.beta.namespace
    for name, data in OTHER_GARBAGE.items():
        with host.connect("127.0.0.1", port) as connection:
            service.send_last(connection, data)
            assert ends(connection), name
    assert scene.town.beta.is_ready()
    scene.town.beta.metrics()


def test_idle_connections_to_the_metrics_port_do_not_keep_prometheus_out(scene):
    host = scene.town.pair.beta.namespace
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(host.connect("127.0.0.1", 15020))
        wait.until(
            lambda: scene.town.beta.get("/metrics", 15020).status == 200, "metrics nevertheless"
        )
        assert_serves(scene.town)


@pytest.mark.parametrize("port", [15001, 15006, 15008])
@pytest.mark.parametrize("to", ["loopback", "its own address"])
def test_a_pod_that_dials_its_agents_ports_itself_makes_no_loop(place, port, to):
    front = place.town.pair.front
    ip = "127.0.0.1" if to == "loopback" else front.v4

    def dial():
        with contextlib.suppress(ConnectionError):
            with front.namespace.connect(ip, port) as connection:
                service.send_last(connection, b"GET / HTTP/1.1\r\nHost: me\r\n\r\n")
                assert ends(connection)

    before = place.town.alpha.metrics().sum("hauberk_connections_accepted_total")
    dial()  # may leave a tunnel in the pool
    with siege.unharmed(place.town):
        dial()
    accepted = place.town.alpha.metrics().sum("hauberk_connections_accepted_total") - before
    assert accepted < 10, "it went round"
