"""Handshake messages with extensions, as objects that a test may bend before they are sent."""

import os
import struct

from record import number, vector

CLIENT_HELLO, SERVER_HELLO, TICKET, EXTENSIONS = 1, 2, 4, 8
CERTIFICATE, REQUEST, VERIFY, FINISHED, KEY_UPDATE = 11, 13, 15, 20, 24

SERVER_NAME, STATUS_REQUEST, GROUPS, SCHEMES, ALPN = 0, 5, 10, 13, 16
RECORD_LIMIT, PSK, EARLY_DATA, VERSIONS, COOKIE = 28, 41, 42, 43, 44
PSK_MODES, AUTHORITIES, SHARES = 45, 47, 51

RETRY_RANDOM = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")


def message(kind, body):
    return bytes([kind]) + vector(3, body)


class Reader:
    def __init__(self, data):
        self.data = data

    def take(self, size):
        if size > len(self.data):
            raise AssertionError("the shim sent a message that ends early")
        taken, self.data = self.data[:size], self.data[size:]
        return taken

    def number(self, size):
        return int.from_bytes(self.take(size), "big")

    def vector(self, size):
        return self.take(self.number(size))

    def end(self):
        if self.data:
            raise AssertionError("the shim sent a message with bytes behind its end")


def numbers(data):
    """A list of numbers of two bytes."""
    return [item for (item,) in struct.iter_unpack(">H", data)]


def pack(items):
    return b"".join(number(item, 2) for item in items)


class Extensions(list):
    """Pairs of type and body, in order; a type may stand there twice."""

    @classmethod
    def read(cls, data):
        reader, found = Reader(data), cls()
        while reader.data:
            found.append((reader.number(2), reader.vector(2)))
        if len({kind for kind, _ in found}) != len(found):
            raise AssertionError("the shim sent an extension twice")
        return found

    def encode(self):
        return vector(2, b"".join(number(kind, 2) + vector(2, body) for kind, body in self))

    def get(self, kind):
        return next((body for other, body in self if other == kind), None)

    def drop(self, kind):
        self[:] = [item for item in self if item[0] != kind]
        return self

    def put(self, kind, body):
        """In the place of one of that type, or else last but for pre_shared_key."""
        for index, (other, _) in enumerate(self):
            if other == kind:
                self[index] = (kind, body)
                return self
        at = len(self) - 1 if self and self[-1][0] == PSK else len(self)
        self.insert(at, (kind, body))
        return self


class ClientHello:
    def __init__(self):
        self.version = 0x0303
        self.random = os.urandom(32)
        self.session_id = os.urandom(32)
        self.suites = [0x1301, 0x1302, 0x1303]
        self.compressions = b"\0"
        self.extensions = Extensions()
        self.tail = b""  # behind the extensions

    @classmethod
    def read(cls, raw):
        hello, reader = cls(), Reader(raw[4:])
        hello.version = reader.number(2)
        hello.random = reader.take(32)
        hello.session_id = reader.vector(1)
        hello.suites = numbers(reader.vector(2))
        hello.compressions = reader.vector(1)
        hello.extensions = Extensions.read(reader.vector(2))
        reader.end()
        return hello

    def encode(self):
        extensions = self.extensions.encode() if self.extensions is not None else b""
        body = number(self.version, 2) + self.random + vector(1, self.session_id)
        body += vector(2, pack(self.suites)) + vector(1, self.compressions)
        return message(CLIENT_HELLO, body + extensions + self.tail)

    def shares(self):
        reader, found = Reader(Reader(self.extensions.get(SHARES)).vector(2)), {}
        while reader.data:
            group = reader.number(2)
            found[group] = reader.vector(2)
        return found

    def groups(self):
        return numbers(Reader(self.extensions.get(GROUPS)).vector(2))

    def schemes(self):
        return numbers(Reader(self.extensions.get(SCHEMES)).vector(2))

    def protocols(self):
        body = self.extensions.get(ALPN)
        if body is None:
            return None
        reader, found = Reader(Reader(body).vector(2)), []
        while reader.data:
            found.append(reader.vector(1))
        return found

    def psks(self):
        """Identities with their ages, and binders."""
        body = self.extensions.get(PSK)
        if body is None:
            return [], []
        reader = Reader(body)
        offers, binders, items, found = Reader(reader.vector(2)), Reader(reader.vector(2)), [], []
        while offers.data:
            identity = offers.vector(2)
            items.append((identity, offers.number(4)))
        while binders.data:
            found.append(binders.vector(1))
        return items, found


class ServerHello:
    def __init__(self):
        self.version = 0x0303
        self.random = os.urandom(32)
        self.session_id = b""
        self.suite = 0x1301
        self.compression = 0
        self.extensions = Extensions()
        self.tail = b""

    @classmethod
    def read(cls, raw):
        hello, reader = cls(), Reader(raw[4:])
        hello.version = reader.number(2)
        hello.random = reader.take(32)
        hello.session_id = reader.vector(1)
        hello.suite = reader.number(2)
        hello.compression = reader.number(1)
        hello.extensions = Extensions.read(reader.vector(2))
        reader.end()
        return hello

    def is_retry(self):
        return self.random == RETRY_RANDOM

    def encode(self):
        body = number(self.version, 2) + self.random + vector(1, self.session_id)
        body += number(self.suite, 2) + bytes([self.compression])
        return message(SERVER_HELLO, body + self.extensions.encode() + self.tail)


class CertificateMessage:
    def __init__(self, chain=(), staple=None, context=b""):
        self.context = context
        self.entries = [(der, Extensions()) for der in chain]
        self.tail = b""
        if staple is not None and self.entries:
            self.entries[0][1].append((STATUS_REQUEST, b"\1" + vector(3, staple)))

    @classmethod
    def read(cls, raw):
        found, reader = cls(), Reader(raw[4:])
        found.context = reader.vector(1)
        entries = Reader(reader.vector(3))
        reader.end()
        while entries.data:
            der = entries.vector(3)
            found.entries.append((der, Extensions.read(entries.vector(2))))
        return found

    def encode(self):
        body = b"".join(vector(3, der) + more.encode() for der, more in self.entries)
        return message(CERTIFICATE, vector(1, self.context) + vector(3, body) + self.tail)


class RequestMessage:
    def __init__(self, schemes, authorities=None, context=b""):
        self.context = context
        self.extensions = Extensions([(SCHEMES, vector(2, pack(schemes)))])
        if authorities is not None:
            names = b"".join(vector(2, name) for name in authorities)
            self.extensions.append((AUTHORITIES, vector(2, names)))

    @classmethod
    def read(cls, raw):
        reader = Reader(raw[4:])
        found = cls([])
        found.context = reader.vector(1)
        found.extensions = Extensions.read(reader.vector(2))
        reader.end()
        return found

    def schemes(self):
        return numbers(Reader(self.extensions.get(SCHEMES)).vector(2))

    def encode(self):
        return message(REQUEST, vector(1, self.context) + self.extensions.encode())


class EncryptedExtensions:
    def __init__(self, extensions=()):
        self.extensions = Extensions(extensions)
        self.tail = b""

    @classmethod
    def read(cls, raw):
        reader = Reader(raw[4:])
        found = cls(Extensions.read(reader.vector(2)))
        reader.end()
        return found

    def encode(self):
        return message(EXTENSIONS, self.extensions.encode() + self.tail)


class TicketMessage:
    def __init__(self, ticket=b"", lifetime_s=7200, age_add=0, nonce=b"\0"):
        self.lifetime_s, self.age_add, self.nonce, self.ticket = lifetime_s, age_add, nonce, ticket
        self.extensions = Extensions()
        self.tail = b""

    @classmethod
    def read(cls, raw):
        found, reader = cls(), Reader(raw[4:])
        found.lifetime_s, found.age_add = reader.number(4), reader.number(4)
        found.nonce, found.ticket = reader.vector(1), reader.vector(2)
        found.extensions = Extensions.read(reader.vector(2))
        reader.end()
        return found

    def encode(self):
        body = number(self.lifetime_s, 4) + number(self.age_add, 4) + vector(1, self.nonce)
        body += vector(2, self.ticket) + self.extensions.encode() + self.tail
        return message(TICKET, body)
