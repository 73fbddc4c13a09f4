"""Tickets, PSKs and their binders; early data, which a server without it must skip."""

from cases.tools import *
from record import Keys, hash_bytes

SUITES = (0x1301, 0x1302, 0x1303)


def of_clients():
    """The shim is the server."""
    miss = ["-expect-session-miss"]
    for suite in SUITES:
        yield server(f"suite {suite:#06x}", Plan(suites=[suite]), Plan(suites=[suite]))
        yield server(f"suite {suite:#06x}, three times",
                     Plan(suites=[suite]), Plan(suites=[suite]), Plan(suites=[suite]))
    yield server("with a client's certificate", Plan(credential=credential("rsa")),
                 Plan(credential=credential("rsa")), flags=["-require-any-client-certificate"])
    yield server("another suite of the same hash", Plan(suites=[0x1301]), Plan(suites=[0x1303]))
    yield server("a suite of another hash", Plan(suites=[0x1301]), Plan(suites=[0x1302]),
                 flags=miss)
    yield server("a ticket of another server name", Plan(shape={"hello": named(b"one.test")}),
                 Plan(shape={"hello": named(b"two.test")}), flags=miss)
    yield server("a ticket of a server name where none is asked for", Plan(
        shape={"hello": named(b"one.test")}), Plan(), flags=miss)
    yield server("no ticket offered", Plan(), Plan(psk=False), flags=miss)
    yield server("tickets switched off", Plan(), Plan(), flags=[*miss, "-no-ticket"])
    yield server("tickets skipped", Plan(), Plan(), flags=[*miss, "-skip-ticket"])
    yield server("tickets off later", Plan(), Plan(), flags=[*miss, "-on-resume-no-ticket"])
    yield server("after ten seconds", Plan(), Plan(), flags=["-resumption-delay", "10"])
    yield server("after a week", Plan(), Plan(), flags=[*miss, "-resumption-delay", "604801"])
    yield server("a client that knows no psk_dhe_ke", Plan(), Plan(
        shape={"hello": put(h.PSK_MODES, b"\1\0")}), flags=miss)
    yield server("tickets for a client without psk_dhe_ke", Plan(
        shape={"hello": put(h.PSK_MODES, b"\1\0")},
        talk=lambda peer: (type(peer).exchange(peer), check_tickets(peer, 0))))

    yield server("a ticket that was changed", Plan(), Plan(before={"hello": spoil}),
                 flags=miss)
    yield server("a ticket of somebody else", Plan(), Plan(before={"hello": foreign}), flags=miss)

    yield server("a wrong binder", Plan(), Plan(edit={
        "hello": lambda peer, raw: raw[:-1] + bytes([raw[-1] ^ 1])}),
        fails=":DIGEST_CHECK_FAILED:", alert=51)
    yield server("a binder of a wrong length", Plan(), Plan(edit={"hello": long_binder}),
                 fails=":DIGEST_CHECK_FAILED:", alert=51)
    yield server("two binders for one identity", Plan(), Plan(edit={"hello": two_binders}),
                 fails=":PSK_IDENTITY_BINDER_COUNT_MISMATCH:", alert=47)
    yield server("no binders", Plan(), Plan(edit={"hello": no_binders}), fails=":DECODE_ERROR:",
                 alert=50)
    yield server("a PSK that is not last", Plan(), Plan(edit={"hello": psk_first}),
                 fails=":PRE_SHARED_KEY_MUST_BE_LAST:", alert=47)
    yield server("a PSK without modes", Plan(), Plan(shape={"hello": drop(h.PSK_MODES)}),
                 fails=":MISSING_EXTENSION:", alert=109)
    yield server("a PSK without a share", Plan(), Plan(shape={"hello": drop(h.SHARES)}),
                 fails=":MISSING_KEY_SHARE:", alert=109)
    yield server("a certificate on resumption", Plan(), Plan(
        before={"finished": lambda peer: peer.emit("extra", h.CertificateMessage())}),
        fails=":UNEXPECTED_MESSAGE:", alert=10)


def named(name):
    return put(h.SERVER_NAME, vector(2, b"\0" + vector(2, name)))


def check_tickets(peer, count):
    assert len(peer.tickets_got) == count, len(peer.tickets_got)


def spoil(peer):
    session = peer.memory["session"]
    session.ticket = session.ticket[:40] + bytes([session.ticket[40] ^ 1]) + session.ticket[41:]


def foreign(peer):
    peer.memory["session"].ticket = b"a ticket of nobody that we know" * 4


def rebuild(peer, raw, binders):
    """The hello with another list of binders, all lengths right."""
    hello = h.ClientHello.read(raw)
    body = hello.extensions.get(h.PSK)
    size = hash_bytes(peer.offered().suite) + 3
    hello.extensions.put(h.PSK, body[:-size] + binders)
    return hello.encode()


def long_binder(peer, raw):
    return rebuild(peer, raw, vector(2, vector(1, raw[-hash_bytes(peer.offered().suite):] + b"\0")))


def two_binders(peer, raw):
    one = vector(1, raw[-hash_bytes(peer.offered().suite):])
    return rebuild(peer, raw, vector(2, one + one))


def no_binders(peer, raw):
    return rebuild(peer, raw, vector(2, b""))


def psk_first(peer, raw):
    hello = h.ClientHello.read(raw)
    hello.extensions.insert(0, hello.extensions.pop())
    return hello.encode()


def of_servers():
    """The shim is the client."""
    miss = ["-expect-session-miss"]
    for suite in SUITES:
        yield client(f"suite {suite:#06x}", Plan(suites=[suite]), Plan(suites=[suite]))
        yield client(f"suite {suite:#06x}, three times",
                     Plan(suites=[suite]), Plan(suites=[suite]), Plan(suites=[suite]))
    yield client("another suite of the same hash", Plan(suites=[0x1301]), Plan(suites=[0x1303]))
    # RFC 8446 4.1.4: a PSK of another hash than the retry's is not offered again
    yield client("a retry with a suite of another hash drops the ticket", Plan(suites=[0x1301]),
                 Plan(suites=[0x1302], retry=P256, check=lambda peer: check_offers(peer, 0)),
                 flags=[*miss, "-on-resume-expect-hrr"])
    yield client("a server that has forgotten", Plan(), Plan(psk=False), flags=miss)
    yield client("after ten seconds, the age is right", Plan(), Plan(
        check=lambda peer: check_age(peer, 10_000)), flags=["-resumption-delay", "10"])
    yield client("at once, the age is right", Plan(), Plan(check=lambda peer: check_age(peer, 0)))
    # RFC 8446 4.6.1: a client MUST NOT use a ticket beyond its lifetime
    yield client("a ticket that has expired is not offered", Plan(), Plan(
        check=lambda peer: check_offers(peer, 0)), flags=[*miss, "-resumption-delay", "7201"])
    # RFC 8446 4.6.1: a ticket of lifetime 0 is to be thrown away at once
    yield client("a ticket of lifetime 0 is not kept", Plan(shape={"ticket": dead}),
                 fails="no ticket", status=CHECK)
    yield client("one ticket", Plan(tickets=1), Plan(tickets=1))
    yield client("no ticket where none is expected", Plan(tickets=0), flags=["-expect-no-session"])
    yield client("no ticket where one is expected", Plan(tickets=0), fails="no ticket",
                 status=CHECK)
    # RFC 8446 4.6.1: a client MUST ignore unknown extensions of a ticket
    yield client("a ticket with an unknown extension", Plan(shape={"ticket": put(0x4242, b"x")}),
                 Plan())
    bad = {"alert": 50, "fails": ":DECODE_ERROR:"}
    yield client("an empty ticket", Plan(shape={"ticket": hollow}), **bad)
    yield client("a ticket with bytes behind it", Plan(edit={"ticket": extend()}), **bad)
    yield client("a ticket cut short", Plan(edit={"ticket": clip()}), **bad)
    yield client("a ticket with an extension twice", Plan(shape={"ticket": twice}), alert=47,
                 fails=":DUPLICATE_EXTENSION:")
    # RFC 8446 4.2.11: a client MUST refuse a PSK that it did not offer
    yield client("a PSK that was not offered", Plan(shape={"server_hello": put(h.PSK, b"\0\0")}),
                 alert=110, fails=":UNEXPECTED_EXTENSION:")
    # RFC 8446 4.2.11: a client MUST check that the index of the PSK is one that it sent
    yield client("another PSK than the one that was offered", Plan(), Plan(
        shape={"server_hello": put(h.PSK, b"\0\1")}), alert=47, fails=":PSK_IDENTITY_NOT_FOUND:")

    def sha384(peer, item):
        item.suite = 0x1302

    # RFC 8446 4.2.11: a client MUST check that the suite has the hash of the PSK
    yield client("a PSK with a suite of another hash", Plan(suites=[0x1301]), Plan(
        suites=[0x1301], shape={"server_hello": sha384}), alert=47,
        fails=":OLD_SESSION_PRF_HASH_MISMATCH:")
    # RFC 8446 4.2.11: a resumption with an agreement MUST have a key share
    yield client("a resumption without share", Plan(), Plan(
        shape={"server_hello": drop(h.SHARES)}), alert=109, fails=":MISSING_KEY_SHARE:")
    unexpected = {"alert": 10, "fails": ":UNEXPECTED_MESSAGE:"}
    # RFC 8446 4.4.2: a server MUST NOT send a certificate when it resumes
    yield client("a certificate on resumption", Plan(), Plan(
        before={"finished": lambda peer: peer.send_certificate()}), **unexpected)
    # RFC 8446 4.3.2: a server MUST NOT ask for a certificate when it resumes
    yield client("a request on resumption", Plan(), Plan(before={
        "finished": lambda peer: peer.emit("extra", h.RequestMessage(peer.plan.schemes))}),
        **unexpected)


def check_age(peer, age_ms):
    (_, claimed), known = peer.offered_psks[0], peer.memory["tickets"]
    session = known[peer.offered_psks[0][0]]
    assert (claimed - session.age_add) % (1 << 32) == age_ms, claimed - session.age_add


def check_offers(peer, count):
    assert len(peer.offered_psks) == count, peer.offered_psks


def dead(peer, ticket):
    ticket.lifetime_s = 0


def hollow(peer, ticket):
    ticket.ticket = b""


def twice(peer, ticket):
    ticket.extensions += [(0x4242, b""), (0x4242, b"")]


# ---- early data


def early(peer, size, count=1):
    """Records that nobody but their sender could open."""
    keys = Keys(0x1301, bytes(32))
    for _ in range(count):
        peer.send_bytes(keys.seal(bytes(size) + bytes([DATA])))


def with_early(size, count=1, place="hello", offers=True, **rest):
    shape = {"hello": put(h.EARLY_DATA, b"")} if offers else {}
    shape.update(rest.pop("shape", {}))
    return Plan(shape=shape, after={place: lambda peer: early(peer, size, count)}, **rest)


def skipped():
    too_much = {"fails": ":TOO_MUCH_SKIPPED_EARLY_DATA:", "alert": 10}
    yield server("early data is skipped", with_early(100))
    yield server("early data in many records is skipped", with_early(50, 100))
    yield server("early data is skipped, async", with_early(100), flags=["-async"])
    yield server("16,000 bytes of early data are skipped", with_early(16_000))
    yield server("early data is skipped before a retry", with_early(100, shares=[]),
                 flags=["-expect-hrr"])
    yield server("an offer of early data alone", Plan(shape={"hello": put(h.EARLY_DATA, b"")}))
    yield server("early data that fills more than the limit", with_early(4_000, 5), **too_much)
    yield server("early data above the limit before a retry", with_early(4_000, 5, shares=[]),
                 **too_much)
    yield server("early data that was not announced", with_early(100, offers=False),
                 fails=":DECRYPTION_FAILED_OR_BAD_RECORD_MAC:", alert=20)
    yield server("early data that was not announced, before a retry",
                 with_early(100, offers=False, shares=[]), fails=":UNEXPECTED_RECORD:", alert=10)

    yield server("early data behind the first good record", Plan(
        shape={"hello": put(h.EARLY_DATA, b"")}, credential=credential("rsa"),
        after={"hello": lambda peer: early(peer, 100),
               "certificate": lambda peer: early(peer, 100)}),
        flags=["-require-any-client-certificate"],
        fails=":DECRYPTION_FAILED_OR_BAD_RECORD_MAC:", alert=20)
    yield server("early data offered with a ticket", Plan(), with_early(100))


CASES = [*of_clients(), *of_servers(), *skipped()]
