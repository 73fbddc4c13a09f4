"""The TLS engine of new connections, as the mesh file names it and changes it."""

import json
import threading

import pytest

from harness import certificates, hbone, http, mesh, service, wait
from harness.agent import Agent
from harness.callers import Callers
from harness.town import ENGINES

OTHER = dict(zip(ENGINES, reversed(ENGINES)))


def ask(connection, data=b"are you there"):
    connection.sendall(data)
    assert connection.recv(100) == data


def engines_of(agent, pod, direction):
    """The engines of a pod's connections, by the address that they came from."""
    document = json.loads(agent.get("/config_dump").text)
    connections = document["workloadState"][mesh.uid(pod)]["connections"][direction]
    return {entry["src"]: entry.get("tlsEngine") for entry in connections}


def source_of(connection):
    return "{}:{}".format(*connection.getsockname()[:2])


def handshakes(agent, side, engine):
    return agent.metrics().sum("hauberk_tls_handshakes_total", side=side, engine=engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_every_new_connection_has_the_engine_of_the_file_and_established_ones_go_on(town, engine):
    front, cart = town.pair.front.namespace, town.pair.cart
    with service.Service(cart.namespace, cart.v4, mesh.CART_PORT, service.echo):
        with (
            front.connect(cart.v4, mesh.CART_PORT) as old,
            town.pair.neighbour.namespace.connect(cart.v4, mesh.CART_PORT) as idle,
        ):
            ask(old)
            ask(idle)
            town.mesh.document["tlsEngine"] = OTHER[engine]
            town.reload()
            ask(old)
            with front.connect(cart.v4, mesh.CART_PORT) as new:
                ask(new)
                wanted = {source_of(old): engine, source_of(new): OTHER[engine]}
                assert engines_of(town.alpha, "front", "outbound") == wanted
                ask(old)
            ask(idle)
    for agent, side in ((town.alpha, "client"), (town.beta, "server")):
        assert handshakes(agent, side, engine) == 2
        assert handshakes(agent, side, OTHER[engine]) == 1
        for name in ENGINES:
            agent.wait_for_log(
                rf'connection complete\t.*src\.workload="front" .*tls\.engine="{name}"'
            )


@pytest.mark.parametrize("engine", ENGINES)
def test_a_tunnel_that_was_shaking_hands_at_the_change_carries_no_stream(town, engine):
    authority = certificates.Authority.from_files(
        town.folder / "forged", town.ca / "root.pem", town.ca / "root-key.pem"
    )
    peer = town.pair.beta.add_pod("peer")
    town.mesh.add_pod(peer, node="elsewhere")
    del town.mesh.document["pods"][mesh.uid("peer")]
    town.reload()
    identity = authority.issue("peer", [mesh.spiffe_id("peer")])
    gate = threading.Event()
    with hbone.Server(peer.namespace, peer.v4, identity, gate=gate) as server:
        with town.pair.front.namespace.connect(peer.v4, 7000) as connection:
            connection.sendall(b"hello")
            wait.until(lambda: server.accepted == 1, "the tunnel to be dialled")
            town.mesh.document["tlsEngine"] = OTHER[engine]
            town.reload()
            gate.set()
            assert connection.recv(100) == b"hello"
        assert (server.accepted, len(server.requests)) == (2, 1)
    assert handshakes(town.alpha, "client", engine) == 1
    assert handshakes(town.alpha, "client", OTHER[engine]) == 1


@pytest.mark.parametrize("engine", ENGINES)
def test_the_admin_port_says_which_engine_there_is_and_which_one_speaks(town, engine):
    front, cart = town.pair.front.namespace, town.pair.cart
    with service.Service(cart.namespace, cart.v4, mesh.CART_PORT, service.echo):
        with front.connect(cart.v4, mesh.CART_PORT) as connection:
            ask(connection)
            assert set(engines_of(town.beta, "cart", "inbound").values()) == {engine}
    for name in (engine, OTHER[engine]):
        town.mesh.document["tlsEngine"] = name
        town.reload()
        document = json.loads(town.beta.get("/config_dump").text)
        assert document["config"]["tlsEngine"] == name
        assert document["version"]["cryptoProvider"] == name
        assert [entry["tlsEngine"] for entry in document["certificates"]] == [name]


def test_an_engine_that_is_none_changes_nothing_and_is_reported(town):
    before = json.loads(town.alpha.get("/config_dump").text)["config"]["tlsEngine"]
    town.mesh.document["tlsEngine"] = "wolfssl"
    town.mesh.write()
    town.alpha.wait_for_log(r'tlsEngine is "wolfssl"; allowed: native, openssl')
    assert json.loads(town.alpha.get("/config_dump").text)["config"]["tlsEngine"] == before


def test_the_engine_changes_under_load_and_no_request_fails(town):
    front, cart = town.pair.front, town.pair.cart
    with service.Service(cart.namespace, cart.v4, mesh.CART_PORT, service.http_ok):
        with Callers(front.namespace, cart.v4, mesh.CART_PORT) as callers:
            for name in ENGINES * 4:
                callers.wait_for_more(10)
                town.mesh.document["tlsEngine"] = name
                town.reload()
            callers.wait_for_more(10)
    assert callers.failures == []
    for name in ENGINES:
        assert handshakes(town.alpha, "client", name) > 1
        assert handshakes(town.beta, "server", name) > 1


@pytest.mark.parametrize("engine", ENGINES)
def test_agents_with_different_engines_understand_each_other(town, start, engine):
    """Beta reads a file of its own."""
    front, cart = town.pair.front, town.pair.cart
    assert town.beta.program.terminate() == 0
    other = mesh.of_demo(town.folder / "beta.yaml", town.pair, OTHER[engine])
    other.write()
    beta = Agent(start, town.pair.beta, other.path, town.options)
    for here, there in ((front, cart), (cart, front)):
        with service.Service(there.namespace, there.v4, 7000, service.http_ok):
            assert http.get(here.namespace, there.v4, 7000).text == "ok"
    for agent, name in ((town.alpha, engine), (beta, OTHER[engine])):
        assert handshakes(agent, "client", name) == handshakes(agent, "server", name) == 1
        assert handshakes(agent, "client", OTHER[name]) == 0
        assert handshakes(agent, "server", OTHER[name]) == 0


@pytest.mark.parametrize("engine", ENGINES)
def test_what_the_batchers_compute_is_counted(town, engine):
    front, cart = town.pair.front.namespace, town.pair.cart
    with service.Service(cart.namespace, cart.v4, mesh.CART_PORT, service.echo):
        with front.connect(cart.v4, mesh.CART_PORT) as connection:
            ask(connection)
    metrics = town.beta.metrics()
    computed = metrics.sum("hauberk_crypto_operations_total")
    batches = [
        metrics.sum("hauberk_crypto_batches_total", lanes=str(lanes)) for lanes in range(1, 9)
    ]
    assert computed > 0, engine
    assert sum(count * (i + 1) for i, count in enumerate(batches)) == computed
    assert metrics.sum("hauberk_crypto_queue_seconds_count") == computed
    assert metrics.sum("hauberk_crypto_queue_seconds_bucket", le="+Inf") == computed
    assert metrics.sum("hauberk_crypto_queue_seconds_sum") > 0
    for name in ("redone", "refused"):
        assert metrics.sum(f"hauberk_crypto_operations_{name}_total") == 0
