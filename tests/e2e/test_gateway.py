"""The gateway beside Envoy: the same file, the same requests, the answers compared.

Where the two differ on purpose, a case says so with the reason; docs/envoy-compatibility.md lists
the same differences.
"""

import contextlib
import pathlib
import re
import string
import struct

import pytest

import conftest
from harness import frames, gateway, program, wait

OURS, ENVOYS, UPSTREAM = 20000, 21000, 22000

CONFIG = string.Template(
    (pathlib.Path(__file__).parent / "fixtures" / "gateway.yaml").read_text(encoding="utf-8")
)


class Twins:
    def __init__(self, folder, upstream, ours, envoys):
        self.folder = folder
        self.upstream = upstream
        self.ours = ours
        self.envoys = envoys

    def ask(self, request, port=0, **options):
        """(our reply, Envoy's reply) to the same bytes."""
        data = request.encode("latin-1") if isinstance(request, str) else request
        return tuple(
            gateway.Reply(gateway.exchange(base + port, data, **options))
            for base in (OURS, ENVOYS)
        )


def write_config(folder, name, base):
    path = folder / f"{name}.yaml"
    ports = {f"port{i}": base + i for i in range(10)}
    path.write_text(
        CONFIG.substitute(
            ports, upstream=UPSTREAM, dead=UPSTREAM + 99, log=folder / f"{name}-access.log"
        )
    )
    return path


@pytest.fixture(scope="module")
def twins(find_peer_program, tmp_path_factory):
    if conftest.namespaces_forbidden is not None:
        conftest.skip_or_fail(f"namespaces are forbidden here: {conftest.namespaces_forbidden}")
    envoy = find_peer_program("envoy")
    folder = tmp_path_factory.mktemp("twins")
    upstream = gateway.Upstream(UPSTREAM)
    ours = program.Program(
        "hauberk",
        [
            program.BINARY,
            "gateway",
            "-c",
            write_config(folder, "hauberk", OURS),
            "--concurrency",
            "2",
            "--file-flush-interval-msec",
            "20",
        ],
        folder,
    )
    envoys = program.Program(
        "envoy",
        [
            envoy,
            "-c",
            write_config(folder, "envoy", ENVOYS),
            "--concurrency",
            "1",
            "--use-dynamic-base-id",
            "-l",
            "warning",
            "--file-flush-interval-msec",
            "20",
        ],
        folder,
    )
    try:
        for running, base in ((ours, OURS), (envoys, ENVOYS)):
            wait.until(lambda base=base: is_ready(base + 9), f"{running.name} to be ready", 30)
        yield Twins(folder, upstream, ours, envoys)
    finally:
        complaints = [running.end() for running in (ours, envoys)]
        upstream.close()
    assert complaints[0] is None, complaints[0]


def is_ready(port):
    with contextlib.suppress(OSError):
        return b" 200 " in gateway.exchange(
            port, b"GET /ready HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        )
    return False


def get(path, *fields, method="GET", host="any.test", version="1.1", body=""):
    lines = [f"{method} {path} HTTP/{version}", f"Host: {host}", *fields, "Connection: close"]
    return "\r\n".join(lines) + "\r\n\r\n" + body


def post(path, body, *fields):
    return get(path, f"Content-Length: {len(body)}", *fields, method="POST", body=body)


# name, request, what is left out of the comparison
SAME = {
    # Answers of the proxy itself.
    "a direct response": get("/direct"),
    "a direct response without a body": get("/empty"),
    "a direct response to HEAD": get("/direct", method="HEAD"),
    "a direct response to POST": post("/direct", "body"),
    "a status with no content": get("/direct-204"),
    "no route": get("/nowhere"),
    "no virtual host": get("/direct", host="nobody.test"),
    "a redirect of the path": get("/redirect-path?x=1"),
    "a redirect of the prefix": get("/redirect-prefix/a/b?x=1"),
    "a redirect to another host": get("/redirect-host"),
    "a redirect to https": get("/redirect-https/a?q"),
    "a redirect to https from port 80": get("/redirect-https/a", host="any.test:80"),
    "a redirect without its query": get("/redirect-strip?x=1"),
    "a redirect with another status": get("/redirect-308"),
    "a redirect with a query of a thousand bytes": get("/redirect-path?" + "q" * 1000),
    "a redirect to another port": get("/redirect-port", host="any.test:8080"),
    # Virtual hosts.
    "a host by its name": get("/who", host="exact.test"),
    "a host by its name in capitals": get("/who", host="EXACT.test"),
    "a host by its suffix": get("/who", host="a.b.suffix.test"),
    "a host by its prefix": get("/who", host="prefix.anything"),
    "a host with its port": get("/who", host="exact.test:8080"),
    # Routes.
    "an exact path": get("/exact"),
    "an exact path with a query": get("/exact?x"),
    "an exact path that is longer": get("/exact/x"),
    "a path in another case": get("/CASELESS"),
    "a separated prefix": get("/separated/x"),
    "a separated prefix alone": get("/separated"),
    "a separated prefix that goes on": get("/separatedx"),
    "a header that is there": get("/by-header", "X-Kind: blue"),
    "a header with another value": get("/by-header", "X-Kind: red"),
    "a header that is missing": get("/by-header"),
    "a header by its prefix": get("/by-header", "X-Kind: green-ish"),
    "a header in a range": get("/by-range", "X-Number: 7"),
    "a header out of its range": get("/by-range", "X-Number: 10"),
    "a header that must not be there": get("/by-absence"),
    "a header that is there and must not be": get("/by-absence", "X-Bad: 1"),
    "a query parameter": get("/by-query?a=1&color=red"),
    "a query parameter with another value": get("/by-query?color=blue"),
    # Through to the upstream.
    "a request through": get("/up/echo?x=1"),
    "a request with a body": post("/up/echo", "some body"),
    "a request with a chunked body": get(
        "/up/echo", "Transfer-Encoding: chunked", method="POST", body="5\r\nhello\r\n0\r\n\r\n"
    ),
    "HEAD through": get("/up/head-length", method="HEAD"),
    "a method of its own": get("/up/echo", method="PROPFIND"),
    "fields of the connection stop here": get(
        "/up/echo", "Keep-Alive: 5", "Proxy-Connection: x", "X-Kept: 1", "TE: gzip"
    ),
    "repeated fields": get("/up/echo", "X-Two: a", "X-Two: b"),
    "X-Forwarded-For stays": get("/up/echo", "X-Forwarded-For: 1.2.3.4"),
    "X-Forwarded-Proto stays": get("/up/echo", "X-Forwarded-Proto: https"),
    "a request id stays": get("/up/echo", "X-Request-Id: mine"),
    "a status passes": get("/up/status/418"),
    "an error passes": get("/up/status/503"),
    "a chunked response": get("/up/chunked"),
    "a response until the end": get("/up/until-close"),
    "a response without content": get("/up/no-content"),
    "a response that is not modified": get("/up/not-modified"),
    "early hints are passed over": get("/up/early-hints"),
    "fields of the response": get("/up/headers"),
    "a prefix rewritten": get("/rewrite/a?b=1"),
    "a host rewritten": get("/rewrite-host"),
    "headers added and removed": get("/changes", "X-Remove: 1", "X-Over: old", "X-Append: old"),
    "an absolute target": "GET http://exact.test/who HTTP/1.1\r\nHost: other\r\n"
    "Connection: close\r\n\r\n",
    # Trouble upstream.
    "an upstream that refuses": get("/dead"),
    "an upstream that hangs up": get("/up/hang-up"),
    "an upstream that is silent": get("/hurry/silent"),
    "a cluster without hosts": get("/nobody"),
    "a cluster that is not there": get("/missing"),
    "a retry that helps nothing": get("/retry/status/503"),
    # Requests that are none.
    "HTTP/1.0": get("/direct", version="1.0"),
    "both lengths": get(
        "/up/echo",
        "Content-Length: 3",
        "Transfer-Encoding: chunked",
        method="POST",
        body="0\r\n\r\n",
    ),
    "a path that does not begin with a slash": get("direct"),
    "an upgrade that nobody configured": "GET /direct HTTP/1.1\r\nHost: any.test\r\n"
    "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n",
}


@pytest.mark.parametrize("name", SAME)
def test_the_same_answer_as_envoys_to(twins, name):
    ours, envoys = twins.ask(SAME[name], timeout=3)
    assert ours.status == envoys.status
    assert ours.fields == envoys.fields
    assert ours.shown() == envoys.shown()


def test_behind_use_remote_address_strangers_are_named_and_not_believed(twins):
    request = get(
        "/up/echo",
        "X-Forwarded-For: 1.2.3.4",
        "X-Forwarded-For: 5.6.7.8",
        "X-Envoy-Retry-On: 5xx",
        "X-Request-Id: forged",
    )
    ours, envoys = twins.ask(request, port=1, timeout=3)
    assert (ours.status, ours.fields, ours.shown()) == (
        envoys.status,
        envoys.fields,
        envoys.shown(),
    )


def test_a_connection_that_a_listener_filter_closes_is_counted(twins):
    # Envoy has the name, and counts this one in the filter's own statistics.
    name = f"listener.127.0.0.1_{OURS + 3}.downstream_listener_filter_error: ".encode()
    request = b"GET /stats HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

    def counted():
        return int(gateway.exchange(OURS + 9, request).split(name)[1].split(b"\n")[0])

    before = counted()
    twins.ask(PROXIED["a broken PROXY header"] + get("/echo"), port=3, timeout=3)
    wait.until(lambda: counted() == before + 1, "the counter")


FORWARDED = {
    "nobody": [],
    "too few": ["9.9.9.9"],
    "just as many": ["8.8.8.8, 9.9.9.9"],
    "more than are believed": ["6.6.6.6 ,7.7.7.7,\t8.8.8.8 , 9.9.9.9"],
    "several lines": ["6.6.6.6", "7.7.7.7, 8.8.8.8", "fd00::9"],
    "no address": ["6.6.6.6, nonsense, 9.9.9.9"],
    "an address with a port": ["6.6.6.6, 7.7.7.7:80, 9.9.9.9"],
    "nothing between commas": ["6.6.6.6,,9.9.9.9"],
}


@pytest.mark.parametrize("port", [4, 5])
@pytest.mark.parametrize("name", FORWARDED)
def test_as_many_proxies_are_believed_as_envoy_believes(twins, name, port):
    fields = [f"X-Forwarded-For: {value}" for value in FORWARDED[name]]
    for more in ([], ["X-Forwarded-Proto: https"]):
        ours, envoys = twins.ask(get("/echo", *fields, *more), port=port, timeout=3)
        assert (ours.status, ours.fields, ours.shown()) == (
            envoys.status,
            envoys.fields,
            envoys.shown(),
        )


def frame(kind, flags, stream, payload):
    return struct.pack(">IBBI", len(payload), kind, flags, stream)[1:] + payload


def literal(name, value):
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


# What a client promises, and the parts of the body that it sends.
BROKEN_PROMISES = {
    "more than promised": ([b"5"], [b"12345GET /evil HTTP/1.1\r\nhost: any.test\r\n\r\n"]),
    "more, in parts": ([b"5"], [b"12345", b"GET /evil HTTP/1.1\r\nhost: any.test\r\n\r\n"]),
    "less than promised": ([b"50"], [b"12345"]),
    "nothing at all": ([b"5"], []),
    "two numbers": ([b"5", b"6"], [b"12345"]),
    "no number": ([b"+5"], [b"12345"]),
}


def ends_the_stream(received):
    """Whether a frame is there that ends stream 1, or the connection."""
    at = 0
    while at + 9 <= len(received):
        kind, flags = received[at + 3], received[at + 4]
        is_last = kind in (frames.RST_STREAM, frames.GOAWAY) or (
            kind in (frames.HEADERS, frames.DATA) and flags & frames.END_STREAM
        )
        at += 9 + int.from_bytes(received[at : at + 3], "big")
        if is_last and at <= len(received):
            return True
    return False


@pytest.mark.parametrize("name", BROKEN_PROMISES)
def test_a_length_that_is_not_kept_smuggles_nothing(twins, name):
    lengths, parts = BROKEN_PROMISES[name]
    fields = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/up/echo")]
    fields += [(b":authority", b"any.test")] + [(b"content-length", one) for one in lengths]
    block = b"".join(literal(*field) for field in fields)
    data = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"")
    data += frame(1, 4 if parts else 5, 1, block)
    for i, part in enumerate(parts):
        data += frame(0, 1 if i == len(parts) - 1 else 0, 1, part)
    received = gateway.exchange(OURS, data, timeout=20, until=ends_the_stream)
    assert ends_the_stream(received)
    assert b"12345" not in received
    reply = gateway.exchange(OURS, get("/up/echo").encode(), timeout=2)
    assert b"evil" not in received + reply
    assert b"GET /echo" in reply


PROXIED = {
    "a PROXY header in text": "PROXY TCP4 203.0.113.9 10.0.0.1 4567 80\r\n",
    "a binary PROXY header": "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"
    "\xcb\0\x71\x09\x0a\0\0\x01\x11\xd7\0\x50",
    "a stranger's address": "PROXY TCP4 198.51.100.1 10.0.0.1 4567 80\r\n",
    "a PROXY header that says nothing": "PROXY UNKNOWN\r\n",
    "a broken PROXY header": "PROXY TCP4 203.0.113.9\r\n",
    "no PROXY header": "",
}


@pytest.mark.parametrize("name", PROXIED)
def test_the_same_is_believed_as_envoy_does_of(twins, name):
    ours, envoys = twins.ask(PROXIED[name] + get("/echo"), port=3, timeout=3)
    assert (ours.status, ours.fields, ours.shown()) == (
        envoys.status,
        envoys.fields,
        envoys.shown(),
    )


def test_access_log_lines_are_envoys(twins):
    for request in (
        get("/direct?log"),
        get("/up/echo?log"),
        get("/dead?log"),
        post("/up/echo?log", "12345"),
    ):
        twins.ask(request, timeout=3)
    lines = {}
    for name in ("hauberk", "envoy"):
        path = twins.folder / f"{name}-access.log"

        def found(path=path):
            text = [line for line in path.read_text().splitlines() if "?log" in line]
            return text if len(text) >= 4 else None

        lines[name] = sorted(wait.until(found, f"lines of {name}"))
    assert lines["hauberk"] == lines["envoy"]


def stats(base):
    reply = gateway.exchange(
        base + 9, b"GET /stats HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    )
    text = gateway.Reply(reply).body.decode()
    return {line.split(": ")[0] for line in text.splitlines() if ": " in line}


def test_every_statistic_of_a_scope_has_a_name_that_envoy_has_too(twins):
    twins.ask(get("/up/echo"), timeout=3)
    ours = {name for name in stats(OURS) if re.match(r"(http|cluster|listener)\.", name)}
    ours = {re.sub(r"127.0.0.1_20(\d{3})", r"127.0.0.1_21\1", name) for name in ours}
    # Envoy makes these when the first response (of their class) comes.
    late = {name for name in ours if re.search(r"upstream_rq_([1-5]xx|time)$", name)}
    assert ours - stats(ENVOYS) <= late


def test_tcp_proxy_carries_bytes_and_half_closes(twins):
    data = get("/echo").encode()
    for base in (OURS, ENVOYS):
        assert b"GET /echo" in gateway.exchange(base + 2, data, timeout=3)


def test_a_stranger_to_http_gets_400_and_the_end(twins):
    for request in (
        b"\x16\x03\x01 hello\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
    ):
        assert gateway.exchange(OURS, request, timeout=3).startswith(
            b"HTTP/1.1 400 Bad Request\r\n"
        )


def test_a_head_that_is_too_long_gets_431(twins):
    request = get("/direct", "X-Long: " + "x" * 61440).encode()
    assert gateway.exchange(OURS, request, timeout=3).startswith(b"HTTP/1.1 431 ")
    assert gateway.exchange(
        OURS, get("/direct", "X-Long: " + "x" * 50000).encode(), timeout=3
    ).startswith(b"HTTP/1.1 200 ")


def test_pipelined_requests_are_answered_in_order(twins):
    one = "GET /up/echo?{} HTTP/1.1\r\nHost: a\r\n\r\n"
    data = "".join(one.format(i) for i in range(5)) + get("/direct")
    received = gateway.exchange(OURS, data.encode(), timeout=3)
    assert [int(n) for n in re.findall(rb"GET /echo\?(\d)", received)] == [0, 1, 2, 3, 4]
    assert received.endswith(b"hello")


def test_a_large_body_passes_in_both_directions(twins):
    body = "0123456789abcdef" * 65536
    ours, _ = twins.ask(post("/up/echo", body), timeout=10)
    assert ours.shown()[2] == body.encode()


def test_sigterm_drains_and_ends_in_peace(tmp_path, start, twins):
    running = start(
        "second", [program.BINARY, "gateway", "-c", write_config(tmp_path, "second", 23000)]
    )
    running.wait_for_log("ready")
    assert gateway.exchange(23000, get("/direct").encode()).endswith(b"hello")
    running.process.terminate()
    assert running.process.wait(timeout=20) == 0


def test_what_is_not_served_yet_is_refused_by_name():
    done = program.hauberk("gateway", "--config-yaml", "overload_manager: {}")
    assert (done.returncode, done.stdout) == (1, "")
    assert 'field "overload_manager" is not supported yet' in done.stderr
