"""Messages of a wrong type or order, cut short, too long, or where keys change."""

from cases.tools import *

# The messages of each part, with what one more or one less byte in them is called.
SERVERS = {
    "retry": (":DECODE_ERROR:", 50), "server_hello": (":DECODE_ERROR:", 50),
    "extensions": (":DECODE_ERROR:", 50), "request": (":DECODE_ERROR:", 50),
    "certificate": (":DECODE_ERROR:", 50), "verify": (":DECODE_ERROR:", 50),
    "finished": (":DIGEST_CHECK_FAILED:", 51),
}
CLIENTS = {
    "hello": (":DECODE_ERROR:", 50), "second_hello": (":DECODE_ERROR:", 50),
    "certificate": (":DECODE_ERROR:", 50), "verify": (":DECODE_ERROR:", 50),
    "finished": (":DIGEST_CHECK_FAILED:", 51),
}
MUTUAL = ["-require-any-client-certificate"]


def to_client(place, edit, **rest):
    return Plan(edit={place: edit}, asks=place == "request",
                retry=P256 if place == "retry" else None, **rest)


def to_server(place, edit, **rest):
    return Plan(edit={place: edit}, shares=[] if place == "second_hello" else [X25519],
                credential=credential("rsa"), **rest)


def bent_messages():
    for place, (name, alert) in SERVERS.items():
        plain = place in ("retry", "server_hello")
        yield client(f"{place} of another type", to_client(place, retype(0x7F)),
                     fails=":UNEXPECTED_MESSAGE:", alert=10, plain=plain)
        yield client(f"{place} with one byte more", to_client(place, extend()), fails=name,
                     alert=alert, plain=plain)
        yield client(f"{place} with one byte less", to_client(place, clip()), fails=name,
                     alert=alert, plain=plain)
        yield client(f"{place} with one byte more, async", to_client(place, extend()), fails=name,
                     alert=alert, flags=["-async"])
    for place, (name, alert) in CLIENTS.items():
        yield server(f"{place} of another type", to_server(place, retype(0x7F)), flags=MUTUAL,
                     fails=":UNEXPECTED_MESSAGE:", alert=10)
        yield server(f"{place} with one byte more", to_server(place, extend()), flags=MUTUAL,
                     fails=name, alert=alert)
        yield server(f"{place} with one byte less", to_server(place, clip()), flags=MUTUAL,
                     fails=name, alert=alert)
        yield server(f"{place} with one byte more, async", to_server(place, extend()),
                     flags=[*MUTUAL, "-async"], fails=name, alert=alert)


def missing_messages():
    unexpected = {"fails": ":UNEXPECTED_MESSAGE:", "alert": 10}
    for place in ("extensions", "certificate", "verify"):
        # RFC 8446 4.4: the messages of the server come in their order, none left out
        yield client(f"no {place}", Plan(edit={place: leave_out}), **unexpected)
        yield client(f"no {place}, mutual", Plan(edit={place: leave_out}, asks=True), **unexpected)
    yield client("Finished alone",
                 Plan(edit={"certificate": leave_out, "verify": leave_out}), **unexpected)
    yield client("Finished right behind ServerHello",
                 Plan(edit={place: leave_out for place in ("extensions", "certificate", "verify")}),
                 **unexpected)
    for place in ("certificate", "verify"):
        plan = Plan(edit={place: leave_out}, credential=credential("p256"))
        yield server(f"no {place}", plan, flags=MUTUAL, **unexpected)
    plan = Plan(edit={"certificate": leave_out, "verify": leave_out}, credential=credential("rsa"))
    yield server("Finished alone where a certificate is due", plan, flags=MUTUAL, **unexpected)
    yield server("Finished alone where a certificate was asked for", plan, flags=["-verify-peer"],
                 **unexpected)


def repeated_messages():
    unexpected = {"fails": ":UNEXPECTED_MESSAGE:", "alert": 10}
    for place in ("extensions", "request", "certificate", "verify"):
        # RFC 8446 4.4: no message of the server comes twice
        yield client(f"{place} twice", to_client(place, repeat), **unexpected)
    for place in ("certificate", "verify"):
        yield server(f"{place} twice", to_server(place, repeat), flags=MUTUAL, **unexpected)
    # RFC 8446 4.3.2: a CertificateRequest MUST follow EncryptedExtensions
    yield client("request behind the certificate", Plan(
        after={"certificate": lambda peer: peer.emit(
            "late", h.RequestMessage(peer.plan.schemes))}), **unexpected)
    # RFC 8446 4.3.1: EncryptedExtensions MUST be the first message under keys
    yield client("certificate before the extensions", Plan(
        before={"extensions": lambda peer: peer.send_certificate()}), **unexpected)


def ends_of_keys():
    """Nothing may follow a message behind which keys change (RFC 8446, 5.1)."""
    excess = {"fails": ":EXCESS_HANDSHAKE_DATA:", "alert": 10}
    more = h.message(h.EXTENSIONS, b"\0\0")
    for data, what in ((more, "a message"), (more[:1], "a byte")):
        # RFC 8446 5.1: a client refuses bytes behind ServerHello in its record
        yield client(f"{what} behind ServerHello", to_client("server_hello", add(data)), **excess)
        yield client(f"{what} behind HelloRetryRequest", to_client("retry", add(data)), **excess)
        # RFC 8446 5.1: a client refuses bytes behind Finished in its record
        yield client(f"{what} behind the server's Finished", to_client("finished", add(data)),
                     **excess)
        yield server(f"{what} behind ClientHello", to_server("hello", add(data)), **excess)
        yield server(f"{what} behind the second ClientHello", to_server("second_hello", add(data)),
                     **excess)
        yield server(f"{what} behind the client's Finished", Plan(edit={"finished": add(data)}),
                     **excess)


def wrong_finished():
    def flip(peer, raw):
        return raw[:-1] + bytes([raw[-1] ^ 1])

    wrong = {"fails": ":DIGEST_CHECK_FAILED:", "alert": 51}
    for suite in (0x1301, 0x1302, 0x1303):
        # RFC 8446 4.4.4: a client MUST refuse a wrong Finished of the server with decrypt_error
        yield client(f"a wrong Finished, suite {suite:#06x}",
                     Plan(edit={"finished": flip}, suites=[suite]), plain=False, **wrong)
        yield server(f"a wrong Finished, suite {suite:#06x}",
                     Plan(edit={"finished": flip}, suites=[suite]), plain=False, **wrong)
    empty = {"finished": lambda peer, raw: h.message(h.FINISHED, b"")}
    yield client("an empty Finished", Plan(edit=empty), **wrong)
    yield server("an empty Finished", Plan(edit=empty), **wrong)


def late_messages():
    unexpected = {"fails": ":UNEXPECTED_MESSAGE:", "alert": 10, "plain": False}

    def send(kind, body=b""):
        return Plan(talk=lambda peer: (peer.send_record(HANDSHAKE, h.message(kind, body)),
                                       peer.read_until_end()))

    yield client("HelloRequest", send(0), **unexpected)
    # RFC 8446 4: a client MUST refuse a ClientHello
    yield client("ClientHello", send(1, bytes(40)), **unexpected)
    # RFC 8446 4.6.2: a client that did not offer it MUST refuse a request behind the handshake
    yield client("a request behind the handshake", send(h.REQUEST, b"\0\0\0"), **unexpected)
    yield client("Finished again", send(h.FINISHED, bytes(32)), **unexpected)
    yield server("HelloRequest", send(0), **unexpected)
    yield server("ClientHello again", send(1, bytes(40)), **unexpected)
    yield server("a ticket from a client", send(h.TICKET, bytes(20)), **unexpected)
    yield server("a certificate behind the handshake", send(h.CERTIFICATE, bytes(4)), **unexpected)


CASES = [case for table in (bent_messages, missing_messages, repeated_messages, ends_of_keys,
                            wrong_finished, late_messages) for case in table()]
