"""Programs that people point at a gateway: curl, nghttp, openssl and Chromium, over TLS."""

import subprocess

import pytest

from harness import gateway
from harness.tls_gateway import chain, cluster, make_pair, serve

PORT = 24000
URL = f"https://localhost:{PORT}"
BACK = 24001
UPSTREAM = 24002

# A page that says which protocol brought it.
PAGE = (
    "<p id=protocol></p><script>document.getElementById('protocol').textContent = 'by ' + "
    "performance.getEntriesByType('navigation')[0].nextHopProtocol</script>"
)
ROUTES = (
    "{match: {prefix: /up/}, route: {cluster: back, prefix_rewrite: /}}, "
    "{match: {path: /page}, direct_response: {status: 200, body: {inline_string: "
    f'"{PAGE}"}}}}, response_headers_to_add: [{{header: {{key: content-type, value: text/html}}, '
    "append_action: OVERWRITE_IF_EXISTS_OR_ADD}]}, "
    '{match: {prefix: /}, direct_response: {status: 200, body: {inline_string: "hello"}}}'
)


@pytest.fixture
def ca(tmp_path, start, private_namespaces):
    """The file of the authority of a gateway whose upstream is a gateway, TLS on both ways."""
    make_pair(tmp_path, "a")
    tls = (
        "common_tls_context: {alpn_protocols: [h2, http/1.1], tls_certificates: "
        f"{{certificate_chain: {{filename: {tmp_path}/a.pem}}, "
        f"private_key: {{filename: {tmp_path}/a.key}}}}}}"
    )
    plain = cluster("plain", UPSTREAM, tmp_path / "a.pem", "localhost").split(
        "    transport_socket:"
    )[0]
    clusters = "  clusters:\n" + cluster("back", BACK, tmp_path / "a.pem", "localhost") + plain
    listeners = chain(PORT, tls, ROUTES) + chain(
        BACK, tls, "{match: {prefix: /}, route: {cluster: plain}}", "back"
    )
    upstream = gateway.Upstream(UPSTREAM)
    serve(start, tmp_path, listeners, clusters)
    yield tmp_path / "a.pem"
    upstream.close()


def run(*command, **options):
    return subprocess.run(
        [str(word) for word in command], capture_output=True, timeout=60, check=True, **options
    ).stdout


@pytest.mark.parametrize("version, shown", [("--http1.1", b"1.1"), ("--http2", b"2")])
def test_curl_asks_and_uploads(ca, find_peer_program, version, shown):
    curl = find_peer_program("curl")
    common = [curl, "-sS", "--cacert", ca, version]
    assert run(*common, "-w", " %{http_version}", f"{URL}/") == b"hello " + shown
    body = ca.parent / "body"
    body.write_bytes(b"0123456789" * 100_000)
    reply = run(*common, "--data-binary", f"@{body}", f"{URL}/up/echo")
    assert reply.startswith(b"POST /echo HTTP/1.1\r\n")
    assert reply.endswith(b"\r\n\r\n" + body.read_bytes())
    # Three at a time over as many connections as curl likes.
    urls = f"{URL}/up/echo?[1-30]"
    replies = run(*common, "--parallel", "--parallel-max", "3", urls)
    assert sorted(line for line in replies.split(b"\r\n") if line.startswith(b"GET ")) == sorted(
        b"GET /echo?%d HTTP/1.1" % i for i in range(1, 31)
    )


def test_nghttp_asks_for_many_things_on_one_connection(ca, find_peer_program):
    nghttp = find_peer_program("nghttp")
    urls = [f"{URL}/up/echo?{i}" for i in range(20)]
    seen = run(nghttp, "--no-verify-peer", "--multiply=5", "--verbose", "--no-dep", *urls)
    assert b"The negotiated protocol: h2" in seen
    assert seen.count(b":status: 200") == 100
    assert b"GOAWAY frame" not in seen.replace(b"send GOAWAY frame", b"")


def test_openssl_verifies_and_asks(ca):
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{PORT}", "-servername", "localhost"]
    command += ["-CAfile", ca, "-verify_return_error", "-verify_hostname", "localhost"]
    seen = run(*command, "-quiet", "-ign_eof", input=request)
    assert seen.startswith(b"HTTP/1.1 200 OK\r\n")
    assert seen.endswith(b"hello")


def test_chromium_shows_a_page_over_http2(ca, find_peer_program):
    browser = find_peer_program("chromium")
    dom = run(
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--ignore-certificate-errors",
        f"--user-data-dir={ca.parent / 'profile'}", "--dump-dom", f"{URL}/page",
    )  # fmt: skip
    assert b"by h2" in dom
