"""curl, wrk and openssl through the mesh, as much as breaks what is nearly right."""

import hashlib
import re

import pytest

from harness import certificates, hbone, mesh, service

LARGE_BYTES = 16 << 20


def serve_http(connection):
    """HTTP/1.1: GET is answered with the pattern, anything with a body by the body's SHA-256."""
    file = connection.makefile("rwb")
    while line := file.readline():
        headers = {}
        while header := file.readline().strip():
            name, value = header.split(b":", 1)
            headers[name.lower()] = value.strip()
        if headers.get(b"expect") == b"100-continue":
            file.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            file.flush()
        if line.startswith(b"GET"):
            file.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LARGE_BYTES)
            for piece in service.pattern(LARGE_BYTES):
                file.write(piece)
        else:
            body = file.read(int(headers[b"content-length"]))
            answer = hashlib.sha256(body).hexdigest().encode()
            file.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer)
        file.flush()


@pytest.fixture
def cart_service(town):
    cart = town.pair.cart
    with service.Service(cart.namespace, cart.v4, mesh.CART_PORT, serve_http) as server:
        yield server


def test_curl_uploads_and_downloads_large_bodies_on_one_connection(
    town, cart_service, peer_program, tmp_path
):
    upload, download = tmp_path / "upload", tmp_path / "download"
    upload.write_bytes(b"".join(service.pattern(LARGE_BYTES)))
    url = f"http://{mesh.VIP_V4}/"
    done = town.pair.front.namespace.run(
        *(peer_program("curl"), "-sS", "--max-time", "50"),
        *("-T", upload, url),
        *("--next", "-sS", "-o", download, url),
        *("--next", "-sS", "-T", upload, url),
    )
    assert done.stdout == 2 * service.pattern_digest(LARGE_BYTES)
    assert hashlib.sha256(download.read_bytes()).hexdigest() == service.pattern_digest(LARGE_BYTES)
    assert len(cart_service.peers) == 1, "curl needed another connection"


def test_wrk_with_five_hundred_connections_has_no_error(town, peer_program):
    cart = town.pair.cart
    command = [town.binary, "echo", "--listen", f"{cart.v4}:{mesh.CART_PORT}"]
    town.start("echo", command, cart.namespace).wait_for_log("listening on")
    done = town.pair.front.namespace.run(
        *(peer_program("wrk"), "-t1", "-c500", "-d2", "--timeout", "10"), f"http://{mesh.VIP_V4}/"
    )
    assert int(re.search(r"(\d+) requests in", done.stdout).group(1)) > 500
    assert "errors" not in done.stdout and "Non-2xx" not in done.stdout


REFUSED_OPTIONS = {
    "TLS 1.2": (["-tls1_2"], "protocol version|alert|no peer certificate"),
    "a group that nobody has": (["-groups", "X448"], "handshake failure|alert"),
}


@pytest.mark.parametrize("case", REFUSED_OPTIONS)
def test_openssl_is_refused_what_the_mesh_does_not_speak(town, peer_program, case):
    options, complaint = REFUSED_OPTIONS[case]
    done = s_client(town, peer_program, *options)
    assert done.returncode != 0
    assert re.search(complaint, done.stdout + done.stderr)


@pytest.mark.parametrize("group", ["X25519", "P-256", "P-384"])
@pytest.mark.parametrize("suite", ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"])
def test_openssl_agrees_with_us_on_each_suite_and_group(town, peer_program, suite, group):
    done = s_client(town, peer_program, "-tls1_3", "-ciphersuites", suite, "-groups", group)
    assert "Verify return code: 0 (ok)" in done.stdout, done.stdout + done.stderr
    assert re.search(rf"Cipher is {suite}", done.stdout)


def s_client(town, peer_program, *options):
    authority = certificates.Authority.from_files(
        town.folder / "peers", town.ca / "root.pem", town.ca / "root-key.pem"
    )
    identity = authority.issue("front", [mesh.spiffe_id("front")])
    outsider = town.pair.alpha.add_pod("outsider").namespace
    return outsider.run(
        *(peer_program("openssl"), "s_client", "-alpn", "h2", "-verify_return_error"),
        *("-connect", f"{town.pair.cart.v4}:{hbone.HBONE_PORT}"),
        *("-cert", identity.chain, "-key", identity.key, "-CAfile", identity.roots),
        *options,
        input="",
        check=False,
    )
