"""The least of HTTP/1.1 that the tests need from inside a namespace."""

import re
import socket


class Reply:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body
        self.text = body.decode("utf-8", "replace")


def read_reply(connection):
    """Reads one reply with a Content-Length, or to the end of the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            raise ConnectionError(f"closed in the middle of the headers: {data!r}")
        data += piece
    head, body = data.split(b"\r\n\r\n", 1)
    lines = head.decode("latin-1").split("\r\n")
    status = int(re.match(r"HTTP/1\.[01] (\d{3})", lines[0]).group(1))
    headers = {
        name.strip().lower(): value.strip()
        for name, value in (line.split(":", 1) for line in lines[1:])
    }
    length = headers.get("content-length")
    while length is None or len(body) < int(length):
        piece = connection.recv(65536)
        if not piece:
            if length is not None:
                raise ConnectionError(f"closed after {len(body)} of {length} bytes")
            break
        body += piece
    return Reply(status, headers, body)


def request(connection, method="GET", path="/", headers=None, body=b"", host="test"):
    """Sends one request on an open connection and reads its reply."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    connection.sendall("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
    return read_reply(connection)


def get(namespace, ip, port, path="/", headers=None, method="GET", timeout=10):
    """One request on a connection of its own, from inside `namespace`."""
    with namespace.connect(ip, port, timeout) as connection:
        return request(
            connection, method, path, {"Connection": "close"} | (headers or {}), host=f"[{ip}]"
        )


def is_refused(namespace, ip, port, timeout=10):
    """Whether a connection with one request gets no reply: refused, reset or closed."""
    try:
        with namespace.connect(ip, port, timeout) as connection:
            request(connection)
    except (ConnectionError, socket.timeout):
        return True
    return False
