"""Many connections, few descriptors, and memory that comes back."""

import resource
import socket

import pytest

from harness import http, mesh, service, wait
from harness.program import BINARY
from harness.town import Town

ROUNDS = 10
CONNECTIONS = 6000
# Pools keep what they took for the next peak, so the first rounds set the level.
GROWTH_BYTES_MAX = 256 * 1024


@pytest.fixture
def many_descriptors():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def start_echo(town):
    """A TCP echo in cart's pod that one thread serves."""
    command = [BINARY, "echo", "--tcp", "--listen", f"{town.pair.cart.v4}:{mesh.CART_PORT}"]
    running = town.start("echo", command, town.pair.cart.namespace)
    running.wait_for_log("listening on")


def open_echoed(town, count):
    """Opens connections from front to cart, each proved by one echoed byte."""
    connections = []
    for _ in range(count):
        connection = town.pair.front.namespace.connect(town.pair.cart.v4, mesh.CART_PORT)
        connection.sendall(b"x")
        connections.append(connection)
    for connection in connections:
        assert connection.recv(1) == b"x"
    return connections


def close_all(town, connections, total):
    for connection in connections:
        connection.close()
    for agent, reporter in ((town.alpha, "source"), (town.beta, "destination")):
        agent.wait_metric("istio_tcp_connections_closed_total", total, reporter=reporter)


@pytest.mark.slow
def test_memory_and_descriptors_come_back_after_six_thousand_connections_ten_times(
    town, many_descriptors
):
    for pod in (town.pair.front, town.pair.cart):
        pod.namespace.set_sysctl("net/ipv4/ip_local_port_range", "1024 65000")
    start_echo(town)
    agents = (town.alpha, town.beta)
    descriptors, memory = [], []
    for number in range(1, ROUNDS + 1):
        connections = open_echoed(town, CONNECTIONS)
        close_all(town, connections, number * CONNECTIONS)
        descriptors.append([agent.program.descriptors() for agent in agents])
        memory.append([agent.program.memory_private_dirty_bytes() for agent in agents])
    for index, agent in enumerate(agents):
        assert descriptors[-1][index] <= descriptors[1][index], agent.program.name
        growth = memory[-1][index] - memory[1][index]
        assert growth <= GROWTH_BYTES_MAX, (agent.program.name, memory)


def test_an_agent_out_of_descriptors_refuses_and_recovers(pair, tmp_path, start):
    town = Town(pair, tmp_path, start)
    start_echo(town)
    program = town.alpha.program
    limit = program.descriptors() + 20
    resource.prlimit(program.pid, resource.RLIMIT_NOFILE, (limit, limit))
    connections = [
        town.pair.front.namespace.connect(town.pair.cart.v4, mesh.CART_PORT) for _ in range(60)
    ]
    served = 0
    for connection in connections:
        connection.settimeout(2)
        try:
            connection.sendall(b"x")
            served += connection.recv(1) == b"x"
        except (ConnectionError, socket.timeout):
            pass
    assert 0 < served < 60
    for connection in connections:
        connection.close()

    def serves_again():
        with town.pair.front.namespace.connect(
            town.pair.cart.v4, mesh.CART_PORT, timeout=2
        ) as connection:
            connection.sendall(b"y")
            return connection.recv(1) == b"y"

    wait.until(serves_again, "the agent to serve again")


def test_a_dead_destination_delays_no_other(town):
    dead = town.pair.beta.add_pod("dead")
    town.mesh.add_pod(dead, node="elsewhere")
    del town.mesh.document["pods"][mesh.uid("dead")]
    town.reload()
    dead.namespace.run("nft", "add table inet hole")
    dead.namespace.run(
        "nft", "add chain inet hole in { type filter hook input priority 0; policy drop; }"
    )
    cart = town.pair.cart
    with service.Service(cart.namespace, cart.v4, mesh.CART_PORT, service.http_ok):
        waiting = [town.pair.front.namespace.connect(dead.v4, 7000) for _ in range(20)]
        for _ in range(20):
            assert http.get(town.pair.front.namespace, cart.v4, mesh.CART_PORT).text == "ok"
        for connection in waiting:
            connection.close()
