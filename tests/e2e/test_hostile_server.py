"""Servers on 15008 that attack whoever dials them: the caller gets the truth, the agent no harm.

One town stands for all of them. The pod "peer" is in the mesh, but its agent is a test's handler.
"""

import contextlib
import datetime
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
PORT = 7000
HOUR = datetime.timedelta(hours=1)
PEER = mesh.spiffe_id("peer")


class Scene:
    def __init__(self, town):
        self.town = town
        self.peer = town.pair.beta.add_pod("peer")
        town.mesh.add_pod(self.peer, node="elsewhere")
        del town.mesh.document["pods"][mesh.uid("peer")]
        town.reload()
        self.authority = certificates.Authority.from_files(
            town.folder / "forged", town.ca / "root.pem", town.ca / "root-key.pem"
        )
        self.context = hbone.tls_context(self.authority.issue("peer", [PEER]), is_server=True)
        cart = town.pair.cart
        self.cart_service = service.Service(cart.namespace, cart.v4, mesh.CART_PORT, service.echo)

    def listen(self, handler):
        """A server in the peer's place that gives each TCP connection to `handler`."""
        return service.Service(self.peer.namespace, self.peer.v4, hbone.HBONE_PORT, handler)

    def serve(self, handler, context=None):
        """The same for each tunnel, as a Tunnel, when its handshake is done."""

        def handshake(raw):
            raw.settimeout(wait.DEADLINE_S)
            with contextlib.suppress(ssl.SSLError):
                with (context or self.context).wrap_socket(raw, server_side=True) as tls:
                    # The server, when it closes, finds the socket that has taken raw's place.
                    server.connections.append(tls)
                    tls.settimeout(wait.DEADLINE_S)
                    handler(Tunnel(tls))

        server = self.listen(handshake)
        return server

    def call(self):
        return self.town.pair.front.namespace.connect(self.peer.v4, PORT)


class Tunnel:
    """The server's side of a tunnel, frame by frame."""

    def __init__(self, tls):
        self.tls = tls
        self.data = b""
        self.frames = []

    def send(self, *pieces):
        self.tls.sendall(b"".join(pieces))

    def settle(self, payload=b""):
        self.send(frames.frame(frames.SETTINGS, 0, 0, payload))

    def read(self):
        """The next frame, as (kind, flags, stream, payload)."""
        while True:
            if self.data.startswith(b"PRI"):
                self.data = self.data[len(frames.PREFACE) :]
            size = int.from_bytes(self.data[:3], "big")
            if len(self.data) >= 9 + size:
                kind, flags, stream = struct.unpack(">BBI", self.data[3:9])
                payload = self.data[9 : 9 + size]
                self.data = self.data[9 + size :]
                return kind, flags, stream, payload
            piece = self.tls.recv(65536)
            if not piece:
                raise ConnectionResetError("the client closed the tunnel")
            self.data += piece

    def next(self, wanted):
        """The next frame of that kind; others are passed over."""
        while True:
            found = self.read()
            if found[0] == wanted:
                return found

    def request(self):
        """Waits for a CONNECT; returns its stream."""
        return self.next(frames.HEADERS)[2]

    def answer(self, stream, status=200, flags=frames.END_HEADERS):
        self.send(frames.frame(frames.HEADERS, flags, stream, frames.field(":status", str(status))))

    def echo(self, stream):
        """Sends the first DATA of the stream back, then ends both."""
        payload = self.next(frames.DATA)[3]
        self.send(frames.frame(frames.DATA, frames.END_STREAM, stream, payload))

    def until_closed(self):
        with contextlib.suppress(OSError):
            while True:
                self.read()


@pytest.fixture(scope="module")
def place(standing_town):
    scene = Scene(standing_town)
    yield scene
    scene.cart_service.close()


@pytest.fixture
def scene(request, place):
    """The scene in rest, which must be as it was when the test has ended."""
    request.node.programs = place.town.programs
    for running in place.town.programs:
        running.forget_log()
    with siege.unharmed(place.town):
        yield place


def end_of(connection, request=b"hello"):
    """How a call ends: what was received, then "end" or "reset"."""
    received = b""
    try:
        connection.settimeout(2 * wait.DEADLINE_S)
        connection.sendall(request)
        while data := connection.recv(65536):
            received += data
        return received, "end"
    except ConnectionError:
        return received, "reset"


def outcome(scene):
    """The same for a call of its own, which may end as early as in connect()."""
    try:
        with scene.call() as connection:
            return end_of(connection)
    except ConnectionError:
        return b"", "reset"


def assert_reset(scene, pattern):
    """A call ends by a reset, without a byte, and the log says why."""
    assert outcome(scene) == (b"", "reset")
    scene.town.alpha.wait_for_log(rf'connection complete.*error="[^"]*{pattern}')


def failures(scene, reason):
    return scene.town.alpha.metrics().sum("hauberk_upstream_failures_total", reason=reason)


# Certificates

BAD_CERTIFICATES = {
    "of another pod": {"uris": [mesh.spiffe_id("cart")]},
    "of another trust domain": {"uris": [mesh.spiffe_id("peer", "elsewhere.test")]},
    "expired": {"uris": [PEER], "not_before": -3 * HOUR, "not_after": -HOUR},
    "not yet valid": {"uris": [PEER], "not_before": HOUR, "not_after": 3 * HOUR},
    "with two identities": {"uris": [PEER, mesh.spiffe_id("cart")]},
    "without identity": {"uris": []},
    "of a web site": {"uris": ["https://peer.shop.test/"]},
    "for clients only": {"uris": [PEER], "usages": ("client",)},
}


@pytest.mark.parametrize("case", BAD_CERTIFICATES)
def test_a_server_is_refused_for_its_certificate(scene, case):
    identity = scene.authority.issue("bad", **BAD_CERTIFICATES[case])
    reached = []
    context = hbone.tls_context(identity, is_server=True)
    with scene.serve(lambda tunnel: reached.append(tunnel.request()), context):
        assert_reset(scene, "(identity|tls) error")
    assert reached == []


def test_a_server_of_another_root_is_refused(scene, tmp_path):
    stranger = certificates.Authority(tmp_path / "strangers").issue("peer", [PEER])
    stranger.roots = scene.authority.roots
    reached = []
    context = hbone.tls_context(stranger, is_server=True)
    with scene.serve(lambda tunnel: reached.append(tunnel.request()), context):
        assert_reset(scene, "(identity|tls) error")
    assert reached == []


@pytest.mark.parametrize("protocols", [["http/1.1"], []], ids=str)
def test_a_server_that_does_not_speak_h2_is_refused(scene, protocols):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*scene_identity(scene))
    context.load_verify_locations(scene.authority.roots)
    if protocols:
        context.set_alpn_protocols(protocols)
    reached = []
    with scene.serve(lambda tunnel: reached.append(tunnel.request()), context):
        assert_reset(scene, "tls error")
    assert reached == []


def scene_identity(scene):
    identity = scene.authority.issue("again", [PEER])
    return identity.chain, identity.key


def test_a_server_of_tls_1_2_is_refused(scene):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(*scene_identity(scene))
    with scene.serve(lambda tunnel: None, context):
        assert_reset(scene, "tls error")


# Handshakes


def test_a_server_that_accepts_and_says_nothing_is_given_up_in_time(scene):
    gate = threading.Event()
    with scene.listen(lambda raw: gate.wait(60)):
        assert_reset(scene, "the handshake timed out")
        gate.set()


def test_a_server_that_nobody_hears_is_given_up_in_time_and_delays_no_other(scene):
    before = failures(scene, "timeout")
    with blocked(scene, "tcp dport 15008 drop"):
        with scene.call() as connection:
            assert_serves(scene.town)
            assert end_of(connection) == (b"", "reset")
    scene.town.alpha.wait_for_log(r"maybe a NetworkPolicy is blocking HBONE port 15008")
    assert failures(scene, "timeout") > before


def test_a_server_that_is_not_there_is_a_refusal(scene):
    before = failures(scene, "refused")
    assert_reset(scene, "connection failed: Connection refused")
    assert failures(scene, "refused") == before + 1


@contextlib.contextmanager
def blocked(scene, rule, hook="input"):
    """nftables in the peer's namespace drop what `rule` says."""
    run = scene.peer.namespace.run
    run("nft", "add table inet block")
    run("nft", f"add chain inet block some {{ type filter hook {hook} priority 0; }}")
    run("nft", f"add rule inet block some {rule}")
    try:
        yield
    finally:
        run("nft", "delete table inet block")


FIRST_BYTES = {
    "nothing": b"",
    "plain HTTP": b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
    "zeros": bytes(65536),
    "an alert": b"\x15\x03\x03\x00\x02\x02\x28",
    "a hello that is too long": b"\x16\x03\x03\x40\x00\x02\xff\xff\xff" + bytes(16380),
    "half a hello": b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03" + bytes(20),
    "an SSH banner": b"SSH-2.0-OpenSSH_9.2\r\n",
}


@pytest.mark.parametrize("case", FIRST_BYTES)
def test_a_server_that_speaks_no_tls_is_refused(scene, case):
    def speak(raw):
        service.send_last(raw, FIRST_BYTES[case])
        service.read_to_end(raw)

    with scene.listen(speak):
        assert_reset(scene, "tls error|connection failed|connection lost")


# Answers


def test_an_honest_server_is_served_frame_by_frame(scene):
    def handler(tunnel):
        tunnel.settle()
        stream = tunnel.request()
        tunnel.answer(stream)
        tunnel.echo(stream)
        tunnel.until_closed()

    with scene.serve(handler), scene.call() as connection:
        assert end_of(connection, b"there and back") == (b"there and back", "end")


@pytest.mark.parametrize("says", ["nothing", "settings", "an interim answer"])
def test_a_server_that_never_answers_is_given_up_in_time(scene, says):
    before = failures(scene, "reply_timeout")

    def handler(tunnel):
        if says != "nothing":
            tunnel.settle()
        stream = tunnel.request()
        if says == "an interim answer":
            tunnel.answer(stream, 103)
        tunnel.until_closed()

    with scene.serve(handler):
        assert_reset(scene, "did not answer")
    assert failures(scene, "reply_timeout") == before + 1


def test_an_interim_answer_is_passed_over(scene):
    def handler(tunnel):
        tunnel.settle()
        stream = tunnel.request()
        tunnel.answer(stream, 103)
        tunnel.answer(stream, 100)
        tunnel.answer(stream, 200)
        tunnel.echo(stream)
        tunnel.until_closed()

    with scene.serve(handler), scene.call() as connection:
        assert end_of(connection, b"late") == (b"late", "end")


@pytest.mark.parametrize("status", [201, 204, 302, 400, 401, 404, 500, 503, 599])
def test_any_answer_but_200_ends_the_caller_with_its_number_in_the_log(scene, status):
    before = failures(scene, "rejected")

    def handler(tunnel):
        tunnel.settle()
        tunnel.answer(tunnel.request(), status, frames.END_HEADERS | frames.END_STREAM)
        tunnel.until_closed()

    with scene.serve(handler):
        assert_reset(scene, f"http status: {status}")
    assert failures(scene, "rejected") == before + 1


def test_a_status_that_is_no_number_ends_the_caller(scene):
    def handler(tunnel):
        tunnel.settle()
        tunnel.answer(tunnel.request(), "2oo")
        tunnel.until_closed()

    with scene.serve(handler):
        assert_reset(scene, "")


def test_a_server_that_ends_its_side_at_once_still_hears_the_caller(scene):
    heard = []

    def handler(tunnel):
        tunnel.settle()
        stream = tunnel.request()
        tunnel.answer(stream)
        tunnel.send(frames.frame(frames.DATA, frames.END_STREAM, stream, b"bye"))
        heard.append(tunnel.next(frames.DATA)[3])
        tunnel.until_closed()

    with scene.serve(handler), scene.call() as connection:
        assert service.read_to_end(connection) == b"bye"
        connection.sendall(b"I am not done")
        connection.shutdown(socket.SHUT_WR)
        wait.until(lambda: heard == [b"I am not done"], "the server to hear it")


ENDINGS_THAT_CUT = {
    "a reset of the stream": lambda tunnel, stream: tunnel.send(frames.reset(stream, 2)),
    "the end of TCP": lambda tunnel, stream: socket.socket.shutdown(tunnel.tls, socket.SHUT_WR),
    "close_notify": lambda tunnel, stream: tunnel.tls.unwrap(),
    "a reset of TCP": lambda tunnel, stream: tunnel.tls.setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
    ),
    "garbage": lambda tunnel, stream: tunnel.send(b"\xff" * 100),
}


@pytest.mark.parametrize("case", ENDINGS_THAT_CUT)
def test_a_stream_that_is_cut_is_a_reset_for_the_caller_and_never_an_end(scene, case):
    def handler(tunnel):
        tunnel.settle()
        stream = tunnel.request()
        tunnel.answer(stream)
        tunnel.next(frames.DATA)
        tunnel.send(frames.frame(frames.DATA, 0, stream, b"a part"))
        with contextlib.suppress(OSError, ssl.SSLError):
            ENDINGS_THAT_CUT[case](tunnel, stream)
            if case != "a reset of TCP":
                tunnel.until_closed()

    with scene.serve(handler), scene.call() as connection:
        received, how = end_of(connection)
    assert received in (b"a part", b"") and how == "reset"
    scene.town.alpha.wait_for_log(r"connection complete.*error=")


# Tunnels that have gone stale


class Counting:
    """A handler that serves each stream by echo, unless told otherwise for the n-th stream."""

    def __init__(self, misbehave):
        self.misbehave = misbehave  # (tunnel, stream, number of the tunnel) -> whether it did
        self.tunnels = 0
        self.streams = []

    def __call__(self, tunnel):
        self.tunnels += 1
        number = self.tunnels
        tunnel.settle()
        with contextlib.suppress(OSError):
            while True:
                stream = tunnel.request()
                self.streams.append((number, stream))
                if not self.misbehave(tunnel, stream, number):
                    tunnel.answer(stream)
                    tunnel.echo(stream)


REFUSALS = {
    "GOAWAY before the answer": lambda tunnel, stream: tunnel.send(
        frames.frame(frames.GOAWAY, 0, 0, struct.pack(">II", max(stream - 2, 0), 0))
    ),
    "REFUSED_STREAM": lambda tunnel, stream: tunnel.send(frames.reset(stream, 7)),
    "the end of TCP": lambda tunnel, stream: socket.socket.shutdown(
        tunnel.tls, socket.SHUT_RDWR
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_connect_that_a_standing_tunnel_refuses_is_tried_once_on_a_fresh_one(scene, case):
    before = failures(scene, "retried")

    def misbehave(tunnel, stream, number):
        if number > 1 or stream == 1:
            return False
        REFUSALS[case](tunnel, stream)
        return True

    handler = Counting(misbehave)
    with scene.serve(handler):
        for _ in range(2):
            with scene.call() as connection:
                assert end_of(connection) == (b"hello", "end")
    assert handler.streams == [(1, 1), (1, 3), (2, 1)]
    assert failures(scene, "retried") == before + 1


@pytest.mark.parametrize("case", REFUSALS)
def test_a_connect_that_every_tunnel_refuses_fails_after_two(scene, case):
    def misbehave(tunnel, stream, number):
        if number == 1 and stream == 1:
            return False
        REFUSALS[case](tunnel, stream)
        return True

    handler = Counting(misbehave)
    with scene.serve(handler):
        with scene.call() as connection:
            assert end_of(connection) == (b"hello", "end")
        assert_reset(scene, "")
        assert handler.streams == [(1, 1), (1, 3), (2, 1)]


def test_a_server_that_was_killed_unheard_is_reached_again_by_the_next_caller(scene):
    """The stale tunnel's server is gone, its reset was lost, and another listens."""
    with scene.serve(Counting(lambda *_: False)) as first:
        with scene.call() as connection:
            assert end_of(connection) == (b"hello", "end")
        with blocked(scene, "tcp sport 15008 drop", hook="output"):
            for tls in first.connections:
                with contextlib.suppress(OSError):
                    tls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            first.close()
            wait.until(lambda: not sockets_of_peer(scene), "the server's socket to be gone")
    with scene.serve(Counting(lambda *_: False)), scene.call() as connection:
        assert end_of(connection) == (b"hello", "end")


def sockets_of_peer(scene):
    done = scene.peer.namespace.run("ss", "-Htn", "sport", "=", ":15008")
    return done.stdout.strip()


def test_a_goaway_lets_open_streams_finish_and_sends_new_ones_elsewhere(scene):
    tunnels = []
    gate = threading.Event()

    def handler(tunnel):
        tunnels.append(tunnel)
        tunnel.settle()
        stream = tunnel.request()
        tunnel.answer(stream)
        if len(tunnels) == 1:
            tunnel.send(frames.frame(frames.GOAWAY, 0, 0, struct.pack(">II", stream, 0)))
            gate.wait(60)
        tunnel.echo(stream)
        tunnel.until_closed()

    with scene.serve(handler), scene.call() as old:
        wait.until(lambda: tunnels, "the first tunnel")
        old.sendall(b"old")
        with scene.call() as new:
            assert end_of(new, b"new") == (b"new", "end")
        gate.set()
        assert service.read_to_end(old) == b"old"
    assert len(tunnels) == 2


# Limits of the server


def test_callers_beyond_the_servers_limit_of_streams_get_tunnels_of_their_own(scene):
    """Each stream is answered only when all five are there, and each tunnel takes but one."""
    barrier = threading.Barrier(5)

    def handler(tunnel):
        tunnel.settle(frames.setting(3, 1))
        stream = tunnel.request()
        barrier.wait(60)
        tunnel.answer(stream)
        tunnel.echo(stream)
        tunnel.until_closed()

    with scene.serve(handler), contextlib.ExitStack() as stack:
        callers = [stack.enter_context(scene.call()) for _ in range(5)]
        for number, connection in enumerate(callers):
            connection.sendall(b"%d" % number)
        for number, connection in enumerate(callers):
            assert service.read_to_end(connection) == b"%d" % number


def test_a_server_that_permits_no_stream_is_not_dialled_for_ever(scene):
    dialled = []

    def handler(tunnel):
        dialled.append(tunnel)
        tunnel.settle(frames.setting(3, 0))
        tunnel.until_closed()

    with scene.serve(handler), contextlib.ExitStack() as stack:
        callers = [stack.enter_context(scene.call()) for _ in range(5)]
        for connection in callers:
            assert end_of(connection) == (b"", "reset")
    assert len(dialled) < 50


def test_a_window_of_nothing_stops_the_caller_until_it_opens(scene):
    gate = threading.Event()

    def handler(tunnel):
        tunnel.settle(frames.setting(4, 0))
        stream = tunnel.request()
        tunnel.answer(stream)
        gate.wait(60)
        tunnel.send(frames.window_update(stream, 3))
        assert tunnel.next(frames.DATA)[3] == b"hel"
        tunnel.send(frames.window_update(stream, 100))
        tunnel.echo(stream)
        tunnel.until_closed()

    with scene.serve(handler), scene.call() as connection:
        connection.sendall(b"hello")
        assert_serves(scene.town)
        gate.set()
        assert service.read_to_end(connection) == b"lo"


def test_a_server_that_stops_reading_stops_its_caller_and_nobody_else(scene):
    gate = threading.Event()

    def handler(tunnel):
        tunnel.settle(frames.setting(4, 0x7FFFFFFF))
        tunnel.send(frames.window_update(0, 0x7FFF0000 - 65535))
        tunnel.answer(tunnel.request())
        gate.wait(60)

    with scene.serve(handler), scene.call() as connection:
        level = scene.town.alpha.program.memory_private_dirty_bytes()
        connection.settimeout(0.5)
        with pytest.raises(TimeoutError):
            while True:
                connection.sendall(bytes(1 << 20))
        assert_serves(scene.town)
        grown = scene.town.alpha.program.memory_private_dirty_bytes() - level
        assert grown < siege.GROWTH_BYTES_MAX
        gate.set()


# Frames that no server should send

BAD_FRAMES = {
    "a push": lambda stream: frames.frame(frames.PUSH_PROMISE, 4, stream, b"\x00\x00\x00\x02\x82"),
    "an answer on an idle stream": lambda stream: frames.frame(
        frames.HEADERS, 4, stream + 2, frames.field(":status", "200")
    ),
    "DATA on an idle stream": lambda stream: frames.frame(frames.DATA, 0, stream + 2, b"x"),
    "no HPACK": lambda stream: frames.frame(frames.HEADERS, 4, stream, b"\xff" * 8),
    "a frame that is too long": lambda stream: frames.frame(
        frames.DATA, 0, stream, bytes(16385)
    ),
    "a window beyond 2^31": lambda stream: frames.window_update(0, 0x7FFFFFFF),
    "pushes enabled": lambda stream: frames.frame(frames.SETTINGS, 0, 0, frames.setting(2, 1)),
    "an answer without status": lambda stream: frames.frame(
        frames.HEADERS, 4, stream, frames.field("status", "200")
    ),
    "two statuses": lambda stream: frames.frame(
        frames.HEADERS,
        4,
        stream,
        frames.field(":status", "200") + frames.field(":status", "200"),
    ),
    "DATA before the answer": lambda stream: frames.frame(frames.DATA, 0, stream, b"early"),
    "a header bomb": lambda stream: frames.frame(
        frames.HEADERS,
        4,
        stream,
        frames.field(":status", "200")
        + frames.kept_field("bomb", "x" * 3900)
        + frames.indexed(62) * 4000,
    ),
    "a reset at once": lambda stream: frames.reset(stream, 1),
}


@pytest.mark.parametrize("case", BAD_FRAMES)
def test_a_frame_that_breaks_the_rules_ends_the_caller(scene, case):
    def handler(tunnel):
        tunnel.settle()
        tunnel.send(BAD_FRAMES[case](tunnel.request()))
        tunnel.until_closed()

    with scene.serve(handler):
        assert_reset(scene, "")


def test_data_beyond_the_windows_ends_the_stream(scene):
    def handler(tunnel):
        tunnel.settle()
        stream = tunnel.request()
        tunnel.answer(stream)
        with contextlib.suppress(OSError, ssl.SSLError):
            for _ in range(2048):
                tunnel.send(frames.frame(frames.DATA, 0, stream, bytes(16384)))
            tunnel.until_closed()

    with scene.serve(handler), scene.call() as connection:
        wait.until(
            lambda: "FLOW_CONTROL" in scene.town.alpha.log() or "window" in scene.town.alpha.log(),
            "the log to tell",
        )
        assert end_of(connection)[1] == "reset"


SERVER_FLOODS = {
    "pings": frames.frame(frames.PING, 0, 0, bytes(8)) * 500,
    "settings": frames.frame(frames.SETTINGS, 0, 0, frames.setting(4, 65535)) * 500,
    "interim answers": frames.frame(
        frames.HEADERS, 4, 1, frames.field(":status", "103") + frames.field("a", "b")
    )
    * 500,
    "CONTINUATION": frames.frame(frames.CONTINUATION, 0, 1) * 500,
}


@pytest.mark.parametrize("case", SERVER_FLOODS)
def test_a_flood_from_a_server_ends_its_tunnel(scene, case):
    was_ended = []

    def handler(tunnel):
        tunnel.settle()
        tunnel.request()
        if case == "CONTINUATION":
            tunnel.send(frames.frame(frames.HEADERS, 0, 1, frames.field(":status", "200")))
        try:
            for _ in range(400):
                tunnel.send(SERVER_FLOODS[case])
            while True:
                tunnel.read()
        except OSError as error:
            was_ended.append(not isinstance(error, TimeoutError))

    with scene.serve(handler):
        assert_reset(scene, "http2 error|connection")
        wait.until(lambda: was_ended, "the server to be cut off")
    assert was_ended == [True]
