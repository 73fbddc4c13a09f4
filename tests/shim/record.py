"""TLS 1.3 records, keys and the key schedule of a peer that can be broken on purpose."""

import hashlib
import hmac
import socket
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

CCS, ALERT, HANDSHAKE, DATA = 20, 21, 22, 23
AES_128, AES_256, CHACHA = 0x1301, 0x1302, 0x1303
X25519, P256, P384 = 29, 23, 24
CIPHERS = {
    AES_128: (AESGCM, 16, "sha256"),
    AES_256: (AESGCM, 32, "sha384"),
    CHACHA: (ChaCha20Poly1305, 32, "sha256"),
}
CURVES = {P256: ec.SECP256R1, P384: ec.SECP384R1}
LIMIT = 1 << 14
TIMEOUT_S = 15


class PeerAlert(Exception):
    """The shim sent a fatal alert."""

    def __init__(self, description, level, is_plain):
        super().__init__(f"alert {description}")
        self.description, self.level, self.is_plain = description, level, is_plain


class Closed(Exception):
    """The shim closed the connection: with close_notify, or without."""

    def __init__(self, is_clean):
        super().__init__("closed" if is_clean else "end of stream")
        self.is_clean = is_clean


class Broken(AssertionError):
    """The shim did what no TLS 1.3 peer may do."""


def number(value, size):
    return value.to_bytes(size, "big")


def vector(size, body):
    return number(len(body), size) + body


def hash_name(suite):
    return CIPHERS[suite][2]


def hash_of(suite, data):
    return hashlib.new(hash_name(suite), data).digest()


def hash_bytes(suite):
    return hashlib.new(hash_name(suite)).digest_size


def mac(suite, key, data):
    return hmac.new(key, data, hash_name(suite)).digest()


def expand_label(suite, secret, label, context, size):
    """HKDF-Expand-Label (RFC 8446, 7.1)."""
    info = number(size, 2) + vector(1, b"tls13 " + label) + vector(1, context)
    out, block, counter = b"", b"", 1
    while len(out) < size:
        block = mac(suite, secret, block + info + bytes([counter]))
        out += block
        counter += 1
    return out[:size]


class Schedule:
    """Early, handshake and master secret, one after the other."""

    def __init__(self, suite, psk=None):
        self.suite = suite
        self.zeros = bytes(hash_bytes(suite))
        self.secret = mac(suite, self.zeros, psk or self.zeros)

    def derive(self, label, transcript):
        context = hash_of(self.suite, transcript)
        return expand_label(self.suite, self.secret, label, context, len(self.zeros))

    def advance(self, value=None):
        self.secret = mac(self.suite, self.derive(b"derived", b""), value or self.zeros)


def finished(suite, secret, digest):
    key = expand_label(suite, secret, b"finished", b"", hash_bytes(suite))
    return mac(suite, key, digest)


class Keys:
    """One direction of protected records."""

    def __init__(self, suite, secret):
        cipher, size, _ = CIPHERS[suite]
        self.suite, self.secret, self.sequence = suite, secret, 0
        self.cipher = cipher(expand_label(suite, secret, b"key", b"", size))
        self.iv = expand_label(suite, secret, b"iv", b"", 12)

    def nonce(self):
        value = int.from_bytes(self.iv, "big") ^ self.sequence
        self.sequence += 1
        return number(value, 12)

    def seal(self, inner, header_type=DATA, version=0x0303):
        header = struct.pack(">BHH", header_type, version, len(inner) + 16)
        return header + self.cipher.encrypt(self.nonce(), inner, header)

    def open(self, header, body):
        try:
            return self.cipher.decrypt(self.nonce(), body, header)
        except InvalidTag as error:
            raise Broken("the shim sent a record that does not open") from error

    def next(self):
        """The keys behind a KeyUpdate."""
        size = hash_bytes(self.suite)
        return Keys(self.suite, expand_label(self.suite, self.secret, b"traffic upd", b"", size))


class Share:
    """A key pair of one group."""

    def __init__(self, group):
        self.group = group
        if group == X25519:
            self.private = x25519.X25519PrivateKey.generate()
            self.public = self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        else:
            self.private = ec.generate_private_key(CURVES[group]())
            self.public = self.private.public_key().public_bytes(
                Encoding.X962, PublicFormat.UncompressedPoint
            )

    def agree(self, public):
        if self.group == X25519:
            return self.private.exchange(x25519.X25519PublicKey.from_public_bytes(public))
        point = ec.EllipticCurvePublicKey.from_encoded_point(CURVES[self.group](), public)
        return self.private.exchange(ec.ECDH(), point)


class Wire:
    """
    Records over a socket. What the shim sends is held to the rules of appendix D.4 on the way: one
    change_cipher_spec at its place, and versions as they must be.
    """

    def __init__(self, sock, shim_is_client):
        self.sock = sock
        self.sock.settimeout(TIMEOUT_S)
        self.shim_is_client = shim_is_client
        self.received = b""
        self.messages = b""
        self.read_keys = self.write_keys = None
        self.ccs_count = 0
        self.records_read = 0
        self.split = LIMIT  # largest handshake fragment that is sent
        self.is_packing = False
        self.packed = b""
        self.record_version = None
        self.plain_sizes = []

    # ---- sending

    def send_bytes(self, data):
        """Bytes as they are. A shim that has gone away is found out by reading."""
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def send_plain(self, kind, body, version=None):
        version = version or self.record_version or 0x0303
        self.send_bytes(struct.pack(">BHH", kind, version, len(body)) + body)

    def send_record(self, kind, body, pad=0):
        """One record under the keys of now."""
        if self.write_keys is None:
            self.send_plain(kind, body)
        else:
            self.send_bytes(self.write_keys.seal(body + bytes([kind]) + bytes(pad)))

    def send_message(self, raw):
        """A handshake message, in pieces or kept for a common record."""
        if self.is_packing:
            self.packed += raw
            return
        for start in range(0, len(raw), self.split):
            self.send_record(HANDSHAKE, raw[start : start + self.split])

    def flush(self):
        packed, self.packed = self.packed, b""
        for start in range(0, len(packed), LIMIT):
            self.send_record(HANDSHAKE, packed[start : start + LIMIT])

    def send_alert(self, description, level=2):
        self.flush()
        self.send_record(ALERT, bytes([level, description]))

    def send_data(self, body, pad=0):
        self.send_record(DATA, body, pad)

    # ---- receiving

    def take(self, size):
        while len(self.received) < size:
            try:
                piece = self.sock.recv(1 << 16)
            except ConnectionResetError:
                piece = b""
            except socket.timeout as error:
                raise Broken("the shim is silent") from error
            if not piece:
                raise Closed(False)
            self.received += piece
        taken, self.received = self.received[:size], self.received[size:]
        return taken

    def check_version(self, kind, version):
        first = self.records_read == 0 and self.shim_is_client
        self.records_read += 1
        wanted = {0x0301} if first else {0x0303}
        if version not in wanted and kind != ALERT:
            raise Broken(f"a record of version {version:#06x}")

    def read_record(self):
        """Type and content of the next record that is no change_cipher_spec."""
        while True:
            header = self.take(5)
            kind, version, size = struct.unpack(">BHH", header)
            self.check_version(kind, version)
            if size > LIMIT + 256:
                raise Broken(f"a record of {size} bytes")
            body = self.take(size)
            if kind == CCS:
                self.ccs_count += 1
                if body != b"\x01" or self.ccs_count > 1:
                    raise Broken("a change_cipher_spec too many, or a wrong one")
                continue
            return self.open_record(kind, header, body)

    def open_record(self, kind, header, body):
        if self.read_keys is None or kind == ALERT:
            if kind == DATA:
                raise Broken("a protected record before there are keys")
            self.plain_sizes.append(len(body))
            return kind, body, True
        if kind != DATA:
            raise Broken(f"a record of type {kind} in the clear")
        if self.ccs_count == 0:
            raise Broken("a protected record without change_cipher_spec before it")
        inner = self.read_keys.open(header, body).rstrip(b"\0")
        if not inner:
            raise Broken("a record without content")
        self.plain_sizes.append(len(inner) - 1)
        return inner[-1], inner[:-1], False

    def read_content(self):
        """As read_record(); alerts become exceptions."""
        kind, body, is_plain = self.read_record()
        if kind != ALERT:
            return kind, body
        if len(body) != 2:
            raise Broken("an alert of a wrong size")
        if body[1] == 0:
            raise Closed(True)
        raise PeerAlert(body[1], body[0], is_plain)

    def read_message(self):
        """The next whole handshake message."""
        while len(self.messages) < 4 or len(self.messages) < 4 + self.message_size():
            kind, body = self.read_content()
            if kind != HANDSHAKE:
                raise Broken(f"a record of type {kind} instead of a handshake message")
            self.messages += body
        size = 4 + self.message_size()
        raw, self.messages = self.messages[:size], self.messages[size:]
        return raw

    def message_size(self):
        return int.from_bytes(self.messages[1:4], "big")

    def read_until_end(self):
        """What the shim still has to say: raises PeerAlert; returns whether it closed cleanly."""
        try:
            while True:
                self.read_content()
        except Closed as closed:
            return closed.is_clean
