"""Certificates and keys that are made for one run, and signatures by the schemes of TLS 1.3."""

import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

ECDSA_P256, ECDSA_P384, ECDSA_P521 = 0x0403, 0x0503, 0x0603
PSS_256, PSS_384, PSS_512, ED25519 = 0x0804, 0x0805, 0x0806, 0x0807
PKCS1_SHA1, PKCS1_256, ECDSA_SHA1 = 0x0201, 0x0401, 0x0203
USUAL = [ECDSA_P256, PSS_256, ECDSA_P384, PSS_384, PSS_512, ED25519]

HASHES = {
    ECDSA_P256: hashes.SHA256, ECDSA_P384: hashes.SHA384, ECDSA_P521: hashes.SHA512,
    PSS_256: hashes.SHA256, PSS_384: hashes.SHA384, PSS_512: hashes.SHA512,
    PKCS1_SHA1: hashes.SHA1, PKCS1_256: hashes.SHA256, ECDSA_SHA1: hashes.SHA1,
}
SCHEMES_OF = {
    "rsa": [PSS_256, PSS_384, PSS_512],
    "p256": [ECDSA_P256],
    "p384": [ECDSA_P384],
    "ed25519": [ED25519],
}
KEY_MAKERS = {
    "rsa": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}


def sign(key, scheme, data):
    """A signature by any scheme that the key's kind can make, allowed in TLS 1.3 or not."""
    if isinstance(key, rsa.RSAPrivateKey):
        digest = HASHES.get(scheme, hashes.SHA256)()
        if scheme in (PKCS1_SHA1, PKCS1_256):
            return key.sign(data, padding.PKCS1v15(), digest)
        pss = padding.PSS(padding.MGF1(digest), padding.PSS.DIGEST_LENGTH)
        return key.sign(data, pss, digest)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(data, ec.ECDSA(HASHES.get(scheme, hashes.SHA256)()))
    return key.sign(data)


def verifies(public, scheme, signature, data):
    try:
        if scheme in (PSS_256, PSS_384, PSS_512):
            digest = HASHES[scheme]()
            pss = padding.PSS(padding.MGF1(digest), padding.PSS.DIGEST_LENGTH)
            public.verify(signature, data, pss, digest)
        elif scheme in (ECDSA_P256, ECDSA_P384):
            public.verify(signature, data, ec.ECDSA(HASHES[scheme]()))
        elif scheme == ED25519:
            public.verify(signature, data)
        else:
            return False
    except InvalidSignature:
        return False
    return True


class Credential:
    """A leaf with an empty subject, as the runner makes them, and the root that issued it."""

    def __init__(self, folder, kind, name=None, usage=None):
        self.kind, self.name = kind, name or kind
        self.key, root_key = KEY_MAKERS[kind](), KEY_MAKERS[kind]()
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"root of {self.name}")])
        self.leaf = self.issue(issuer, root_key, usage)
        self.der = self.leaf.public_bytes(Encoding.DER)
        self.issuer = issuer.public_bytes()
        self.schemes = SCHEMES_OF[kind]
        self.cert_file = folder / f"{self.name}.crt"
        self.key_file = folder / f"{self.name}.key"
        self.cert_file.write_bytes(self.leaf.public_bytes(Encoding.PEM))
        self.key_file.write_bytes(
            self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )

    def issue(self, issuer, root_key, usage):
        now = datetime.datetime.utcnow()
        hour = datetime.timedelta(hours=1)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(issuer)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - hour)
            .not_valid_after(now + hour)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("test")]), critical=True)
        )
        if usage is not None:
            builder = builder.add_extension(usage, critical=True)
        digest = None if self.kind == "ed25519" else hashes.SHA256()
        return builder.sign(root_key, digest)

    def flags(self):
        return ["-cert-file", str(self.cert_file), "-key-file", str(self.key_file)]


def key_usage(**bits):
    names = ["digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
             "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"]
    return x509.KeyUsage(**{name: bits.get(name, False) for name in names})
