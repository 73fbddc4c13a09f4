"""Agents under attack: what they held before must be what they hold after."""

import contextlib
import os

from harness import service, wait
from harness.mesh import CART_PORT

# Pools and the heap keep what a peak took; an attack that leaves more than this behind leaks.
GROWTH_BYTES_MAX = 4 << 20
# A sanitizer keeps freed memory aside on purpose.
IS_MEMORY_TOLD = "HBK_VARIANT" not in os.environ or os.environ["HBK_VARIANT"] == "clang"


class Level:
    """What an agent holds in rest."""

    def __init__(self, agent):
        self.agent = agent
        self.memory_bytes = agent.program.memory_private_dirty_bytes()
        self.held = self.now()

    def now(self):
        metrics = self.agent.metrics()
        return {
            "tunnels": metrics.sum("hauberk_tunnels_open"),
            "connections": metrics.sum("istio_tcp_connections_opened_total")
            - metrics.sum("istio_tcp_connections_closed_total"),
            "descriptors": self.agent.program.descriptors(),
        }

    def wait_back(self):
        name = self.agent.program.name
        try:
            wait.until(lambda: self.now() == self.held, f"{name} to be as before")
        except wait.Expired as expired:
            raise AssertionError(f"{expired}: {self.held} before, {self.now()} now") from None
        if IS_MEMORY_TOLD:
            grown = self.agent.program.memory_private_dirty_bytes() - self.memory_bytes
            assert grown <= GROWTH_BYTES_MAX, f"{name} grew by {grown} bytes"


@contextlib.contextmanager
def unharmed(town):
    """Nothing leaks in either agent, and honest pods are served before and after."""
    assert_serves(town)
    levels = [Level(agent) for agent in (town.alpha, town.beta)]
    for level in levels:
        wait.until(lambda level=level: level.now()["connections"] == 0, "the first to be counted")
        level.held = level.now()
    yield
    assert_serves(town)
    for level in levels:
        level.wait_back()


def assert_serves(town, data=b"honest"):
    """An honest pod gets through, now."""
    with town.pair.front.namespace.connect(town.pair.cart.v4, CART_PORT) as connection:
        connection.sendall(data)
        connection.shutdown(1)
        assert service.read_to_end(connection) == data
