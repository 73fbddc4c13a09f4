"""X-Forwarded-Client-Cert: the same file to Envoy and to the gateway, what reaches the upstream
compared."""

import ssl

import pytest

from harness import certificates, gateway, program, twins
from harness.tls_gateway import send_all

OURS, ENVOYS, UPSTREAM = 20400, 21400, 22400
TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
ALL = (
    "set_current_client_cert_details: "
    "{subject: true, cert: true, chain: true, dns: true, uri: true}"
)
MODES = [
    ("nothing said", ""),
    ("SANITIZE", "forward_client_cert_details: SANITIZE"),
    ("FORWARD_ONLY", "forward_client_cert_details: FORWARD_ONLY"),
    ("APPEND_FORWARD", f"forward_client_cert_details: APPEND_FORWARD\n          {ALL}"),
    ("SANITIZE_SET", f"forward_client_cert_details: SANITIZE_SET\n          {ALL}"),
    ("ALWAYS_FORWARD_ONLY", "forward_client_cert_details: ALWAYS_FORWARD_ONLY"),
    ("by and hash alone", "forward_client_cert_details: SANITIZE_SET"),
]
OWN = [
    [],
    ["X-Forwarded-Client-Cert: By=a;Hash=b"],
    ["x-forwarded-client-cert: one", "X-FORWARDED-CLIENT-CERT: two"],
    ["Connection: x-forwarded-client-cert", "X-Forwarded-Client-Cert: named"],
]


def listener(number, base, mode, server, roots):
    secure = (
        f'transport_socket: {{name: tls, typed_config: {{"@type": {TLS}, common_tls_context: {{'
        "alpn_protocols: [h2, http/1.1], "
        f"tls_certificates: [{{certificate_chain: {{filename: {server.chain}}}, private_key: "
        f"{{filename: {server.key}}}}}], validation_context: {{trusted_ca: {{filename: {roots}}}}}"
        f"}}}}}}"
    )
    return gateway.http_listener(
        base + number, "{match: {prefix: /}, route: {cluster: up}}", mode, socket=secure,
        name=f"mode{number}",
    )  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory, find_peer_program):
    envoy = find_peer_program("envoy")
    folder = tmp_path_factory.mktemp("client_certificate")
    authority = certificates.Authority(folder / "one", name="one")
    server = authority.issue("server", ["spiffe://one.test/gateway", "https://us.test/"],
                             hosts=["localhost"])  # fmt: skip
    client = authority.issue("client", ["spiffe://one.test/a", "https://one.test/b?c=d"],
                             hosts=["a.test", "b.test"])  # fmt: skip
    client.chain.write_text(client.chain.read_text() + client.roots.read_text())
    plain = authority.issue("plain", [])
    program.run(
        "openssl", "req", "-x509", "-new", "-batch", "-newkey", "rsa:2048", "-nodes",
        "-subj", '/O=One, Ltd; "quoted"/OU=Two/CN=named', "-keyout", folder / "named.key",
        "-out", folder / "named.pem",
    )  # fmt: skip
    roots = folder / "roots.pem"
    roots.write_text((folder / "named.pem").read_text() + server.roots.read_text())

    def write(folder, name, base):
        listeners = "".join(
            listener(i, base, mode, server, roots) for i, (_, mode) in enumerate(MODES)
        )
        path = folder / f"{name}.yaml"
        path.write_text(gateway.bootstrap(base + 99, listeners, gateway.http_cluster(UPSTREAM)))
        return path

    clients = {
        "nobody": context(server.roots),
        "one with names": context(server.roots, client.chain, client.key),
        "one without a name": context(server.roots, plain.chain, plain.key),
        "one with a subject": context(server.roots, folder / "named.pem", folder / "named.key"),
    }
    with twins.run(folder, envoy, (OURS, ENVOYS), write, [gateway.Upstream(UPSTREAM)]):
        yield folder, clients


def context(roots, chain=None, key=None):
    made = ssl.create_default_context(cafile=roots)
    if chain is not None:
        made.load_cert_chain(chain, key)
    return made


def told(port, client, own):
    """The lines of the field that reached the upstream, in their order."""
    lines = ["GET / HTTP/1.1", "Host: a", *own, "Connection: close"]
    reply = gateway.Reply(send_all(port, client, "\r\n".join(lines).encode() + b"\r\n\r\n")[1])
    assert reply.status == b"HTTP/1.1 200 OK"
    head = reply.body.split(b"\r\n\r\n")[0].decode()
    fields = [line.partition(": ") for line in head.split("\r\n")[1:]]
    return [value for name, _, value in fields if name.lower() == "x-forwarded-client-cert"]


def test_the_upstream_is_told_of_clients_what_envoy_tells_it(place):
    _, clients = place
    seen = {}
    for number, (mode, _) in enumerate(MODES):
        for who, client in clients.items():
            for i, own in enumerate(OWN):
                if "Connection: x-forwarded-client-cert" in own:
                    continue  # Envoy lets a client drop the field by naming it, we do not
                ours, envoys = (told(base + number, client, own) for base in (OURS, ENVOYS))
                assert ours == envoys, (mode, who, own)
                seen[mode, who, i] = ours
    whole = seen["SANITIZE_SET", "one with names", 2]
    assert len(whole) == 1 and whole[0].startswith(
        "By=spiffe://one.test/gateway;By=https://us.test/;Hash="
    )
    assert whole[0].endswith(
        'Subject="";URI=spiffe://one.test/a;URI=https://one.test/b?c=d;DNS=a.test;DNS=b.test'
    )
    assert whole[0].count("%20CERTIFICATE") == 6
    assert seen["APPEND_FORWARD", "one with names", 2] == ["one,two," + whole[0]]
    assert seen["SANITIZE", "one with names", 2] == []
    assert seen["FORWARD_ONLY", "nobody", 1] == []
    assert seen["ALWAYS_FORWARD_ONLY", "nobody", 2] == ["one,two"]


def test_requests_of_http2_are_told_of_like_those_of_http1(place):
    folder, clients = place
    known = [
        "--cacert", folder / "one" / "one-roots.pem",
        "--cert", folder / "one" / "client.pem", "--key", folder / "one" / "client-key.pem",
    ]  # fmt: skip
    for number in (1, 3, 4):
        shown = program.run(
            "curl", "-sS", "--http2", "-w", "%{http_version}", *known,
            "-H", "x-forwarded-client-cert: one",
            "-H", "X-Forwarded-Client-Cert: two", f"https://localhost:{OURS + number}/",
        )  # fmt: skip
        assert shown.endswith("\n2")
        fields = [line.partition(": ") for line in shown.splitlines()]
        values = [value for name, _, value in fields if name == "x-forwarded-client-cert"]
        assert values == told(OURS + number, clients["one with names"], OWN[2]), number


def test_a_client_that_names_the_field_as_its_connections_changes_nothing(place):
    own = OWN[3]
    client = place[1]["one with names"]
    assert told(OURS + 1, client, own) == []
    assert told(OURS + 2, client, own) == ["named"]
    assert told(OURS + 6, client, own) == told(OURS + 6, client, [])
    assert told(OURS + 6, client, own)[0].startswith("By=spiffe://one.test/gateway;")
