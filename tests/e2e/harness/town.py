"""The whole scene: two hosts, four pods, a CA, a mesh file, and an agent on each host."""

import json

from harness import mesh, wait
from harness.agent import Agent
from harness.program import BINARY, hauberk


class Town:
    """`start` is the fixture. `ttl` is the lifetime of the leaves, such as "4s"."""

    binary = BINARY

    def __init__(self, pair, folder, start, ttl=None, options=()):
        self.pair = pair
        self.folder = folder
        self.start = start
        self.ca = folder / "ca"
        made = hauberk("ca", "init", self.ca)
        assert made.returncode == 0, made.stderr
        self.mesh = mesh.of_demo(folder / "mesh.yaml", pair)
        self.mesh.write()
        self.options = ["--ca", self.ca, *(["--ttl", ttl] if ttl else []), *options]
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
        """Writes the mesh file and waits until both agents run on it."""
        generations = {agent: generation(agent) for agent in (self.alpha, self.beta)}
        self.mesh.write()
        for agent, before in generations.items():
            wait.until(
                lambda agent=agent, before=before: generation(agent) > before,
                f"{agent.program.name} to take the new mesh file",
            )


def generation(agent):
    """The number of mesh files that the agent has taken so far."""
    return json.loads(agent.get("/config_dump").text)["generation"]
