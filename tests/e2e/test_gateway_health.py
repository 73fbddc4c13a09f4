"""Active health checks: what hosts are asked, what is made of their answers, and what they can do.

Tests with the argument `proxy` run with ours and with Envoy, with the same file: what holds for
both is Envoy's behaviour.
"""

import socket
import ssl
import threading

import pytest

from harness import certificates, frames, gateway, health, program, wait

ONE, TWO, OTHER = 24310, 24311, 24320


@pytest.fixture(autouse=True)
def loopback(private_namespaces):
    """Ports are this test's own."""


@pytest.fixture(params=["hauberk", "envoy"])
def proxy(request, start, tmp_path, find_peer_program):
    """proxy(clusters, ...): ours or Envoy, running."""
    envoy = find_peer_program("envoy") if request.param == "envoy" else None

    def run(clusters, **options):
        running = health.start_proxy(start, tmp_path, envoy, clusters, **options)
        running.is_envoy = envoy is not None
        return running

    return run


@pytest.fixture
def ours(start, tmp_path):
    def run(clusters, **options):
        return health.start_proxy(start, tmp_path, None, clusters, **options)

    return run


def test_a_host_that_says_no_gets_nothing_until_it_says_yes_again(proxy):
    with health.Host(ONE, "one") as one, health.Host(TWO, "two"):
        running = proxy(health.cluster([ONE, TWO]))
        assert running.stat("cluster.up.membership_healthy") == 2
        running.wait_for_bodies(b"one", b"two")
        one.status = 503
        running.wait_for_healthy(1)
        running.wait_for_flags(ONE, "/failed_active_hc")
        running.wait_for_flags(TWO, "healthy")
        running.wait_for_bodies(b"two")
        one.status = 200
        running.wait_for_healthy(2)
        running.wait_for_flags(ONE, "healthy")
        running.wait_for_bodies(b"one", b"two")
        assert running.health("failure") > 0
        assert running.health("network_failure") == 0
        assert running.health("healthy") == 2
        ended = running.health("success") + running.health("failure")
        assert running.health("attempt") >= ended > 0


def test_without_a_healthy_host_requests_get_503(proxy):
    with health.Host(ONE, "one", status=500) as one:
        running = proxy(health.cluster([ONE]))
        running.wait_for_flags(ONE, "/failed_active_hc")
        reply = running.get()
        assert reply.status == b"HTTP/1.1 503 Service Unavailable"
        assert reply.body == b"no healthy upstream"
        assert running.stat("cluster.up.upstream_cx_none_healthy") == 1
        assert one.requests == 0


def test_what_is_asked_is_what_the_file_says(proxy):
    check = (
        "http_health_check: {path: '/health?x=1', host: check.test, method: OPTIONS, "
        "request_headers_to_add: [{header: {key: X-Probe, value: yes sir}}, "
        "{header: {key: User-Agent, value: mine}, append_action: OVERWRITE_IF_EXISTS_OR_ADD}]}"
    )
    with health.Host(ONE) as one:
        proxy(health.cluster([ONE], check))
        lines = one.checks[0].decode().lower().split("\r\n")
    assert lines[0] == "options /health?x=1 http/1.1"
    assert sorted(filter(None, lines[1:])) == [
        "content-length: 0",
        "host: check.test",
        "user-agent: mine",
        "x-probe: yes sir",
    ]


def test_a_host_has_a_name_and_a_port_of_its_own_for_checks(proxy):
    own = f"health_check_config: {{port_value: {OTHER}, hostname: own.test}}"
    with health.Host(ONE, "one") as one, health.Host(OTHER) as other:
        running = proxy(health.cluster([ONE], endpoint=own))
        assert b"host: own.test\r\n" in other.checks[0].lower()
        assert one.checks == []
        assert running.get().body == b"one"
        other.status = 500
        running.wait_for_healthy(0)


def test_a_host_without_a_name_is_asked_by_the_name_of_its_cluster(proxy):
    with health.Host(ONE) as one:
        proxy(health.cluster([ONE]))
        assert b"\r\nhost: up\r\n" in one.checks[0].lower()


@pytest.mark.parametrize("status, healthy", [(200, 0), (201, 1), (203, 1), (204, 0)])
def test_expected_statuses_are_the_good_ones(proxy, status, healthy):
    check = (
        "http_health_check: {path: /health, expected_statuses: [{start: 201, end: 202}, "
        "{start: 203, end: 204}]}"
    )
    with health.Host(ONE, status=status):
        assert proxy(health.cluster([ONE], check)).stat("cluster.up.membership_healthy") == healthy


def test_retriable_statuses_count_up_to_the_threshold(proxy):
    """One in a row of three is forgiven; a status that is not retriable is not."""
    check = "http_health_check: {path: /health, retriable_statuses: [{start: 503, end: 504}]}"
    timing = health.QUICK.replace("unhealthy_threshold: 2", "unhealthy_threshold: 3")
    with health.Host(ONE) as one:
        running = proxy(health.cluster([ONE], check, timing))
        for status in (503, 503, 200, 503, 503):
            one.status = status
            before = len(one.checks)
            wait.until(lambda before=before: len(one.checks) > before, "a check")
            one.status = 200
            wait.until(lambda: running.flags(ONE) == "healthy", "a healthy host")
        one.status = 503
        running.wait_for_flags(ONE, "/failed_active_hc")


def test_a_host_that_is_not_there_fails_and_one_that_is_silent_times_out(proxy):
    timing = health.QUICK.replace("timeout: 5s", "timeout: 0.1s")
    with health.Host(TWO) as two:
        two.answer = lambda *_: True
        running = proxy(health.cluster([ONE, TWO], timing=timing))
        running.wait_for_flags(ONE, "/failed_active_hc")
        running.wait_for_flags(TWO, "/failed_active_hc/active_hc_timeout")
        running.wait_for("cluster.up.health_check.network_failure", 2)
        assert running.health("healthy") == 0


def test_checks_use_one_connection_unless_told_otherwise(proxy):
    with health.Host(ONE) as one, health.Host(TWO) as two:
        running = proxy(
            health.cluster([ONE])
            + health.cluster([TWO], timing=health.QUICK + ", reuse_connection: false").replace(
                "up", "down"
            )
        )
        wait.until(lambda: len(one.checks) > 5 and len(two.checks) > 5, "checks")
        assert one.stage.count == 1
        assert two.stage.count > 5
        assert running.stat("cluster.down.membership_healthy") == 1


def test_an_idle_connection_that_a_host_closes_is_no_failure(ours):
    with health.Host(ONE) as one:

        def answer_and_close(connection, head):
            one.answer_status(connection, head)
            return False

        one.answer = answer_and_close
        running = ours(health.cluster([ONE]))
        wait.until(lambda: len(one.checks) > 20, "checks")
        assert running.health("failure") == 0
        running.wait_for_flags(ONE, "healthy")


# ---- TCP ----


def tcp_host(port, answers):
    """`answers(bytes so far)` returns what to send, None for more, False to close."""

    def act(_, connection, __):
        got = b""
        while piece := connection.recv(4096):
            got += piece
            told = answers(got)
            if told is False:
                return
            if told is not None:
                connection.sendall(told)
                got = b""

    return gateway.Stage(port, act)


PING = "tcp_health_check: {send: {text: 50494e47}, receive: [{text: '504f'}, {binary: Tkc=}]}"


def test_tcp_patterns_must_come_in_order_with_anything_between(proxy):
    with tcp_host(ONE, lambda got: b"+PO..NG\r\n" if got == b"PING" else None):
        with tcp_host(TWO, lambda got: b"NG PO" if got == b"PING" else None):
            timing = health.QUICK.replace("timeout: 5s", "timeout: 0.2s")
            running = proxy(health.cluster([ONE, TWO], PING, timing))
            running.wait_for_flags(ONE, "healthy")
            running.wait_for_flags(TWO, "/failed_active_hc/active_hc_timeout")


def test_a_tcp_check_without_patterns_only_connects(proxy):
    with gateway.Stage(ONE, lambda *_: None):
        running = proxy(health.cluster([ONE, TWO], "tcp_health_check: {}"))
        running.wait_for_flags(ONE, "healthy")
        running.wait_for_flags(TWO, "/failed_active_hc")


def test_a_tcp_host_that_closes_instead_of_answering_has_failed(proxy):
    with tcp_host(ONE, lambda _: False):
        running = proxy(health.cluster([ONE], PING))
        running.wait_for_flags(ONE, "/failed_active_hc")
        assert running.health("network_failure") >= 1


# ---- HTTP/2 and TLS ----


def http2_host(port, status):
    """Answers every stream with that indexed status field."""

    def act(_, connection, stream):
        stream.read(len(frames.PREFACE))
        connection.sendall(frames.frame(frames.SETTINGS, 0, 0))
        while len(head := stream.read(9)) == 9:
            stream.read(int.from_bytes(head[:3], "big"))
            if head[3] == frames.SETTINGS and not head[4] & frames.ACK:
                connection.sendall(frames.frame(frames.SETTINGS, frames.ACK, 0))
            if head[3] == frames.HEADERS:
                number = int.from_bytes(head[5:9], "big")
                flags = frames.END_HEADERS | frames.END_STREAM
                connection.sendall(frames.frame(frames.HEADERS, flags, number, status))

    return gateway.Stage(port, act)


def test_checks_speak_http2_where_they_are_told_to(proxy):
    check = "http_health_check: {path: /health, codec_client_type: HTTP2}"
    with http2_host(ONE, b"\x88") as one, http2_host(TWO, b"\x8e"):  # 200 and 500
        running = proxy(health.cluster([ONE, TWO], check, more=gateway.HTTP2_UPSTREAM))
        running.wait_for_flags(ONE, "healthy")
        running.wait_for_flags(TWO, "/failed_active_hc")
        running.wait_for("cluster.up.health_check.success", 5)
        assert one.count == 1


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return certificates.Authority(tmp_path_factory.mktemp("authority"))


def test_checks_go_through_the_clusters_tls(proxy, tmp_path, authority):
    good = authority.issue("good", [], hosts=["a.test"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(good.chain, good.key)

    def act(_, connection, __):
        with context.wrap_socket(connection, server_side=True) as secure:
            stream = secure.makefile("rb")
            while gateway.read_head(stream):
                secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    tls = (
        "transport_socket: {name: tls, typed_config: {"
        '"@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3'
        ".UpstreamTlsContext, sni: a.test, common_tls_context: {validation_context: "
        f"{{trusted_ca: {{filename: {authority.roots}}}}}}}}}}}"
    )
    with gateway.Stage(ONE, act), gateway.Stage(TWO, lambda *_: None):
        running = proxy(health.cluster([ONE, TWO], more=tls))
        running.wait_for_flags(ONE, "healthy")
        running.wait_for_flags(TWO, "/failed_active_hc")
        assert running.get().status == b"HTTP/1.1 200 OK"


# ---- the start, and what a failure does to connections ----


def test_nothing_is_accepted_before_every_host_was_checked(proxy):
    may_answer = threading.Event()
    with health.Host(ONE, "one") as one:

        def answer_late(connection, head):
            may_answer.wait(10)
            return one.answer_status(connection, head)

        one.answer = answer_late
        running = proxy(health.cluster([ONE]), waits=False)
        wait.until(lambda: one.checks, "the first check")
        assert running.admin("/ready") in ("INITIALIZING\n", "PRE_INITIALIZING\n")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", health.FRONT), timeout=5)
        may_answer.set()
        wait.until(running.is_ready, "the proxy to be ready")
        assert running.get().body == b"one"


def keep_alive(connection):
    connection.sendall(b"GET / HTTP/1.1\r\nHost: any.test\r\n\r\n")
    stream = connection.makefile("rb")
    assert b" 200 " in gateway.read_head(stream)
    return stream.read(3)


def test_idle_connections_to_a_failed_host_are_closed(proxy):
    with health.Host(ONE, "one") as one:
        running = proxy(health.cluster([ONE]))
        with socket.create_connection(("127.0.0.1", health.FRONT), timeout=10) as client:
            assert keep_alive(client) == b"one"
            assert running.stat("cluster.up.upstream_cx_active") == 1
            one.status = 500
            wait.until(
                lambda: running.stat("cluster.up.upstream_cx_active") == 0, "no idle connection"
            )


TCP_PROXY = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"


@pytest.mark.parametrize("closes", [True, False])
def test_a_relay_to_a_failed_host_ends_where_the_cluster_says_so(proxy, closes):
    listener = f"""
  - name: front
    address: {{socket_address: {{address: 127.0.0.1, port_value: {health.FRONT}}}}}
    filter_chains:
    - filters:
      - name: tcp
        typed_config: {{"@type": {TCP_PROXY}, stat_prefix: t, cluster: up}}
"""
    more = f"close_connections_on_host_health_failure: {str(closes).lower()}"
    with health.Host(ONE, "one") as one:
        running = proxy(health.cluster([ONE], more=more), listeners=listener)
        with socket.create_connection(("127.0.0.1", health.FRONT), timeout=10) as client:
            assert keep_alive(client) == b"one"
            one.status = 500
            running.wait_for_healthy(0)
            if closes:
                try:
                    assert client.recv(1) == b""
                except ConnectionResetError:
                    pass
            else:
                assert keep_alive(client) == b"one"


# ---- hosts that mean harm ----


def endless(connection, prefix, piece):
    connection.sendall(prefix)
    while True:
        connection.sendall(piece)


HOSTILE = {
    "a head without an end": lambda c: endless(c, b"HTTP/1.1 200 OK\r\n", b"X: " + b"y" * 5000),
    "fields without an end": lambda c: endless(c, b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 999),
    "a body without an end": lambda c: endless(
        c, b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", bytes(65536)
    ),
    "chunks without an end": lambda c: endless(
        c, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 9999
    ),
    "interim answers without an end": lambda c: endless(
        c, b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 999
    ),
    "no HTTP": lambda c: c.sendall(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    "another protocol": lambda c: c.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
    ),
    "two lengths": lambda c: c.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx"
    ),
    "half a body": lambda c: c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"),
    "nothing": lambda c: None,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_an_answer_that_is_none_is_a_failure_and_costs_little(ours, name):
    """The other host goes on to be checked and to be used."""
    with health.Host(ONE) as one, health.Host(TWO, "two"):

        def answer(connection, _):
            HOSTILE[name](connection)
            return False

        one.answer = answer
        running = ours(health.cluster([ONE, TWO]))
        running.wait_for("cluster.up.health_check.network_failure", 3)
        running.wait_for_flags(ONE, "/failed_active_hc")
        assert running.get().body == b"two"


def test_bytes_that_trickle_in_end_with_the_time(ours):
    stop = threading.Event()
    timing = health.QUICK.replace("timeout: 5s", "timeout: 0.1s")
    with health.Host(ONE) as one:

        def trickle(connection, _):
            for byte in b"HTTP/1.1 200 OK\r\nX: " + b"y" * 9999:
                connection.sendall(bytes([byte]))
                if stop.wait(0.01):
                    break
            return False

        one.answer = trickle
        running = ours(health.cluster([ONE], timing=timing))
        running.wait_for_flags(ONE, "/failed_active_hc/active_hc_timeout")
        stop.set()


def test_bytes_that_answer_nothing_close_the_connection_and_are_no_failure(ours):
    with health.Host(ONE) as one:

        def answer_twice(connection, _):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" * 2)
            return True

        one.answer = answer_twice
        running = ours(health.cluster([ONE]))
        wait.until(lambda: one.stage.count > 3, "new connections")
        assert running.health("failure") == 0


def test_a_file_whose_checks_are_wrong_is_refused_with_the_reason(tmp_path):
    wrong = {
        "tcp_health_check: {receive: [{text: 5}]}": "not hexadecimal",
        "tcp_health_check: {receive: [{binary: ''}]}": "the payload has 0 bytes",
        "http_health_check: {path: /a, expected_statuses: [{start: 300, end: 200}]}": "300 to 200",
        'http_health_check: {path: "/a b"}': "blanks",
        "http_health_check: {path: /a, request_headers_to_add: [{header: {key: a, value: '%b%'}}]}":
            "without operators",
        "http_health_check: {path: /a}, event_log_path: /x": "event_log_path",
        "http_health_check: {path: /a, codec_client_type: HTTP3}": "HTTP3",
    }
    for check, reason in wrong.items():
        path = tmp_path / "wrong.yaml"
        text = gateway.bootstrap(
            health.ADMIN,
            gateway.http_listener(health.FRONT, health.TO_UP),
            health.cluster([ONE], check),
        )
        path.write_text(text, encoding="utf-8")
        result = program.hauberk("gateway", "-c", path, "--mode", "validate")
        assert result.returncode != 0, check
        assert reason in result.stdout + result.stderr, (check, result.stdout + result.stderr)
