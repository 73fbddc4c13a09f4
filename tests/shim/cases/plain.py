"""Handshakes that succeed, in both parts, with every suite, group, key and way of sending."""

from cases.tools import *

SUITES = {0x1301: "AES-128", 0x1302: "AES-256", 0x1303: "ChaCha20"}
GROUPS = {X25519: "X25519", P256: "P-256", P384: "P-384"}
KINDS = ("rsa", "p256", "p384", "ed25519")
WITH_ED25519 = [word for scheme in (1027, 2052, 1283, 2053, 2054, 2055)
                for word in ("-verify-prefs", str(scheme))]
WAYS = {
    "": {},
    ", in records of one byte": {"split": 1},
    ", in one record": {"pack": True},
}


def suites_and_groups():
    for suite, name in SUITES.items():
        yield client(name, Plan(suites=[suite]),
                     flags=["-expect-cipher-aes", str(suite), "-expect-cipher-no-aes", str(suite)])
        yield server(name, Plan(suites=[suite]))
    for group, name in GROUPS.items():
        expect = ["-expect-curve-id", str(group)]
        yield client(name, Plan(groups=[group]), flags=["-curves", str(group), *expect])
        yield server(name, Plan(groups=[group], shares=[group]), flags=expect)
        yield client(f"{name} second", Plan(groups=[group]), flags=expect)
        yield server(f"{name} of two shares", Plan(groups=[4588, group], shares=[group]),
                     flags=[*expect, "-expect-no-hrr"])


def ways_of_sending():
    for way, settings in WAYS.items():
        for mode in ([], ["-async"], ["-implicit-handshake"], ["-async", "-implicit-handshake"]):
            tail = way + "".join(f", {word[1:]}" for word in mode)
            yield client(f"mutual{tail}", Plan(asks=True, **settings),
                         flags=[*credential("rsa").flags(), *mode])
            yield server(f"mutual{tail}", Plan(credential=credential("rsa"), **settings),
                         flags=["-require-any-client-certificate", *mode])
            yield client(f"resumed{tail}", Plan(**settings), Plan(**settings), flags=mode)
            yield server(f"resumed{tail}", Plan(**settings), Plan(**settings), flags=mode)


def keys():
    for kind in KINDS:
        yield client(f"a server with {kind}", Plan(), peer=kind,
                     flags=[*WITH_ED25519, "-verify-peer"])
        yield server(f"own key {kind}", Plan(), own=kind)
        yield client(f"own key {kind}", Plan(asks=True), flags=credential(kind).flags())
        yield server(f"a client with {kind}", Plan(credential=credential(kind)),
                     flags=[*WITH_ED25519, "-require-any-client-certificate"])


def data():
    large = bytes(range(256)) * 300
    for part in (client, server):
        yield part("a byte", Plan(data=[b"x"]))
        yield part("several messages", Plan(data=[b"a" * 10, b"b" * 100, b"c" * 1000]))
        yield part("76,800 bytes", Plan(data=[large]))
        yield part("76,800 bytes, read by 1,000", Plan(data=[large]), flags=["-read-size", "1000"])
        yield part("asked for the handshake again", Plan(), flags=["-no-op-extra-handshake"])
    yield client("the shim writes first", Plan(shim_writes_first=True),
                 flags=["-shim-writes-first"])
    yield client("peek, then read", Plan(), flags=["-peek-then-read"])
    yield client("a write unfinished around a read", Plan(
        talk=lambda peer: (peer.send_data(b"abc"), check_data(peer, b"hello", b"abc"))),
        flags=["-async", "-read-with-unfinished-write", "-shim-writes-first"])


def check_data(peer, first, sent):
    found = peer.read_data(len(first) + len(sent))
    assert found == first + bytes(byte ^ 0xFF for byte in sent), found


def exported():
    def read(label, context, size=64):
        def talk(peer):
            assert peer.read_data(size) == peer.export(label, context, size)
            type(peer).exchange(peer)
        return talk

    base = ["-export-keying-material", "64", "-export-label", "a label"]
    for part in (client, server):
        yield part("keying material with a context", Plan(talk=read(b"a label", b"context")),
                   flags=[*base, "-export-context", "context", "-use-export-context"])
        yield part("keying material without a context", Plan(talk=read(b"a label", b"")),
                   flags=base)
        yield part("keying material without a label", Plan(talk=read(b"", b"")),
                   flags=["-export-keying-material", "64", "-export-label", ""])

    def secrets(peer):
        size = len(peer.client_data)
        body = peer.read_data(2 + 2 * size)
        mine = (peer.server_data, peer.client_data)
        theirs = mine if not peer.is_client else mine[::-1]
        assert body == size.to_bytes(2, "little") + theirs[0] + theirs[1]

    for suite in SUITES:
        yield client(f"traffic secrets, {SUITES[suite]}",
                     Plan(talk=secrets, suites=[suite]), flags=["-export-traffic-secrets"])


CASES = [case for table in (suites_and_groups, ways_of_sending, keys, data, exported)
         for case in table()]
