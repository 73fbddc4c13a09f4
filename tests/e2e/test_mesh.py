"""The main job: pods reach each other through agents, encrypted, authenticated, permitted."""

import threading

import pytest

from harness import http, mesh, service
from harness.capture import Capture
from harness.town import ENGINES

FAMILIES = pytest.mark.parametrize("family", ["v4", "v6"])
BY_ENGINE = pytest.mark.parametrize("engine", ENGINES)
MARKER = "marker-that-must-not-be-on-any-wire"


@BY_ENGINE
@FAMILIES
def test_front_reaches_cart_over_mutual_tls_and_no_wire_shows_the_request(town, family):
    cart = town.pair.cart.ip(family)
    with (
        service.Service(town.pair.cart.namespace, cart, mesh.CART_PORT, service.echo) as echo,
        Capture(town.pair.alpha.namespace, "wire", MARKER.encode()) as wire,
        Capture(
            town.pair.alpha.namespace, town.pair.front.interface, MARKER.encode()
        ) as front_wire,
    ):
        with town.pair.front.namespace.connect(cart, mesh.CART_PORT) as connection:
            connection.sendall(MARKER.encode())
            assert connection.recv(100) == MARKER.encode()
    assert echo.peers == [town.pair.front.ip(family)], "the caller's address is kept"
    assert wire.packets > 4 and front_wire.packets > 4
    assert wire.packets_with_marker == 0
    assert front_wire.packets_with_marker == 0


def test_the_agent_of_the_destination_knows_the_caller_from_its_certificate(town):
    with service.Service(
        town.pair.cart.namespace, town.pair.cart.v4, mesh.CART_PORT, service.http_ok
    ):
        assert http.get(town.pair.front.namespace, town.pair.cart.v4, mesh.CART_PORT).text == "ok"
    town.beta.wait_for_log(r'src\.identity="?' + mesh.spiffe_id("front"))
    labels = {
        "reporter": "destination",
        "connection_security_policy": "mutual_tls",
        "source_principal": mesh.spiffe_id("front"),
        "destination_principal": mesh.spiffe_id("cart"),
        "response_flags": "-",
    }
    town.beta.wait_metric("istio_tcp_connections_opened_total", 1, **labels)
    town.beta.wait_metric("istio_tcp_connections_closed_total", 1, **labels)


@FAMILIES
def test_a_service_address_leads_to_its_endpoint(town, family):
    vip = {"v4": mesh.VIP_V4, "v6": mesh.VIP_V6}[family]
    cart = town.pair.cart.ip(family)
    with service.Service(
        town.pair.cart.namespace, cart, mesh.CART_PORT, service.http_ok
    ) as server:
        assert http.get(town.pair.front.namespace, vip, 80).text == "ok"
    assert server.peers == [town.pair.front.ip(family)]


@FAMILIES
def test_pods_of_one_host_speak_mutual_tls_to_each_other(town, family):
    neighbour = town.pair.neighbour.ip(family)
    alpha = town.pair.alpha.namespace
    with (
        service.Service(town.pair.neighbour.namespace, neighbour, 7000, service.echo),
        Capture(alpha, town.pair.front.interface, MARKER.encode()) as near,
        Capture(alpha, town.pair.neighbour.interface, MARKER.encode()) as far,
    ):
        with town.pair.front.namespace.connect(neighbour, 7000) as connection:
            connection.sendall(MARKER.encode())
            assert connection.recv(100) == MARKER.encode()
    assert near.packets > 4 and far.packets > 4
    assert near.packets_with_marker == far.packets_with_marker == 0
    town.alpha.wait_metric(
        "istio_tcp_connections_closed_total",
        1,
        reporter="destination",
        connection_security_policy="mutual_tls",
    )


def test_a_pod_reaches_its_own_address(town):
    cart = town.pair.cart
    with service.Service(cart.namespace, cart.v4, mesh.CART_PORT, service.http_ok):
        assert http.get(cart.namespace, cart.v4, mesh.CART_PORT).text == "ok"


def test_a_policy_refuses_a_caller_and_the_log_names_it(town):
    town.mesh.add_policy("only-front", "Allow", principals=[mesh.principal("front")])
    town.mesh.add_policy("not-intruder", "Deny", principals=[mesh.principal("intruder")])
    town.reload()
    cart = town.pair.cart
    with service.Service(cart.namespace, cart.v4, mesh.CART_PORT, service.http_ok) as server:
        assert http.is_refused(town.pair.intruder.namespace, cart.v4, mesh.CART_PORT)
        assert http.is_refused(town.pair.neighbour.namespace, cart.v4, mesh.CART_PORT)
        assert http.get(town.pair.front.namespace, cart.v4, mesh.CART_PORT).text == "ok"
    assert server.peers == [town.pair.front.v4]
    town.beta.wait_for_log(r"explicitly denied by: shop/not-intruder")
    town.beta.wait_for_log(r"allow policies exist, but none allowed")


@BY_ENGINE
def test_a_policy_change_ends_a_live_connection_that_it_forbids(town):
    cart = town.pair.cart
    with service.Service(cart.namespace, cart.v4, mesh.CART_PORT, service.echo):
        with town.pair.front.namespace.connect(cart.v4, mesh.CART_PORT) as connection:
            connection.sendall(b"before")
            assert connection.recv(100) == b"before"
            town.mesh.add_policy("nobody", "Deny", principals=[{"Prefix": ""}])
            town.mesh.document["policies"][-1]["rules"] = [
                [[{"destinationPorts": [mesh.CART_PORT]}]]
            ]
            town.reload()
            assert reads_end(connection)
    town.beta.wait_for_log(r"policy change")


def reads_end(connection):
    """Whether the other side ended or reset, and sent nothing more."""
    try:
        return connection.recv(100) == b""
    except ConnectionResetError:
        return True


def test_strict_refuses_plain_text_from_outside_the_mesh(town):
    town.mesh.set_mode("STRICT")
    town.reload()
    cart = town.pair.cart
    with service.Service(cart.namespace, cart.v4, mesh.CART_PORT, service.http_ok) as server:
        assert http.is_refused(town.pair.alpha.namespace, cart.v4, mesh.CART_PORT)
        assert http.get(town.pair.front.namespace, cart.v4, mesh.CART_PORT).text == "ok"
    assert server.peers == [town.pair.front.v4]


@FAMILIES
def test_permissive_serves_plain_text_from_outside_the_mesh(town, family):
    cart = town.pair.cart.ip(family)
    with service.Service(
        town.pair.cart.namespace, cart, mesh.CART_PORT, service.http_ok
    ) as server:
        assert http.get(town.pair.alpha.namespace, cart, mesh.CART_PORT).text == "ok"
    assert server.peers == [getattr(town.pair.alpha, family)]
    town.beta.wait_metric(
        "istio_tcp_connections_opened_total",
        1,
        reporter="destination",
        connection_security_policy="unknown",
    )


def is_answered_where_the_agent_calls_from_the_callers_own_port(town, caller, family):
    """The kernel has one port left to give to the agent, and it is the caller's."""
    cart, port = town.pair.cart, 40000
    cart.namespace.set_sysctl("net/ipv4/ip_local_port_range", f"{port} {port}")
    ip, source = cart.ip(family), (getattr(caller, family), port)
    with service.Service(cart.namespace, ip, mesh.CART_PORT, service.http_ok) as server:
        with caller.namespace.connect(ip, mesh.CART_PORT, source=source) as connection:
            answer = http.request(connection, headers={"Connection": "close"})
    return answer.text == "ok" and server.peers == [source[0]]


@FAMILIES
def test_a_plain_caller_is_answered_where_the_agent_calls_from_the_same_port(town, family):
    assert is_answered_where_the_agent_calls_from_the_callers_own_port(
        town, town.pair.alpha, family
    )


@FAMILIES
def test_what_is_sent_on_a_tunnel_is_answered_where_the_agent_calls_from_the_same_port(
    town, family
):
    assert is_answered_where_the_agent_calls_from_the_callers_own_port(
        town, town.pair.front, family
    )


def test_what_is_outside_the_mesh_is_reached_in_plain_text(town):
    beta = town.pair.beta
    with service.Service(beta.namespace, beta.v4, 7000, service.http_ok) as server:
        assert http.get(town.pair.front.namespace, beta.v4, 7000).text == "ok"
    assert len(server.peers) == 1


@FAMILIES
def test_each_direction_ends_on_its_own(town, family):
    cart = town.pair.cart.ip(family)
    with service.Service(town.pair.cart.namespace, cart, mesh.CART_PORT, service.digest):
        with town.pair.front.namespace.connect(cart, mesh.CART_PORT) as connection:
            connection.sendall(b"all that I have to say")
            connection.shutdown(1)
            answer = service.read_to_end(connection)
    assert len(answer) == 64


@BY_ENGINE
@FAMILIES
def test_large_transfers_arrive_whole_in_both_directions(town, family):
    size = 64 << 20
    cart = town.pair.cart.ip(family)
    with (
        service.Service(town.pair.cart.namespace, cart, 7001, service.digest),
        service.Service(town.pair.cart.namespace, cart, 7002, service.source(size)),
    ):
        with (
            town.pair.front.namespace.connect(cart, 7001, timeout=60) as upload,
            town.pair.front.namespace.connect(cart, 7002, timeout=60) as download,
        ):
            received = []
            reader = threading.Thread(
                target=lambda: received.append(service.digest_to_end(download))
            )
            reader.start()
            for piece in service.pattern(size):
                upload.sendall(piece)
            upload.shutdown(1)
            assert service.read_to_end(upload).decode() == service.pattern_digest(size)
            reader.join(timeout=60)
    assert received == [service.pattern_digest(size)]


@BY_ENGINE
def test_many_streams_share_one_tunnel(town):
    cart = town.pair.cart
    with service.Service(cart.namespace, cart.v4, mesh.CART_PORT, service.echo):
        connections = [
            town.pair.front.namespace.connect(cart.v4, mesh.CART_PORT) for _ in range(50)
        ]
        for number, connection in enumerate(connections):
            connection.sendall(b"%d" % number)
        for number, connection in enumerate(connections):
            assert connection.recv(100) == b"%d" % number
        tunnels = cart.namespace.run(
            "ss", "-Htn", "state", "established", "sport", "=", ":15008"
        ).stdout.splitlines()
        for connection in connections:
            connection.close()
    assert 1 <= len(tunnels) <= 2


def test_a_reader_that_stops_makes_the_writer_stop_and_delays_nobody(town):
    cart = town.pair.cart
    gate = threading.Event()

    def read_late(connection):
        gate.wait(60)
        service.digest(connection)

    with (
        service.Service(cart.namespace, cart.v4, 7001, read_late),
        service.Service(cart.namespace, cart.v4, mesh.CART_PORT, service.http_ok),
    ):
        with town.pair.front.namespace.connect(cart.v4, 7001, timeout=2) as slow:
            sent = 0
            with pytest.raises(TimeoutError):
                while sent < 256 << 20:
                    sent += slow.send(b"x" * 65536)
            assert http.get(town.pair.front.namespace, cart.v4, mesh.CART_PORT).text == "ok"
            gate.set()
            slow.settimeout(60)
            slow.shutdown(1)
            assert len(service.read_to_end(slow)) == 64


def test_a_closed_port_of_the_destination_resets_the_caller(town):
    assert http.is_refused(town.pair.front.namespace, town.pair.cart.v4, 7999)
    town.alpha.wait_for_log(r"503")


def test_excluded_ports_are_left_alone(town):
    cart = town.pair.cart
    town.mesh.pod("cart")["excludeInboundPorts"] = [7000]
    town.mesh.pod("front")["excludeOutboundPorts"] = [7000]
    town.mesh.set_mode("STRICT")
    town.reload()
    with (
        service.Service(cart.namespace, cart.v4, 7000, service.echo),
        Capture(town.pair.alpha.namespace, "wire", MARKER.encode()) as wire,
    ):
        with town.pair.front.namespace.connect(cart.v4, 7000) as connection:
            connection.sendall(MARKER.encode())
            assert connection.recv(100) == MARKER.encode()
    assert wire.packets_with_marker == 2
