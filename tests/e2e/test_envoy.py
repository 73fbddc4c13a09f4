"""Envoy at one end of the tunnel, Hauberk at the other, and every byte at its place."""

import contextlib
import hashlib
import os
import socket
import threading

import pytest

from harness import certificates, envoy, hbone, http, mesh, service, siege, wait
from harness.envoy import Envoy
from harness.town import ENGINES

pytestmark = pytest.mark.parametrize("engine", ENGINES, scope="module")

AGENT_OPTIONS = []
FRONT, PEER = mesh.spiffe_id("front"), mesh.spiffe_id("peer")
LOCAL_PORT = 8000
LARGE_BYTES = 24 << 20
DIGEST_PORT, SOURCE_PORT, CLOSED_PORT = 9001, 9002, 9003
FAMILIES = pytest.mark.parametrize("family", ["v4", "v6"])


class Scene:
    """The town, a pod outside of it for a sending Envoy, and the pod "peer" for a receiving one."""

    def __init__(self, town, binary):
        self.town, self.binary = town, binary
        self.front = town.pair.front.namespace
        self.outside = town.pair.alpha.add_pod("outsider").namespace
        self.peer = town.pair.beta.add_pod("peer")
        town.mesh.add_pod(self.peer, node="elsewhere")
        del town.mesh.document["pods"][mesh.uid("peer")]
        town.reload()
        self.authority = certificates.Authority.from_files(
            town.folder / "forged", town.ca / "root.pem", town.ca / "root-key.pem"
        )
        cart = town.pair.cart
        handlers = {
            mesh.CART_PORT: service.echo,
            DIGEST_PORT: service.digest,
            SOURCE_PORT: service.source(LARGE_BYTES),
        }
        self.services = [
            service.Service(cart.namespace, ip, port, handler)
            for ip in (cart.v4, cart.v6)
            for port, handler in handlers.items()
        ]

    @contextlib.contextmanager
    def sender(self, port, family="v4", identity=None):
        """An Envoy outside that sends what it takes on LOCAL_PORT to cart's `port`."""
        ip = self.town.pair.cart.ip(family)
        identity = identity or self.authority.issue("envoy", [FRONT])
        shown = f"[{ip}]" if ":" in ip else ip
        config = envoy.client(LOCAL_PORT, (ip, hbone.HBONE_PORT), f"{shown}:{port}", identity)
        running = self._start(self.outside, "127.0.0.1", LOCAL_PORT, config)
        try:
            yield lambda: self.outside.connect("127.0.0.1", LOCAL_PORT, wait.DEADLINE_S)
        finally:
            running.program.kill()

    @contextlib.contextmanager
    def receiver(self, handler, family="v4", streams_max=None):
        """An Envoy on peer's 15008 in front of a service there; yields how to call the service and
        how to restart Envoy."""
        ip = self.peer.ip(family)
        identity = self.authority.issue("peer", [PEER])
        config = envoy.server(ip, 7000, identity, streams_max)
        running = [self._start(self.peer.namespace, ip, hbone.HBONE_PORT, config)]

        def restart():
            running[0].program.kill()
            running[0] = self._start(self.peer.namespace, ip, hbone.HBONE_PORT, config)

        served = service.Service(self.peer.namespace, ip, 7000, handler) if handler else None
        try:
            yield lambda: self.front.connect(ip, 7000, wait.DEADLINE_S), restart
        finally:
            running[0].program.kill()
            if served is not None:
                served.close()

    def _start(self, namespace, ip, port, config):
        town = self.town
        return Envoy(town.start, self.binary, town.folder, namespace, ip, port, config)


@pytest.fixture(scope="module")
def place(standing_town, find_peer_program):
    scene = Scene(standing_town, find_peer_program("envoy"))
    yield scene
    for running in scene.services:
        running.close()


@pytest.fixture
def scene(request, place):
    request.node.programs = place.town.programs
    for running in place.town.programs:
        running.forget_log()
    with siege.unharmed(place.town):
        yield place


def exchange(connection, data):
    """Sends all of `data` and its end; returns all that comes back."""

    def send():
        with contextlib.suppress(OSError):
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)

    writer = threading.Thread(target=send)
    writer.start()
    try:
        return service.read_to_end(connection)
    finally:
        writer.join(timeout=60)


def gets_nothing(connect):
    """Whether a call through `connect` ends without a byte, by a reset or not."""
    try:
        with connect() as connection:
            return exchange(connection, b"x") == b""
    except ConnectionError:
        return True


def upload(connection):
    for piece in service.pattern(LARGE_BYTES):
        connection.sendall(piece)
    connection.shutdown(socket.SHUT_WR)
    return service.read_to_end(connection).decode()


def exchange_on_many(connect, count):
    """`count` connections at the same time, each with bytes of its own."""
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(connect()) for _ in range(count)]
        messages = [hashlib.sha256(b"%d" % number).digest() * 512 for number in range(count)]
        for connection, message in zip(connections, messages):
            connection.sendall(message)
            connection.shutdown(socket.SHUT_WR)
        for connection, message in zip(connections, messages):
            assert service.read_to_end(connection) == message


# Envoy sends


@FAMILIES
def test_what_envoy_sends_arrives_and_comes_back_byte_for_byte(scene, family):
    data = os.urandom(3 << 20)
    with scene.sender(mesh.CART_PORT, family) as connect, connect() as connection:
        assert exchange(connection, data) == data
    scene.town.beta.wait_for_log(rf'connection complete.*src.identity="{FRONT}"')
    wait.until(
        lambda: scene.town.beta.metrics().sum(
            "istio_tcp_received_bytes_total",
            source_principal=FRONT,
            destination_principal=mesh.spiffe_id("cart"),
            connection_security_policy="mutual_tls",
        )
        >= len(data),
        "the bytes to be counted",
    )


def test_a_large_upload_through_envoy_is_answered_after_its_end(scene):
    with scene.sender(DIGEST_PORT) as connect, connect() as connection:
        assert upload(connection) == service.pattern_digest(LARGE_BYTES)


def test_a_large_download_through_envoy_ends_with_its_last_byte(scene):
    with scene.sender(SOURCE_PORT) as connect, connect() as connection:
        assert service.digest_to_end(connection) == service.pattern_digest(LARGE_BYTES)


def test_two_hundred_connections_through_envoy_do_not_mix(scene):
    with scene.sender(mesh.CART_PORT) as connect:
        exchange_on_many(connect, 200)


def test_envoy_is_told_of_a_closed_port_and_goes_on(scene):
    with scene.sender(CLOSED_PORT) as connect:
        for _ in range(3):
            assert gets_nothing(connect)
    scene.town.beta.wait_for_log(r"connection complete.*error=\"connection failed: Connection ref")


def test_an_envoy_of_another_trust_domain_gets_nothing_through(scene):
    identity = scene.authority.issue("other", [mesh.spiffe_id("front", "elsewhere.test")])
    with scene.sender(mesh.CART_PORT, identity=identity) as connect:
        assert gets_nothing(connect)
    scene.town.beta.wait_for_log(r"identity error|tls error")


def test_a_policy_refuses_envoy_by_its_identity(scene):
    town = scene.town
    identity = scene.authority.issue("intruder", [mesh.spiffe_id("intruder")])
    town.mesh.add_policy("not-intruder", "Deny", principals=[mesh.principal("intruder")])
    town.reload()
    try:
        with scene.sender(mesh.CART_PORT, identity=identity) as connect:
            assert gets_nothing(connect)
        town.beta.wait_for_log(r"explicitly denied by: shop/not-intruder")
    finally:
        town.mesh.document["policies"].clear()
        town.reload()


# Envoy receives


@FAMILIES
def test_what_envoy_receives_comes_back_byte_for_byte(scene, family):
    data = os.urandom(3 << 20)
    with scene.receiver(service.echo, family) as (connect, _), connect() as connection:
        assert exchange(connection, data) == data
    scene.town.alpha.wait_for_log(rf'connection complete.*dst.identity="{PEER}"')


def test_a_large_upload_to_envoy_is_answered_after_its_end(scene):
    with scene.receiver(service.digest) as (connect, _), connect() as connection:
        assert upload(connection) == service.pattern_digest(LARGE_BYTES)


def test_a_large_download_from_envoy_ends_with_its_last_byte(scene):
    """The caller ends its side first: Envoy 1.40 resets a CONNECT, and drops what it still holds of
    it, when the service closes while the request is open."""
    with scene.receiver(service.source(LARGE_BYTES)) as (connect, _), connect() as connection:
        connection.shutdown(socket.SHUT_WR)
        assert service.digest_to_end(connection) == service.pattern_digest(LARGE_BYTES)


def test_two_hundred_connections_to_envoy_do_not_mix(scene):
    with scene.receiver(service.echo) as (connect, _):
        exchange_on_many(connect, 200)


def test_an_envoy_that_permits_five_streams_is_given_more_tunnels(scene):
    before = scene.town.alpha.metrics().sum("hauberk_tunnels_opened_total", side="client")
    with scene.receiver(service.echo, streams_max=5) as (connect, _):
        exchange_on_many(connect, 40)
    opened = scene.town.alpha.metrics().sum("hauberk_tunnels_opened_total", side="client") - before
    assert 2 <= opened <= 9


def test_an_envoy_that_is_killed_and_comes_back_is_reached_again(scene):
    with scene.receiver(service.http_ok) as (connect, restart):
        for _ in range(3):
            with connect() as connection:
                assert http.request(connection).text == "ok"
            restart()
        with connect() as connection:
            assert http.request(connection).text == "ok"


def test_an_envoy_that_dies_resets_those_who_wait_for_it(scene):
    with scene.receiver(service.echo) as (connect, restart), connect() as connection:
        connection.sendall(b"here")
        assert connection.recv(100) == b"here"
        restart()
        with pytest.raises(ConnectionResetError):
            connection.recv(100)
    scene.town.alpha.wait_for_log(r"connection complete.*error=")


def test_envoys_503_for_a_dead_service_resets_the_caller(scene):
    with scene.receiver(None) as (connect, _):
        # One thread: a send that meets the reset would take the error away from the receiver.
        with pytest.raises(ConnectionError), connect() as connection:
            connection.sendall(b"x")
            service.read_to_end(connection)
    scene.town.alpha.wait_for_log(r"http status: 503")
