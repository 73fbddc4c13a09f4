"""Hosts whose health checks answer as they are told, and a proxy that asks them."""

import contextlib

from harness import gateway, program, wait

FRONT, ADMIN = 24300, 24309


class Host:
    """An HTTP/1.1 host: /health gets what `answer(connection, head)` sends, which returns whether
    to go on; other paths get the host's name."""

    def __init__(self, port, name="", status=200):
        self.name = name
        self.status = status
        self.checks = []
        self.requests = 0
        self.answer = self.answer_status
        self.stage = gateway.Stage(port, self.act)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stage.close()

    def answer_status(self, connection, _):
        connection.sendall(f"HTTP/1.1 {self.status} So\r\nContent-Length: 2\r\n\r\nok".encode())
        return True

    def act(self, _, connection, stream):
        while head := gateway.read_head(stream):
            if b" /health" in head.split(b"\r\n")[0]:
                self.checks.append(head)
                if not self.answer(connection, head):
                    return
            else:
                self.requests += 1
                body = self.name.encode()
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
                connection.sendall(body)


HTTP = "http_health_check: {path: /health}"
QUICK = (
    "timeout: 5s, interval: 0.02s, no_traffic_interval: 0.02s, unhealthy_threshold: 2, "
    "healthy_threshold: 2"
)


def cluster(ports, check=HTTP, timing=QUICK, more="", endpoint=""):
    """A cluster `up` of hosts on those ports, all of them checked."""
    hosts = "".join(
        f"""
        - endpoint:
            address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
            {endpoint}"""
        for port in ports
    )
    return f"""
  - name: up
    connect_timeout: 5s
    common_lb_config: {{healthy_panic_threshold: {{value: 0}}}}
    health_checks: [{{{timing}, {check}}}]
    {more}
    load_assignment:
      cluster_name: up
      endpoints:
      - lb_endpoints:{hosts}
"""


TO_UP = "{match: {prefix: /}, route: {cluster: up}}"


class Proxy(gateway.Running):
    """Ours or Envoy, with the same file."""

    def get(self, path="/"):
        request = f"GET {path} HTTP/1.1\r\nHost: any.test\r\nConnection: close\r\n\r\n"
        return gateway.Reply(gateway.exchange(FRONT, request.encode()))

    def health(self, name):
        return self.stat(f"cluster.up.health_check.{name}")

    def flags(self, port):
        for line in self.admin("/clusters").splitlines():
            if line.startswith(f"up::127.0.0.1:{port}::health_flags::"):
                return line.split("::")[-1]
        return None

    def wait_for_flags(self, port, flags):
        wait.until(lambda: self.flags(port) == flags, f"the flags of {port} to be {flags}")

    def wait_for_healthy(self, count):
        name = "cluster.up.membership_healthy"
        wait.until(lambda: self.stat(name) == count, f"{count} healthy hosts")

    def wait_for_bodies(self, *bodies):
        """Each of several requests gets one of these, and each of these comes. Workers of Envoy
        hear of a host's health a little later."""
        wait.until(
            lambda: {self.get().body for _ in range(8)} == set(bodies), f"answers {bodies}"
        )

    def is_ready(self):
        with contextlib.suppress(OSError):
            return self.admin("/ready") == "LIVE\n"
        return False


def start_proxy(
    start, folder, envoy, clusters, listeners=None, waits=True, options=(), workers=2
):
    """`envoy` is the path of one, or None for ours."""
    listeners = listeners or gateway.http_listener(FRONT, TO_UP)
    path = folder / "proxy.yaml"
    path.write_text(gateway.bootstrap(ADMIN, listeners, clusters), encoding="utf-8")
    if envoy is None:
        command = [program.BINARY, "gateway", "-c", path, "--concurrency", str(workers), *options]
    else:
        command = [envoy, "-c", path, "--concurrency", str(workers), "-l", "warning"]
        command += ["--use-dynamic-base-id"]
    running = Proxy(start("proxy", command), ADMIN)
    if waits:
        wait.until(running.is_ready, "the proxy to be ready", 30)
    return running
