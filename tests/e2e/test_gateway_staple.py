"""Stapled OCSP responses: which are sent, which certificates are used without, what is refused."""

import datetime
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp

from harness import certificates, gateway, program, twins
from harness.tls_gateway import TLS

OURS, ENVOYS = 20900, 21900
HELLO = '{match: {prefix: /}, direct_response: {status: 200, body: {inline_string: "hello"}}}'
HOUR = datetime.timedelta(hours=1)
ONLY_12 = "tls_minimum_protocol_version: TLSv1_2, tls_maximum_protocol_version: TLSv1_2"
ONLY_13 = "tls_minimum_protocol_version: TLSv1_3, tls_maximum_protocol_version: TLSv1_3"

# policy, the certificate's response, versions; Envoy does not start with all of them
WITH_ENVOY = [
    ("LENIENT_STAPLING", "good", ONLY_13),
    ("LENIENT_STAPLING", "old", ONLY_13),
    ("LENIENT_STAPLING", None, ONLY_13),
    ("LENIENT_STAPLING", "good", ONLY_12),
    ("LENIENT_STAPLING", "old", ONLY_12),
    ("STRICT_STAPLING", "good", ONLY_13),
    ("STRICT_STAPLING", None, ONLY_13),
    ("MUST_STAPLE", "good", ONLY_13),
]
OURS_ALONE = [
    ("STRICT_STAPLING", "old", ONLY_13),
    ("STRICT_STAPLING", "old", ONLY_12),
    ("MUST_STAPLE", "old", ONLY_13),
    ("MUST_STAPLE", "old", ONLY_12),
]


def load(identity):
    return x509.load_pem_x509_certificate(identity.chain.read_bytes())


def make_response(authority, identity, path, until):
    now = certificates.now()
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=load(identity), issuer=authority.certificate, algorithm=hashes.SHA1(),
        cert_status=ocsp.OCSPCertStatus.GOOD, this_update=now - 2 * HOUR,
        next_update=now + until, revocation_time=None, revocation_reason=None,
    )  # fmt: skip
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, authority.certificate)
    response = builder.sign(authority.key, hashes.SHA256())
    path.write_bytes(response.public_bytes(serialization.Encoding.DER))


def make_files(folder):
    authority = certificates.Authority(folder / "one", name="one")
    server = authority.issue("server", [], hosts=["localhost"])
    make_response(authority, server, folder / "good.der", 24 * HOUR)
    make_response(authority, server, folder / "old.der", -HOUR)
    other = authority.issue("other", [], hosts=["other"])
    make_response(authority, other, folder / "other.der", 24 * HOUR)
    (folder / "garbage.der").write_bytes(b"\x30\x03\x0a\x01\x00")
    refused = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER)
    (folder / "later.der").write_bytes(refused.public_bytes(serialization.Encoding.DER))
    return server


def listener(folder, port, policy, response, versions):
    staple = f", ocsp_staple: {{filename: {folder}/{response}.der}}" if response else ""
    secure = (
        f'transport_socket: {{name: tls, typed_config: {{"@type": {TLS}.DownstreamTlsContext, '
        f"ocsp_staple_policy: {policy}, common_tls_context: {{tls_params: {{{versions}}}, "
        f"tls_certificates: [{{certificate_chain: {{filename: {folder}/one/server.pem}}, "
        f"private_key: {{filename: {folder}/one/server-key.pem}}{staple}}}]}}}}}}"
    )
    return gateway.http_listener(port, HELLO, socket=secure, name=f"at{port}")


@pytest.fixture(scope="module")
def pair(tmp_path_factory, find_peer_program):
    folder = tmp_path_factory.mktemp("staple")
    make_files(folder)

    def write(folder, name, base):
        settings = WITH_ENVOY + (OURS_ALONE if name == "hauberk" else [])
        listeners = "".join(
            listener(folder, base + i, *setting) for i, setting in enumerate(settings)
        )
        path = folder / f"{name}.yaml"
        path.write_text(gateway.bootstrap(base + 99, listeners))
        return path

    with twins.run(folder, find_peer_program("envoy"), (OURS, ENVOYS), write) as running:
        yield running


def outcome(port, asks):
    shown = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *(["-status"] if asks else [])],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False,
    ).stdout  # fmt: skip
    return (
        "refused" if "Cipher is (NONE)" in shown
        else "stapled" if "OCSP Response Status: successful" in shown
        else "not stapled"
    )  # fmt: skip


def test_a_response_is_stapled_as_long_as_it_is_good_as_with_envoy(pair):
    for i, (policy, response, _) in enumerate(WITH_ENVOY):
        for asks in (True, False):
            ours, envoys = (outcome(base + i, asks) for base in (OURS, ENVOYS))
            expected = "stapled" if asks and response == "good" else "not stapled"
            assert ours == envoys == expected, (policy, response, asks)


def test_a_certificate_whose_response_has_run_out_is_not_used_where_that_is_asked(pair):
    for i, setting in enumerate(OURS_ALONE):
        port = OURS + len(WITH_ENVOY) + i
        assert outcome(port, True) == "refused", setting
        # Who does not ask cannot know, as with Envoy.
        assert outcome(port, False) == "not stapled", setting


REFUSED = [
    ("LENIENT_STAPLING", "other", "the OCSP response: it is about another certificate"),
    ("LENIENT_STAPLING", "garbage", "the OCSP response: it is of an unknown kind"),
    ("LENIENT_STAPLING", "later", "the OCSP response: trylater"),
    ("MUST_STAPLE", None, "MUST_STAPLE demands an OCSP response, and there is no ocsp_staple"),
]


def test_what_no_client_could_use_is_refused_at_the_start(tmp_path):
    make_files(tmp_path)
    for policy, response, complaint in REFUSED:
        path = tmp_path / "refused.yaml"
        listeners = listener(tmp_path, OURS, policy, response, ONLY_13)
        path.write_text(gateway.bootstrap(OURS + 99, listeners))
        done = subprocess.run(
            [program.BINARY, "gateway", "-c", path, "--mode", "validate"],
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        assert done.returncode != 0 and complaint in done.stderr, (complaint, done.stderr)


def test_a_certificate_that_demands_a_response_is_refused_without_one(tmp_path):
    program.run(
        "openssl", "req", "-x509", "-new", "-batch", "-newkey", "rsa:2048", "-nodes", "-subj",
        "/CN=localhost", "-addext", "tlsfeature=status_request", "-keyout",
        tmp_path / "key.pem", "-out", tmp_path / "cert.pem",
    )  # fmt: skip
    (tmp_path / "one").mkdir()
    (tmp_path / "key.pem").rename(tmp_path / "one" / "server-key.pem")
    (tmp_path / "cert.pem").rename(tmp_path / "one" / "server.pem")
    path = tmp_path / "demanding.yaml"
    listeners = listener(tmp_path, OURS, "LENIENT_STAPLING", None, ONLY_13)
    path.write_text(gateway.bootstrap(OURS + 99, listeners))
    done = subprocess.run(
        [program.BINARY, "gateway", "-c", path, "--mode", "validate"],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "the certificate demands a stapled OCSP response" in done.stderr
