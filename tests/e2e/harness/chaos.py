"""Clients and upstreams of a gateway that do at random all that a peer may do, and some that none
may: halves of messages, resets, answers too early, twice and to nobody. Each draws from dice of its
own, so that a seed plays nearly the same scene again."""

import contextlib
import random
import socket
import struct

from harness import frames, gateway

PATHS = ["/h1", "/h1/again", "/h2", "/h2/again", "/here", "/away", "/nowhere"]
SIZES = [0, 1, 5, 100, 5000, 70000]
PATIENCE_S = 0.3  # of whoever waits for the other side


class Dice(random.Random):
    def happens(self, chance):
        return self.random() < chance

    def junk(self, size):
        return self.randbytes(size)


def cut(dice, data, chance):
    return data[: dice.randrange(len(data) + 1)] if dice.happens(chance) else data


def send(dice, connection, data):
    """At once, or in pieces of any size."""
    if dice.happens(0.6):
        connection.sendall(data)
        return
    while data:
        size = dice.choice([1, 3, 50, 1000, 20000])
        connection.sendall(data[:size])
        data = data[size:] if dice.happens(0.9) else b""


def reset(connection):
    """The end of the connection will be one."""
    linger = struct.pack("ii", 1, 0)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


def drain(dice, connection):
    """Reads for a while, or nothing."""
    for _ in range(dice.choice([0, 3, 30])):
        if not connection.recv(dice.choice([1, 100, 65536])):
            return


# ---- upstreams ----


def response(dice):
    head = b"HTTP/1.1 103 Hints\r\n\r\n" * dice.choice([0, 0, 0, 1, 50])
    status = dice.choice([200, 200, 200, 204, 304, 404, 500, 503, 999])
    head += b"HTTP/1.1 %d X\r\n" % status
    body = b"z" * dice.choice(SIZES)
    if status in (204, 304):
        return head + b"\r\n"
    kind = dice.randrange(10)
    if kind < 4:
        return head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    if kind < 7:
        pieces = [body[at : at + 9000] for at in range(0, len(body), 9000)]
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in pieces)
        end = b"0\r\n\r\n" if dice.happens(0.8) else b""
        return head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + end
    if kind < 8:
        return head + b"Connection: close\r\n\r\n" + body
    if kind < 9:
        return head + b"Content-Length: %d\r\n\r\n" % (len(body) + 7) + body
    return dice.junk(100)


def http1_upstream(seed):
    def act(number, connection, stream):
        dice = Dice(seed + number)
        connection.settimeout(2)
        while head := gateway.read_head(stream):
            if dice.happens(0.8):
                with contextlib.suppress(ValueError):
                    gateway.Upstream.read_body(head.lower(), stream)
            send(dice, connection, cut(dice, response(dice), 0.1))
            if dice.happens(0.1):
                send(dice, connection, response(dice))  # nobody asked
            if dice.happens(0.15):
                if dice.happens(0.5):
                    reset(connection)
                return

    return act


def http2_answer(dice, alive):
    """Frames for one of the exchanges that are alive, or for all."""
    stream = dice.choice(alive)
    status = dice.choice([b"\x88", b"\x88", b"\x8e", b"\x89", frames.field(":status", "503")])
    kind = dice.randrange(20)
    if kind >= 14:
        return [
            frames.frame(frames.GOAWAY, 0, 0, struct.pack(">II", dice.choice([0, 1, stream]), 0)),
            frames.frame(frames.SETTINGS, 0, 0, frames.setting(3, dice.choice([0, 1, 10]))),
            frames.frame(frames.SETTINGS, 0, 0, frames.setting(4, dice.choice([0, 1, 65535]))),
            frames.window_update(stream, dice.choice([0, 1, 100000])),
            frames.frame(frames.PING, 0, 0, b"short"),
            dice.junk(30),
        ][kind - 14]
    alive.remove(stream)
    if kind < 2:
        return frames.reset(stream, dice.choice([0, 2, frames.REFUSED_STREAM, frames.CANCEL]))
    if kind < 5:
        return frames.frame(frames.HEADERS, 5, stream, status)
    data = frames.frame(frames.DATA, 0, stream, b"y" * dice.choice([0, 1, 16384]))
    data = frames.frame(frames.HEADERS, 4, stream, status) + data * dice.choice([0, 1, 3])
    if kind < 9:
        return data + frames.frame(frames.DATA, frames.END_STREAM, stream, b"e")
    if kind < 12:
        trailers = dice.choice([b"", frames.field("grpc-status", "0")])
        return data + frames.frame(frames.HEADERS, 5, stream, trailers)
    return data  # and no end


def http2_upstream(seed):
    def act(number, connection, stream):
        dice = Dice(seed + number)
        connection.settimeout(2)
        stream.read(len(frames.PREFACE))
        limit = frames.setting(3, dice.choice([1, 2, 100]))
        connection.sendall(frames.frame(frames.SETTINGS, 0, 0, limit))
        alive = []
        while len(head := stream.read(9)) == 9:
            size, number = int.from_bytes(head[:3], "big"), int.from_bytes(head[5:9], "big")
            stream.read(size)
            if head[3] == frames.SETTINGS and not head[4] & frames.ACK:
                connection.sendall(frames.frame(frames.SETTINGS, frames.ACK, 0))
            if head[3] == frames.DATA and size > 0 and dice.happens(0.8):
                connection.sendall(frames.window_update(0, size))
            if head[3] == frames.HEADERS:
                alive.append(number)
            if alive:
                answers = dice.choice([1, 1, 2, 5])
                parts = (http2_answer(dice, alive) for _ in range(answers) if alive)
                send(dice, connection, b"".join(parts))
            if dice.happens(0.02):
                reset(connection)
                return

    return act


# ---- clients ----


def request(dice):
    method = dice.choice(["GET", "HEAD", "POST", "PUT"])
    version = dice.choice(["1.0", "1.1", "1.1"])
    head, body = f"{method} {dice.choice(PATHS)} HTTP/{version}\r\nHost: a\r\n", b""
    head += dice.choice(["", "", "", "Connection: close\r\n", "Expect: 100-continue\r\n"])
    if method in ("POST", "PUT"):
        body = b"b" * dice.choice(SIZES)
        if version == "1.1" and dice.happens(0.5):
            head += "Transfer-Encoding: chunked\r\n"
            end = b"0\r\n\r\n" if dice.happens(0.9) else b"zz"
            body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + end
        else:
            head += f"Content-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def http1_client(dice, connection):
    data = b"".join(request(dice) for _ in range(dice.choice([1, 1, 2, 5])))
    send(dice, connection, cut(dice, data, 0.15))


def http2_client(dice, connection):
    window = frames.setting(4, dice.choice([0, 1, 1000, 65535, 1 << 20]))
    data = frames.PREFACE + frames.frame(frames.SETTINGS, 0, 0, window)
    streams = []
    for number in range(1, 2 * dice.choice([1, 3, 10, 30]), 2):
        method = dice.choice(["GET", "HEAD", "POST"])
        fields = [(":method", method), (":scheme", "http"), (":authority", "a")]
        fields.append((":path", dice.choice(PATHS)))
        block = b"".join(frames.field(*one) for one in fields)
        flags = frames.END_HEADERS | (0 if method == "POST" else frames.END_STREAM)
        data += frames.frame(frames.HEADERS, flags, number, block)
        streams.append(number)
        stream = dice.choice(streams)
        data += dice.choice(
            [
                b"",
                frames.frame(frames.DATA, 0, stream, b"d" * dice.choice([0, 1, 16384])),
                frames.frame(frames.DATA, frames.END_STREAM, stream, b"d"),
                frames.frame(frames.HEADERS, 5, stream, dice.choice([b"", frames.field("t", "1")])),
                frames.reset(stream),
                frames.window_update(dice.choice([0, stream]), dice.choice([1, 100000])),
            ]
        )
    send(dice, connection, data)
    drain(dice, connection)
    opened = b"".join(frames.window_update(one, dice.choice([1, 5000])) for one in streams)
    send(dice, connection, frames.window_update(0, 50000) + opened)


def tcp_client(dice, connection):
    size = dice.choice([0, 50000, 300000])
    send(dice, connection, b"POST / HTTP/1.1\r\nContent-Length: 50000\r\n\r\n" + b"t" * size)


def play_client(dice, act, port):
    """One client's life."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.settimeout(PATIENCE_S)
        if dice.happens(0.2):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with contextlib.suppress(OSError):
            act(dice, connection)
            if dice.happens(0.2):
                connection.shutdown(socket.SHUT_WR)
            drain(dice, connection)
        if dice.happens(0.15):
            reset(connection)
