"""Whom the gateway believes: validation contexts in all their forms, and secrets beside them."""

import os
import pathlib
import re
import socket
import ssl

import pytest

from harness import certificates, program, wait
from harness.tls_gateway import HELLO, TLS, chain, fetch, serve

PORT = 24000
HOUR = certificates.HOUR


@pytest.fixture
def place(tmp_path, private_namespaces):
    return Place(tmp_path)


class Place:
    """Two authorities and a server; one listener that is set up once per configuration."""

    def __init__(self, folder):
        self.folder = folder
        self.one = certificates.Authority(folder / "one", name="one")
        self.two = certificates.Authority(folder / "two", name="two")
        self.server = self.one.issue("server", [], hosts=["localhost"])

    def tls(self, validation, more=""):
        return (
            f"require_client_certificate: true, {more} common_tls_context: {{tls_certificates: "
            f"{{certificate_chain: {{filename: {self.server.chain}}}, private_key: "
            f"{{filename: {self.server.key}}}}}, {validation}}}"
        )

    def client(self, identity=None):
        context = ssl.create_default_context(cafile=self.server.roots)
        if identity is not None:
            context.load_cert_chain(identity.chain, identity.key)
        return context

    def is_served(self, identity):
        try:
            return fetch(PORT, self.client(identity))[1].body == b"hello"
        except (ssl.SSLError, ConnectionError):
            return False


def spiffe(place, more=""):
    domains = ", ".join(
        f"{{name: {name}.test, trust_bundle: {{filename: {authority.roots}}}}}"
        for name, authority in (("one", place.one), ("two", place.two))
    )
    return (
        "validation_context: {custom_validator_config: {name: envoy.tls.cert_validator.spiffe, "
        f'typed_config: {{"@type": {TLS}.SPIFFECertValidatorConfig, trust_domains: [{domains}]}}}}'
        f"{more}}}"
    )


def test_a_spiffe_validator_judges_each_by_the_bundle_of_its_own_trust_domain(place, start):
    serve(start, place.folder, chain(PORT, place.tls(spiffe(place)), HELLO))
    for authority, uri, is_good in (
        (place.one, "spiffe://one.test/a", True),
        (place.two, "spiffe://two.test/a", True),
        (place.one, "spiffe://two.test/a", False),
        (place.two, "spiffe://one.test/a", False),
        (place.one, "spiffe://three.test/a", False),
    ):
        assert place.is_served(authority.issue("leaf", [uri])) == is_good, (authority, uri)
    assert not place.is_served(place.one.issue("nobody", [], hosts=["a.test"]))
    expired = place.one.issue("expired", ["spiffe://one.test/a"], -3 * HOUR, -HOUR)
    assert not place.is_served(expired)


def test_a_spiffe_validator_takes_the_names_that_are_listed(place, start):
    matchers = (
        ", match_typed_subject_alt_names: [{san_type: URI, matcher: {prefix: spiffe://two.test/}}]"
        ", allow_expired_certificate: true"
    )
    serve(start, place.folder, chain(PORT, place.tls(spiffe(place, matchers)), HELLO))
    assert place.is_served(place.two.issue("two", ["spiffe://two.test/a"]))
    assert not place.is_served(place.one.issue("one", ["spiffe://one.test/a"]))
    assert place.is_served(place.two.issue("old", ["spiffe://two.test/a"], -3 * HOUR, -HOUR))


def refuses(place, tls):
    path = place.folder / "bad.yaml"
    path.write_text(f"static_resources:\n  listeners:{chain(PORT, tls, HELLO)}")
    done = program.hauberk("gateway", "-c", path)
    assert done.returncode == 1
    return done.stderr


def test_a_mistake_in_a_validator_is_told(place):
    dns = ", match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: a}}]"
    said = refuses(place, place.tls(spiffe(place, dns)))
    assert "only match_typed_subject_alt_names of san_type URI are allowed" in said
    (place.folder / "empty.pem").write_text("")
    text = spiffe(place).replace(str(place.two.roots), str(place.folder / "empty.pem"))
    said = refuses(place, place.tls(text))
    assert f'trust_bundle {place.folder / "empty.pem"} of trust domain "two.test"' in said


def validation(place, more=""):
    return f"validation_context: {{trusted_ca: {{filename: {place.one.roots}}}{more}}}"


def test_expired_certificates_are_taken_where_that_is_asked_for(place, start):
    tls = place.tls(validation(place, ", allow_expired_certificate: true"))
    serve(start, place.folder, chain(PORT, tls, HELLO))
    assert place.is_served(place.one.issue("old", [], -3 * HOUR, -HOUR))
    assert not place.is_served(place.two.issue("stranger", []))


def test_anybody_with_a_certificate_is_taken_where_that_is_asked_for(place, start):
    tls = place.tls(validation(place, ", trust_chain_verification: ACCEPT_UNTRUSTED"))
    serve(start, place.folder, chain(PORT, tls, HELLO))
    assert place.is_served(place.two.issue("stranger", []))
    assert not place.is_served(None)


@pytest.mark.parametrize("leaf_only", [False, True])
def test_with_a_list_every_certificate_needs_one(place, start, leaf_only):
    good, bad = place.one.issue("good", []), place.one.issue("bad", [])
    crl = place.one.revocation_list("list", [bad])
    more = f", crl: {{filename: {crl}}}, only_verify_leaf_cert_crl: {str(leaf_only).lower()}"
    serve(start, place.folder, chain(PORT, place.tls(validation(place, more)), HELLO))
    assert place.is_served(good)
    assert not place.is_served(bad)


def private_kib(running):
    rollup = pathlib.Path(f"/proc/{running.process.pid}/smaps_rollup").read_text()
    return int(re.search(r"Private_Dirty: +(\d+) kB", rollup).group(1))


@pytest.mark.skipif(
    os.environ.get("HBK_VARIANT") in ("asan", "tsan"), reason="a sanitizer has memory of its own"
)
def test_a_long_list_is_kept_once_however_many_contexts_use_it(place, start):
    revoked = [place.one.issue(f"bad{i}", []) for i in range(2)]
    crl = place.one.revocation_list("list", revoked * 5000)
    more = f", crl: {{filename: {crl}}}"

    def used_kib(count):
        listeners = "".join(
            chain(PORT + i, place.tls(validation(place, more)), HELLO, f"front{i}")
            for i in range(count)
        )
        running = serve(start, place.folder, listeners, name=f"gateway{count}")
        used = private_kib(running)
        assert not place.is_served(revoked[0])
        assert place.is_served(place.one.issue("good", []))
        running.process.terminate()
        running.process.wait()
        return used

    # One copy takes a MiB or two.
    assert used_kib(5) - used_kib(1) < 1024


def test_a_list_that_is_past_lets_nobody_in(place, start):
    crl = place.one.revocation_list("list", until=-HOUR)
    more = f", crl: {{filename: {crl}}}"
    serve(start, place.folder, chain(PORT, place.tls(validation(place, more)), HELLO))
    assert not place.is_served(place.one.issue("good", []))


def test_a_combined_context_asks_what_both_its_parts_ask(place, start):
    roots = place.folder / "roots.pem"
    roots.write_bytes(place.one.roots.read_bytes())
    (place.folder / "sds.yaml").write_text(
        f"resources:\n- {{\"@type\": {TLS}.Secret, name: ca, validation_context: "
        f"{{trusted_ca: {{filename: {roots}}}}}}}\n"
    )
    combined = (
        "combined_validation_context: {default_validation_context: "
        "{match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: a.test}}]}, "
        "validation_context_sds_secret_config: {name: ca, sds_config: "
        f"{{path_config_source: {{path: {place.folder}/sds.yaml}}}}}}}}"
    )
    serve(start, place.folder, chain(PORT, place.tls(combined), HELLO))
    assert place.is_served(place.one.issue("good", [], hosts=["a.test"]))
    assert not place.is_served(place.one.issue("other", [], hosts=["b.test"]))
    assert not place.is_served(place.two.issue("stranger", [], hosts=["a.test"]))
    os.replace(place.two.roots, roots)
    stranger = place.two.issue("stranger", [], hosts=["a.test"])
    wait.until(lambda: place.is_served(stranger), "the other authority")


def session_of(context, session=None):
    """(the session, whether it was resumed) of one request."""
    with socket.create_connection(("127.0.0.1", PORT), timeout=10) as plain:
        with context.wrap_socket(plain, server_hostname="localhost", session=session) as secure:
            secure.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            while secure.recv(65536):
                pass
            return secure.session, secure.session_reused


def test_ticket_keys_come_from_a_secret_and_rotate(place, start):
    keys = [os.urandom(80) for _ in range(3)]

    def write(*used):
        for i, key in enumerate(used):
            (place.folder / f"key{i}").write_bytes(key)
        files = ", ".join(f"{{filename: {place.folder}/key{i}}}" for i in range(len(used)))
        (place.folder / "new.yaml").write_text(
            f"resources:\n- {{\"@type\": {TLS}.Secret, name: tickets, session_ticket_keys: "
            f"{{keys: [{files}]}}}}\n"
        )
        os.replace(place.folder / "new.yaml", place.folder / "sds.yaml")

    write(keys[0])
    more = (
        "session_timeout: 1000s, session_ticket_keys_sds_secret_config: {name: tickets, "
        f"sds_config: {{path_config_source: {{path: {place.folder}/sds.yaml}}}}}},"
    )
    tls = place.tls(validation(place), more)
    serve(start, place.folder, chain(PORT, tls, HELLO))
    context = place.client(place.one.issue("good", []))
    old, was_resumed = session_of(context)
    assert not was_resumed
    assert old.ticket_lifetime_hint == 1000
    write(keys[1], keys[0])
    wait.until(lambda: session_of(context, old)[1], "a ticket of the older key to be taken")
    write(keys[2])

    def is_forgotten():
        return not session_of(context, old)[1]

    wait.until(is_forgotten, "the older keys to be gone")
    fresh, _ = session_of(context)
    assert session_of(context, fresh)[1]


def test_a_key_is_opened_with_its_password(place, start):
    locked = place.folder / "locked.key"
    program.run(
        "openssl", "pkcs8", "-topk8", "-in", place.server.key, "-passout", "pass:open sesame",
        "-out", locked,
    )  # fmt: skip
    place.server.key = f"{locked}}}, password: {{inline_string: open sesame"
    serve(start, place.folder, chain(PORT, place.tls(validation(place)), HELLO))
    assert place.is_served(place.one.issue("good", []))
    place.server.key = place.server.key.replace("open sesame", "closed")
    said = refuses(place, place.tls(validation(place)))
    assert "It must be PEM, and the password must be the right one." in said
