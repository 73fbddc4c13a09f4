"""Extensions, application protocols, server names, suites, groups, key shares and versions."""

from cases.tools import *
from record import Share

ALPN_LIST = ["-advertise-alpn", "\3foo\3bar\3baz"]


def shares():
    bad = {"fails": ":BAD_ECPOINT:", "alert": 47}
    points = {
        "not on the curve": lambda point: point[:-1] + bytes([point[-1] ^ 1]),
        "compressed": lambda point: bytes([2 + (point[-1] & 1)]) + point[1 : 1 + len(point) // 2],
        "too short": lambda point: point[:-1],
        "too long": lambda point: point + b"\0",
        "of a wrong form": lambda point: b"\5" + point[1:],
        "at infinity": lambda point: b"\0",
        "all zero": lambda point: bytes(len(point)),
    }
    for group in (P256, P384):
        public = Share(group).public
        for what, change in points.items():
            body = number(group, 2) + vector(2, change(public))
            yield client(f"a share of group {group} {what}", Plan(
                groups=[group], retry=group, shape={"server_hello": put(h.SHARES, body)}), **bad)
            yield server(f"a share of group {group} {what}", Plan(
                groups=[group], shape={"hello": put(h.SHARES, vector(2, body))}), plain=True, **bad)
    public = Share(X25519).public
    for what, key in (("all zero", bytes(32)), ("of order one", b"\1" + bytes(31)),
                      ("too short", public[:-1]), ("too long", public + b"\0")):
        body = number(X25519, 2) + vector(2, key)
        yield client(f"a share of X25519 {what}", Plan(shape={"server_hello": put(h.SHARES, body)}),
                     **bad)
        yield server(f"a share of X25519 {what}", Plan(
            shape={"hello": put(h.SHARES, vector(2, body))}), **bad)
    good = number(X25519, 2) + vector(2, public)
    yield client("a share with bytes behind it", Plan(
        shape={"server_hello": put(h.SHARES, good + b"\0")}), fails=":DECODE_ERROR:", alert=50)
    yield client("an empty share", Plan(
        shape={"server_hello": put(h.SHARES, number(X25519, 2) + b"\0\0")}), fails=":DECODE_ERROR:",
        alert=50)
    yield server("an empty share", Plan(
        shape={"hello": put(h.SHARES, vector(2, number(X25519, 2) + b"\0\0"))}),
        fails=":DECODE_ERROR:", alert=50)
    # RFC 8446 4.2.8: a server MUST choose a group that the client sent a share of
    yield client("a share of a group without one of ours", Plan(
        shape={"server_hello": put(h.SHARES, number(P256, 2) + vector(2, Share(P256).public))}),
        fails=":WRONG_CURVE:", alert=47)
    yield client("a share of an unknown group", Plan(
        shape={"server_hello": put(h.SHARES, number(0x4242, 2) + vector(2, b"abc"))}),
        fails=":WRONG_CURVE:", alert=47)
    # RFC 8446 9.2: a ServerHello without a share MUST be refused with missing_extension
    yield client("no share", Plan(shape={"server_hello": drop(h.SHARES)}),
                 fails=":MISSING_KEY_SHARE:", alert=109)
    yield server("no shares", Plan(shape={"hello": drop(h.SHARES)}), fails=":MISSING_KEY_SHARE:",
                 alert=109)
    yield server("two shares of one group", Plan(
        shape={"hello": put(h.SHARES, vector(2, good + good))}), fails=":DUPLICATE_KEY_SHARE:",
        alert=47)
    yield server("no groups", Plan(shape={"hello": drop(h.GROUPS)}), fails=":NO_SHARED_GROUP:",
                 alert=109)
    yield server("no group in common", Plan(groups=[25], shares=[]), fails=":NO_SHARED_GROUP:",
                 alert=40)
    yield server("no group in common by flags", Plan(groups=[P256], shares=[P256]),
                 flags=["-curves", "29"], fails=":NO_SHARED_GROUP:", alert=40)
    yield client("shares for two groups", Plan(groups=[P256], check=lambda peer: has_shares(
        peer, [X25519, P256])), flags=["-key-shares", "29", "-key-shares", "23", "-expect-no-hrr"])
    yield client("a share for the second group alone", Plan(groups=[P256], check=lambda peer: (
        has_shares(peer, [P256]))), flags=["-key-shares", "23", "-expect-no-hrr"])
    yield client("no shares by flag", Plan(), flags=["-no-key-shares", "-expect-hrr"])


def has_shares(peer, groups):
    assert list(peer.hello.shares()) == groups, list(peer.hello.shares())


def in_messages():
    unexpected = {"fails": ":UNEXPECTED_EXTENSION:", "alert": 110}
    for place in ("server_hello", "extensions"):
        # RFC 8446 4.2: an extension that a client did not ask for MUST be refused by it
        yield client(f"an unknown extension in {place}", Plan(shape={place: put(0x4242, b"")}),
                     **unexpected)
        # RFC 8446 4.2: a server MUST NOT send two extensions of one type
        yield client(f"an extension twice in {place}", Plan(shape={place: twice}),
                     alert=47 if place == "server_hello" else 50, fails=":DUPLICATE_EXTENSION:")
    yield client("an extension of TLS 1.2 in the extensions", Plan(
        shape={"extensions": put(23, b"")}), **unexpected)
    # RFC 8446 4.2: an extension in a message that it is not for MUST be refused
    yield client("a key share in the extensions", Plan(
        shape={"extensions": put(h.SHARES, bytes(36))}), fails=":UNEXPECTED_EXTENSION:", alert=47)
    yield client("a list of groups in the extensions", Plan(
        shape={"extensions": put(h.GROUPS, vector(2, h.pack([29, 23])))}))
    # RFC 8446 4.2: a cookie belongs to a retry
    yield client("a cookie in ServerHello", Plan(
        shape={"server_hello": put(h.COOKIE, vector(2, b"abc"))}), **unexpected)
    yield client("early_data in the extensions", Plan(
        shape={"extensions": put(h.EARLY_DATA, b"")}), **unexpected)

    def in_leaf(kind, body):
        def bend(peer, item):
            item.entries[0][1].append((kind, body))
        return bend

    yield client("an unknown extension in the certificate", Plan(
        shape={"certificate": in_leaf(0x4242, b"")}), **unexpected)
    yield server("an unknown extension in the certificate", Plan(
        shape={"certificate": in_leaf(0x4242, b"")}, credential=credential("rsa")),
        flags=["-require-any-client-certificate"], **unexpected)
    # RFC 8446 4.4.2: a server MUST NOT staple what was not asked for
    yield client("an OCSP response that nobody asked for", Plan(staple=b"response"), **unexpected)
    yield client("an unknown extension in the request", Plan(
        asks=True, shape={"request": put(0x4242, b"abc")}), flags=credential("rsa").flags())
    yield server("an unknown extension in the hello", Plan(shape={"hello": put(0x4242, b"abc")}))
    yield server("an extension twice in the hello", Plan(shape={"hello": doubled}),
                 fails=":DUPLICATE_EXTENSION:", alert=50)
    yield server("bytes behind the extensions", Plan(shape={"hello": tailed}),
                 fails=":CLIENTHELLO_PARSE_FAILED:", alert=50)
    yield client("bytes behind the extensions of ServerHello", Plan(
        shape={"server_hello": tailed}), fails=":DECODE_ERROR:", alert=50)
    yield client("bytes behind the extensions' list", Plan(shape={"extensions": tailed}),
                 fails=":DECODE_ERROR:", alert=50)
    parsing = {"fails": ":ERROR_PARSING_EXTENSION:", "alert": 50}
    for kind, what in ((h.SERVER_NAME, "server_name"), (h.ALPN, "ALPN"), (h.SCHEMES, "schemes"),
                       (h.VERSIONS, "versions"), (h.PSK_MODES, "PSK modes"), (h.GROUPS, "groups"),
                       (h.SHARES, "shares"), (h.STATUS_REQUEST, "status_request"),
                       (h.COOKIE, "cookie"), (h.AUTHORITIES, "authorities")):
        yield server(f"a malformed extension: {what}", Plan(shape={"hello": put(kind, b"\1\0\5")}),
                     **parsing)
    for kind, what in ((h.SERVER_NAME, "server_name"), (h.ALPN, "ALPN")):
        yield client(f"a malformed extension: {what}", Plan(
            shape={"extensions": put(kind, b"\0\5\1")}), flags=["-host-name", "test", *ALPN_LIST],
            **parsing)
    yield client("an empty list of authorities", Plan(asks=True, authorities=[]),
                 flags=credential("rsa").flags(), **parsing)


def twice(peer, item):
    item.extensions.put(h.GROUPS, vector(2, h.pack([29])))
    if isinstance(item, h.ServerHello):
        item.extensions.drop(h.GROUPS)
    item.extensions.append(item.extensions[0])


def doubled(peer, item):
    item.extensions.insert(0, (0x0a0a, b""))
    item.extensions.insert(0, (0x0a0a, b""))


def tailed(peer, item):
    item.tail = b"\0"


def protocols():
    offer = put(h.ALPN, vector(2, b"\3foo\3bar"))

    def chose(name):
        wanted = vector(2, vector(1, name)) if name else None
        return lambda peer: check_equal(peer.extensions.get(h.ALPN), wanted)

    yield client("ALPN", Plan(protocol=b"bar"), flags=[*ALPN_LIST, "-expect-alpn", "bar"])
    yield client("ALPN on resumption", Plan(protocol=b"bar"), Plan(protocol=b"foo"),
                 flags=[*ALPN_LIST, "-on-initial-expect-alpn", "bar", "-on-resume-expect-alpn",
                        "foo"])
    yield client("ALPN that the server does not answer", Plan(), flags=ALPN_LIST)
    yield client("ALPN that was not offered by name", Plan(protocol=b"qux"), flags=ALPN_LIST,
                 fails=":INVALID_ALPN_PROTOCOL:", alert=47)
    yield client("ALPN that was not offered", Plan(protocol=b"foo"), fails=":UNEXPECTED_EXTENSION:",
                 alert=110)
    yield client("ALPN with an empty name", Plan(protocol=b""), flags=ALPN_LIST,
                 fails=":PARSE_TLSEXT:", alert=50)
    yield client("ALPN that is not what was expected", Plan(protocol=b"foo"),
                 fails='application protocol "foo", not "bar"',
                 flags=[*ALPN_LIST, "-expect-alpn", "bar"], status=CHECK)
    select = ["-select-alpn", "bar"]
    yield server("ALPN", Plan(shape={"hello": offer}, check=chose(b"bar")),
                 flags=[*select, "-expect-advertised-alpn", "\3foo\3bar"])
    yield server("ALPN on resumption", Plan(shape={"hello": offer}, check=chose(b"bar")),
                 Plan(shape={"hello": offer}, check=chose(b"bar")), flags=select)
    yield server("ALPN declined", Plan(shape={"hello": offer}, check=chose(b"")),
                 flags=["-decline-alpn"])
    yield server("ALPN rejected", Plan(shape={"hello": offer}), flags=["-reject-alpn"],
                 fails=":NO_APPLICATION_PROTOCOL:", alert=120)
    yield server("ALPN with an empty name", Plan(
        shape={"hello": put(h.ALPN, vector(2, b"\0"))}), flags=select, fails=":PARSE_TLSEXT:",
        alert=50)


def check_equal(found, wanted):
    assert found == wanted, found


def server_names():
    name = put(h.SERVER_NAME, vector(2, b"\0" + vector(2, b"example.com")))

    def acknowledged(wanted):
        return lambda peer: check_equal(peer.extensions.get(h.SERVER_NAME) is not None, wanted)

    expect = ["-expect-server-name", "example.com"]
    yield server("server_name", Plan(shape={"hello": name}, check=acknowledged(True)), flags=expect)
    yield server("server_name on resumption",
                 Plan(shape={"hello": name}, check=acknowledged(True)),
                 Plan(shape={"hello": name}, check=acknowledged(False)), flags=expect)
    yield server("server_name that is not acknowledged",
                 Plan(shape={"hello": name}, check=acknowledged(False)),
                 flags=[*expect, "-no-server-name-ack"])
    yield server("no server_name", Plan(check=acknowledged(False)))

    def sent(wanted):
        return lambda peer: check_equal(peer.hello.extensions.get(h.SERVER_NAME), wanted)

    yield client("server_name", Plan(acknowledges_name=True, check=sent(
        vector(2, b"\0" + vector(2, b"example.com")))), flags=["-host-name", "example.com"])
    yield client("server_name that is not acknowledged", Plan(),
                 flags=["-host-name", "example.com"])
    yield client("no server_name", Plan(check=sent(None)))
    yield client("server_name acknowledged that was not sent", Plan(acknowledges_name=True),
                 fails=":UNEXPECTED_EXTENSION:", alert=110)


def suites():
    def chosen(suite):
        def bend(peer, item):
            item.suite = suite
        return bend

    for suite in (0x1304, 0x1305, 0xC02B, 0x0000):
        yield client(f"suite {suite:#06x}, which was not offered",
                     Plan(shape={"server_hello": chosen(suite)}), fails=":WRONG_CIPHER_RETURNED:",
                     alert=47)
    yield server("no suite in common", Plan(suites=[0x1304]), fails=":NO_SHARED_CIPHER:", alert=40)
    yield server("an unknown suite before a good one", Plan(suites=[0x1304, 0x4242, 0x1303]))

    def compressions(value):
        def bend(peer, item):
            item.compressions = value
        return bend

    for value in (b"\1\0", b"\0\1", b"\1", b"\0\0"):
        yield server(f"compressions {value.hex()}", Plan(shape={"hello": compressions(value)}),
                     fails=":INVALID_COMPRESSION_LIST:", alert=47)

    def compressed(peer, item):
        item.compression = 1

    yield client("a compression", Plan(shape={"server_hello": compressed}), fails=":DECODE_ERROR:",
                 alert=50)

    def other_id(peer, item):
        item.session_id = bytes(32)

    yield client("another session id", Plan(shape={"server_hello": other_id}), alert=47,
                 fails=":SERVER_ECHOED_INVALID_SESSION_ID:")


def versions():
    older = {"fails": ":UNSUPPORTED_PROTOCOL:", "alert": 70}
    only = ["-min-version", "772"]

    def legacy(version, *listed):
        def bend(peer, item):
            item.version = version
            item.extensions.drop(h.VERSIONS)
            if listed:
                item.extensions.put(h.VERSIONS, vector(1, h.pack(listed)))
        return Plan(shape={"hello": bend})

    for version in (0x0301, 0x0302, 0x0303):
        yield server(f"a client of version {version:#06x}", legacy(version), flags=only, **older)
        yield server(f"a client that lists {version:#06x}", legacy(0x0303, version), flags=only,
                     **older)
        yield server(f"a client of version {version:#06x}, for another program", legacy(version),
                     fails="", status=UNIMPLEMENTED, alert=70)
        yield server(f"a client that lists {version:#06x}, for another program",
                     legacy(0x0303, version), fails="", status=UNIMPLEMENTED, alert=70)
    yield server("a client of version 0x0300", legacy(0x0300), **older)
    yield server("a client that lists unknown versions", legacy(0x0303, 0x0305, 0x7F1C), **older)
    yield server("a client that lists unknown versions beside ours",
                 legacy(0x0303, 0x7F1C, 0x0305, 0x0304))
    yield server("a client of legacy version 0x0304 that lists ours", legacy(0x0304, 0x0304))

    def answer(version, selected=None):
        def bend(peer, item):
            item.version = version
            item.extensions.drop(h.VERSIONS)
            if selected is not None:
                item.extensions.put(h.VERSIONS, number(selected, 2))
        return Plan(shape={"server_hello": bend})

    for version in (0x0301, 0x0302, 0x0303):
        yield client(f"a server of version {version:#06x}", answer(version), flags=only, **older)
        yield client(f"a server of version {version:#06x}, for another program", answer(version),
                     fails="", status=UNIMPLEMENTED, alert=70)
    yield client("a server of version 0x1234", answer(0x1234), **older)
    yield client("a server that selects 0x0305", answer(0x0303, 0x0305), alert=47,
                 fails=":UNSUPPORTED_PROTOCOL:")
    yield client("a server that selects 0x0303", answer(0x0303, 0x0303), alert=47, flags=only,
                 fails=":UNSUPPORTED_PROTOCOL:")
    yield client("a server that alerts protocol_version, for another program", Plan(
        before={"server_hello": lambda peer: peer.send_alert(70)}), fails="", status=UNIMPLEMENTED)

    def downgrade(peer, item):
        item.extensions.drop(h.VERSIONS)
        item.random = item.random[:24] + b"DOWNGRD\1"

    yield client("a server that was made to choose an older version", Plan(
        shape={"server_hello": downgrade}), flags=only, alert=47, fails=":TLS13_DOWNGRADE:")

    def no_scsv(peer):
        assert 0x5600 not in peer.hello.suites and peer.hello.version == 0x0303

    yield client("no fallback is signalled", Plan(check=no_scsv))


CASES = [*shares(), *in_messages(), *protocols(), *server_names(), *suites(), *versions()]
