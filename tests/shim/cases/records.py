"""The record layer: sizes, types, versions, padding; change_cipher_spec at and out of its place."""

import struct

from cases.tools import *

LIMIT = 1 << 14
BAD_MAC = {"fails": ":DECRYPTION_FAILED_OR_BAD_RECORD_MAC:"}
BOTH = (client, server)


def talk(*actions, **rest):
    """After the handshake: sends, then lets the shim answer."""
    def run(peer):
        for action in actions:
            action(peer)
        peer.read_until_end()
    return Plan(talk=run, **rest)


def sizes():
    def whole(peer):
        peer.send_data(b"a" * LIMIT)
        assert peer.read_data(LIMIT) == bytes([ord("a") ^ 0xFF]) * LIMIT

    overflow = {"fails": ":DATA_LENGTH_TOO_LONG:", "alert": 22, "plain": False}
    for part in BOTH:
        yield part("a record of 16,384 bytes", Plan(talk=whole))
        yield part("a record of 16,385 bytes",
                   talk(lambda peer: peer.send_data(b"a" * (LIMIT + 1))),
                   **overflow)
        yield part("a record with padding up to the limit", Plan(
            talk=lambda peer: (peer.send_data(b"abc", LIMIT - 3), peer.read_data(3))))
        yield part("a record with padding beyond the limit",
                   talk(lambda peer: peer.send_data(b"abc", LIMIT - 2)), **overflow)
        yield part("a record with padding far beyond the limit",
                   talk(lambda peer: peer.send_bytes(
                       struct.pack(">BHH", DATA, 0x0303, LIMIT + 257))),
                   fails=":ENCRYPTED_LENGTH_TOO_LONG:", alert=22)
        yield part("32 empty records", Plan(talk=lambda peer: (
            [peer.send_data(b"") for _ in range(32)], type(peer).exchange(peer))))
        yield part("33 empty records", talk(*[lambda peer: peer.send_data(b"")] * 33),
                   fails=":TOO_MANY_EMPTY_FRAGMENTS:", alert=10)
        yield part("many records of one byte", Plan(data=[b"z"] * 200))
    yield client("a handshake record with padding", Plan(
        before={"extensions": lambda peer: pad_handshake(peer)}))
    # RFC 8446 5.1: a client refuses zero-length fragments of handshake
    yield client("an empty handshake record", Plan(
        before={"extensions": lambda peer: peer.send_record(HANDSHAKE, b"")}),
        fails=":UNEXPECTED_MESSAGE:", alert=10)
    yield server("an empty handshake record", Plan(
        before={"flight": lambda peer: peer.send_record(HANDSHAKE, b"")}),
        fails=":UNEXPECTED_MESSAGE:", alert=10)


def pad_handshake(peer):
    send = peer.send_record
    peer.send_record = lambda kind, body, pad=0: send(kind, body, pad or 500)


def spoilt(peer):
    record = bytearray(peer.write_keys.seal(b"abc" + bytes([DATA])))
    record[-1] ^= 1
    peer.send_bytes(bytes(record))


def types():
    for part in BOTH:
        yield part("a record that was changed", talk(spoilt), alert=20, plain=False, **BAD_MAC)
        yield part("a record in the clear behind the handshake",
                   talk(lambda peer: peer.send_plain(DATA, b"in the clear")), **BAD_MAC,
                   alert=20)
        yield part("an alert in the clear behind the handshake",
                   talk(lambda peer: peer.send_plain(ALERT, b"\2\x28")),
                   fails="a record that is not encrypted", alert=10)
        yield part("a handshake record in the clear behind the handshake",
                   talk(lambda peer: peer.send_plain(HANDSHAKE, bytes(4))),
                   fails="a record that is not encrypted", alert=10)
        yield part("a record of another outer type",
                   talk(lambda peer: peer.send_bytes(peer.write_keys.seal(b"abc\x17", HANDSHAKE))),
                   fails=":INVALID_OUTER_RECORD_TYPE:", alert=10)
        yield part("a record of an unknown inner type",
                   talk(lambda peer: peer.send_record(99, b"abc")), fails=":UNEXPECTED_RECORD:",
                   alert=10)
        yield part("a record of nothing but padding",
                   talk(lambda peer: peer.send_bytes(peer.write_keys.seal(bytes(20)))),
                   fails=":DECRYPTION_FAILED_OR_BAD_RECORD_MAC:", alert=10)
    yield client("data before ServerHello", Plan(
        after={"client_hello": lambda peer: peer.send_plain(DATA, b"abc")}),
        fails=":UNEXPECTED_RECORD:", alert=10, plain=True)
    # RFC 8446 2: a client takes no application data before Finished
    yield client("data under handshake keys", Plan(
        before={"extensions": lambda peer: peer.send_record(DATA, b"abc")}),
        fails=":UNEXPECTED_RECORD:", alert=10, plain=False)
    # RFC 8446 5: a client MUST refuse plaintext where protected records are due
    yield client("a flight in the clear behind ServerHello", Plan(
        after={"server_hello": lambda peer: (peer.flush(), peer.send_plain(HANDSHAKE, bytes(8)))}),
        fails="a record in the clear", alert=10, plain=False)
    yield server("data under handshake keys", Plan(
        before={"flight": lambda peer: peer.send_record(DATA, b"abc")}),
        fails=":UNEXPECTED_RECORD:", alert=10, plain=False)
    yield server("data behind Finished under handshake keys", Plan(
        after={"finished": lambda peer: peer.send_record(DATA, b"abc")}), alert=20, **BAD_MAC)
    yield client("data behind Finished under handshake keys", Plan(
        after={"finished": lambda peer: peer.send_record(DATA, b"abc")}), alert=20, **BAD_MAC)


def replace(data):
    """In place of the ClientHello."""
    return Plan(edit={"hello": lambda peer, raw: b""}, before={
        "hello": lambda peer: (peer.send_bytes(data), peer.sock.shutdown(1))})


def strangers():
    for method in ("GET / HTTP/1.1\r\n", "POST / HTTP/1.1\r\n", "HEAD / HTTP/1.1\r\n",
                   "PUT / HTTP/1.1\r\n"):
        yield server(f"{method.split()[0]} of HTTP", replace(method.encode()),
                     fails=":HTTP_REQUEST:", alert=10)
    yield server("CONNECT of HTTP", replace(b"CONNECT test:443 HTTP/1.1\r\n"),
                 fails=":HTTPS_PROXY_REQUEST:", alert=10)
    yield server("garbage", replace(b"Garbage that is no TLS at all"), alert=10,
                 fails=":WRONG_VERSION_NUMBER:")
    yield server("a record of version 0x0403", replace(b"\x16\x04\x03\0\x04\1\0\0\0"), alert=10,
                 fails=":WRONG_VERSION_NUMBER:")
    yield server("a record of type 99", replace(b"\x63\x03\x03\0\x04\1\0\0\0"), alert=10,
                 fails=":UNEXPECTED_RECORD:")
    yield server("a ClientHello of SSL 2", replace(b"\x80\x2e\1\0\2\0\x15\0\0\0\x10" + bytes(40)),
                 alert=10, fails="bytes that are no TLS record")
    yield client("garbage", Plan(after={
        "client_hello": lambda peer: peer.send_bytes(b"Garbage that is no TLS at all")}), alert=10,
        fails=":WRONG_VERSION_NUMBER:", plain=True)
    for version in (0x0300, 0x0301, 0x0302, 0x0303, 0x0304):
        yield server(f"records of version {version:#06x}", Plan(record_version=version))


def changes():
    """change_cipher_spec (RFC 8446, 5 and D.4)."""
    def ccs(peer, body=b"\1"):
        peer.flush()
        peer.send_plain(CCS, body)

    wrong = {"fails": ":UNEXPECTED_RECORD:", "alert": 10}
    # RFC 8446 5: a client drops a change_cipher_spec during the handshake
    yield client("change_cipher_spec behind ServerHello", Plan(after={"server_hello": ccs}))
    yield client("change_cipher_spec twice", Plan(after={"server_hello": lambda peer: (
        ccs(peer), ccs(peer))}))
    yield client("change_cipher_spec before Finished", Plan(before={"finished": ccs}))
    yield client("change_cipher_spec before ServerHello", Plan(after={"client_hello": ccs}))
    yield client("change_cipher_spec behind a retry", Plan(retry=P256, after={"retry": ccs}))
    yield server("change_cipher_spec before the flight", Plan(before={"flight": ccs}))
    yield server("change_cipher_spec behind ClientHello", Plan(after={"hello": ccs}))
    yield server("change_cipher_spec before the second hello", Plan(
        shares=[], before={"second_hello": ccs}))
    yield server("change_cipher_spec before ClientHello", Plan(before={"hello": ccs}), **wrong)
    for part, place in ((client, "extensions"), (server, "flight")):
        yield part("change_cipher_spec of another value", Plan(
            before={place: lambda peer: ccs(peer, b"\2")}), **wrong)
        yield part("change_cipher_spec of two bytes", Plan(
            before={place: lambda peer: ccs(peer, b"\1\1")}), **wrong)
        yield part("change_cipher_spec without a byte", Plan(
            before={place: lambda peer: ccs(peer, b"")}), **wrong)
        yield part("change_cipher_spec under keys", Plan(
            before={place: lambda peer: (peer.flush(), peer.send_record(CCS, b"\1"))}), **wrong)
        yield part("32 change_cipher_specs", Plan(
            before={place: lambda peer: [ccs(peer) for _ in range(32)]}))
        yield part("33 change_cipher_specs", Plan(
            before={place: lambda peer: [ccs(peer) for _ in range(33)]}),
            fails=":TOO_MANY_EMPTY_FRAGMENTS:", alert=10)
        yield part("change_cipher_spec behind the handshake", talk(ccs), alert=10,
                   fails="a record that is not encrypted")
    # RFC 8446 5.1: a client refuses another record within a message
    yield client("change_cipher_spec within a message", Plan(
        edit={"extensions": lambda peer, raw: (peer.send_record(HANDSHAKE, raw[:3]),
                                               ccs(peer), raw[3:])[2]}), **wrong)

    def no_session_id(peer, item):
        item.session_id = b""

    yield server("an empty session id", Plan(shape={"hello": no_session_id}))

    def long_session_id(peer, item):
        item.session_id = bytes(33)

    yield server("a session id of 33 bytes", Plan(shape={"hello": long_session_id}), alert=50,
                 fails=":CLIENTHELLO_PARSE_FAILED:")


CASES = [*sizes(), *types(), *strangers(), *changes()]
