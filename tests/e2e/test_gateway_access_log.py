"""Access logs of listeners, their filters and their files: the same file to Envoy and to the
gateway, the lines compared."""

import contextlib
import os
import signal
import socket
import ssl

import pytest

from harness import gateway, twins, wait
from harness.tls_gateway import TLS, make_pair, send_all

OURS, ENVOYS, UPSTREAM = 20500, 21500, 22500
FILE_LOG = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"
TCP_PROXY = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
PROXY_FILTER = (
    "listener_filters: [{name: p, typed_config: {\"@type\": "
    "type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol}}]"
)
HELLO = '{match: {prefix: /}, direct_response: {status: 200, body: {inline_string: "hello"}}}'
# Of a connection; the wire's bytes are not told by Envoy's listeners.
OF_CONNECTION = (
    "%PROTOCOL% %RESPONSE_CODE% %RESPONSE_CODE_DETAILS% %RESPONSE_FLAGS% %RESPONSE_FLAGS_LONG% "
    "%BYTES_RECEIVED% %BYTES_SENT% %REQUEST_DURATION% %RESPONSE_DURATION% %FILTER_CHAIN_NAME% "
    "%ACCESS_LOG_TYPE% %UPSTREAM_CLUSTER% %UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %TRACE_ID% "
    "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT% "
    "%REQ(:METHOD)%"
)
OF_HANDSHAKE = "%DOWNSTREAM_TLS_VERSION% %DOWNSTREAM_TRANSPORT_FAILURE_REASON%"
OF_EXCHANGE = (
    "%REQ(:PATH)% %STREAM_ID% %RESPONSE_CODE% %RESPONSE_FLAGS_LONG% %GRPC_STATUS% "
    "%GRPC_STATUS(SNAKE_STRING)% %GRPC_STATUS(NUMBER)% %GRPC_STATUS_NUMBER% "
    "%ENVIRONMENT(HAUBERK_TEST)% %ENVIRONMENT(NOWHERE)% "
    "%ENVIRONMENT(HAUBERK_TEST):2% %ACCESS_LOG_TYPE% %UPSTREAM_TLS_VERSION% "
    "%UPSTREAM_PEER_SUBJECT% %UPSTREAM_PEER_ISSUER% %UPSTREAM_PEER_DNS_SAN% "
    "%UPSTREAM_PEER_URI_SAN% %UPSTREAM_PEER_CERT% %UPSTREAM_PEER_CERT_V_START(%Y)% "
    "%UPSTREAM_REMOTE_PORT% %UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT% "
    "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%"
)


def log(path, text, more=""):
    return (
        f'access_log: [{{name: file, {more} typed_config: {{"@type": {FILE_LOG}, path: {path}, '
        f'log_format: {{text_format_source: {{inline_string: "{text}\\n"}}}}}}}}]'
    )


def tcp_listener(port, listener, name):
    return f"""
  - name: {name}
    address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    {listener}
    filter_chains:
    - name: bytes
      filters:
      - name: tcp
        typed_config: {{"@type": {TCP_PROXY}, stat_prefix: {name}, cluster: up}}
"""


def secure_cluster(port, ca):
    return gateway.http_cluster(
        port,
        'transport_socket: {name: tls, typed_config: {"@type": '
        f"{TLS}.UpstreamTlsContext, sni: localhost, common_tls_context: {{"
        f"validation_context: {{trusted_ca: {{filename: {ca}}}, "
        "match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: localhost}}]}, "
        "tls_params: {tls_minimum_protocol_version: TLSv1_3, tls_maximum_protocol_version: "
        "TLSv1_3}}}}",
        name="secure",
    )


def configuration(folder, name, base):
    def of(kind):
        return folder / f"{name}-{kind}.log"

    secure = (
        f'transport_socket: {{name: tls, typed_config: {{"@type": {TLS}.DownstreamTlsContext, '
        f"common_tls_context: {{tls_certificates: [{{certificate_chain: {{filename: "
        f"{folder}/one.pem}}, private_key: {{filename: {folder}/one.key}}}}]}}}}}}"
    )
    routes = (
        f"{HELLO.replace('prefix: /', 'path: /direct')}, "
        "{match: {prefix: /secure}, route: {cluster: secure}}, "
        "{match: {prefix: /}, route: {cluster: up}}"
    )
    listeners = [
        gateway.http_listener(
            base, routes, log(of("exchange"), OF_EXCHANGE), log(of("plain"), OF_CONNECTION),
            name="plain",
        ),
        gateway.http_listener(
            base + 1, HELLO, "", log(of("tls"), f"{OF_CONNECTION} {OF_HANDSHAKE}"),
            secure, name="tls",
        ),
        tcp_listener(base + 2, log(of("tcp"), OF_CONNECTION), "tcp"),
        gateway.http_listener(
            base + 3, HELLO, "", log(of("nowhere"), OF_CONNECTION), name="nowhere"
        ).replace("filter_chains:\n    - ", "filter_chains:\n    - filter_chain_match: "
                  "{destination_port: 1}\n      "),
        gateway.http_listener(
            base + 4, HELLO, "", f"{log(of('proxy'), OF_CONNECTION)}\n    {PROXY_FILTER}",
            name="proxy",
        ),
        gateway.http_listener(
            base + 5, routes,
            log(of("filtered"), "%REQ(:PATH)%", "filter: {and_filter: {filters: ["
                "{status_code_filter: {comparison: {op: GE, value: {default_value: 400, "
                "runtime_key: a}}}}, {or_filter: {filters: ["
                "{header_filter: {header: {name: x-log, string_match: {exact: please}}}}, "
                "{response_flag_filter: {flags: [NR, UF]}}]}}, {not_health_check_filter: {}}]}},"),
            name="filtered",
        ),
        gateway.http_listener(base + 6, HELLO, log(of("rotated"), "%REQ(:PATH)%"), name="rotated"),
        gateway.http_listener(base + 7, HELLO, log(of("stuck"), "%REQ(:PATH)%"), name="stuck"),
    ]  # fmt: skip
    clusters = gateway.http_cluster(UPSTREAM) + secure_cluster(UPSTREAM + 1, folder / "up.pem")
    path = folder / f"{name}.yaml"
    path.write_text(gateway.bootstrap(base + 99, "".join(listeners), clusters))
    return path


class SecureUpstream(gateway.Upstream):
    def __init__(self, port, context):
        self.context = context
        super().__init__(port)

    def serve(self, connection, *_):
        with contextlib.suppress(OSError):
            super().serve(self.context.wrap_socket(connection, server_side=True))


@pytest.fixture(scope="module")
def pair(tmp_path_factory, find_peer_program):
    envoy = find_peer_program("envoy")
    folder = tmp_path_factory.mktemp("logs")
    make_pair(folder, "one")
    make_pair(folder, "up")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "up.pem", folder / "up.key")
    upstreams = [gateway.Upstream(UPSTREAM), SecureUpstream(UPSTREAM + 1, context)]
    environment = {**os.environ, "HAUBERK_TEST": "of the start"}
    with twins.run(
        folder, envoy, (OURS, ENVOYS), configuration, upstreams, environment
    ) as running:
        yield running


def lines(pair, kind, count):
    """The lines of both, once as many are there."""
    found = []
    for name in ("hauberk", "envoy"):
        path = pair.folder / f"{name}-{kind}.log"
        wait.until(
            lambda path=path: path.exists() and path.read_text().count("\n") >= count,
            f"{count} lines in {path}",
        )
        found.append(path.read_text().splitlines())
    return found


def get(path, *fields):
    lines = [f"GET {path} HTTP/1.1", "Host: a", "X-Request-Id: mine", *fields, "Connection: close"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def ask(offset, *requests):
    for base in (OURS, ENVOYS):
        for request in requests:
            gateway.exchange(base + offset, request)


def without_lengths(lines):
    """Envoy's responses name another server, so their bytes are others."""
    kept = []
    for line in lines:
        words = line.split(" ")
        kept.append(words[:6] + words[7:])
    return kept


def test_a_listener_logs_every_connection_as_envoy_does(pair):
    ask(0, get("/direct"))
    for base in (OURS, ENVOYS):
        socket.create_connection(("127.0.0.1", base), timeout=10).close()
    for offset in (2, 3, 4):
        ask(offset, get("/direct"))
    for base in (OURS, ENVOYS):
        client = ssl.create_default_context(cafile=pair.folder / "one.pem")
        assert b"hello" in send_all(base + 1, client, get("/"))[1]
    for kind, count in (("plain", 2), ("tcp", 1), ("nowhere", 1), ("proxy", 1), ("tls", 1)):
        ours, envoys = lines(pair, kind, count)
        assert without_lengths(ours) == without_lengths(envoys), kind
        assert len(ours) == count, kind
    assert lines(pair, "plain", 2)[0][0].startswith("HTTP/1.1 0 - - - 72 142 ")
    nowhere = lines(pair, "nowhere", 1)[0][0]
    assert nowhere.startswith("- 0 filter_chain_not_found NR NoRouteFound 0 ")


def test_a_listener_says_why_a_handshake_failed(pair):
    before = len(lines(pair, "tls", 0)[0])
    for base in (OURS, ENVOYS):
        with contextlib.suppress(ConnectionError):
            gateway.exchange(base + 1, get("/"))
    ours, envoys = (both[-1:] for both in lines(pair, "tls", before + 1))
    # Envoy names the version that it would have spoken, and failures in BoringSSL's words.
    assert without_lengths(ours)[0][:-2] == without_lengths(envoys)[0][:-2]
    for line in (*ours, *envoys):
        assert line.split(" ")[-1].startswith("TLS_error:|"), line
    assert ours[0].split(" ")[-2] == "-"


def test_operators_of_an_exchange_say_what_envoys_say(pair):
    before = len(lines(pair, "exchange", 0)[0])
    grpc = "Content-Type: application/grpc"
    ask(0, get("/direct"), get("/secure"), get("/status/503", grpc), get("/secure", grpc))
    ours, envoys = (both[-4:] for both in lines(pair, "exchange", before + 4))
    assert ours == envoys
    assert " of the start - of DownstreamEnd " in ours[0]
    assert " 503 - Unavailable UNAVAILABLE 14 14 " in ours[2]
    assert " TLSv1.3 CN=localhost CN=localhost localhost - -----BEGIN" in ours[1]


def test_filters_pass_the_lines_that_envoys_pass(pair):
    ask(
        5,
        get("/status/200", "X-Log: please"),
        get("/status/404"),
        get("/status/404", "X-Log: please"),
        get("/direct"),
        get("/status/500", "X-Log: no"),
        get("/status/501", "X-Log: please"),
    )
    assert lines(pair, "filtered", 2) == [["/status/404", "/status/501"]] * 2


def test_files_are_opened_anew_by_sigusr1_and_by_an_order(pair):
    ask(6, get("/first"))
    lines(pair, "rotated", 1)
    for name, running in (("hauberk", pair.ours), ("envoy", pair.envoys)):
        path = pair.folder / f"{name}-rotated.log"
        path.rename(pair.folder / f"{name}-rotated.1")
        os.kill(running.pid, signal.SIGUSR1)
    ours = pair.folder / "hauberk-rotated.log"
    wait.until(ours.exists, "the new file")

    def is_open_anew():
        # Envoy opens its files with the next line.
        gateway.exchange(ENVOYS + 6, get("/second"))
        return (pair.folder / "envoy-rotated.log").exists()

    wait.until(is_open_anew, "Envoy's new file")
    gateway.exchange(OURS + 6, get("/second"))
    wait.until(lambda: ours.read_text() == "/second\n", "a line in the new file")
    assert (pair.folder / "hauberk-rotated.1").read_text() == "/first\n"
    ours.rename(pair.folder / "hauberk-rotated.2")
    assert gateway.Running(None, OURS + 99).admin("/reopen_logs", "POST") == "OK\n"
    wait.until(ours.exists, "another new file")


def test_a_log_that_cannot_be_opened_anew_stays(pair):
    path = pair.folder / "hauberk-stuck.log"
    kept = pair.folder / "hauberk-stuck.1"
    path.rename(kept)
    path.mkdir()
    os.kill(pair.ours.pid, signal.SIGUSR1)
    pair.ours.wait_for_log("cannot be opened; the old file is written on")
    gateway.exchange(OURS + 7, get("/third"))
    wait.until(lambda: kept.read_text() == "/third\n", "the line in the old file")
