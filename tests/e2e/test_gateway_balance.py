"""How requests are spread over three hosts by each policy, here and with Envoy, with one file. Each
bound on a random spread is five standard deviations away."""

import collections
import threading

import pytest

from harness import gateway, health

HOSTS = (24340, 24341, 24342)
REQUESTS = 90


def cluster(policy, more=""):
    endpoints = "".join(
        "\n        - {endpoint: {address: {socket_address: {address: 127.0.0.1, "
        f"port_value: {port}}}}}}}}}"
        for port in HOSTS
    )
    return (
        f"\n  - name: up\n    lb_policy: {policy}\n    {more}\n    load_assignment:\n"
        f"      cluster_name: up\n      endpoints:\n      - lb_endpoints:{endpoints}\n"
    )


class Hosts:
    """Three upstreams that count what they are asked; "/hold" is answered at the end."""

    def __init__(self):
        self.asked = collections.Counter()
        self.may_answer = threading.Event()
        self.is_held = threading.Event()
        self.held = None
        self.stages = [gateway.Stage(port, self.act_of(port)) for port in HOSTS]

    def act_of(self, port):
        def act(_, connection, stream):
            while head := gateway.read_head(stream):
                if head.startswith(b"GET /hold "):
                    self.held = port
                    self.is_held.set()
                    self.may_answer.wait(60)
                else:
                    self.asked[port] += 1
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        return act

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.may_answer.set()
        for stage in self.stages:
            stage.close()


@pytest.fixture(params=["hauberk", "envoy"])
def proxy(request, private_namespaces, start, tmp_path, find_peer_program):
    envoy = find_peer_program("envoy") if request.param == "envoy" else None
    return lambda clusters: health.start_proxy(start, tmp_path, envoy, clusters, workers=1)


def ask(running, count):
    for _ in range(count):
        assert running.get().status == b"HTTP/1.1 200 OK"


def ask_beside_one_that_is_held(proxy, hosts, more=""):
    """Asks while one host has a request that it does not answer."""
    running = proxy(cluster("LEAST_REQUEST", more))
    holder = threading.Thread(target=running.get, args=("/hold",))
    holder.start()
    assert hosts.is_held.wait(30)
    ask(running, REQUESTS)
    hosts.may_answer.set()
    holder.join()


def test_round_robin_asks_one_host_after_the_other(proxy):
    with Hosts() as hosts:
        ask(proxy(cluster("ROUND_ROBIN")), REQUESTS)
        assert [hosts.asked[port] for port in HOSTS] == [REQUESTS // 3] * 3


def test_random_asks_each_host_about_as_often(proxy):
    with Hosts() as hosts:
        ask(proxy(cluster("RANDOM")), REQUESTS)
        assert sum(hosts.asked.values()) == REQUESTS
        assert all(7 < hosts.asked[port] < 53 for port in HOSTS), hosts.asked


def test_least_request_spares_the_host_that_is_busy(proxy):
    with Hosts() as hosts:
        ask_beside_one_that_is_held(proxy, hosts)
        # Both draws have to meet it: once in nine times, where its share would be one in three.
        assert hosts.asked[hosts.held] < 25, hosts.asked
        assert all(hosts.asked[port] > 17 for port in HOSTS if port != hosts.held), hosts.asked


def test_least_request_looks_at_as_many_hosts_as_it_is_told(proxy):
    with Hosts() as hosts:
        ask_beside_one_that_is_held(
            proxy, hosts, "least_request_lb_config: {choice_count: 50}"
        )
        assert hosts.asked[hosts.held] == 0, hosts.asked
