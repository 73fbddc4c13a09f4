"""What the scanners of other people find at the gateway's TLS: nothing, or what is allowed here."""

import json
import subprocess
import xml.etree.ElementTree

import pytest

from harness.tls_gateway import HELLO, chain, make_pair, serve

PORT = 24000
SECURE_CIPHERS = {
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
}
OLDER_CIPHERS = {
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-RSA-CHACHA20-POLY1305",
}

# Findings of testssl.sh that are no finding about the gateway, each with its reason.
ALLOWED = {
    "engine_problem": "the scanner's own libssl has no GOST",
    "cert_expirationStatus": "the test's certificate is good for thirty days",
    "cert_notAfter": "the same",
    "cert_revocation": "the test's certificate names no place of a CRL",
    "cert_chain_of_trust": "the test's certificate signed itself",
}

# What testssl.sh could not look at, by its own doing. It asks s_client for a session with an input
# that ends at once, so s_client may leave before the ticket of TLS 1.3 comes, and then finds no
# file to resume from. tests/e2e/test_tls_strangers.py resumes with s_client.
NOT_SEEN = {("sessionresumption_ticket", "check failed because of connect problem")}


OLDER = "tls_params: {tls_minimum_protocol_version: TLSv1_2},"


@pytest.fixture
def scanned(tmp_path, start, more, private_namespaces):
    """A gateway that was told no more than that."""
    make_pair(tmp_path, "a")
    tls = (
        f"common_tls_context: {{{more} alpn_protocols: [h2, http/1.1], tls_certificates: "
        f"{{certificate_chain: {{filename: {tmp_path}/a.pem}}, "
        f"private_key: {{filename: {tmp_path}/a.key}}}}}}"
    )
    serve(start, tmp_path, chain(PORT, tls, HELLO))
    return tmp_path


@pytest.mark.parametrize(
    "more", ["", pytest.param(OLDER, marks=pytest.mark.slow)], ids=["TLS 1.3", "TLS 1.2 too"]
)
def test_testssl_finds_nothing_that_is_not_allowed(scanned, find_peer_program):
    report = scanned / "testssl.json"
    subprocess.run(
        [
            find_peer_program("testssl"), "--quiet", "--warnings", "off", "--nodns", "none",
            "--ip", "127.0.0.1", "--color", "0", "--protocols", "--standard", "--fs",
            "--server-preference", "--server-defaults", "--vulnerable", "--grease",
            "--jsonfile", report, f"localhost:{PORT}",
        ],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=300, check=False,
    )  # fmt: skip
    findings = {
        one["id"]: (one["severity"], one["finding"]) for one in json.loads(report.read_text())
    }
    # What it did look at: a scan that ends early finds nothing too.
    for looked_at in ("TLS1_3", "PFS", "GREASE", "heartbleed", "ROBOT", "LUCKY13", "RC4"):
        assert findings[looked_at][0] == "OK", looked_at
    bad = {
        name: finding
        for name, finding in findings.items()
        if finding[0] not in ("OK", "INFO")
        and name not in ALLOWED
        and (name, finding[1]) not in NOT_SEEN
    }
    assert bad == {}


@pytest.mark.parametrize(
    "more, protocols, ciphers",
    [("", {"1.3"}, SECURE_CIPHERS), (OLDER, {"1.2", "1.3"}, SECURE_CIPHERS | OLDER_CIPHERS)],
    ids=["TLS 1.3", "TLS 1.2 too"],
)
def test_sslscan_sees_the_protocols_and_their_ciphers(
    scanned, find_peer_program, protocols, ciphers
):
    report = scanned / "sslscan.xml"
    subprocess.run(
        [find_peer_program("sslscan"), f"--xml={report}", f"localhost:{PORT}"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=120, check=True,
    )  # fmt: skip
    seen = xml.etree.ElementTree.parse(report).getroot().find("ssltest")
    enabled = {one.get("version") for one in seen.iter("protocol") if one.get("enabled") == "1"}
    assert enabled == protocols
    assert {one.get("cipher") for one in seen.iter("cipher")} == ciphers
    assert {one.get("vulnerable") for one in seen.iter("heartbleed")} == {"0"}
    assert [one.get("supported") for one in seen.iter("renegotiation")] == ["0"]
    assert {one.get("name") for one in seen.iter("group")} == {
        "secp256r1 (NIST P-256)",
        "secp384r1 (NIST P-384)",
        "x25519",
    }
