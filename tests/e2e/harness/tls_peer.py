"""build/tests/tls-peer, and certificates of every kind that it speaks with."""

import datetime
import json
import os
import pathlib
import subprocess

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from harness import program

HOST = "shop.test"
HOUR = datetime.timedelta(hours=1)
TIMEOUT_S = 60

KEYS = {
    "rsa2048": lambda: rsa.generate_private_key(65537, 2048),
    "rsa3072": lambda: rsa.generate_private_key(65537, 3072),
    "rsa4096": lambda: rsa.generate_private_key(65537, 4096),
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}


def path_of(name):
    """A program that the build made for the tests, beside the one under test."""
    return pathlib.Path(program.BINARY).parent / "tests" / name


class Identity:
    def __init__(self, folder, name):
        self.chain, self.key = folder / f"{name}.pem", folder / f"{name}-key.pem"


class Hosts:
    """A root, and a certificate for HOST with each kind of key, made when it is first asked for."""

    def __init__(self, folder):
        self.folder = folder
        self.key = KEYS["p256"]()
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "strangers' root")])
        usage = x509.KeyUsage(*[False] * 5, True, True, False, False)
        root = (
            self._builder(self.name, self.key)
            .add_extension(x509.BasicConstraints(True, None), critical=True)
            .add_extension(usage, critical=True)
            .sign(self.key, hashes.SHA256())
        )
        self.roots = folder / "roots.pem"
        self.roots.write_bytes(root.public_bytes(serialization.Encoding.PEM))
        self.known = {}

    def _builder(self, subject, key):
        now = datetime.datetime.utcnow()
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - HOUR)
            .not_valid_after(now + 24 * HOUR)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
        )

    def of(self, kind):
        if kind not in self.known:
            self.known[kind] = self._issue(kind)
        return self.known[kind]

    def _issue(self, kind):
        key = KEYS[kind]()
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, kind)])
        leaf = (
            self._builder(subject, key)
            .add_extension(x509.BasicConstraints(False, None), critical=True)
            .add_extension(x509.KeyUsage(True, *[False] * 8), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage(
                    [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
                ),
                critical=False,
            )
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        identity = Identity(self.folder, kind)
        identity.chain.write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
        identity.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return identity


def events(text):
    """The lines of JSON in what the program wrote."""
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def handshakes(text):
    return [event for event in events(text) if event["event"] == "handshake"]


class Server:
    """tls-peer as a server; `start` is the fixture that ends it with the test."""

    def __init__(self, start, *flags, name="tls-peer"):
        self.program = start(name, [path_of("tls-peer"), "server", "--port", 0, *flags])
        self.port = int(self.program.wait_for_log(r"^listening (\d+)$").group(1))

    def events(self):
        return events(self.program.log())

    def wait_for_events(self, count):
        return self.program.wait_until(
            lambda: self.events() if len(self.events()) >= count else None, f"{count} events"
        )

    def handshakes(self):
        return handshakes(self.program.log())

    def end(self):
        """A peaceful end, which a sanitizer's complaint is not."""
        status = self.program.terminate()
        assert status == 0, self.program.log()[-4000:]


def run_client(port, *flags):
    """tls-peer as a client, to its end."""
    return subprocess.run(
        [path_of("tls-peer"), "client", "--port", str(port), *map(str, flags)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
        env=os.environ,
    )
