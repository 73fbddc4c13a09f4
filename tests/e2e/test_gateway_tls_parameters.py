"""Cipher suites, signature algorithms, whose order counts: the same file to Envoy and to the
gateway, what clients agree on with each compared."""

import re
import subprocess

import pytest

from harness import gateway, program, twins
from harness.tls_gateway import TLS, make_pair

OURS, ENVOYS = 20600, 21600
HELLO = '{match: {prefix: /}, direct_response: {status: 200, body: {inline_string: "hello"}}}'
ONLY_12 = "tls_minimum_protocol_version: TLSv1_2, tls_maximum_protocol_version: TLSv1_2"
ONLY_13 = "tls_minimum_protocol_version: TLSv1_3, tls_maximum_protocol_version: TLSv1_3"
AES128, AES256 = "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384"
CHACHA = "ECDHE-RSA-CHACHA20-POLY1305"
ECDSA128 = "ECDHE-ECDSA-AES128-GCM-SHA256"

# parameters of TLS, further fields of DownstreamTlsContext, certificates
LISTENERS = [
    (f"{ONLY_12}, cipher_suites: [{AES256}]",),
    (f'{ONLY_12}, cipher_suites: ["[{AES128}|{CHACHA}]", {AES256}]',),
    (f'{ONLY_12}, cipher_suites: ["[{CHACHA}|{AES128}]"]',),
    (f'{ONLY_12}, cipher_suites: ["{CHACHA}:{AES128}"]',),
    (f"{ONLY_12}, cipher_suites: [{AES128}, {ECDSA128}]", "prefer_client_ciphers: true,",
     ("ec", "rsa")),
    (f"{ONLY_13}, signature_algorithms: [rsa_pss_rsae_sha512, ecdsa_secp256r1_sha256]",),
    (f"{ONLY_13}, cipher_suites: [{AES256}]",),
]  # fmt: skip

# In TLS 1.3 the two have other favourites.
AES_13 = ["-ciphersuites", "TLS_AES_128_GCM_SHA256"]

# listener, options of openssl s_client
CLIENTS = [
    (0, ["-cipher", f"{AES128}:{AES256}"]),
    (0, ["-cipher", AES128]),
    (1, ["-cipher", f"{AES256}:{CHACHA}:{AES128}"]),
    (1, ["-cipher", f"{CHACHA}:{AES256}:{AES128}"]),
    (1, ["-cipher", f"{AES128}:{CHACHA}"]),
    (1, ["-cipher", AES256]),
    (2, ["-cipher", f"{AES128}:{CHACHA}"]),
    (2, ["-cipher", f"{CHACHA}:{AES128}"]),
    (3, ["-cipher", f"{AES128}:{CHACHA}"]),
    (4, ["-cipher", f"{AES128}:{ECDSA128}"]),
    (4, ["-cipher", f"{ECDSA128}:{AES128}"]),
    (4, ["-cipher", AES128]),
    (5, AES_13),
    (5, [*AES_13, "-sigalgs", "rsa_pss_rsae_sha256:rsa_pss_rsae_sha512"]),
    (5, [*AES_13, "-sigalgs", "rsa_pss_rsae_sha256"]),
    (6, AES_13),
]


def listener(folder, port, parameters, more="", names=("rsa",)):
    pairs = ", ".join(
        f"{{certificate_chain: {{filename: {folder}/{name}.pem}}, "
        f"private_key: {{filename: {folder}/{name}.key}}}}"
        for name in names
    )
    secure = (
        f'transport_socket: {{name: tls, typed_config: {{"@type": {TLS}.DownstreamTlsContext, '
        f"{more} common_tls_context: {{tls_params: {{{parameters}}}, "
        f"tls_certificates: [{pairs}]}}}}}}"
    )
    return gateway.http_listener(port, HELLO, socket=secure, name=f"at{port}")


def write(folder, name, base):
    path = folder / f"{name}.yaml"
    listeners = "".join(
        listener(folder, base + i, *setting) for i, setting in enumerate(LISTENERS)
    )
    path.write_text(gateway.bootstrap(base + 99, listeners))
    return path


@pytest.fixture(scope="module")
def pair(tmp_path_factory, find_peer_program):
    folder = tmp_path_factory.mktemp("parameters")
    make_pair(folder, "rsa")
    make_pair(folder, "ec", kind="ec")
    with twins.run(folder, find_peer_program("envoy"), (OURS, ENVOYS), write) as running:
        yield running


def agreed(port, options):
    """What a client agreed on: version, cipher, digest and kind of the server's signature."""
    shown = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "localhost",
         *options],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    if "Cipher is (NONE)" in shown.stdout:
        return "refused"
    found = [
        re.search(pattern, shown.stdout)
        for pattern in (r"New, (\S+), Cipher is (\S+)", r"Peer signing digest: (\S+)",
                        r"Peer signature type: (\S+)")
    ]  # fmt: skip
    assert all(found), shown.stdout + shown.stderr
    return " ".join(" ".join(match.groups()) for match in found)


def test_clients_agree_with_the_gateway_on_what_they_agree_on_with_envoy(pair):
    seen = {}
    for number, options in CLIENTS:
        ours, envoys = (agreed(base + number, options) for base in (OURS, ENVOYS))
        assert ours == envoys, (LISTENERS[number], options)
        seen[number, *options] = ours
    assert seen[0, "-cipher", AES128] == "refused"
    assert CHACHA in seen[1, "-cipher", f"{CHACHA}:{AES256}:{AES128}"]
    assert CHACHA in seen[3, "-cipher", f"{AES128}:{CHACHA}"]
    assert ECDSA128 in seen[4, "-cipher", f"{AES128}:{ECDSA128}"]
    assert AES128 in seen[4, "-cipher", AES128]
    assert "SHA512 RSA-PSS" in seen[5, *AES_13]
    assert seen[5, *AES_13, "-sigalgs", "rsa_pss_rsae_sha256"] == "refused"


def test_a_clients_order_counts_where_it_is_preferred(start, tmp_path, private_namespaces):
    make_pair(tmp_path, "rsa")
    listeners = listener(tmp_path, 20700, ONLY_13) + listener(
        tmp_path, 20701, ONLY_13, "prefer_client_ciphers: true,"
    )
    gateway.run(start, tmp_path, gateway.bootstrap(20799, listeners), 20799)
    order = ["-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384"]
    assert "TLS_CHACHA20_POLY1305_SHA256" not in agreed(20700, order)
    assert "TLS_CHACHA20_POLY1305_SHA256" in agreed(20701, order)


REFUSED = [
    (f"{ONLY_12}, cipher_suites: [AES128-SHA]",
     'cipher_suites has "AES128-SHA"; served are ECDHE-ECDSA-AES128-GCM-SHA256, '),
    (f'{ONLY_12}, cipher_suites: ["[{AES128}|x]"]', 'cipher_suites has "x"; served are '),
    (f'{ONLY_12}, cipher_suites: ["[{AES128}"]', f'cipher_suites has "[{AES128}"; served are '),
    (f"cipher_suites: [{AES128}]", "cipher_suites are of TLS 1.2, which is spoken only where "),
    (f"{ONLY_13}, signature_algorithms: [rsa_pkcs1_sha256]",
     'signature_algorithms has "rsa_pkcs1_sha256"; served are ecdsa_secp256r1_sha256, '),
    (f"{ONLY_13}, signature_algorithms: [ed25519]",
     "can sign with none of the signature_algorithms"),
    (f"{ONLY_12}, signature_algorithms: [rsa_pss_rsae_sha256]",
     "signature_algorithms where TLS 1.2 is spoken is not served yet"),
]  # fmt: skip


def test_what_is_not_spoken_is_refused_with_what_is(tmp_path):
    make_pair(tmp_path, "rsa")
    for parameters, complaint in REFUSED:
        path = tmp_path / "refused.yaml"
        path.write_text(gateway.bootstrap(20899, listener(tmp_path, 20800, parameters)))
        done = subprocess.run(
            [program.BINARY, "gateway", "-c", path, "--mode", "validate"],
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        assert done.returncode != 0, parameters
        assert complaint in done.stderr, (parameters, done.stderr)
