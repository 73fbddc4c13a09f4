"""For a gateway and an Envoy with one configuration: an upstream that shows what reached it."""

import contextlib
import re
import socket
import threading
import time

from harness import program, wait

# What differs by nature: times, random ids, the name of the server, the ports of this test.
VOLATILE = [
    (rb"(?im)^(date|x-envoy-upstream-service-time): [^\r\n]*", rb"\1: *"),
    (rb"(?im)^server: (envoy|hauberk)", rb"server: *"),
    (rb"(?im)^(x-request-id): [0-9a-f-]{36}", rb"\1: *"),
    (rb"127\.0\.0\.1:2[01](\d{3})", rb"127.0.0.1:2*\1"),
]


def steady(data):
    for pattern, replacement in VOLATILE:
        data = re.sub(pattern, replacement, data)
    return data


class Upstream:
    """Answers with the request that it received, or as the path says. HTTP/1.1 over raw sockets, so
    that it can also misbehave."""

    def __init__(self, port):
        self.listener = socket.create_server(("127.0.0.1", port), backlog=128)
        self.requests = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)  # else accept() would keep the port
        self.listener.close()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection:
            stream = connection.makefile("rb")
            try:
                while self.serve_one(connection, stream):
                    pass
            except (OSError, ValueError):
                pass

    def serve_one(self, connection, stream):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = stream.readline()
            if not line:
                return False
            head += line
        self.requests += 1
        body = self.read_body(head.lower(), stream)
        path = head.split(b" ")[1].decode("latin-1")
        return self.answer(connection, path, head, body)

    @staticmethod
    def read_body(head, stream):
        if b"transfer-encoding: chunked" in head:
            body = b""
            while True:
                size = int(stream.readline().split(b";")[0], 16)
                body += stream.read(size)
                stream.readline()
                if size == 0:
                    return body
        found = re.search(rb"content-length: (\d+)", head)
        return stream.read(int(found.group(1))) if found else b""

    def answer(self, connection, path, head, body):
        send = connection.sendall
        if path.startswith("/status/"):
            status = path.split("/")[2]
            send(f"HTTP/1.1 {status} Told\r\nContent-Length: 4\r\nX-Up: 1\r\n\r\ntold".encode())
        elif path.startswith("/chunked"):
            send(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"
            )
        elif path.startswith("/until-close"):
            send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nto the end")
            return False
        elif path.startswith("/no-content"):
            send(b"HTTP/1.1 204 No Content\r\n\r\n")
        elif path.startswith("/not-modified"):
            send(b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n")
        elif path.startswith("/early-hints"):
            send(
                b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
                b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
            )
        elif path.startswith("/hang-up"):
            return False
        elif path.startswith("/half"):
            send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            return False
        elif path.startswith("/garbage"):
            send(b"nonsense\r\n\r\n")
            return False
        elif path.startswith("/silent"):
            time.sleep(30)
        elif path.startswith("/headers"):
            send(
                b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nServer: other\r\nX-Two: a\r\nX-Two: b\r\n"
                b"Keep-Alive: timeout=5\r\nProxy-Connection: x\r\nX-Drop: 1\r\n\r\nok"
            )
        elif path.startswith("/head-length"):
            send(
                b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"
                + (b"" if head[:4] == b"HEAD" else b"content")
            )
        else:
            text = head + body
            send(
                f"HTTP/1.1 200 OK\r\nContent-Length: {len(text)}\r\n\r\n".encode("latin-1")
                + (b"" if head[:4] == b"HEAD" else text)
            )
        return b"connection: close" not in head.lower()


def exchange(port, data, timeout=10, until=lambda received: False):
    """Sends raw bytes and reads until the other side closes or falls silent, or `until` is true of
    what was received."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        connection.sendall(data)
        received = b""
        while not until(received):
            try:
                piece = connection.recv(65536)
            except (TimeoutError, ConnectionResetError):
                return received
            if not piece:
                return received
            received += piece
        return received


class Reply:
    """One response, taken apart: status line, sorted fields, body without chunks."""

    def __init__(self, data):
        self.raw = data
        head, _, rest = steady(data).partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        self.status = lines[0]
        self.fields = sorted(line.lower() for line in lines[1:])
        self.body = dechunk(rest) if b"transfer-encoding: chunked" in self.fields else rest

    def shown(self):
        """The body as an upstream's echo: its first line and its fields, in any order."""
        head, _, rest = self.body.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        return (lines[0], sorted(line.lower() for line in lines[1:]), rest)

    def __repr__(self):
        return repr((self.status, self.fields, self.body))


def dechunk(data):
    body, at = bytearray(), 0
    while at < len(data):
        end = data.find(b"\r\n", at)
        size = int(data[at:end].split(b";")[0] or b"0", 16)
        if size == 0:
            return bytes(body)
        body += data[end + 2 : end + 2 + size]
        at = end + 2 + size + 2
    return bytes(body) + b"(cut off)"


MANAGER = (
    "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3"
    ".HttpConnectionManager"
)
HTTP_OPTIONS = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
HTTP2_UPSTREAM = (
    "typed_extension_protocol_options: {envoy.extensions.upstreams.http.v3.HttpProtocolOptions: "
    f'{{"@type": {HTTP_OPTIONS}, explicit_http_config: {{http2_protocol_options: {{}}}}}}}}'
)


def http_listener(port, routes, manager="", listener="", socket="", name="front"):
    """One listener of HTTP; `manager` and `listener` are further fields (lines of flow YAML)."""
    return f"""
  - name: {name}
    address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    {listener}
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": {MANAGER}
          stat_prefix: {name}
          {manager}
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
          route_config:
            virtual_hosts: [{{name: any, domains: ["*"], routes: [{routes}]}}]
      {socket}
"""


def http_cluster(port, more="", name="up"):
    return f"""
  - name: {name}
    connect_timeout: 5s
    {more}
    load_assignment:
      cluster_name: {name}
      endpoints:
      - lb_endpoints:
        - endpoint:
            address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
"""


def bootstrap(admin_port, listeners, clusters=""):
    return (
        "admin: {address: {socket_address: {address: 127.0.0.1, "
        f"port_value: {admin_port}}}}}}}\n"
        f"static_resources:\n  listeners:{listeners}\n  clusters:{clusters or ' []'}\n"
    )


class Running:
    """A gateway of one test, and its admin port."""

    def __init__(self, program, admin_port):
        self.program = program
        self.admin_port = admin_port

    def admin(self, path, method="GET"):
        return Reply(
            exchange(
                self.admin_port,
                f"{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode(),
            )
        ).body.decode()

    def stat(self, name):
        """The value of a counter or gauge, by its whole name."""
        for line in self.admin("/stats").splitlines():
            if line.startswith(f"{name}: "):
                return int(line.split(": ")[1])
        raise KeyError(name)

    def wait_for(self, name, value):
        wait.until(lambda: self.stat(name) >= value, f"{name} to be {value}")


def run(start, folder, text, admin_port, *options, name="gateway", workers=1):
    """Starts a gateway with that configuration and waits until it serves."""
    path = folder / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    command = [program.BINARY, "gateway", "-c", path, "--concurrency", str(workers), *options]
    running = start(name, command)
    running.wait_for_log("ready: ")
    return Running(running, admin_port)


class Stage:
    """An upstream whose every connection is played by `act(number, connection, stream)`."""

    def __init__(self, port, act, address="127.0.0.1"):
        self.act = act
        self.listener = socket.create_server((address, port), backlog=128)
        self.count = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)  # wakes whoever accepts
        self.listener.close()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.count += 1
            threading.Thread(target=self.play, args=(self.count, connection), daemon=True).start()

    def play(self, number, connection):
        with connection, contextlib.suppress(OSError):
            self.act(number, connection, connection.makefile("rb"))


def read_head(stream):
    """The head of the next message, or nothing at the end."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = stream.readline()
        if not line:
            return b""
        head += line
    return head
