"""The whole scene: two hosts, four pods, a CA, a mesh file, and an agent on each host."""

import os

from harness import mesh
from harness.agent import Agent
from harness.program import BINARY, hauberk

ENGINES = ["native", "openssl"]


class Town:
    """`start` is the fixture. `ttl` is the lifetime of the leaves, such as "4s"; `engine` is the
    TLS engine of both agents; None: the one that HBK_TLS_ENGINE names, and without that the one
    that agents have by default."""

    binary = BINARY

    def __init__(self, pair, folder, start, ttl=None, options=(), engine=None):
        self.pair = pair
        self.folder = folder
        self.start = start
        self.ca = folder / "ca"
        made = hauberk("ca", "init", self.ca)
        assert made.returncode == 0, made.stderr
        engine = engine or os.environ.get("HBK_TLS_ENGINE")
        self.mesh = mesh.of_demo(folder / "mesh.yaml", pair, engine)
        self.mesh.write()
        self.options = ["--ca", self.ca, *(["--cert-ttl", ttl] if ttl else []), *options]
        self.alpha = self.start_agent(pair.alpha, is_awaited=False)
        self.beta = self.start_agent(pair.beta, is_awaited=False)
        self.alpha.wait_ready()
        self.beta.wait_ready()

    def start_agent(self, host, options=(), is_awaited=True):
        return Agent(
            self.start,
            host,
            self.mesh.path,
            [*self.options, *options],
            is_awaited=is_awaited,
        )

    def reload(self):
        """Writes the mesh file and waits until all workers of both agents run on it."""
        agents = (self.alpha, self.beta)
        before = {agent: agent.meshes_taken() for agent in agents}
        self.mesh.write()
        for agent in agents:
            agent.program.wait_until(
                lambda agent=agent: agent.meshes_taken() > before[agent],
                "to take the new mesh file",
            )
            # The control thread publishes before it answers, and workers count after they took.
            agent.metrics()
