"""What a client may do wrong, after tlsfuzzer's cases for TLS 1.3: each gets the alert of
the RFC and nothing else, and what merely looks odd is served. harness/raw_tls.py says the words;
tls-peer, which echoes, listens. All cases of a module speak to the same server, one after the
other: it must outlive them and end in peace.
"""

import re

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from harness import program, raw_tls, tls_peer
from harness.raw_tls import (
    ALERT,
    ALPN,
    CCS,
    CERTIFICATE,
    CLIENT_HELLO,
    COOKIE,
    DATA,
    EARLY_DATA,
    FINISHED,
    GROUPS,
    HANDSHAKE,
    KEY_UPDATE,
    P256,
    PSK,
    PSK_MODES,
    RECORD_LIMIT,
    REQUEST,
    RETRY_RANDOM,
    SCHEMES,
    SERVER_HELLO,
    SERVER_NAME,
    SHARES,
    TICKET,
    VERIFY,
    VERSIONS,
    X25519,
    X448,
    Client,
    Hello,
    Share,
    message,
    number,
    numbers,
    offer_ticket,
    prefixed,
)

RECORD_BYTES = 1 << 14
CLOSED = b"\x01\x00"  # close_notify


class Standing:
    """tls-peer for a whole module."""

    def __init__(self, folder, name, *flags):
        command = [tls_peer.path_of("tls-peer"), "server", "--port", 0, *flags]
        self.program = program.Program(name, command, folder)
        self.port = int(self.program.wait_for_log(r"^listening (\d+)$").group(1))

    def end(self):
        status = self.program.terminate()
        log = self.program.log()
        assert status == 0, log[-8000:]
        assert not re.search(program.COMPLAINT, log), log[-8000:]


@pytest.fixture(scope="module")
def hosts(tmp_path_factory):
    return tls_peer.Hosts(tmp_path_factory.mktemp("hosts"))


def standing(tmp_path_factory, hosts, name, *flags):
    identity = hosts.of("p256")
    files = ["--cert", identity.chain, "--key", identity.key, "--ca", hosts.roots]
    server = Standing(tmp_path_factory.mktemp(name), name, *files, *flags)
    yield server
    server.end()


@pytest.fixture(scope="module")
def server(tmp_path_factory, hosts):
    yield from standing(tmp_path_factory, hosts, "plain", "--tickets", 2)


@pytest.fixture(scope="module")
def mutual_server(tmp_path_factory, hosts):
    yield from standing(tmp_path_factory, hosts, "mutual", "--mutual")


@pytest.fixture(scope="module")
def protocol_server(tmp_path_factory, hosts):
    yield from standing(tmp_path_factory, hosts, "protocol", "--alpn", "h2")


@pytest.fixture
def client(server):
    with Client(server.port) as client:
        yield client


@pytest.fixture
def joined(client):
    """A client whose handshake is done."""
    client.shake_hands()
    return client


# ---- ClientHellos that are refused ----


def extension(kind, body):
    return lambda hello: hello.extensions.update({kind: body})


def without(kind):
    return lambda hello: hello.extensions.pop(kind)


def member(name, value):
    return lambda hello: setattr(hello, name, value)


def shares(*entries):
    body = prefixed(b"".join(number(group, 2) + prefixed(key) for group, key in entries))
    return extension(SHARES, body)


def twice(kind):
    return lambda hello: setattr(
        hello, "extensions", [*hello.extensions.items(), (kind, hello.extensions[kind])]
    )


def psk_extension(identities=1, binders=1):
    return prefixed((prefixed(b"identity") + bytes(4)) * identities) + prefixed(
        prefixed(bytes(32), 1) * binders
    )


def psk_before_the_end(hello):
    hello.extensions = {PSK_MODES: prefixed(b"\1", 1), PSK: psk_extension(), **hello.extensions}


def psk(**counts):
    return lambda hello: hello.extensions.update(
        {PSK_MODES: prefixed(b"\1", 1), PSK: psk_extension(**counts)}
    )


def only_group(group, key):
    def change(hello):
        hello.extensions[GROUPS] = prefixed(numbers(group))
        shares((group, key))(hello)

    return change


def names(*entries):
    body = b"".join(bytes([kind]) + prefixed(name) for kind, name in entries)
    return extension(SERVER_NAME, prefixed(body))


REFUSED = {
    # RFC 8446 9.2: a hello without PSK MUST have signature_algorithms and supported_groups
    "without signature_algorithms": (without(SCHEMES), "missing_extension"),
    "without supported_groups": (without(GROUPS), "missing_extension"),
    # RFC 8446 9.2: supported_groups and key_share MUST come together
    "without key_share": (without(SHARES), "missing_extension"),
    # RFC 8446 4.2.8: a share of a group that supported_groups does not list
    "a share of a group not listed": (
        shares((X448, bytes(56)), (X25519, bytes(range(32)))),
        "illegal_parameter",
    ),
    # RFC 8446 4.2.8: clients MUST NOT offer several shares for one group
    "two shares of one group": (
        shares((X25519, bytes(range(32))), (X25519, bytes(range(32)))),
        "illegal_parameter",
    ),
    "a share that is too short": (shares((X25519, bytes(range(31)))), "illegal_parameter"),
    "a share that is too long": (shares((X25519, bytes(range(33)))), "illegal_parameter"),
    "an empty share": (shares((X25519, b"")), "decode_error"),
    "bytes behind the shares": (
        extension(SHARES, prefixed(number(X25519, 2) + prefixed(bytes(32))) + b"\0"),
        "decode_error",
    ),
    # RFC 8446 7.4.2: an all-zero X25519 secret MUST abort the handshake
    "a share of small order": (shares((X25519, bytes(32))), "illegal_parameter"),
    "another share of small order": (shares((X25519, b"\1" + bytes(31))), "illegal_parameter"),
    # RFC 8446 4.2.8.2: peers MUST validate each other's points
    "a point that is not on P-256": (
        only_group(P256, b"\4" + bytes(range(64))),
        "illegal_parameter",
    ),
    # RFC 8446 4.2.8.2: legacy_form MUST be uncompressed
    "a compressed point": (only_group(P256, b"\2" + bytes(range(32))), "illegal_parameter"),
    "the point at infinity": (only_group(P256, b"\0"), "illegal_parameter"),
    # RFC 8446 4.1.1: no overlap MUST be answered by handshake_failure
    "no group in common": (only_group(X448, bytes(56)), "handshake_failure"),
    "obsolete curves alone": (only_group(0x0001, bytes(43)), "handshake_failure"),
    "no suite in common": (member("suites", [0x1304, 0xC02B]), "handshake_failure"),
    "signatures that we cannot make": (
        extension(SCHEMES, prefixed(numbers(0x0401, 0x0203, 0x0808))),
        "handshake_failure",
    ),
    "no suites": (member("suites", []), "decode_error"),
    "an empty list of groups": (extension(GROUPS, prefixed(b"")), "decode_error"),
    "half a group": (extension(GROUPS, prefixed(b"\0\x1d\0")), "decode_error"),
    "an empty list of signature algorithms": (extension(SCHEMES, prefixed(b"")), "decode_error"),
    # RFC 8446 4.1.2: legacy_compression_methods MUST be one zero
    "compression": (member("compression", b"\0\1"), "illegal_parameter"),
    "compression alone": (member("compression", b"\1"), "illegal_parameter"),
    "no compression method": (member("compression", b""), "decode_error"),
    "a session id of 33 bytes": (member("session_id", bytes(33)), "decode_error"),
    # RFC 8446 4.2.1: no version in common MUST be answered by protocol_version
    "TLS 1.2 alone": (extension(VERSIONS, prefixed(numbers(0x0303), 1)), "protocol_version"),
    "no supported_versions": (without(VERSIONS), "protocol_version"),
    "versions of the future": (
        extension(VERSIONS, prefixed(numbers(0x0305, 0x7F1C), 1)),
        "protocol_version",
    ),
    "an empty list of versions": (extension(VERSIONS, prefixed(b"", 1)), "decode_error"),
    "half a version": (extension(VERSIONS, prefixed(b"\3\4\3", 1)), "decode_error"),
    # RFC 8446 D.5: a hello with legacy_version 0x0300 MUST be refused
    "SSL 3.0": (member("version", 0x0300), "protocol_version"),
    # RFC 8446 4.2: there MUST NOT be two extensions of one type
    "an extension twice": (twice(GROUPS), "decode_error"),
    "an unknown extension twice": (
        lambda hello: setattr(
            hello, "extensions", [*hello.extensions.items(), (0x6A6A, b""), (0x6A6A, b"")]
        ),
        "decode_error",
    ),
    # RFC 8446 4.2.11: pre_shared_key MUST be the last extension
    "pre_shared_key that is not last": (psk_before_the_end, "illegal_parameter"),
    # RFC 8446 4.2.9: pre_shared_key without psk_key_exchange_modes MUST be refused
    "pre_shared_key without modes": (extension(PSK, psk_extension()), "missing_extension"),
    "more identities than binders": (psk(identities=2), "illegal_parameter"),
    "more binders than identities": (psk(binders=2), "illegal_parameter"),
    "no identities": (psk(identities=0), "decode_error"),
    "no modes": (extension(PSK_MODES, prefixed(b"", 1)), "decode_error"),
    "bytes behind the extensions": (member("tail", b"\0"), "decode_error"),
    "an empty server name": (names((0, b"")), "decode_error"),
    "an empty list of server names": (names(), "decode_error"),
    "two host names": (names((0, b"a.test"), (0, b"b.test")), "decode_error"),
    "a zero byte in a host name": (names((0, b"shop.test\0.evil.test")), "decode_error"),
    "an empty list of protocols": (extension(ALPN, prefixed(b"")), "decode_error"),
    "an empty protocol": (extension(ALPN, prefixed(prefixed(b"", 1))), "decode_error"),
    "a protocol cut short": (extension(ALPN, prefixed(b"\5h2")), "decode_error"),
    "a record size limit of 63": (extension(RECORD_LIMIT, number(63, 2)), "illegal_parameter"),
    "a record size limit of one byte": (extension(RECORD_LIMIT, b"\x40"), "decode_error"),
    "an empty cookie": (extension(COOKIE, prefixed(b"")), "decode_error"),
    "early_data with a body": (extension(EARLY_DATA, b"\0"), "decode_error"),
    "a hello above our limit": (extension(21, bytes(17000)), "illegal_parameter"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_hello_is_refused(name, client):
    change, alert = REFUSED[name]
    hello = Hello()
    change(hello)
    client.send_message(hello.message(), [RECORD_BYTES])
    client.expect_alert(alert)


def test_a_protocol_must_be_one_of_the_servers(protocol_server):
    with Client(protocol_server.port) as client:
        hello = Hello()
        hello.extensions[ALPN] = prefixed(prefixed(b"spdy/1", 1))
        client.send_message(hello.message())
        client.expect_alert("no_application_protocol")
    with Client(protocol_server.port) as client:
        hello.extensions[ALPN] = prefixed(prefixed(b"spdy/1", 1) + prefixed(b"h2", 1))
        _, flight = client.shake_hands(hello)
        assert number(ALPN, 2) + prefixed(prefixed(prefixed(b"h2", 1))) in flight[8]


# ---- ClientHellos that look odd ----


def grease(hello):
    hello.suites = [0x0A0A, *hello.suites, 0x00FF, 0x1301]
    hello.extensions = {
        0x1A1A: b"",
        **hello.extensions,
        VERSIONS: prefixed(numbers(0x2A2A, 0x0304, 0x0303), 1),
        GROUPS: prefixed(numbers(0x3A3A, 1, 2, 14, X448, X25519)),
        0x4A4A: b"grease",
    }


def grease_share(hello):
    grease(hello)
    hello.extensions[SHARES] = prefixed(
        number(0x3A3A, 2) + prefixed(b"\0") + hello.share.entry()
    )


SERVED = {
    # RFC 8446 9.3: what is unknown in a hello MUST be ignored
    "numbers that nobody knows": grease,
    "a share that nobody knows": grease_share,
    "an extension of 12,000 bytes": extension(0x5A5A, bytes(12000)),
    "a hundred extensions": lambda hello: hello.extensions.update(
        {0x7000 + i: b"" for i in range(100)}
    ),
    "a session id of no bytes": member("session_id", b""),
    # RFC 8446 4.2.1: legacy_version MUST NOT be used where supported_versions is there
    "a legacy version of TLS 1.0": member("version", 0x0301),
    "a legacy version of TLS 1.3": member("version", 0x0304),
    "a server name of another kind": names((7, b"whatever"), (0, b"shop.test")),
    "a server name that nobody has": names((0, b"nobody.test")),
    "a record size limit above ours": extension(RECORD_LIMIT, number(0xFFFF, 2)),
    "a cookie that nobody gave": extension(COOKIE, prefixed(b"cookie")),
    "an empty renegotiation_info": extension(0xFF01, b"\0"),
    # RFC 8446 4.6.2: a server need not use post_handshake_auth
    "post_handshake_auth": extension(raw_tls.POST_HANDSHAKE_AUTH, b""),
}


@pytest.mark.parametrize("name", SERVED)
def test_an_odd_hello_is_served(name, client):
    hello = Hello()
    SERVED[name](hello)
    answer, _ = client.shake_hands(hello)
    # RFC 8446 4.1.3: legacy_session_id_echo is what the client sent
    assert answer["session_id"] == hello.session_id
    # RFC 8446 4.1.3: nothing but these may stand in a ServerHello
    assert set(answer["extensions"]) == {VERSIONS, SHARES}
    client.echo()


def test_p256_is_agreed_on(client):
    hello = Hello(Share(P256))
    hello.extensions[GROUPS] = prefixed(numbers(P256))
    client.shake_hands(hello)
    client.echo()


# ---- HelloRetryRequest ----


def greet_for_a_retry(client, ticket=None):
    """Sends a hello without a share; returns it, with the transcript as 4.4.1 has it."""
    hello = Hello()
    hello.extensions[SHARES] = prefixed(b"")
    if ticket is None:
        first = hello.message()
    else:
        hello.extensions[SERVER_NAME] = prefixed(b"\0" + prefixed(b"shop.test"))
        first = offer_ticket(hello, ticket.identity, ticket.psk)
    client.send_message(first)
    answer = client.read_hello()
    assert answer["random"] == RETRY_RANDOM
    assert answer["extensions"][SHARES] == number(X25519, 2)
    retry = client.transcript[len(first) :]
    client.transcript = message(254, raw_tls.digest(first)) + retry
    hello.extensions[SHARES] = prefixed(hello.share.entry())
    return hello


# RFC 8446 4.2.8: an empty list of shares asks for a HelloRetryRequest
def test_a_hello_without_a_share_is_asked_again(client):
    client.shake_hands(greet_for_a_retry(client))
    client.echo()


SECOND_HELLOS = {
    # RFC 8446 4.1.2: the second hello MUST be the first but for what was asked
    "another random": member("random", bytes(32)),
    "another session id": member("session_id", bytes(32)),
    "no share again": extension(SHARES, prefixed(b"")),
    "two shares": lambda hello: hello.extensions.update(
        {SHARES: prefixed(hello.share.entry() + Share(P256).entry())}
    ),
    "another share": shares((P256, Share(P256).public)),
    "early data": extension(EARLY_DATA, b""),
    "a server name": extension(SERVER_NAME, prefixed(b"\0" + prefixed(b"other.test"))),
}


@pytest.mark.parametrize("name", SECOND_HELLOS)
def test_a_second_hello_is_refused(name, client):
    hello = greet_for_a_retry(client)
    SECOND_HELLOS[name](hello)
    client.send_message(hello.message())
    client.expect_alert("illegal_parameter")


# ---- the record layer before there are keys ----


@pytest.mark.parametrize("pieces", [[1], [2, 2], [3, 1, 1], [4], [5, 100], [1] * 150])
def test_a_hello_may_come_in_pieces(pieces, client):
    # RFC 8446 5.1: handshake messages may be fragmented over records
    client.greet(Hello(), pieces=pieces)
    client.read_flight()
    client.finish()
    client.echo()


def in_the_clear(*records):
    return b"".join(raw_tls.record(kind, body) for kind, body in records)


HELLO = Hello().message()
FIRST_BYTES = {
    # RFC 8446 5.1: zero-length fragments of handshake MUST NOT be sent
    "an empty handshake record": (in_the_clear((HANDSHAKE, b"")), "unexpected_message"),
    # RFC 8446 5: a change_cipher_spec before the first ClientHello MUST be refused
    "change_cipher_spec": (in_the_clear((CCS, b"\1")), "unexpected_message"),
    "application data": (in_the_clear((DATA, bytes(40))), "unexpected_message"),
    # RFC 8446 5: a record of unexpected type MUST be refused
    "a record of type 24": (in_the_clear((24, b"\1")), "unexpected_message"),
    "a record of type 0": (in_the_clear((0, b"\1")), "unexpected_message"),
    # RFC 8446 5.1: a record above 2^14 bytes MUST be refused with record_overflow
    "a record that is too long": (in_the_clear((HANDSHAKE, bytes(16385))), "record_overflow"),
    # RFC 8446 5.1: messages MUST NOT be interleaved with other records
    "an alert within a hello": (
        in_the_clear((HANDSHAKE, HELLO[:40]), (ALERT, b"\1\x5a"), (HANDSHAKE, HELLO[40:])),
        "unexpected_message",
    ),
    "change_cipher_spec within a hello": (
        in_the_clear((HANDSHAKE, HELLO[:40]), (CCS, b"\1"), (HANDSHAKE, HELLO[40:])),
        "unexpected_message",
    ),
    "an empty record within a hello": (
        in_the_clear((HANDSHAKE, HELLO[:40]), (HANDSHAKE, b""), (HANDSHAKE, HELLO[40:])),
        "unexpected_message",
    ),
    # RFC 8446 5.1: messages MUST NOT span key changes
    "a message behind the hello": (
        in_the_clear((HANDSHAKE, HELLO + message(FINISHED, bytes(32)))),
        "unexpected_message",
    ),
    "two hellos in one record": (in_the_clear((HANDSHAKE, HELLO + HELLO)), "unexpected_message"),
    "a ServerHello": (
        in_the_clear((HANDSHAKE, message(SERVER_HELLO, bytes(70)))),
        "unexpected_message",
    ),
    "a HelloRequest": (in_the_clear((HANDSHAKE, message(0, b""))), "unexpected_message"),
    "Finished": (in_the_clear((HANDSHAKE, message(FINISHED, bytes(32)))), "unexpected_message"),
    "an empty alert": (in_the_clear((ALERT, b"")), "unexpected_message"),
    "an alert of three bytes": (in_the_clear((ALERT, b"\2\x28\0")), "decode_error"),
    "an empty hello": (in_the_clear((HANDSHAKE, message(CLIENT_HELLO, b""))), "decode_error"),
    "HTTP": (b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n", "unexpected_message"),
}


@pytest.mark.parametrize("name", FIRST_BYTES)
def test_first_bytes_are_refused(name, client):
    data, alert = FIRST_BYTES[name]
    client.send_raw(data)
    client.expect_alert(alert)


@pytest.mark.parametrize("version", [0x0300, 0x0301, 0x0303, 0x03FF])
def test_the_version_of_a_record_is_ignored(version, client):
    # RFC 8446 5.1: legacy_record_version MUST be ignored
    hello = Hello()
    client.hello = hello
    client.transcript = hello.message()
    client.send_raw(raw_tls.record(HANDSHAKE, hello.message(), version))
    client.derive(hello.share, client.read_hello())
    client.read_flight()
    client.finish()
    client.echo()


# ---- change_cipher_spec ----


def test_change_cipher_specs_are_passed_over_during_the_handshake(client):
    # RFC 8446 5: a change_cipher_spec between the first hello and Finished MUST be dropped
    client.greet(Hello())
    for _ in range(5):
        client.send_raw(in_the_clear((CCS, b"\1")))
    client.read_flight()
    client.finish()
    client.echo()


@pytest.mark.parametrize("body", [b"", b"\0", b"\2", b"\1\1"])
def test_a_change_cipher_spec_of_another_content_is_refused(body, client):
    # RFC 8446 5: any other change_cipher_spec MUST be refused
    client.greet(Hello())
    client.read_flight()
    client.send_raw(in_the_clear((CCS, body)))
    client.expect_alert("unexpected_message")


def test_a_sealed_change_cipher_spec_is_refused(client):
    # RFC 8446 5: a protected change_cipher_spec MUST be refused
    client.greet(Hello())
    client.read_flight()
    client.send(CCS, b"\1")
    client.expect_alert("unexpected_message")


def test_a_change_cipher_spec_behind_finished_is_refused(joined):
    # RFC 8446 5: a change_cipher_spec after the peer's Finished MUST be refused
    joined.send_raw(in_the_clear((CCS, b"\1")))
    joined.expect_alert("unexpected_message")


def test_a_flood_of_change_cipher_specs_is_refused(client):
    client.greet(Hello())
    client.read_flight()
    client.send_raw(in_the_clear(*[(CCS, b"\1")] * 1000))
    client.expect_alert("unexpected_message")


# ---- Finished and what may come in its place ----

WRONG_FINISHED = {
    # RFC 8446 4.4.4: a wrong Finished MUST be refused with decrypt_error
    "one bit": lambda data: bytes([data[0] ^ 1]) + data[1:],
    "the last bit": lambda data: data[:-1] + bytes([data[-1] ^ 0x80]),
    "too short": lambda data: data[:-1],
    "too long": lambda data: data + b"\0",
    "empty": lambda data: b"",
    "zeros": lambda data: bytes(len(data)),
}


@pytest.mark.parametrize("name", WRONG_FINISHED)
def test_a_wrong_finished_is_refused(name, client):
    client.greet(Hello())
    client.read_flight()
    client.send_message(message(FINISHED, WRONG_FINISHED[name](client.finished()[4:])))
    client.expect_alert("decrypt_error")


IN_PLACE_OF_FINISHED = {
    # RFC 8446 4: a message out of order MUST be refused with unexpected_message
    "a certificate": (HANDSHAKE, message(CERTIFICATE, b"\0\0\0\0"), "unexpected_message"),
    "a CertificateVerify": (
        HANDSHAKE,
        message(VERIFY, numbers(0x0403) + prefixed(bytes(70))),
        "unexpected_message",
    ),
    "a hello": (HANDSHAKE, HELLO, "unexpected_message"),
    "a key update": (HANDSHAKE, message(KEY_UPDATE, b"\0"), "unexpected_message"),
    "EndOfEarlyData": (HANDSHAKE, message(5, b""), "unexpected_message"),
    "application data": (DATA, b"early", "unexpected_message"),
    # RFC 8446 5.4: zero-length handshake and alert content MUST be refused
    "an empty handshake record": (HANDSHAKE, b"", "unexpected_message"),
    "an empty alert": (ALERT, b"", "unexpected_message"),
    # RFC 8446 5.4: a record of padding alone MUST be refused
    "nothing but padding": (None, bytes(16), "unexpected_message"),
    "a message of an unknown type": (HANDSHAKE, message(99, b"\0"), "unexpected_message"),
}


@pytest.mark.parametrize("name", IN_PLACE_OF_FINISHED)
def test_nothing_stands_in_for_finished(name, client):
    kind, content, alert = IN_PLACE_OF_FINISHED[name]
    client.greet(Hello())
    client.read_flight()
    client.send(kind, content)
    client.expect_alert(alert)


def test_a_finished_in_the_clear_is_refused(client):
    # RFC 8446 5: plaintext where protected records are due MUST be refused
    client.greet(Hello())
    client.read_flight()
    client.send_raw(raw_tls.record(HANDSHAKE, client.finished()))
    client.expect_alert("unexpected_message")


def test_a_finished_may_come_in_pieces_and_padded(client):
    client.greet(Hello())
    client.read_flight()
    whole = client.finished()
    client.transcript += whole
    client.send(HANDSHAKE, whole[:1], padding=100)
    client.send(HANDSHAKE, whole[1:5])
    client.send(HANDSHAKE, whole[5:], padding=1)
    client.use_application_keys()
    client.echo()


def test_a_message_behind_finished_in_its_record_is_refused(client):
    # RFC 8446 5.1: no message may share a record across a key change
    client.greet(Hello())
    client.read_flight()
    client.send(HANDSHAKE, client.finished() + message(KEY_UPDATE, b"\0"))
    client.expect_alert("unexpected_message")


# ---- protected records ----


@pytest.mark.parametrize("padding", [0, 1, 255, 16000])
def test_padding_is_taken_away(padding, joined):
    # RFC 8446 5.4: padding is removed from the end
    joined.echo(b"padded\n", padding=padding)


def test_a_full_record_is_taken(joined):
    joined.echo(b"x" * RECORD_BYTES)
    joined.echo(b"y" * (RECORD_BYTES - 100), padding=100)


def test_empty_application_data_is_taken(joined):
    # RFC 8446 5.1: zero-length application data may be sent
    for _ in range(5):
        joined.send(DATA, b"")
    joined.echo()


def flipped(data):
    """The last bit is another one."""
    return data[:-1] + bytes([data[-1] ^ 1])


RECORDS = {
    # RFC 8446 5.2: a plaintext above 2^14 + 1 bytes MUST be refused with record_overflow
    "a plaintext that is too long": (
        lambda client: client.send(DATA, bytes(RECORD_BYTES + 1)),
        "record_overflow",
    ),
    "padding that is too long": (
        lambda client: client.send(DATA, b"x", padding=RECORD_BYTES),
        "record_overflow",
    ),
    # RFC 8446 5.2: a record above 2^14 + 256 bytes MUST be refused with record_overflow
    "a ciphertext that is too long": (
        lambda client: client.send_raw(in_the_clear((DATA, bytes(RECORD_BYTES + 257)))),
        "record_overflow",
    ),
    # RFC 8446 5.2: a record that does not open MUST be refused with bad_record_mac
    "a changed record": (
        lambda client: client.send_raw(flipped(client.writing.seal(DATA, b"hello"))),
        "bad_record_mac",
    ),
    "a record of one byte": (
        lambda client: client.send_raw(in_the_clear((DATA, b"x"))),
        "bad_record_mac",
    ),
    "an empty record": (
        lambda client: client.send_raw(in_the_clear((DATA, b""))),
        "bad_record_mac",
    ),
    "a record twice": (
        lambda client: client.send_raw(client.writing.seal(DATA, b"hello") * 2),
        "bad_record_mac",
    ),
    "data in the clear": (
        lambda client: client.send_raw(in_the_clear((HANDSHAKE, b"hello"))),
        "unexpected_message",
    ),
    "nothing but padding": (
        lambda client: client.send(None, bytes(16)),
        "unexpected_message",
    ),
    "an empty handshake record": (
        lambda client: client.send(HANDSHAKE, b""),
        "unexpected_message",
    ),
    "an empty alert": (lambda client: client.send(ALERT, b""), "unexpected_message"),
    "an unknown type inside": (lambda client: client.send(99, b"x"), "unexpected_message"),
    # RFC 8446 4.1.2: a ClientHello at any other time MUST be refused
    "a second hello": (lambda client: client.send(HANDSHAKE, HELLO), "unexpected_message"),
    "Finished again": (
        lambda client: client.send(HANDSHAKE, message(FINISHED, bytes(32))),
        "unexpected_message",
    ),
    # RFC 8446 4.6.1: a ticket is the server's to give
    "a ticket from a client": (
        lambda client: client.send(
            HANDSHAKE, message(TICKET, bytes(8) + b"\0" + prefixed(b"t") + b"\0\0")
        ),
        "unexpected_message",
    ),
    # RFC 8446 4.6.2: a request for a certificate is the server's to make
    "a request for a certificate": (
        lambda client: client.send(HANDSHAKE, message(REQUEST, b"\0\0\0")),
        "unexpected_message",
    ),
    # RFC 8446 4.6.3: a KeyUpdate of another value MUST be refused
    "a key update of another value": (
        lambda client: client.send(HANDSHAKE, message(KEY_UPDATE, b"\2")),
        "illegal_parameter",
    ),
    "an empty key update": (
        lambda client: client.send(HANDSHAKE, message(KEY_UPDATE, b"")),
        "decode_error",
    ),
    "a key update of two bytes": (
        lambda client: client.send(HANDSHAKE, message(KEY_UPDATE, b"\0\0")),
        "decode_error",
    ),
    # RFC 8446 5.1: a KeyUpdate MUST end its record
    "a message behind a key update": (
        lambda client: client.send(HANDSHAKE, message(KEY_UPDATE, b"\0") * 2),
        "unexpected_message",
    ),
    "data within a message": (
        lambda client: (client.send(HANDSHAKE, b"\x18\0"), client.send(DATA, b"x")),
        "unexpected_message",
    ),
}


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_behind_the_handshake_is_refused(name, joined):
    send, alert = RECORDS[name]
    send(joined)
    joined.expect_alert(alert)


# ---- key updates and alerts ----


def update_keys(client, asks):
    client.send(HANDSHAKE, message(KEY_UPDATE, bytes([asks])))
    client.writing = client.writing.updated()


def test_a_client_may_update_its_keys(joined):
    # RFC 8446 4.6.3: the receiver MUST update its receiving keys
    for _ in range(3):
        update_keys(joined, 0)
        joined.echo()


def test_a_key_update_that_asks_is_answered(joined):
    # RFC 8446 4.6.3: update_requested MUST be answered before the next application data
    update_keys(joined, 1)
    assert joined.read_message() == (KEY_UPDATE, b"\0")
    joined.reading = joined.reading.updated()
    joined.echo()


def test_a_key_update_may_come_in_pieces(joined):
    whole = message(KEY_UPDATE, b"\0")
    for i in range(len(whole)):
        joined.send(HANDSHAKE, whole[i : i + 1])
    joined.writing = joined.writing.updated()
    joined.echo()


def test_data_under_old_keys_is_refused(joined):
    # RFC 8446 4.6.3: all behind a KeyUpdate MUST be under the new keys
    joined.send(HANDSHAKE, message(KEY_UPDATE, b"\0"))
    joined.send(DATA, b"old")
    joined.expect_alert("bad_record_mac")


def test_a_flood_of_key_updates_is_refused(joined):
    for _ in range(1000):
        update_keys(joined, 0)
    joined.expect_alert("unexpected_message")


def test_close_notify_is_answered(joined):
    # RFC 8446 6.1: each side closes with close_notify
    joined.send(ALERT, CLOSED)
    joined.expect_alert("close_notify")


def test_data_behind_close_notify_is_ignored(joined):
    # RFC 8446 6.1: data behind a closure alert MUST be ignored
    joined.send(ALERT, CLOSED)
    joined.send(DATA, b"late")
    joined.expect_alert("close_notify")


def test_user_canceled_is_passed_over(client):
    client.greet(Hello())
    client.read_flight()
    client.send(ALERT, b"\1\x5a")
    client.finish()
    client.echo()


# ---- early data, which is never accepted ----


def test_early_data_is_skipped(client):
    # RFC 8446 4.2.10: early data that is not accepted is skipped
    hello = Hello()
    hello.extensions[EARLY_DATA] = b""
    whole = offer_ticket(hello, b"unknown", bytes(32))
    client.send_message(whole)
    for _ in range(8):
        client.send_raw(in_the_clear((DATA, bytes(1000))))
    client.hello = hello
    answer = client.read_hello()
    assert PSK not in answer["extensions"]
    client.derive(hello.share, answer)
    flight = client.read_flight()
    assert number(EARLY_DATA, 2) not in flight[8]
    client.finish()
    client.echo()


def test_too_much_early_data_is_refused(client):
    hello = Hello()
    hello.extensions[EARLY_DATA] = b""
    client.greet(hello, offer_ticket(hello, b"unknown", bytes(32)))
    client.read_flight()
    client.send_raw(in_the_clear(*[(DATA, bytes(1000))] * 40))
    client.expect_alert("unexpected_message")


def test_early_data_that_was_not_announced_is_refused(client):
    client.greet(Hello())
    client.read_flight()
    client.send_raw(in_the_clear((DATA, bytes(1000))))
    client.expect_alert("bad_record_mac")


# ---- tickets ----


def resuming_hello(**options):
    hello = Hello(**options)
    hello.extensions[PSK_MODES] = prefixed(b"\1", 1)
    return hello


@pytest.fixture
def ticket(server):
    with Client(server.port) as client:
        client.shake_hands(resuming_hello(name=b"shop.test"))
        return client.read_ticket()


def resume(port, ticket, whole=None, hello=None, **options):
    """Whether the server resumed; the connection works either way."""
    hello = hello or Hello(name=b"shop.test")
    with Client(port) as client:
        client.psk = ticket.psk
        whole = whole or offer_ticket(hello, ticket.identity, ticket.psk, **options)
        answer, flight = client.shake_hands(hello, whole)
        client.echo()
        assert (PSK in answer["extensions"]) == (CERTIFICATE not in flight)
        return PSK in answer["extensions"]


def test_a_ticket_resumes(server, ticket):
    assert resume(server.port, ticket)
    # RFC 8446 4.6.1: a lifetime above seven days MUST NOT be given
    assert 0 < ticket.lifetime_s <= 604800


def test_the_age_of_a_ticket_is_no_matter_without_early_data(server, ticket):
    assert resume(server.port, ticket, age=0xFFFFFFFF)


def test_a_ticket_without_an_agreement_is_not_resumed(server, ticket):
    # RFC 8446 4.2.9: a server MUST NOT choose a mode that the client does not list
    assert not resume(server.port, ticket, mode=0)


def test_a_ticket_for_another_host_is_not_resumed(server, ticket):
    assert not resume(server.port, ticket, hello=Hello(name=b"other.test"))


@pytest.mark.parametrize("place", [0, 15, 16, 28, 60, -17, -1])
def test_a_changed_ticket_is_not_resumed(place, server, ticket):
    # RFC 8446 4.2.11: an unknown identity leads to a full handshake
    identity = bytearray(ticket.identity)
    identity[place] ^= 1
    ticket.identity = bytes(identity)
    assert not resume(server.port, ticket)


@pytest.mark.parametrize("size", [1, 15, 16, 44, 45])
def test_a_ticket_cut_short_is_not_resumed(size, server, ticket):
    ticket.identity = ticket.identity[:size]
    assert not resume(server.port, ticket)


WRONG_BINDERS = {
    # RFC 8446 4.2.11: a binder that is not valid MUST abort the handshake
    "one bit": lambda binder: bytes([binder[0] ^ 1]) + binder[1:],
    "too short": lambda binder: binder[:-1],
    "too long": lambda binder: binder + b"\0",
    "of the first byte alone": lambda binder: binder[:1],
}


@pytest.mark.parametrize("name", WRONG_BINDERS)
def test_a_wrong_binder_is_refused(name, server, ticket):
    hello = Hello(name=b"shop.test")
    whole = offer_ticket(hello, ticket.identity, ticket.psk, change=WRONG_BINDERS[name])
    with Client(server.port) as client:
        client.send_message(whole)
        client.expect_alert("decrypt_error")


def test_a_ticket_is_resumed_behind_a_retry(server, ticket):
    # RFC 8446 4.2.11.2: binders cover the hello before the retry, too
    with Client(server.port) as client:
        client.psk = ticket.psk
        hello = greet_for_a_retry(client, ticket)
        whole = offer_ticket(hello, ticket.identity, ticket.psk, before=client.transcript)
        answer, _ = client.shake_hands(hello, whole)
        assert PSK in answer["extensions"]
        client.echo()


# ---- the client's certificate ----


class Signer:
    def __init__(self, identity):
        leaf = x509.load_pem_x509_certificate(identity.chain.read_bytes())
        self.certificate = leaf.public_bytes(serialization.Encoding.DER)
        self.key = serialization.load_pem_private_key(identity.key.read_bytes(), None)

    def certificate_message(self, context=b""):
        entry = prefixed(self.certificate, 3) + prefixed(b"")
        return message(CERTIFICATE, prefixed(context, 1) + prefixed(entry, 3))

    def verify_message(self, transcript, scheme=0x0403, label=b"client", spoil=False):
        content = b" " * 64 + b"TLS 1.3, " + label + b" CertificateVerify\0"
        content += raw_tls.digest(transcript) + (b"!" if spoil else b"")
        signature = self.key.sign(content, ec.ECDSA(hashes.SHA256()))
        return message(VERIFY, number(scheme, 2) + prefixed(signature))


@pytest.fixture
def asked(mutual_server):
    with Client(mutual_server.port) as client:
        client.greet(Hello())
        assert REQUEST in client.read_flight()
        yield client


@pytest.fixture
def signer(hosts):
    return Signer(hosts.of("p256"))


def test_a_client_with_a_certificate_is_served(asked, signer):
    asked.send_message(signer.certificate_message())
    asked.send_message(signer.verify_message(asked.transcript))
    asked.finish()
    asked.echo()


def test_a_client_without_a_certificate_is_refused(asked):
    # RFC 8446 4.4.2.4: a server that requires one refuses with certificate_required
    asked.send_message(message(CERTIFICATE, b"\0\0\0\0"))
    asked.finish()
    asked.expect_alert("certificate_required")


def test_a_client_may_not_leave_the_certificate_out(asked):
    asked.send_message(asked.finished())
    asked.expect_alert("unexpected_message")


def test_a_client_may_not_leave_its_signature_out(asked, signer):
    # RFC 8446 4.4.3: CertificateVerify MUST follow a Certificate that is not empty
    asked.send_message(signer.certificate_message())
    asked.send_message(asked.finished())
    asked.expect_alert("unexpected_message")


WRONG_SIGNATURES = {
    # RFC 8446 4.4.3: a signature that does not verify MUST be refused with decrypt_error
    "of something else": ({"spoil": True}, "decrypt_error"),
    "of a server": ({"label": b"server"}, "decrypt_error"),
    # RFC 8446 4.4.3: the algorithm MUST be one that was offered
    "by an algorithm of TLS 1.2": ({"scheme": 0x0401}, "illegal_parameter"),
    "by an algorithm that nobody knows": ({"scheme": 0xFEFE}, "illegal_parameter"),
    # RFC 8446 4.4.3: the algorithm MUST fit the certificate's key
    "by an algorithm of other keys": ({"scheme": 0x0804}, "illegal_parameter"),
    "by the hash of another curve": ({"scheme": 0x0503}, "illegal_parameter"),
    "by SHA-1": ({"scheme": 0x0203}, "illegal_parameter"),
}


@pytest.mark.parametrize("name", WRONG_SIGNATURES)
def test_a_wrong_signature_is_refused(name, asked, signer):
    how, alert = WRONG_SIGNATURES[name]
    asked.send_message(signer.certificate_message())
    asked.send_message(signer.verify_message(asked.transcript, **how))
    asked.finish()
    asked.expect_alert(alert)


def test_a_certificate_with_a_context_is_refused(asked, signer):
    # RFC 8446 4.4.2: the context of a handshake's certificate is empty
    asked.send_message(signer.certificate_message(b"context"))
    asked.expect_alert("decode_error")


WRONG_CERTIFICATES = {
    "an empty entry": (b"\0" + prefixed(b"\0\0\0\0\0", 3), "decode_error"),
    "no certificate but bytes": (
        b"\0" + prefixed(prefixed(b"\x30\x03abc", 3) + b"\0\0", 3),
        "bad_certificate",
    ),
    "a list cut short": (b"\0\0\0\x20\0", "decode_error"),
    # RFC 8446 4.4.2: an extension that was not asked for MUST be refused
    "a staple that was not asked for": (
        b"\0" + prefixed(prefixed(b"\x30\0", 3) + prefixed(numbers(5) + prefixed(b"\1\0\0\1x")), 3),
        "unsupported_extension",
    ),
}


@pytest.mark.parametrize("name", WRONG_CERTIFICATES)
def test_a_wrong_certificate_is_refused(name, asked):
    body, alert = WRONG_CERTIFICATES[name]
    asked.send_message(message(CERTIFICATE, body))
    asked.expect_alert(alert)
