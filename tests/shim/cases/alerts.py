"""Alerts in both directions, the end of a connection, and key updates."""

from cases.records import talk
from cases.tools import *
from record import Closed

BOTH = (client, server)
NAMES = {40: ":SSLV3_ALERT_HANDSHAKE_FAILURE:", 22: ":TLSV1_ALERT_RECORD_OVERFLOW:",
         30: ":SSLV3_ALERT_DECOMPRESSION_FAILURE:"}


def received():
    for number_, name in NAMES.items():
        for part in BOTH:
            yield part(f"alert {number_} behind the handshake",
                       talk(lambda peer, n=number_: peer.send_alert(n)), fails=name)
        yield client(f"alert {number_} under handshake keys", Plan(
            before={"extensions": lambda peer, n=number_: peer.send_alert(n)}), fails=name)
        yield client(f"alert {number_} in the clear", Plan(
            before={"server_hello": lambda peer, n=number_: peer.send_alert(n)}), fails=name)
        yield server(f"alert {number_} under handshake keys", Plan(
            before={"flight": lambda peer, n=number_: peer.send_alert(n)}), fails=name)
    yield client("handshake_failure as first answer", Plan(
        before={"server_hello": lambda peer: peer.send_alert(40)}),
        fails=":HANDSHAKE_FAILURE_ON_CLIENT_HELLO:")
    yield client("two alerts", Plan(before={"extensions": lambda peer: (
        peer.send_alert(40), peer.send_alert(30))}), fails=NAMES[40])
    for part in BOTH:
        for level in (1, 2):
            yield part(f"alert 40 of level {level}",
                       talk(lambda peer, n=level: peer.send_alert(40, n)), fails=NAMES[40])


def warnings():
    def cancel(count):
        return lambda peer: [peer.send_alert(90, level=1) for _ in range(count)]

    for part, place in ((client, "extensions"), (server, "flight")):
        yield part("four times user_canceled in the handshake", Plan(before={place: cancel(4)}))
        yield part("five times user_canceled in the handshake", Plan(before={place: cancel(5)}),
                   fails=":TOO_MANY_WARNING_ALERTS:", alert=50)
        yield part("user_canceled behind the handshake", Plan(
            talk=lambda peer: (cancel(4)(peer), type(peer).exchange(peer))))
        yield part("user_canceled between data", Plan(
            talk=lambda peer: [(cancel(4)(peer), type(peer).exchange(peer)) for _ in range(3)]))
        yield part("five times user_canceled behind the handshake", talk(cancel(5)),
                   fails=":TOO_MANY_WARNING_ALERTS:", alert=50)


def malformed():
    for part, place in ((client, "extensions"), (server, "flight")):
        for body, what, name, alert in (
            (b"\2", "one byte", ":BAD_ALERT:", 50), (b"\2\x28\0", "three bytes", ":BAD_ALERT:", 50),
            (b"", "no byte", ":BAD_ALERT:", 10), (b"\x2a\x28", "an unknown level",
                                                  ":UNKNOWN_ALERT_TYPE:", 47),
        ):
            yield part(f"an alert of {what} in the handshake", Plan(
                before={place: lambda peer, b=body: (peer.flush(), peer.send_record(ALERT, b))}),
                fails=name, alert=alert)
            yield part(f"an alert of {what} behind the handshake",
                       talk(lambda peer, b=body: peer.send_record(ALERT, b)), fails=name,
                       alert=alert)


def ends():
    close = ["-check-close-notify"]
    unclean = {"fails": "Unexpected SSL_shutdown result: -1 != 1"}

    def is_clean(peer):
        type(peer).exchange(peer)
        peer.send_alert(0, level=1)
        assert peer.read_until_end()

    for part in BOTH:
        yield part("close_notify is answered", Plan(talk=is_clean, closes=False), flags=close)
        yield part("an end without close_notify", Plan(closes=False))
        yield part("an end without close_notify, checked", Plan(closes=False), flags=close,
                   **unclean)
        yield part("data behind close_notify", Plan(
            talk=lambda peer: (type(peer).exchange(peer), peer.send_alert(0, 1),
                               peer.send_data(b"late")), closes=False))
    # RFC 8446 6.1: a closure during the handshake ends it
    yield client("close_notify within the handshake", Plan(
        before={"extensions": lambda peer: (peer.send_alert(0, 1), peer.sock.shutdown(1))}),
        fails="the peer closed during the handshake")

    yield client("the shim just closes", Plan(
        talk=lambda peer: peer.read_until_end(), closes=False), flags=["-shim-shuts-down"])
    shuts = [*close, "-shim-shuts-down"]
    yield client("the shim shuts down", Plan(talk=first_close), flags=shuts)
    yield client("the shim shuts down, key updates come", Plan(
        talk=lambda peer: (peer.update_keys(), first_close(peer))), flags=shuts)
    yield client("the shim shuts down, key updates with request come", Plan(
        talk=lambda peer: (peer.update_keys(1), first_close(peer))), flags=shuts)
    yield client("the shim shuts down, an alert comes", Plan(
        talk=lambda peer: (first_close(peer), peer.send_alert(30)), closes=False), flags=shuts,
        fails=NAMES[30])
    yield client("the shim shuts down, no close_notify comes", Plan(
        talk=first_close, closes=False), flags=shuts, **unclean)
    yield client("the shim sends an alert", Plan(talk=lambda peer: peer.read_until_end()),
                 flags=["-send-alert"], alert=30)
    yield server("the shim sends an alert", Plan(talk=lambda peer: peer.read_until_end()),
                 flags=["-send-alert"], alert=30)


def first_close(peer):
    """Waits for the shim's close_notify, and goes on."""
    try:
        while True:
            kind, body = peer.read_content()
            assert kind == HANDSHAKE
            peer.take_late(body)
    except Closed as closed:
        assert closed.is_clean


def updates():
    def many(count, asks=0):
        return lambda peer: [peer.update_keys(asks) for _ in range(count)]

    def raw(body):
        return lambda peer: peer.send_record(HANDSHAKE, h.message(h.KEY_UPDATE, body))

    def counted(peer, count):
        assert peer.updates == [0] * count, peer.updates

    for part in BOTH:
        yield part("a key update", Plan(
            talk=lambda peer: (many(1)(peer), type(peer).exchange(peer), counted(peer, 0))))
        yield part("a key update with request", Plan(
            talk=lambda peer: (many(1, 1)(peer), type(peer).exchange(peer), counted(peer, 1))))
        yield part("ten key updates", Plan(
            talk=lambda peer: (many(10)(peer), type(peer).exchange(peer))))
        yield part("ten key updates with request are answered once", Plan(
            talk=lambda peer: (many(10, 1)(peer), type(peer).exchange(peer), counted(peer, 1))))
        yield part("key updates between data", Plan(
            talk=lambda peer: [(many(2, 1)(peer), type(peer).exchange(peer)) for _ in range(20)]))
        yield part("33 key updates", talk(many(33)), fails=":TOO_MANY_KEY_UPDATES:", alert=10)
        yield part("a key update of value 2", talk(raw(b"\2")), fails=":DECODE_ERROR:", alert=47)
        yield part("a key update of two bytes", talk(raw(b"\0\0")), fails=":DECODE_ERROR:",
                   alert=50)
        yield part("a key update without a byte", talk(raw(b"")), fails=":DECODE_ERROR:", alert=50)
        yield part("a byte behind a key update", talk(lambda peer: peer.send_record(
            HANDSHAKE, h.message(h.KEY_UPDATE, b"\0") + b"\x18")), fails=":EXCESS_HANDSHAKE_DATA:",
            alert=10)
        yield part("key updates of the shim", Plan(data=[b"abc", b"def"], talk=lambda peer: (
            type(peer).exchange(peer), counted(peer, 2))), flags=["-key-update"])
    unexpected = {"fails": ":UNEXPECTED_MESSAGE:", "alert": 10}
    # RFC 8446 4.6.3: a client MUST refuse a KeyUpdate before Finished with unexpected_message
    yield client("a key update within the handshake", Plan(
        before={"extensions": lambda peer: raw(b"\0")(peer)}), **unexpected)
    yield server("a key update within the handshake", Plan(
        before={"flight": lambda peer: raw(b"\0")(peer)}), **unexpected)


CASES = [*received(), *warnings(), *malformed(), *ends(), *updates()]
