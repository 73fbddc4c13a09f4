"""One `hauberk node` on a host of the tests."""

import re

from harness import http, wait
from harness.metrics import Metrics
from harness.program import BINARY

ADMIN_PORT = 15000
METRICS_PORT = 15020
READY_PORT = 15021
OUTBOUND_PORT = 15001
INBOUND_PORT = 15006


class Agent:
    """`start` is the fixture; `options` are further arguments of `hauberk node`."""

    def __init__(self, start, host, mesh_path, options=(), environment=None, is_awaited=True):
        self.host = host
        command = [BINARY, "node", "--mesh", mesh_path, "--node", host.name, *options]
        self.program = start(f"agent-{host.name}", command, host.namespace, environment)
        if is_awaited:
            self.wait_ready()

    def wait_ready(self):
        self.program.wait_until(self.is_ready, "to be ready")

    def is_ready(self):
        return self.get("/healthz/ready", READY_PORT).status == 200

    def get(self, path, port=ADMIN_PORT, method="GET"):
        return http.get(self.host.namespace, "127.0.0.1", port, path, method=method)

    def metrics(self):
        reply = self.get("/metrics", METRICS_PORT)
        assert reply.status == 200, reply.text
        return Metrics(reply.text)

    def wait_metric(self, name, value, **labels):
        """Waits until the sum of these samples is `value`: a relay's end is counted after it."""
        wait.until(
            lambda: self.metrics().sum(name, **labels) == value, f"{name}{labels} to be {value}"
        )

    def meshes_taken(self):
        """How many mesh files the agent has taken since it started."""
        return len(re.findall(r"\tdiscovery\t.*: mesh \d+ with ", self.log()))

    def log(self):
        return self.program.log()

    def wait_for_log(self, pattern):
        return self.program.wait_for_log(pattern)
