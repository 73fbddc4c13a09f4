"""TLS of `hauberk load` and `hauberk echo`, with each other and with Go's and OpenSSL's."""

import json
import socket
import ssl

import pytest

from harness import namespace, service
from harness.certificates import HOUR, Authority
from harness.program import BINARY, hauberk

HOST = "127.0.0.1"
PORT = 7800


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path / "authority")


@pytest.fixture
def server_identity(authority):
    return authority.issue("server", [], hosts=[HOST, "echo.test"], usages=["server"])


@pytest.fixture
def client_identity(authority):
    return authority.issue("client", [], hosts=["client.test"], usages=["client"])


@pytest.fixture
def echo(start, private_namespaces, server_identity):
    """echo(*options): the port of an echo server over TLS."""

    def begin(*options):
        running = start("echo", [BINARY, "echo", "--listen", f"{HOST}:0", "--cert",
                                 server_identity.chain, "--key", server_identity.key, *options])
        return int(running.wait_for_log(r"^listening on .*:(\d+)$").group(1))

    return begin


def load(url, identity, *options, status=0):
    done = hauberk("load", "-quiet", "--json", "-c", "4", "-qps", "200", "-t", "500ms", "-cacert",
                   identity.roots, *options, url)
    assert done.returncode == status, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("client_engine", ["openssl", "native"])
@pytest.mark.parametrize("server_engine", ["openssl", "native"])
def test_mutual_tls_between_load_and_echo_by_either_engine(echo, server_identity, client_identity,
                                                           client_engine, server_engine):
    port = echo("--mtls", "--cacert", server_identity.roots, "--engine", server_engine)
    report = load(f"https://{HOST}:{port}/", server_identity, "-cert", client_identity.chain,
                  "-key", client_identity.key, "--engine", client_engine)
    assert report["RetCodes"] == {"200": 100}


def test_large_bodies_arrive_whole_over_tls(echo, server_identity):
    port = echo("--size", "1000000")
    report = load(f"https://{HOST}:{port}/", server_identity, "-n", "40", "-payload-size", "300000")
    assert report["RetCodes"] == {"200": 40}
    assert report["Sizes"]["Min"] == report["Sizes"]["Max"] == 1000000


def test_the_tcp_echo_is_spoken_over_tls(echo, server_identity):
    port = echo("--tcp")
    report = load(f"tls://{HOST}:{port}", server_identity)
    assert report["RetCodes"] == {"OK": 100}


def test_without_keep_alive_every_request_is_a_full_handshake_and_the_report_says_so(
    echo, server_identity
):
    port = echo()
    report = load(f"https://{HOST}:{port}/", server_identity, "--no-keepalive")
    assert report["RetCodes"] == {"200": 100}
    assert report["hauberk"]["handshakes_full"] == 100
    assert report["hauberk"]["handshakes_resumed"] == 0
    done = hauberk("load", "-quiet", "-t", "500ms", "--no-keepalive", "-k",
                   f"https://{HOST}:{port}/")
    assert "4 full, 0 resumed" in done.stdout


def test_tickets_are_used_when_that_is_asked_for(start, peer_program, server_identity,
                                                  private_namespaces):
    go = start("go", [peer_program("hbk-fortio"), "server", "-cert", server_identity.chain, "-key",
                      server_identity.key])
    address = go.wait_for_log(r"^listening on (\S+)$").group(1)
    url = f"https://{address}/"
    full = load(url, server_identity, "--no-keepalive")["hauberk"]
    assert (full["handshakes_full"], full["handshakes_resumed"]) == (100, 0)
    for options in (["--engine", "native"], ["--engine", "openssl"], ["--tls", "1.2"]):
        # In warm-up each of the connections gets a ticket. From then on each takes one and leaves
        # one, however many shake hands at once: nobody is ever without.
        resumed = load(url, server_identity, "--no-keepalive", "--resume", "-c", "16", "-qps", "0",
                       "-timeout", "20s", *options)["hauberk"]
        assert resumed["failed"] == 0 and resumed["calls"] > 16, options
        assert resumed["handshakes_full"] == 0, options
        assert resumed["handshakes_resumed"] == resumed["calls"], options


def test_a_ticket_of_tls_1_2_is_used_again_where_the_server_gives_no_other(server_identity,
                                                                            private_namespaces):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(server_identity.chain, server_identity.key)

    def answer(connection):
        with context.wrap_socket(connection, server_side=True) as secure:
            if secure.recv(service.PIECE_BYTES):
                secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with service.Service(namespace.Here(), HOST, PORT, answer):
        result = load(f"https://{HOST}:{PORT}/", server_identity, "--no-keepalive", "--resume",
                      "-qps", "0", "-timeout", "20s", "--tls", "1.2")["hauberk"]
    assert result["failed"] == 0 and result["calls"] > 4
    assert result["handshakes_full"] == 0
    assert result["handshakes_resumed"] == result["calls"]


def test_http_2_over_tls_is_agreed_on_by_alpn(start, peer_program, server_identity, client_identity,
                                              private_namespaces):
    go = start("go", [peer_program("hbk-fortio"), "server", "-cert", server_identity.chain, "-key",
                      server_identity.key, "-cacert", server_identity.roots])
    address = go.wait_for_log(r"^listening on (\S+)$").group(1)
    report = load(f"https://{address}/", server_identity, "-h2", "-s", "4", "-payload-size",
                  "100000", "-cert", client_identity.chain, "-key", client_identity.key)
    assert report["RetCodes"] == {"200": 100} and report["H2"] is True


def test_fortio_speaks_with_echo_over_mutual_tls(echo, peer_program, server_identity,
                                                 client_identity):
    port = echo("--mtls", "--cacert", server_identity.roots)
    from harness.program import run

    text = run(peer_program("hbk-fortio"), "load", "-qps", "100", "-t", "1s", "-cacert",
               server_identity.roots, "-cert", client_identity.chain, "-key", client_identity.key,
               f"https://{HOST}:{port}/")
    assert json.loads(text)["RetCodes"] == {"200": 100}


@pytest.mark.parametrize("options, trusted", [
    (["--sni", "echo.test"], True),
    (["--sni", "other.test"], False),
    (["--sni", "other.test", "--any-name"], True),
    (["--sni", "other.test", "-k"], True),
    (["--sni", "other.test", "-k", "--any-name"], True),
])
def test_the_servers_name_is_checked_unless_told_otherwise(echo, server_identity, options, trusted):
    done = hauberk("load", "-quiet", "-t", "300ms", "-cacert", server_identity.roots, *options,
                   f"https://{HOST}:{echo()}/")
    assert (done.returncode == 0) is trusted, done.stderr
    if not trusted:
        assert "TLS handshake failed" in done.stderr


def test_a_stranger_is_refused_by_an_echo_that_asks_for_certificates(echo, server_identity,
                                                                     tmp_path):
    port = echo("--mtls", "--cacert", server_identity.roots)
    stranger = Authority(tmp_path / "other").issue("stranger", [], hosts=["x.test"])
    for extra in ([], ["-cert", stranger.chain, "-key", stranger.key]):
        done = hauberk("load", "-quiet", "-t", "500ms", "-cacert", server_identity.roots, *extra,
                       f"https://{HOST}:{port}/")
        assert done.returncode == 1
        # In TLS 1.3 the client is done before it is refused: then each request finds it out.
        assert "TLS handshake failed" in done.stdout + done.stderr
        assert "status 200" not in done.stdout


def test_an_expired_server_is_not_believed(start, authority, private_namespaces):
    expired = authority.issue("expired", [], not_before=-3 * HOUR, not_after=-HOUR, hosts=[HOST])
    running = start("echo", [BINARY, "echo", "--listen", f"{HOST}:0", "--cert", expired.chain,
                             "--key", expired.key])
    port = running.wait_for_log(r"^listening on .*:(\d+)$").group(1)
    done = hauberk("load", "-quiet", "-t", "300ms", "-cacert", expired.roots,
                   f"https://{HOST}:{port}/")
    assert done.returncode == 1 and "TLS handshake failed" in done.stderr


def test_pythons_client_reads_the_echo_and_what_is_no_tls_harms_nobody(echo, server_identity):
    port = echo()
    with socket.create_connection((HOST, port)) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        plain.settimeout(20)
        while plain.recv(4096):
            pass
    context = ssl.create_default_context(cafile=str(server_identity.roots))
    with socket.create_connection((HOST, port)) as inner:
        with context.wrap_socket(inner, server_hostname=HOST) as secure:
            secure.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            received = b""
            while piece := secure.recv(4096):
                received += piece
    assert received.endswith(b"\r\n\r\nok")


@pytest.mark.parametrize("arguments, found", [
    (["echo", "--mtls", "--cert", "x"], "--cacert"),
    (["echo", "--key", "x"], "--cert"),
    (["echo", "--cert", "/no/such.pem"], "/no/such.pem"),
    (["echo", "--cert", "/etc/hostname"], "/etc/hostname"),
    (["load", "-cacert", "/no/such.pem", "https://127.0.0.1/"], "/no/such.pem"),
    (["load", "--engine", "magic", "https://127.0.0.1/"], "magic"),
])
def test_files_and_flags_of_tls_that_are_wrong_are_named(arguments, found):
    done = hauberk(*arguments)
    assert done.returncode in (1, 2) and found in done.stderr
