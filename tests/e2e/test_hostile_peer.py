"""Peers that misbehave: each gets the right refusal, and the next honest one is served."""

import datetime
import socket
import ssl
import struct

import pytest

from harness import certificates, hbone, http, mesh, service, wait
from harness.town import ENGINES

HOUR = datetime.timedelta(hours=1)


@pytest.fixture
def authority(town, tmp_path):
    """The mesh's own CA, but without its manners."""
    return certificates.Authority.from_files(
        tmp_path / "forged", town.ca / "root.pem", town.ca / "root-key.pem"
    )


@pytest.fixture
def outsider(town):
    """A pod on alpha that is in no mesh file: nothing is captured, so it dials 15008 itself."""
    return town.pair.alpha.add_pod("outsider").namespace


@pytest.fixture
def cart_service(town):
    cart = town.pair.cart
    with service.Service(cart.namespace, cart.v4, mesh.CART_PORT, service.echo) as server:
        yield server


def authority_of(ip, port):
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def assert_still_serves(town):
    """An honest pod gets through."""
    with town.pair.front.namespace.connect(town.pair.cart.v4, mesh.CART_PORT) as connection:
        connection.sendall(b"honest")
        assert connection.recv(100) == b"honest"


FRONT = mesh.spiffe_id("front")


def test_an_honest_hbone_client_that_is_not_hauberk_is_served(
    town, authority, outsider, cart_service
):
    identity = authority.issue("honest", [FRONT])
    cart = town.pair.cart.v4
    with hbone.Client(outsider, cart, identity) as client:
        stream = client.connect(authority_of(cart, mesh.CART_PORT))
        data = b"".join(service.pattern(1 << 20))
        client.send(stream, data, end=True)
        client.until(lambda: stream.is_ended)
        assert (stream.status, stream.data) == (200, data)
        assert hbone.peer_uris(client.tls) == [mesh.spiffe_id("cart")]
        assert client.tls.version() == "TLSv1.3"
        assert client.tls.selected_alpn_protocol() == "h2"


REFUSED_CERTIFICATES = {
    "another trust domain": {"uris": [mesh.spiffe_id("front", "elsewhere.test")]},
    "expired": {"uris": [FRONT], "not_before": -3 * HOUR, "not_after": -HOUR},
    "not yet valid": {"uris": [FRONT], "not_before": HOUR, "not_after": 3 * HOUR},
    "two identities": {"uris": [FRONT, mesh.spiffe_id("cart")]},
    "no identity": {"uris": []},
    "a web address for an identity": {"uris": ["https://front.shop.test/"]},
    "only for servers": {"uris": [FRONT], "usages": ("server",)},
}


@pytest.mark.parametrize("case", REFUSED_CERTIFICATES)
def test_a_client_is_refused_for_its_certificate(
    town, authority, outsider, cart_service, case
):
    identity = authority.issue("forged", **REFUSED_CERTIFICATES[case])
    assert_tunnel_is_refused(town, outsider, identity)
    assert cart_service.peers == []
    town.beta.wait_for_log(r"TLS_FAILURE|IDENTITY_ERROR|certificate|identity")
    assert_still_serves(town)


def test_a_client_of_another_root_is_refused(town, authority, outsider, cart_service, tmp_path):
    stranger = certificates.Authority(tmp_path / "strangers")
    identity = stranger.issue("stranger", [FRONT])
    identity.roots = authority.roots
    assert_tunnel_is_refused(town, outsider, identity)
    assert cart_service.peers == []
    assert_still_serves(town)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_client_without_a_certificate_is_refused(town, authority, outsider, cart_service):
    nobody = certificates.Identity(None, None, authority.roots)
    assert_tunnel_is_refused(town, outsider, nobody)
    assert cart_service.peers == []
    assert_still_serves(town)


def assert_tunnel_is_refused(town, namespace, identity):
    """The handshake fails, or (TLS 1.3 tells a client late) the first read does."""
    cart = town.pair.cart.v4
    with pytest.raises((ssl.SSLError, ConnectionError)):
        with hbone.Client(namespace, cart, identity) as client:
            client.status_of(authority_of(cart, mesh.CART_PORT))


@pytest.mark.parametrize("engine", ENGINES)
def test_tls_1_2_is_refused_and_no_other_engine_takes_it(town, authority, outsider, engine):
    context = hbone.tls_context(authority.issue("old", [FRONT]), is_server=False)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises((ssl.SSLError, ConnectionError)):
        context.wrap_socket(outsider.connect(town.pair.cart.v4, hbone.HBONE_PORT))
    failures = "hauberk_tls_handshake_failures_total"
    town.beta.wait_metric(failures, 1, engine=engine, reason="protocol")
    assert town.beta.metrics().sum(failures) == 1
    assert town.beta.metrics().sum("hauberk_tls_handshakes_total") == 0
    town.beta.wait_for_log(rf'connection failed\t.*tls\.engine="{engine}" error="tls error')


def test_each_refused_connect_has_its_status_and_the_tunnel_lives_on(
    town, authority, outsider, cart_service
):
    cart = town.pair.cart.v4
    with hbone.Client(outsider, cart, authority.issue("front", [FRONT])) as client:
        neighbour = authority_of(town.pair.neighbour.v4, mesh.CART_PORT)
        assert client.status_of(neighbour) == 400, "another pod's address"
        assert client.status_of("not-an-address") == 400
        get = [(":scheme", "https"), (":path", "/")]
        assert client.status_of(authority_of(cart, mesh.CART_PORT), get, method="GET") == 400
        assert client.status_of(authority_of(cart, 7999)) == 503, "a closed port"
        for port in (15001, 15006, 15008):
            assert client.status_of(authority_of(cart, port)) == 503, "an agent's own port"
        assert client.status_of(authority_of(cart, mesh.CART_PORT)) == 200
        wait.until(lambda: cart_service.peers, "the service to accept")


def test_policy_refuses_a_connect_with_401(town, authority, outsider, cart_service):
    town.mesh.add_policy("not-intruder", "Deny", principals=[mesh.principal("intruder")])
    town.reload()
    cart = town.pair.cart.v4
    intruder = authority.issue("intruder", [mesh.spiffe_id("intruder")])
    with hbone.Client(outsider, cart, intruder) as client:
        assert client.status_of(authority_of(cart, mesh.CART_PORT)) == 401
    town.beta.wait_for_log(r"explicitly denied by: shop/not-intruder")


GARBAGE = {
    "plain HTTP": b"GET / HTTP/1.1\r\nHost: cart\r\n\r\n",
    "zeros": bytes(4096),
    "a record that is too long": b"\x16\x03\x01\xff\xff" + bytes(4096),
    "half a record": b"\x16\x03\x01\x02\x00\x01",
    "HTTP/2 without TLS": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9),
}


@pytest.mark.parametrize("case", GARBAGE)
def test_garbage_on_the_tunnel_port_is_closed(town, outsider, cart_service, case):
    with outsider.connect(town.pair.cart.v4, hbone.HBONE_PORT) as connection:
        service.send_last(connection, GARBAGE[case])
        assert connection_ends(connection)
    assert_still_serves(town)


@pytest.mark.parametrize("port", [15001, 15006])
def test_a_direct_connection_to_a_capture_port_is_closed(town, outsider, cart_service, port):
    try:
        with outsider.connect(town.pair.cart.v4, port) as connection:
            connection.sendall(b"x" * 4096)
            assert connection_ends(connection)
    except ConnectionError:
        pass  # reset as early as this
    assert_still_serves(town)


def connection_ends(connection):
    """Whether the other side closes or resets within the deadline; what it says is dropped."""
    connection.settimeout(wait.DEADLINE_S + 10)
    try:
        while connection.recv(65536):
            pass
    except ConnectionError:
        pass
    return True


@pytest.mark.parametrize("case", ["garbage frames", "an oversized frame", "data on stream 0"])
def test_garbage_inside_the_tunnel_ends_it(town, authority, outsider, cart_service, case):
    frames = {
        "garbage frames": b"\xff" * 4096,
        "an oversized frame": struct.pack(">I", 1 << 31)[:3] + b"\x00\x00" + bytes(4),
        "data on stream 0": b"\x00\x00\x01\x00\x00" + bytes(4) + b"x",
    }
    cart = town.pair.cart.v4
    with hbone.Client(outsider, cart, authority.issue("front", [FRONT])) as client:
        client.tls.sendall(frames[case])
        with pytest.raises((ConnectionError, ssl.SSLError)):
            client.until(lambda: False)
    assert_still_serves(town)


def test_a_client_that_resets_its_stream_ends_only_that(
    town, authority, outsider, cart_service
):
    cart = town.pair.cart.v4
    with hbone.Client(outsider, cart, authority.issue("front", [FRONT])) as client:
        first = client.connect(authority_of(cart, mesh.CART_PORT))
        client.until(lambda: first.status)
        second = client.connect(authority_of(cart, mesh.CART_PORT))
        client.until(lambda: second.status)
        client.h2.reset_stream(first.number)
        client.flush()
        client.send(second, b"still here", end=True)
        client.until(lambda: second.is_ended)
        assert second.data == b"still here"


def test_a_client_that_sends_one_byte_at_a_time_is_served(
    town, authority, outsider, cart_service
):
    cart = town.pair.cart.v4
    with hbone.Client(outsider, cart, authority.issue("front", [FRONT])) as client:
        client.tls.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = client.connect(authority_of(cart, mesh.CART_PORT))
        client.h2.send_data(stream.number, b"slow", end_stream=True)
        for byte in client.h2.data_to_send():
            client.tls.sendall(bytes([byte]))
        client.until(lambda: stream.is_ended)
        assert stream.data == b"slow"


def test_a_server_with_the_wrong_identity_is_refused(town, authority, tmp_path):
    """A pod outside the mesh file's agents answers 15008 with somebody else's certificate."""
    impostor = town.pair.beta.add_pod("impostor")
    town.mesh.add_pod(impostor, node="elsewhere")
    del town.mesh.document["pods"][mesh.uid("impostor")]
    town.reload()
    wrong = authority.issue("wrong", [mesh.spiffe_id("cart")])
    with hbone.Server(impostor.namespace, impostor.v4, wrong) as server:
        assert http.is_refused(town.pair.front.namespace, impostor.v4, 7000)
    assert server.requests == []


def test_a_server_that_is_not_hauberk_is_reached(town, authority):
    peer = town.pair.beta.add_pod("peer")
    town.mesh.add_pod(peer, node="elsewhere")
    del town.mesh.document["pods"][mesh.uid("peer")]
    town.reload()
    right = authority.issue("peer", [mesh.spiffe_id("peer")])
    with hbone.Server(peer.namespace, peer.v4, right) as server:
        with town.pair.front.namespace.connect(peer.v4, 7000) as connection:
            connection.sendall(b"hello")
            assert connection.recv(100) == b"hello"
    assert server.callers == [[FRONT]]
    assert server.requests[0][":method"] == "CONNECT"
    assert server.requests[0][":authority"] == f"{peer.v4}:7000"
    assert ":path" not in server.requests[0]


@pytest.mark.parametrize("status", [400, 401, 503])
def test_a_connect_that_the_server_refuses_ends_the_caller(town, authority, status):
    peer = town.pair.beta.add_pod("peer")
    town.mesh.add_pod(peer, node="elsewhere")
    del town.mesh.document["pods"][mesh.uid("peer")]
    town.reload()
    right = authority.issue("peer", [mesh.spiffe_id("peer")])
    with hbone.Server(peer.namespace, peer.v4, right, status):
        assert http.is_refused(town.pair.front.namespace, peer.v4, 7000)
    town.alpha.wait_for_log(rf"http status: {status}")
