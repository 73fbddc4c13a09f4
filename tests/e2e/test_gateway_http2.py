"""The gateway's HTTP/2 judged by h2spec, whole: RFC 7540, RFC 7541, over TLS and without."""

import subprocess
import xml.etree.ElementTree

import pytest

from harness import gateway, program, wait

FRONT, INNER, ADMIN, UPSTREAM = 24300, 24301, 24309, 24310
TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3"
TO_UP = "{match: {prefix: /}, route: {cluster: up}}"
CASES = 145  # of the version that tests/h2spec pins


@pytest.fixture(autouse=True)
def loopback(private_namespaces):
    """Ports are this test's own."""


def tls_socket(folder):
    program.run(
        *("openssl", "req", "-x509", "-new", "-batch", "-newkey", "rsa:2048", "-nodes"),
        *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
        *("-keyout", folder / "front.key", "-out", folder / "front.pem"),
    )
    return (
        "transport_socket: {name: tls, typed_config: {"
        f'"@type": {TLS}.DownstreamTlsContext, common_tls_context: {{alpn_protocols: [h2], '
        f"tls_certificates: {{certificate_chain: {{filename: {folder}/front.pem}}, "
        f"private_key: {{filename: {folder}/front.key}}}}}}}}}}"
    )


def judge(h2spec, report, *options):
    """Runs all cases; returns how many there were and what failed."""
    subprocess.run(
        [h2spec, "-h", "127.0.0.1", "-p", str(FRONT), "-o", "5", "-j", report, *options],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=300,
        check=False,  # the report says it
    )
    cases = list(xml.etree.ElementTree.parse(report).getroot().iter("testcase"))
    bad = [
        f"{one.get('package')} {one.get('classname')}: {found.text or found.tag}"
        for one in cases
        for found in one
        if found.tag in ("failure", "error", "skipped")
    ]
    return len(cases), bad


@pytest.mark.parametrize("hop", ["HTTP/1", "HTTP/2"])
@pytest.mark.parametrize("is_secure", [True, False], ids=["TLS", "plain"])
def test_h2spec_passes_whole(start, tmp_path, find_peer_program, hop, is_secure):
    """Before an upstream that answers behind the request's end, so that a client's mistakes in it
    come first: itself of HTTP/1, or behind another listener to which HTTP/2 leads."""
    h2spec = find_peer_program("hbk-h2spec")
    target = "inner" if hop == "HTTP/2" else "up"
    front = gateway.http_listener(
        FRONT,
        f"{{match: {{prefix: /}}, route: {{cluster: {target}}}}}",
        socket=tls_socket(tmp_path) if is_secure else "",
        manager="codec_type: HTTP2",
    )
    inner = gateway.http_listener(INNER, TO_UP, name="inner")
    clusters = gateway.http_cluster(UPSTREAM) + gateway.http_cluster(
        INNER, gateway.HTTP2_UPSTREAM, name="inner"
    )
    running = gateway.run(
        start, tmp_path, gateway.bootstrap(ADMIN, front + inner, clusters), ADMIN
    )
    behind = gateway.Upstream(UPSTREAM)
    try:
        count, bad = judge(h2spec, tmp_path / "report.xml", *(["-t", "-k"] if is_secure else []))
        assert bad == []
        assert count == CASES
        wait.until(
            lambda: running.stat("http.front.downstream_cx_active") == 0, "its clients to be gone"
        )
    finally:
        behind.close()
