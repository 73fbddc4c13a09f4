"""A gateway and an Envoy beside each other, each with its own ports, from one configuration."""

import contextlib

import conftest

from harness import gateway, program, wait


class Twins:
    def __init__(self, folder, ours, envoys):
        self.folder, self.ours, self.envoys = folder, ours, envoys


def is_ready(port):
    with contextlib.suppress(OSError):
        data = b"GET /ready HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        return b" 200 " in gateway.exchange(port, data)
    return False


@contextlib.contextmanager
def run(folder, envoy, bases, write, upstreams=(), environment=None):
    """Starts both; `write(folder, name, base)` makes the file of each, whose admin port is `base`
    and 99. Upstreams are closed at the end."""
    if conftest.namespaces_forbidden is not None:
        conftest.skip_or_fail(f"namespaces are forbidden here: {conftest.namespaces_forbidden}")
    common = ["--concurrency", "1", "--file-flush-interval-msec", "20"]
    commands = {
        "hauberk": [program.BINARY, "gateway"],
        "envoy": [envoy, "--use-dynamic-base-id", "-l", "warning"],
    }
    running = []
    try:
        for (name, command), base in zip(commands.items(), bases):
            path = write(folder, name, base)
            running.append(
                program.Program(name, [*command, "-c", path, *common], folder, environment)
            )
        for one, base in zip(running, bases):
            wait.until(lambda base=base: is_ready(base + 99), f"{one.name} to be ready", 30)
        yield Twins(folder, *running)
    finally:
        complaints = [one.end() for one in running]
        for upstream in upstreams:
            upstream.close()
    assert complaints[0] is None, complaints[0]
