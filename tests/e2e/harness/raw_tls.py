"""A TLS 1.3 client that does exactly what a test says, however wrong: it builds messages byte by
byte, and computes keys (RFC 8446, 7) with the cryptography package alone, which shares nothing with
our engine. It speaks TLS_AES_128_GCM_SHA256 with X25519 or P-256 and checks no certificate.
"""

import hashlib
import hmac
import os
import socket
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from harness import wait

CCS, ALERT, HANDSHAKE, DATA = 20, 21, 22, 23
CLIENT_HELLO, SERVER_HELLO, TICKET, EXTENSIONS, CERTIFICATE = 1, 2, 4, 8, 11
REQUEST, VERIFY, FINISHED, KEY_UPDATE = 13, 15, 20, 24
X25519, P256, P384, X448 = 0x001D, 0x0017, 0x0018, 0x001E
AES_128, AES_256, CHACHA20 = 0x1301, 0x1302, 0x1303
SERVER_NAME, STATUS, GROUPS, SCHEMES, ALPN, RECORD_LIMIT = 0, 5, 10, 13, 16, 28
PSK, EARLY_DATA, VERSIONS, COOKIE, PSK_MODES, SHARES = 41, 42, 43, 44, 45, 51
POST_HANDSHAKE_AUTH = 49
RETRY_RANDOM = hashlib.sha256(b"HelloRetryRequest").digest()

ALERTS = {
    0: "close_notify",
    10: "unexpected_message",
    20: "bad_record_mac",
    22: "record_overflow",
    40: "handshake_failure",
    42: "bad_certificate",
    47: "illegal_parameter",
    50: "decode_error",
    51: "decrypt_error",
    70: "protocol_version",
    80: "internal_error",
    109: "missing_extension",
    110: "unsupported_extension",
    116: "certificate_required",
    120: "no_application_protocol",
}


class Alerted(Exception):
    """The peer sent an alert; its name is the argument."""


class Ended(Exception):
    """The peer's side of TCP ended."""


def number(value, size):
    return value.to_bytes(size, "big")


def prefixed(data, size=2):
    return number(len(data), size) + data


def numbers(*values):
    return b"".join(number(value, 2) for value in values)


def message(kind, body):
    return number(kind, 1) + prefixed(body, 3)


def record(kind, body, version=0x0303):
    return struct.pack("!BHH", kind, version, len(body)) + body


# ---- keys (RFC 8446, 7.1) ----


def extract(salt, secret):
    return hmac.new(salt, secret, hashlib.sha256).digest()


def expand(secret, label, context=b"", size=32):
    info = number(size, 2) + prefixed(b"tls13 " + label, 1) + prefixed(context, 1)
    block, output = b"", b""
    while len(output) < size:
        block = hmac.new(secret, block + info + bytes([len(output) // 32 + 1]), hashlib.sha256)
        block = block.digest()
        output += block
    return output[:size]


def digest(data):
    return hashlib.sha256(data).digest()


class Direction:
    """The keys of one direction."""

    def __init__(self, secret):
        self.secret, self.sequence = secret, 0
        self.cipher = AESGCM(expand(secret, b"key", size=16))
        self.iv = expand(secret, b"iv", size=12)

    def _nonce(self):
        nonce = int.from_bytes(self.iv, "big") ^ self.sequence
        self.sequence += 1
        return number(nonce, 12)

    def seal(self, kind, data, padding=0, outer=DATA, version=0x0303):
        plain = data + (bytes([kind]) if kind is not None else b"") + bytes(padding)
        header = struct.pack("!BHH", outer, version, len(plain) + 16)
        return header + self.cipher.encrypt(self._nonce(), plain, header)

    def open(self, header, body):
        plain = self.cipher.decrypt(self._nonce(), body, header).rstrip(b"\0")
        return plain[-1], plain[:-1]

    def updated(self):
        return Direction(expand(self.secret, b"traffic upd"))


# ---- key shares ----


class Share:
    def __init__(self, group):
        self.group = group
        if group == X25519:
            self.key = x25519.X25519PrivateKey.generate()
            self.public = self.key.public_key().public_bytes(
                serialization.Encoding.Raw, serialization.PublicFormat.Raw
            )
        else:
            self.key = ec.generate_private_key(ec.SECP256R1())
            self.public = self.key.public_key().public_bytes(
                serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
            )

    def entry(self):
        return number(self.group, 2) + prefixed(self.public)

    def agree(self, public):
        if self.group == X25519:
            return self.key.exchange(x25519.X25519PublicKey.from_public_bytes(public))
        point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public)
        return self.key.exchange(ec.ECDH(), point)


class Hello:
    """A ClientHello; tests change its members, or the list of extensions, before it is sent."""

    def __init__(self, share=None, name=None):
        self.share = share or Share(X25519)
        self.version = 0x0303
        self.random = os.urandom(32)
        self.session_id = os.urandom(32)
        self.suites = [AES_128]
        self.compression = b"\0"
        self.extensions = {
            VERSIONS: prefixed(numbers(0x0304), 1),
            GROUPS: prefixed(numbers(X25519, P256)),
            SCHEMES: prefixed(numbers(0x0403, 0x0804, 0x0807)),
            SHARES: prefixed(self.share.entry()),
        }
        if name is not None:
            self.extensions[SERVER_NAME] = prefixed(b"\0" + prefixed(name))
        self.tail = b""  # bytes behind the extensions, within the message

    def list_of_extensions(self):
        extensions = self.extensions
        pairs = extensions.items() if isinstance(extensions, dict) else extensions
        return b"".join(number(kind, 2) + prefixed(body) for kind, body in pairs)

    def body(self):
        return (
            number(self.version, 2)
            + self.random
            + prefixed(self.session_id, 1)
            + prefixed(numbers(*self.suites))
            + prefixed(self.compression, 1)
            + prefixed(self.list_of_extensions())
            + self.tail
        )

    def message(self):
        return message(CLIENT_HELLO, self.body())


class Ticket:
    """What a NewSessionTicket brought, with the key to resume with."""

    def __init__(self, body, resumption_secret):
        self.lifetime_s, self.age_add = struct.unpack("!II", body[:8])
        nonce = body[9 : 9 + body[8]]
        rest = body[9 + len(nonce) :]
        self.identity = rest[2 : 2 + int.from_bytes(rest[:2], "big")]
        self.psk = expand(resumption_secret, b"resumption", nonce)


def offer_ticket(hello, identity, psk, age=0, mode=1, before=b"", change=lambda binder: binder):
    """Adds the extensions of a resumption; returns the message with its binder. `before`: what a
    retry left in the transcript; `change`: makes another binder of the right one."""
    binder_size = 32
    hello.extensions[PSK_MODES] = prefixed(bytes([mode]), 1)
    offered = prefixed(prefixed(identity) + number(age, 4))
    hello.extensions.pop(PSK, None)
    hello.extensions[PSK] = offered + prefixed(prefixed(bytes(binder_size), 1))
    whole = hello.message()
    early = extract(bytes(32), psk)
    key = expand(expand(early, b"res binder", digest(b"")), b"finished")
    covered = whole[: -(2 + 1 + binder_size)]
    binder = change(hmac.new(key, digest(before + covered), hashlib.sha256).digest())
    hello.extensions[PSK] = offered + prefixed(prefixed(binder, 1))
    return hello.message()


class Client:
    """One connection. What arrives is kept until it is asked for; an alert raises Alerted."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=wait.DEADLINE_S)
        self.received = b""
        self.messages = b""
        self.transcript = b""
        self.reading = self.writing = None
        self.psk = bytes(32)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    # ---- records ----

    def send_raw(self, data):
        try:
            self.socket.sendall(data)
        except OSError:
            pass  # the peer has ended; what it said is still to be read

    def send(self, kind, data, **options):
        """One record under the keys of now."""
        sealed = self.writing.seal(kind, data, **options) if self.writing else record(kind, data)
        self.send_raw(sealed)

    def _receive(self, size):
        while len(self.received) < size:
            try:
                more = self.socket.recv(65536)
            except ConnectionResetError:
                more = b""
            if not more:
                raise Ended
            self.received += more
        taken, self.received = self.received[:size], self.received[size:]
        return taken

    def read_record(self):
        """The next record that is no change_cipher_spec: its type and content."""
        while True:
            header = self._receive(5)
            kind, size = header[0], int.from_bytes(header[3:], "big")
            body = self._receive(size)
            if kind == CCS:
                continue
            if kind == DATA:
                assert self.reading, "application data before there are keys"
                try:
                    kind, body = self.reading.open(header, body)
                except InvalidTag as error:
                    raise AssertionError("a record that does not open") from error
            if kind == ALERT:
                raise Alerted(ALERTS.get(body[1], str(body[1])))
            return kind, body

    # ---- messages ----

    def send_message(self, whole, pieces=None):
        """Joins the transcript; sent whole, or in records of these sizes, the rest in the last."""
        self.transcript += whole
        for size in pieces or []:
            self.send(HANDSHAKE, whole[:size])
            whole = whole[size:]
        if whole:
            self.send(HANDSHAKE, whole)

    def read_message(self):
        while True:
            if len(self.messages) >= 4:
                size = 4 + int.from_bytes(self.messages[1:4], "big")
                if len(self.messages) >= size:
                    whole, self.messages = self.messages[:size], self.messages[size:]
                    self.transcript += whole
                    return whole[0], whole[4:]
            kind, body = self.read_record()
            assert kind == HANDSHAKE, f"a record of type {kind} instead of a message"
            self.messages += body

    def read_hello(self):
        """A ServerHello or HelloRetryRequest as a dictionary."""
        kind, body = self.read_message()
        assert kind == SERVER_HELLO
        session_id = body[35 : 35 + body[34]]
        rest = body[35 + len(session_id) :]
        hello = {
            "random": body[2:34],
            "session_id": session_id,
            "suite": int.from_bytes(rest[:2], "big"),
            "extensions": {},
        }
        left = rest[5:]
        while left:
            extension, size = struct.unpack("!HH", left[:4])
            hello["extensions"][extension] = left[4 : 4 + size]
            left = left[4 + size :]
        return hello

    # ---- the handshake, step by step ----

    def greet(self, hello, whole=None, pieces=None):
        """ClientHello, ServerHello, and the handshake keys."""
        self.hello = hello
        self.send_message(whole or hello.message(), pieces)
        answer = self.read_hello()
        assert answer["random"] != RETRY_RANDOM, "a HelloRetryRequest was not expected"
        self.derive(hello.share, answer)
        return answer

    def derive(self, share, answer):
        secret = share.agree(answer["extensions"][SHARES][4:])
        psk = self.psk if PSK in answer["extensions"] else bytes(32)
        early = extract(bytes(32), psk)
        handshake = extract(expand(early, b"derived", digest(b"")), secret)
        transcript = digest(self.transcript)
        self.client_secret = expand(handshake, b"c hs traffic", transcript)
        self.server_secret = expand(handshake, b"s hs traffic", transcript)
        self.master = extract(expand(handshake, b"derived", digest(b"")), bytes(32))
        self.reading, self.writing = Direction(self.server_secret), Direction(self.client_secret)

    def read_flight(self):
        """Up to the server's Finished; returns the messages by their types."""
        flight = {}
        while FINISHED not in flight:
            before = self.transcript
            kind, body = self.read_message()
            assert kind not in flight
            flight[kind] = body
        assert flight[FINISHED] == self.verify_data(self.server_secret, before)
        transcript = digest(self.transcript)
        self.application_secrets = [
            expand(self.master, label, transcript) for label in (b"c ap traffic", b"s ap traffic")
        ]
        self.reading = Direction(self.application_secrets[1])
        return flight

    @staticmethod
    def verify_data(secret, transcript):
        key = expand(secret, b"finished")
        return hmac.new(key, digest(transcript), hashlib.sha256).digest()

    def finished(self):
        return message(FINISHED, self.verify_data(self.client_secret, self.transcript))

    def finish(self):
        self.send_message(self.finished())
        self.use_application_keys()

    def use_application_keys(self):
        self.resumption = expand(self.master, b"res master", digest(self.transcript))
        self.writing = Direction(self.application_secrets[0])

    def shake_hands(self, hello=None, whole=None):
        answer = self.greet(hello or Hello(), whole)
        flight = self.read_flight()
        self.finish()
        return answer, flight

    # ---- afterwards ----

    def read_ticket(self):
        kind, body = self.read_message()
        assert kind == TICKET
        return Ticket(body, self.resumption)

    def echo(self, data=b"echo\n", **options):
        """Sends and awaits the same; tickets on the way are passed over."""
        self.send(DATA, data, **options)
        received = b""
        while len(received) < len(data):
            kind, body = self.read_record()
            if kind == DATA:
                received += body
        assert received == data

    def expect_alert(self, name):
        """The next that comes is this alert, and after it nothing."""
        try:
            while True:
                self.read_record()
        except Alerted as alerted:
            assert str(alerted) == name, f"{alerted} instead of {name}"
        except Ended as ended:
            raise AssertionError(f"the connection ended without the alert {name}") from ended
        try:
            self._receive(1)
        except Ended:
            return
        raise AssertionError("more came behind an alert")
