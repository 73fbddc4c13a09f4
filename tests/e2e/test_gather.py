"""When agents rest to serve several slow connections with one wake-up, and when they must not."""

import json

import pytest

from harness import http, mesh
from harness.program import hauberk
from harness.town import Town

CONNECTIONS, RATE = 500, 1000
TRIES = 10


def town_with(pair, folder, start, limit, delay="0s"):
    town = Town(pair, folder, start, options=["--workers", "1", "--gather", limit])
    address = f"{pair.cart.v4}:{mesh.CART_PORT}"
    command = [town.binary, "echo", "--listen", address, "--delay", delay]
    start("echo", command, pair.cart.namespace).wait_for_log("listening on")
    return town


def rests(town):
    agents = (town.alpha, town.beta)
    return [int(agent.metrics().sum("hauberk_loop_rests_total")) for agent in agents]


def load(town, number):
    """A second of requests over many connections, each with half a second between its own."""
    url = f"http://{town.pair.cart.v4}:{mesh.CART_PORT}/"
    command = [town.binary, "load", "-quiet", "--json", "-c", str(CONNECTIONS), "-qps", str(RATE)]
    running = town.start(
        f"load-{number}", [*command, "-t", "1s", "-timeout", "30s", url], town.pair.front.namespace
    )
    assert running.wait_exit() == 0, running.log()
    log = running.log()
    figures = json.loads(log[log.index("{") : log.rindex("}") + 1])["hauberk"]
    assert figures["failed"] == 0
    assert figures["calls"] >= RATE / 2


def test_many_slow_connections_make_both_agents_rest_and_no_request_fails(pair, tmp_path, start):
    town = town_with(pair, tmp_path, start, "2ms", delay="50ms")
    for number in range(TRIES):
        load(town, number)
        if all(rests(town)):
            return
    pytest.fail(f"no rests: {rests(town)}")


def test_an_agent_with_gathering_switched_off_never_rests(pair, tmp_path, start):
    town = town_with(pair, tmp_path, start, "off", delay="50ms")
    load(town, 0)
    assert rests(town) == [0, 0]


def test_one_connection_is_never_made_to_wait_however_fast_it_asks(pair, tmp_path, start):
    town = town_with(pair, tmp_path, start, "2ms")
    with town.pair.front.namespace.connect(town.pair.cart.v4, mesh.CART_PORT) as connection:
        for _ in range(500):
            assert http.request(connection).status == 200
    assert rests(town) == [0, 0]


@pytest.mark.parametrize("limit", ["3ms", "0", "no"])
def test_a_wrong_limit_is_told(limit):
    done = hauberk("node", "--gather", limit)
    assert done.returncode == 2
    assert f'--gather "{limit}": off or a length of time up to 2ms is allowed' in done.stderr
