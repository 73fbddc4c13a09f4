"""Services of the tests: plain TCP servers in a pod, a thread for each connection."""

import contextlib
import hashlib
import socket
import struct
import threading

PIECE_BYTES = 1 << 16


class Service:
    """Listens in a namespace and gives each connection to `handler(connection)`."""

    def __init__(self, namespace, ip, port, handler):
        self.listener = namespace.listen(ip, port)
        self.handler = handler
        self.peers = []  # the addresses that connections came from
        self.connections = []
        self.failures = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, peer = self.listener.accept()
            except OSError:
                return
            self.peers.append(peer[0])
            self.connections.append(connection)
            threading.Thread(target=self._handle, args=(connection,), daemon=True).start()

    def _handle(self, connection):
        try:
            with connection:
                self.handler(connection)
        except OSError as error:
            self.failures.append(error)

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)  # TLS or not

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def echo(connection):
    """Sends back what it reads, and its end after the reader's."""
    while data := connection.recv(PIECE_BYTES):
        connection.sendall(data)


def http_ok(connection):
    """Answers every HTTP/1.1 request without a body with "ok"."""
    pending = b""
    while data := connection.recv(PIECE_BYTES):
        pending += data
        while b"\r\n\r\n" in pending:
            _, pending = pending.split(b"\r\n\r\n", 1)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


def digest(connection):
    """Reads to the end, then answers with the SHA-256 of what it read: needs half-close."""
    total = hashlib.sha256()
    while data := connection.recv(PIECE_BYTES):
        total.update(data)
    connection.sendall(total.hexdigest().encode())


def pattern(size_bytes):
    """Pieces of bytes that repeat nowhere near the size of a buffer, `size_bytes` in all."""
    position = 0
    while position < size_bytes:
        piece = struct.pack("<1024Q", *range(position // 8, position // 8 + 1024))
        yield piece[: size_bytes - position]
        position += len(piece)


def pattern_digest(size_bytes):
    total = hashlib.sha256()
    for piece in pattern(size_bytes):
        total.update(piece)
    return total.hexdigest()


def source(size_bytes):
    """A handler that sends `pattern(size_bytes)` and closes."""

    def handler(connection):
        for piece in pattern(size_bytes):
            connection.sendall(piece)

    return handler


def read_to_end(connection):
    """Everything until the other side ends."""
    pieces = []
    while data := connection.recv(PIECE_BYTES):
        pieces.append(data)
    return b"".join(pieces)


def send_last(connection, data):
    """Sends `data` and ends this side, whatever the other one thinks of it: one that has reset
    already makes sendall() fail with EPIPE or ECONNRESET, or shutdown() with ENOTCONN."""
    with contextlib.suppress(OSError):
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)


def digest_to_end(connection):
    total = hashlib.sha256()
    while data := connection.recv(PIECE_BYTES):
        total.update(data)
    return total.hexdigest()
