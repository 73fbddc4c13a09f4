"""HelloRetryRequest and its cookie, from both sides."""

from cases.tools import *


def of_servers():
    """The shim is the client."""
    bad = {"alert": 47, "fails": ":WRONG_CURVE:"}
    for group in (P256, P384):
        yield client(f"a retry for group {group}", Plan(retry=group), flags=["-expect-hrr"])
        yield client(f"a retry for group {group} with a cookie",
                     Plan(retry=group, cookie=b"\1" * 200), flags=["-expect-hrr"])
        yield client(f"a retry for group {group}, async", Plan(retry=group, split=1),
                     flags=["-async", "-expect-hrr"])
    # RFC 8446 4.2.2: a cookie MUST be sent back in the second hello
    yield client("a retry with a cookie alone", Plan(retry=0, cookie=b"cookie"))
    yield client("a retry on resumption too", Plan(retry=P256), Plan(retry=P256),
                 flags=["-expect-hrr"])
    yield client("no retry", Plan(), flags=["-expect-no-hrr"])
    # RFC 8446 4.1.4: a retry for a group that has a share MUST be refused with illegal_parameter
    yield client("a retry for a group with a share", Plan(retry=X25519), **bad, plain=True)
    # RFC 8446 4.1.4: a retry MUST ask for a group that the client listed
    yield client("a retry for an unknown group", Plan(
        retry=P256, shape={"retry": put(h.SHARES, number(0x4242, 2))}), **bad)
    yield client("a retry for a group not listed", Plan(retry=P384),
                 flags=["-curves", "29", "-curves", "23"], **bad)
    # RFC 8446 4.1.4: a retry that would change nothing MUST be refused with illegal_parameter
    yield client("a retry that changes nothing", Plan(retry=0), alert=47,
                 fails=":EMPTY_HELLO_RETRY_REQUEST:")
    yield client("a retry with an empty cookie", Plan(retry=0, cookie=b""), alert=50,
                 fails=":DECODE_ERROR:")
    # RFC 8446 4.2: an extension in a retry that was not asked for MUST be refused
    yield client("a retry with an unknown extension", Plan(
        retry=P256, shape={"retry": put(0x4242, b"")}), alert=110, fails=":UNEXPECTED_EXTENSION:")
    yield client("a retry with an extension twice", Plan(
        retry=P256, shape={"retry": lambda peer, item: item.extensions.append(item.extensions[0])}),
        alert=47, fails=":DUPLICATE_EXTENSION:")
    yield client("a retry with a share of its own", Plan(
        retry=P256, shape={"retry": put(h.SHARES, number(P256, 2) + vector(2, bytes(65)))}),
        alert=50, fails=":DECODE_ERROR:")

    def again(peer):
        answer = peer.make_hello()
        answer.random = h.RETRY_RANDOM
        answer.extensions.append((h.SHARES, number(P384, 2)))
        peer.send_message(answer.encode())

    # RFC 8446 4.1.4: a second HelloRetryRequest MUST be refused with unexpected_message
    yield client("a second retry", Plan(retry=P256, before={"server_hello": again}), alert=10,
                 fails=":UNEXPECTED_MESSAGE:")

    def other_suite(peer, item):
        item.suite = 0x1302 if item.suite != 0x1302 else 0x1301

    # RFC 8446 4.1.4: the ServerHello MUST keep the suite of the retry
    yield client("another suite behind a retry", Plan(
        retry=P256, shape={"server_hello": other_suite}), alert=47, fails=":WRONG_CIPHER_RETURNED:")
    # RFC 8446 4.2.8: the share behind a retry MUST be of the group that was asked for
    yield client("another group behind a retry", Plan(
        retry=P256, shape={"server_hello": put(
            h.SHARES, number(X25519, 2) + vector(2, b"\1" * 32))}), **bad)
    for what, bend in (("no version", drop(h.VERSIONS)),
                       ("another version", put(h.VERSIONS, number(0x0303, 2)))):
        # RFC 8446 4.1.4: the version MUST NOT change behind a retry
        yield client(f"{what} behind a retry", Plan(retry=P256, shape={"server_hello": bend}),
                     alert=47, fails=":SECOND_SERVERHELLO_VERSION_MISMATCH:")
    yield client("no share behind a retry", Plan(
        retry=P256, shape={"server_hello": drop(h.SHARES)}), alert=109, fails=":MISSING_KEY_SHARE:")

    def compressed(peer, item):
        item.compression = 1

    yield client("a retry with compression", Plan(retry=P256, shape={"retry": compressed}),
                 alert=50, fails=":DECODE_ERROR:")

    def other_id(peer, item):
        item.session_id = bytes(32)

    yield client("a retry with another session id", Plan(retry=P256, shape={"retry": other_id}),
                 alert=47, fails=":SERVER_ECHOED_INVALID_SESSION_ID:")


def of_clients():
    """The shim is the server."""
    for group in (X25519, P256, P384):
        yield server(f"no share, group {group}", Plan(shares=[], groups=[group]),
                     flags=["-expect-hrr", "-expect-curve-id", str(group)])
        yield server(f"no share, group {group}, async", Plan(shares=[], groups=[group]),
                     flags=["-expect-hrr", "-async"])
    strange = number(0x4242, 2) + vector(2, b"a")
    listed = [0x4242, X25519, P256]

    def beside(peer, item):
        item.extensions.put(h.SHARES, vector(2, strange + item.extensions.get(h.SHARES)[2:]))

    yield server("a share for an unknown group alone", Plan(
        groups=listed, shares=[], shape={"hello": put(h.SHARES, vector(2, strange))}),
        flags=["-expect-hrr"])
    yield server("an unknown share beside a good one", Plan(groups=listed, shape={"hello": beside}),
                 flags=["-expect-no-hrr"])
    yield server("a share for a group that is not listed", Plan(shape={"hello": beside}), alert=47,
                 fails="a key share of a group that is not among the client's groups")
    yield server("no share, resumed", Plan(shares=[]), Plan(shares=[]), flags=["-expect-hrr"])

    def second(action, **rest):
        return Plan(shares=[], shape={"second_hello": action}, **rest)

    def other_random(peer, item):
        item.random = bytes([1]) * 32

    def other_id(peer, item):
        item.session_id = b""

    def no_suite(peer, item):
        item.suites = [0x1303]

    def two_shares(peer, item):
        share = item.extensions.get(h.SHARES)[2:]
        item.extensions.put(h.SHARES, vector(2, share + number(P384, 2) + vector(2, bytes(97))))

    yield server("a second hello without share", second(drop(h.SHARES)), alert=109,
                 fails=":MISSING_KEY_SHARE:")
    yield server("a second hello with an empty list of shares",
                 second(put(h.SHARES, b"\0\0")), alert=47, fails=":WRONG_CURVE:")
    yield server("a second hello with another group's share", second(
        put(h.SHARES, vector(2, number(P256, 2) + vector(2, b"\4" + bytes(64)))),
        groups=[X25519, P256]), alert=47, fails=":WRONG_CURVE:")
    yield server("a second hello with two shares", second(two_shares), alert=47,
                 fails=":WRONG_CURVE:")
    yield server("a second hello of another random", second(other_random), alert=47,
                 fails="a second hello that is not the first one")
    yield server("a second hello of another session id", second(other_id), alert=47,
                 fails="a second hello that is not the first one")
    yield server("a second hello without the suite", second(no_suite), alert=47,
                 fails="a second hello that is not the first one")
    yield server("a third hello", Plan(shares=[], after={
        "second_hello": lambda peer: peer.send_message(peer.hello.encode())}), alert=10,
        fails=":DECRYPTION_FAILED_OR_BAD_RECORD_MAC:")


CASES = [*of_servers(), *of_clients()]
