"""What access logs say of TLS: the same file to Envoy and to the gateway, the lines compared."""

import pathlib
import ssl

import pytest

from harness import certificates, gateway, program, wait
from harness.tls_gateway import ADMIN_PORT, HELLO, chain, fetch

OPERATORS = [
    "DOWNSTREAM_TLS_VERSION",
    "DOWNSTREAM_TLS_CIPHER",
    "DOWNSTREAM_PEER_URI_SAN",
    "DOWNSTREAM_PEER_DNS_SAN",
    "DOWNSTREAM_PEER_SUBJECT",
    "DOWNSTREAM_PEER_SERIAL",
    "DOWNSTREAM_PEER_FINGERPRINT_256",
    "DOWNSTREAM_PEER_FINGERPRINT_1",
    "DOWNSTREAM_PEER_ISSUER",
    "DOWNSTREAM_PEER_CERT",
    "DOWNSTREAM_PEER_CERT_V_START",
    "DOWNSTREAM_PEER_CERT_V_END",
    "DOWNSTREAM_PEER_CERT_V_END(%d.%m.%Y %H)",
    "DOWNSTREAM_LOCAL_URI_SAN",
    "DOWNSTREAM_LOCAL_DNS_SAN",
    "DOWNSTREAM_LOCAL_SUBJECT",
    "DOWNSTREAM_TRANSPORT_FAILURE_REASON",
    "DOWNSTREAM_TLS_SESSION_ID",
    "REQUESTED_SERVER_NAME",
]
URIS = ["spiffe://one.test/a", "https://one.test/b"]
FILE_LOG = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"


@pytest.fixture
def place(tmp_path, private_namespaces):
    authority = certificates.Authority(tmp_path / "one", name="one")
    server = authority.issue("server", ["spiffe://one.test/us", "u:2"], hosts=["localhost"])
    client = authority.issue("client", URIS, hosts=["a.test", "b.test"])
    program.run(
        "openssl", "req", "-x509", "-new", "-batch", "-newkey", "rsa:2048", "-nodes",
        "-subj", "/O=One, Ltd/OU=Two/CN=named", "-keyout", tmp_path / "named.key",
        "-out", tmp_path / "named.pem",
    )  # fmt: skip
    roots = (tmp_path / "named.pem").read_text() + pathlib.Path(server.roots).read_text()
    (tmp_path / "trusted.pem").write_text(roots)
    return tmp_path, server, client


def write(place, name, port, admin_port):
    folder, server, _ = place
    tls = (
        "common_tls_context: {tls_params: {tls_minimum_protocol_version: TLSv1_3, "
        "tls_maximum_protocol_version: TLSv1_3}, tls_certificates: "
        f"{{certificate_chain: {{filename: {server.chain}}}, private_key: "
        f"{{filename: {server.key}}}}}, validation_context: "
        f"{{trusted_ca: {{filename: {folder}/trusted.pem}}}}}}"
    )
    operators = "|".join(f"%{operator}%" for operator in OPERATORS)
    log = (
        'access_log: [{name: file, typed_config: {"@type": '
        f"{FILE_LOG}, path: {folder}/{name}-access.log, log_format: "
        f'{{text_format_source: {{inline_string: "{operators}\\n"}}}}}}}}]'
    )
    listener = chain(port, tls, HELLO).replace(
        "stat_prefix: front", f"stat_prefix: front\n          {log}"
    )
    listener = listener.replace(
        "{name: envoy.filters.http.router}",
        '{name: envoy.filters.http.router, typed_config: {"@type": '
        "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}",
    )
    path = folder / f"{name}.yaml"
    path.write_text(
        "admin: {address: {socket_address: "
        f"{{address: 127.0.0.1, port_value: {admin_port}}}}}}}\n"
        f"static_resources:\n  listeners:{listener}"
    )
    return path


def is_ready(port):
    data = b"GET /ready HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    return b" 200 " in gateway.exchange(port, data)


def context(server, chain_path=None, key_path=None):
    made = ssl.create_default_context(cafile=server.roots)
    if chain_path is not None:
        made.load_cert_chain(chain_path, key_path)
    return made


def lines(path, count):
    wait.until(
        lambda: path.exists() and path.read_text().count("\n") == count, f"{count} lines in {path}"
    )
    return path.read_text().splitlines()


def test_operators_of_tls_say_what_envoys_say(place, start, find_peer_program):
    envoy = find_peer_program("envoy")
    folder, server, client = place
    clients = [
        context(server),
        context(server, client.chain, client.key),
        context(server, folder / "named.pem", folder / "named.key"),
    ]
    # One worker: the lines of several come in any order.
    common = ["--file-flush-interval-msec", "20", "--concurrency", "1"]
    ours = write(place, "hauberk", 24000, ADMIN_PORT)
    theirs = write(place, "envoy", 25000, ADMIN_PORT + 1000)
    start("hauberk", [program.BINARY, "gateway", "-c", ours, *common])
    start(
        "envoy", [envoy, "-c", theirs, "--use-dynamic-base-id", "-l", "warning", *common]
    )
    for port in (ADMIN_PORT, ADMIN_PORT + 1000):
        wait.until(lambda port=port: is_ready(port), "readiness", 30)
    for port in (24000, 25000):
        for client_context in clients:
            assert fetch(port, client_context)[1].body == b"hello"
    logged, expected = (
        lines(folder / f"{name}-access.log", len(clients)) for name in ("hauberk", "envoy")
    )
    for mine, its in zip(logged, expected):
        mine, its = mine.split("|"), its.split("|")
        # The two choose their cipher themselves, and Envoy knows the name by tls_inspector alone.
        assert mine[1].startswith("TLS_") and its[1].startswith("TLS_")
        assert mine[-1] == "localhost" and its[-1] == "-"
        assert mine[:1] + mine[2:-1] == its[:1] + its[2:-1]
    assert logged[0].split("|")[2:13] == ["-"] * 11
    assert logged[0].split("|")[13:-1] == ["spiffe://one.test/us,u:2", "localhost", "-", "-", "-"]
    assert logged[1].split("|")[2:4] == [",".join(URIS), "a.test,b.test"]
    assert "CN=named,OU=Two,O=One" in logged[2]
