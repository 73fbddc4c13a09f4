"""`hauberk ca`: openssl and agents accept what it writes, and nobody else can read a key."""

import re
import stat

import pytest

from harness.program import hauberk, run

ID = "spiffe://example.org/ns/shop/sa/front"


@pytest.fixture
def ca(tmp_path):
    done = hauberk("ca", "init", tmp_path / "ca", "--trust-domain", "example.org")
    assert done.returncode == 0, done.stderr
    return tmp_path / "ca"


def issue(ca, *options, spiffe_id=ID):
    return hauberk(
        "ca", "issue", "--ca", ca, "--spiffe-id", spiffe_id, "--out", ca.parent / "leaf", *options
    )


def openssl_text(path):
    return run("openssl", "x509", "-in", path, "-noout", "-text")


def test_the_root_is_one_that_openssl_understands(ca):
    text = openssl_text(ca / "root.pem")
    assert "CA:TRUE" in text and "Certificate Sign" in text
    assert "URI:spiffe://example.org" in text
    assert "prime256v1" in text


@pytest.mark.parametrize("key_type, found", [("ecdsa-p256", "prime256v1"), ("rsa-2048", "2048")])
def test_openssl_verifies_a_leaf_against_the_root(ca, key_type, found):
    done = issue(ca, "--key-type", key_type)
    assert done.returncode == 0, done.stderr
    leaf = ca.parent / "leaf" / "shop.front.pem"
    assert "OK" in run("openssl", "verify", "-x509_strict", "-CAfile", ca / "root.pem", leaf)
    text = openssl_text(leaf)
    assert re.findall(r"URI:(\S+)", text) == [ID]
    assert "CA:FALSE" in text and found in text
    assert "TLS Web Server Authentication, TLS Web Client Authentication" in text
    key = ca.parent / "leaf" / "shop.front-key.pem"
    public = run("openssl", "pkey", "-in", key, "-pubout")
    assert run("openssl", "x509", "-in", leaf, "-noout", "-pubkey") == public
    assert (ca.parent / "leaf" / "bundle.pem").read_text() == (ca / "root.pem").read_text()


def test_keys_are_for_their_owner_only(ca):
    assert issue(ca).returncode == 0
    for key in (ca / "root-key.pem", ca.parent / "leaf" / "shop.front-key.pem"):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_init_does_not_overwrite_a_root(ca):
    before = (ca / "root-key.pem").read_bytes()
    again = hauberk("ca", "init", ca)
    assert again.returncode == 1
    assert str(ca) in again.stderr
    assert (ca / "root-key.pem").read_bytes() == before


def test_show_tells_identity_and_validity_and_no_key(ca):
    assert issue(ca, "--ttl", "2h").returncode == 0
    shown = hauberk("ca", "show", ca.parent / "leaf" / "shop.front.pem")
    assert shown.returncode == 0
    assert ID in shown.stdout
    assert "PRIVATE" not in shown.stdout


@pytest.mark.parametrize(
    "spiffe_id",
    [
        "spiffe://elsewhere.org/ns/shop/sa/front",
        "https://example.org/ns/shop/sa/front",
        "spiffe://example.org",
        "spiffe://example.org/ns/shop/sa/front?x=y",
        "spiffe://EXAMPLE.org/ns/../sa/front",
    ],
)
def test_what_is_no_identity_of_the_trust_domain_is_not_issued(ca, spiffe_id):
    done = issue(ca, spiffe_id=spiffe_id)
    assert done.returncode in (1, 2)
    assert done.stderr
    assert not (ca.parent / "leaf").exists() or not list((ca.parent / "leaf").glob("*-key.pem"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["ca"],
        ["ca", "make", "x"],
        ["ca", "issue"],
        ["ca", "issue", "--ca", "x", "--spiffe-id", ID, "--out", "y", "--ttl", "never"],
        ["ca", "issue", "--ca", "x", "--spiffe-id", ID, "--out", "y", "--key-type", "dsa"],
        ["ca", "init", "x", "--trust-domain", "not a domain"],
    ],
)
def test_a_wrong_command_line_of_ca_is_refused(arguments, tmp_path):
    done = hauberk(*arguments, cwd=tmp_path)
    assert done.returncode in (1, 2)
    assert done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_certificate_is_refused_by_name(tmp_path):
    path = tmp_path / "garbage.pem"
    path.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    done = hauberk("ca", "show", path)
    assert done.returncode == 1
    assert "garbage.pem" in done.stderr
