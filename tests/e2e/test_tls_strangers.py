"""Our TLS 1.3 with other people's, in both roles: every suite, group and kind of certificate,
mutual and not, resumed and not, by the engine native; and what the engine openssl needs as the one
to fall back on. Our side is held to what a case is about and writes what was agreed on; the
stranger is left as it comes.
"""

import subprocess

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.x509 import ocsp

from harness import strangers, tls_peer
from harness.strangers import STRANGERS, Wish

SUITES = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]
GROUPS = ["X25519", "P-256", "P-384"]
SCHEMES = {
    "rsa2048": "rsa_pss_rsae_sha256",
    "rsa3072": "rsa_pss_rsae_sha256",
    "rsa4096": "rsa_pss_rsae_sha256",
    "p256": "ecdsa_secp256r1_sha256",
    "p384": "ecdsa_secp384r1_sha384",
    "ed25519": "ed25519",
}


class Case:
    """`flags`: of our side; `expected`: of what it writes about each handshake."""

    def __init__(self, flags=(), key="p256", **rest):
        self.flags, self.key = list(flags), key
        self.client_key = rest.pop("client_key", None)
        self.group = rest.pop("group", None)
        self.protocol = rest.pop("protocol", None)
        self.count = rest.pop("count", 1)
        self.expected = rest


CASES = {}
for suite in SUITES:
    CASES[f"suite {suite}"] = Case(["--suites", suite], suite=suite)
    CASES[f"resumed with {suite}"] = Case(["--suites", suite, "--tickets", 2], suite=suite, count=3)
for group in GROUPS:
    CASES[f"group {group}"] = Case(["--groups", group], group=group)
for kind, scheme in SCHEMES.items():
    CASES[f"server certificate {kind}"] = Case(key=kind)
    CASES[f"mutual with {kind}"] = Case(["--mutual"], client_key=kind)
CASES["mutual and resumed"] = Case(["--mutual", "--tickets", 2], client_key="p256", count=2)
CASES["ALPN"] = Case(["--alpn", "h2,http/1.1"], protocol="http/1.1")
CASES["fresh keys"] = Case(["--update-keys"])
CASES["small records"] = Case(["--record-limit", 512])

# The cases that the other engine is put to as well. It knows no record_size_limit.
FALLBACK = [
    *(f"suite {suite}" for suite in SUITES),
    *(f"group {group}" for group in GROUPS),
    *(f"server certificate {kind}" for kind in ("rsa2048", "p384", "ed25519")),
    *(f"mutual with {kind}" for kind in ("rsa2048", "p256")),
    *("resumed with TLS_AES_128_GCM_SHA256", "mutual and resumed", "ALPN", "fresh keys"),
]
for name in FALLBACK:
    case = CASES[name]
    CASES[f"openssl, {name}"] = Case(
        ["--engine", "openssl", *case.flags],
        case.key,
        client_key=case.client_key,
        group=case.group,
        protocol=case.protocol,
        count=case.count,
        engine="openssl",
        **case.expected,
    )

AS_SERVER = {**CASES, "a client certificate that is asked for": Case(["--ask"])}
# A stranger that speaks one group only, for which our first hello brings no share.
AS_CLIENT = {
    **CASES,
    **{
        f"asked again for {group}": Case(
            ["--groups", "X25519,P-256,P-384" if group != "X25519" else "P-256,X25519"], group=group
        )
        for group in GROUPS
    },
}

# What a stranger's own program cannot be told: Python's ssl has no name for X25519. What it does
# not speak: Envoy has no Ed25519.
LEFT_OUT = {
    ("python", "asked again for X25519"),
    ("envoy", "server certificate ed25519"),
    ("envoy", "mutual with ed25519"),
    ("envoy", "openssl, server certificate ed25519"),
}


def pairs(cases):
    """Of strangers and names of cases."""
    return [
        (stranger, name)
        for stranger in STRANGERS
        for name in cases
        if (stranger, name) not in LEFT_OUT
    ]


@pytest.fixture(scope="module")
def hosts(tmp_path_factory):
    return tls_peer.Hosts(tmp_path_factory.mktemp("hosts"))


@pytest.fixture
def stranger(request, find_peer_program):
    stranger = STRANGERS[request.param]
    stranger.path = find_peer_program(stranger.program) if stranger.program else None
    return stranger


def judge(case, count, agreed, expected):
    """The first handshake is full and all later ones are resumed."""
    expected = {
        "version": "TLSv1.3",
        "engine": "native",
        "protocol": case.protocol or "",
        **({"group": case.group} if case.group else {}),
        **case.expected,
        **expected,
    }
    assert len(agreed) == count
    for i, handshake in enumerate(agreed):
        assert handshake["resumed"] == (i > 0)
        assert handshake.items() >= expected.items()


def serve(hosts, start, *flags, key="p256"):
    identity = hosts.of(key)
    files = ["--cert", identity.chain, "--key", identity.key, "--ca", hosts.roots]
    return tls_peer.Server(start, *files, *flags)


def dial(hosts, port, *flags):
    return tls_peer.run_client(port, "--ca", hosts.roots, "--name", tls_peer.HOST, *flags)


@pytest.mark.parametrize("stranger,name", pairs(AS_SERVER), indirect=["stranger"])
def test_a_stranger_reaches_our_server(stranger, name, hosts, start, tmp_path):
    case = AS_SERVER[name]
    count = min(case.count, stranger.connections_max)
    wish = Wish(hosts, case.key, case.client_key, protocol=case.protocol, count=count)
    server = serve(hosts, start, *case.flags, key=case.key)
    stranger.connect(stranger.path, server.port, wish, tmp_path)
    server.wait_for_events(2 * count)
    agreed = server.handshakes()
    peer = f"CN={case.client_key}" if case.client_key else None
    judge(case, count, agreed, {"peer": peer, "server_name": tls_peer.HOST})
    assert agreed[0]["scheme"] == (SCHEMES[case.client_key] if case.client_key else "")
    server.end()


@pytest.mark.parametrize("stranger,name", pairs(AS_CLIENT), indirect=["stranger"])
def test_our_client_reaches_a_stranger(stranger, name, hosts, start):
    case = AS_CLIENT[name]
    group = case.group if name.startswith("asked again") else None
    wish = Wish(hosts, case.key, case.client_key, group, case.protocol, case.count)
    flags = [flag for flag in case.flags if flag != "--mutual"]
    if wish.client:
        flags += ["--cert", wish.client.chain, "--key", wish.client.key]
    port, line, answer = stranger.serve(start, stranger.path, wish)
    finished = dial(
        hosts, port, "--connections", case.count, "--send", line, "--expect", answer, *flags
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    agreed = tls_peer.handshakes(finished.stdout)
    judge(case, case.count, agreed, {"peer": f"CN={case.key}"})
    assert agreed[0]["scheme"] == SCHEMES[case.key]


@pytest.mark.parametrize("server_engine", ["native", "openssl"])
@pytest.mark.parametrize("client_engine", ["native", "openssl"])
def test_our_engines_reach_each_other(client_engine, server_engine, hosts, start):
    server = serve(hosts, start, "--engine", server_engine, "--mutual", "--alpn", "h2")
    web = hosts.of("rsa2048")
    flags = ["--engine", client_engine, "--alpn", "h2", "--cert", web.chain, "--key", web.key]
    finished = dial(hosts, server.port, *flags)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    (agreed,) = tls_peer.handshakes(finished.stdout)
    assert (agreed["engine"], agreed["protocol"]) == (client_engine, "h2")
    (agreed,) = [event for event in server.wait_for_events(2) if event["event"] == "handshake"]
    assert (agreed["engine"], agreed["peer"]) == (server_engine, "CN=rsa2048")
    server.end()


# RFC 8446 4.2.1: a server that negotiates TLS 1.3 alone MUST refuse others with protocol_version.
def test_a_client_of_tls12_alone_is_told_the_version(hosts, start, peer_program):
    server = serve(hosts, start)
    finished = subprocess.run(
        [peer_program("openssl"), "s_client", "-tls1_2", "-connect", f"127.0.0.1:{server.port}"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=tls_peer.TIMEOUT_S,
        check=False,
    )
    assert "alert protocol version" in finished.stderr
    (failed,) = server.wait_for_events(1)
    assert (failed["event"], failed["alert"]) == ("failed", "protocol_version")
    assert not failed["received"]
    server.end()


# docs/tls.md: the table of ClientHellos that another engine goes on with.
@pytest.mark.parametrize(
    "flag,version,engine",
    [
        ("-tls1_2", "TLSv1.2", "openssl"),
        ("-tls1_3", "TLSv1.3", "native"),
        ("", "TLSv1.3", "native"),
    ],
)
@pytest.mark.parametrize(
    "key,client_key", [("p256", None), ("rsa2048", "rsa2048"), ("p256", "p256")]
)
def test_a_server_that_allows_tls12_hands_its_clients_over(
    flag, version, engine, key, client_key, hosts, start, peer_program
):
    mutual = ["--mutual"] if client_key else []
    server = serve(hosts, start, "--engine", "native", "--tls12", *mutual, key=key)
    command = [peer_program("openssl"), "s_client", "-connect", f"127.0.0.1:{server.port}"]
    command += ["-servername", tls_peer.HOST, "-verify_hostname", tls_peer.HOST]
    command += ["-CAfile", hosts.roots, "-verify_return_error"] + ([flag] if flag else [])
    if client_key:
        command += ["-cert", hosts.of(client_key).chain, "-key", hosts.of(client_key).key]
    strangers.run_until(command, strangers.LINE, strangers.LINE)
    server.wait_for_events(2)
    (agreed,) = server.handshakes()
    assert (agreed["version"], agreed["engine"]) == (version, engine)
    assert agreed["server_name"] == tls_peer.HOST
    assert agreed["peer"] == (f"CN={client_key}" if client_key else None)
    server.end()


def test_a_client_of_tls12_without_a_suite_of_ours_is_refused_by_the_other_engine(
    hosts, start, peer_program
):
    server = serve(hosts, start, "--engine", "native", "--tls12")
    command = [peer_program("openssl"), "s_client", "-tls1_2", "-cipher", "AES128-SHA"]
    finished = subprocess.run(
        [*command, "-connect", f"127.0.0.1:{server.port}"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=tls_peer.TIMEOUT_S,
        check=False,
    )
    assert "alert handshake failure" in finished.stderr
    (failed,) = server.wait_for_events(1)
    assert (failed["event"], failed["alert"]) == ("failed", "handshake_failure")
    server.end()


# RFC 8446 4.2.1: a client that offers TLS 1.3 alone aborts with protocol_version.
def test_a_server_of_tls12_alone_is_told_the_version(hosts, start, peer_program):
    identity = hosts.of("p256")
    command = [peer_program("openssl"), "s_server", "-accept", "127.0.0.1:0", "-rev", "-tls1_2"]
    running = start("s_server", [*command, "-cert", identity.chain, "-key", identity.key])
    port = running.wait_for_log(r"^ACCEPT 127\.0\.0\.1:(\d+)").group(1)
    finished = dial(hosts, port)
    assert finished.returncode == 1
    (failed,) = tls_peer.events(finished.stdout)
    assert (failed["event"], failed["alert"]) == ("failed", "protocol_version")


@pytest.fixture
def staple(tmp_path):
    """An OCSP response, which nobody on the way judges."""
    path = tmp_path / "staple.der"
    response = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER)
    path.write_bytes(response.public_bytes(serialization.Encoding.DER))
    return path


# RFC 8446 4.4.2.1: an OCSP response is an extension of the certificate it belongs to.
def test_our_staple_reaches_a_client_that_asks(hosts, start, staple, peer_program):
    identity = hosts.of("p256")
    files = ["--cert", identity.chain, "--key", identity.key, "--staple", staple]
    server = tls_peer.Server(start, *files)
    command = [peer_program("openssl"), "s_client", "-connect", f"127.0.0.1:{server.port}"]
    output = strangers.run_until([*command, "-status"], strangers.LINE, strangers.LINE)
    assert "OCSP Response Status: trylater" in output
    output = strangers.run_until(command, strangers.LINE, strangers.LINE)
    assert "OCSP" not in output
    server.end()


def test_a_servers_staple_is_passed_up(hosts, start, staple, peer_program):
    identity = hosts.of("p256")
    command = [peer_program("openssl"), "s_server", "-accept", "127.0.0.1:0", "-rev"]
    command += ["-status_file", staple, "-cert", identity.chain, "-key", identity.key]
    running = start("s_server", command)
    port = running.wait_for_log(r"^ACCEPT 127\.0\.0\.1:(\d+)").group(1)
    for flags, size in ((["--ask-staple"], staple.stat().st_size), ([], 0)):
        finished = dial(hosts, port, "--send", "ab\n", "--expect", "ba\n", *flags)
        assert finished.returncode == 0, finished.stdout + finished.stderr
        (agreed,) = tls_peer.handshakes(finished.stdout)
        assert agreed["staple_bytes"] == size
