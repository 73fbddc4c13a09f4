"""A DNS server that answers as it is told, over UDP and TCP."""

import contextlib
import ipaddress
import socket
import struct
import threading

A, AAAA = 1, 28
NO_ERROR, SERVER_FAILURE, NO_SUCH_NAME, REFUSED = 0, 2, 3, 5


def read_question(data):
    """(name, type, the question's bytes) of a query."""
    labels, at = [], 12
    while data[at]:
        labels.append(data[at + 1 : at + 1 + data[at]].decode())
        at += 1 + data[at]
    kind = struct.unpack(">H", data[at + 1 : at + 3])[0]
    return ".".join(labels), kind, data[12 : at + 5]


def answer(query, addresses=(), code=NO_ERROR, ttl=60, flags=0, identity=None):
    """A response to that query with addresses of the type that it asks for."""
    _, kind, question = read_question(query)
    size = {A: 4, AAAA: 16}.get(kind)
    packed = [ipaddress.ip_address(one).packed for one in addresses]
    records = b"".join(
        struct.pack(">HHHIH", 0xC00C, kind, 1, ttl, len(one)) + one
        for one in packed
        if len(one) == size
    )
    count = sum(len(one) == size for one in packed)
    number = struct.unpack(">H", query[:2])[0] if identity is None else identity
    head = struct.pack(">HHHHHH", number, 0x8180 | flags | code, 1, count, 0, 0)
    return head + question + records


class Server:
    """`answers(query, over_tcp)` returns a list of datagrams to send, none for silence."""

    def __init__(self, port, answers):
        self.answers = answers
        self.queries = []
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", port))
        self.tcp = socket.create_server(("127.0.0.1", port))
        self.threads = [
            threading.Thread(target=run, daemon=True) for run in (self.serve_udp, self.serve_tcp)
        ]
        for thread in self.threads:
            thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for one in (self.udp, self.tcp):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)  # wakes whoever reads
            one.close()
        for thread in self.threads:  # else a call that has not returned keeps the port
            thread.join(5)

    def reply(self, query, over_tcp):
        self.queries.append(read_question(query)[:2] + (over_tcp,))
        return self.answers(query, over_tcp)

    def serve_udp(self):
        with contextlib.suppress(OSError):
            while True:
                query, peer = self.udp.recvfrom(4096)
                if not query:  # shut down
                    return
                for datagram in self.reply(query, False):
                    self.udp.sendto(datagram, peer)

    def serve_tcp(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.tcp.accept()
                with connection, contextlib.suppress(OSError, struct.error):
                    stream = connection.makefile("rb")
                    while size := stream.read(2):
                        query = stream.read(struct.unpack(">H", size)[0])
                        for one in self.reply(query, True):
                            connection.sendall(struct.pack(">H", len(one)) + one)
