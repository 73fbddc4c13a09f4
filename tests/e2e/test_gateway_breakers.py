"""Limits of a cluster: which of them is reached is a gauge, here and with Envoy, with one file."""

import concurrent.futures
import threading

import pytest

from harness import gateway, health, wait

UPSTREAM = 24330
GAUGES = ("cx_open", "rq_pending_open", "rq_open", "rq_retry_open")


@pytest.fixture(params=["hauberk", "envoy"])
def proxy(request, private_namespaces, start, tmp_path, find_peer_program):
    envoy = find_peer_program("envoy") if request.param == "envoy" else None
    return lambda clusters, workers=2: health.start_proxy(
        start, tmp_path, envoy, clusters, workers=workers
    )


def gauges(running):
    return {name for name in GAUGES if running.stat(f"cluster.up.circuit_breakers.default.{name}")}


def test_a_host_has_no_more_connections_than_one_host_may_have(proxy):
    """Four requests, one connection allowed: three wait for it."""
    may_answer = threading.Event()

    def act(_, connection, stream):
        while gateway.read_head(stream):
            may_answer.wait(10)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    breakers = "circuit_breakers: {per_host_thresholds: [{max_connections: 1}]}"
    with gateway.Stage(UPSTREAM, act) as stage, concurrent.futures.ThreadPoolExecutor() as pool:
        running = proxy(gateway.http_cluster(UPSTREAM, breakers), 1)
        replies = [pool.submit(running.get) for _ in range(3)]
        running.wait_for("cluster.up.upstream_rq_pending_active", 2)
        running.wait_for("cluster.up.upstream_rq_active", 1)
        # Those before may have come while the connection was being given away, and are not counted.
        replies.append(pool.submit(running.get))
        running.wait_for("cluster.up.upstream_cx_overflow", 1)
        assert running.stat("cluster.up.upstream_cx_total") == 1
        may_answer.set()
        assert all(reply.result(20).status == b"HTTP/1.1 200 OK" for reply in replies)
        assert stage.count == 1


@pytest.mark.parametrize(
    "limit, is_open", [("max_requests", "rq_open"), ("max_connections", "cx_open")]
)
def test_a_limit_that_is_reached_is_open_until_it_is_not(proxy, limit, is_open):
    may_answer = threading.Event()

    def act(_, connection, stream):
        gateway.read_head(stream)
        may_answer.wait(10)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    breakers = f"circuit_breakers: {{thresholds: [{{{limit}: 1}}]}}"
    with gateway.Stage(UPSTREAM, act), concurrent.futures.ThreadPoolExecutor() as pool:
        running = proxy(gateway.http_cluster(UPSTREAM, breakers))
        assert gauges(running) == set()
        reply = pool.submit(running.get)
        wait.until(lambda: gauges(running) == {is_open}, f"{is_open}")
        may_answer.set()
        assert reply.result(20).status == b"HTTP/1.1 200 OK"
        wait.until(lambda: gauges(running) == set(), "no open breaker")
