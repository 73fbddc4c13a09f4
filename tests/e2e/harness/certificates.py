"""Certificates as `hauberk ca` would never issue them: two identities, none, expired, misplaced."""

import datetime
import ipaddress
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

HOUR = datetime.timedelta(hours=1)


def now():
    return datetime.datetime.utcnow()


def key_pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


class Identity:
    """The files of a leaf: its chain, its key and the roots it believes."""

    def __init__(self, chain, key, roots):
        self.chain, self.key, self.roots = chain, key, roots


class Authority:
    """A root that signs whatever a test asks for."""

    def __init__(self, folder, certificate=None, key=None, name="root"):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        self.certificate = certificate or self._self_signed(name)
        self.roots = self.folder / f"{name}-roots.pem"
        self.roots.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    @classmethod
    def from_files(cls, folder, certificate_path, key_path):
        """The authority whose certificate and key lie in these files."""
        certificate = x509.load_pem_x509_certificate(pathlib.Path(certificate_path).read_bytes())
        key = serialization.load_pem_private_key(pathlib.Path(key_path).read_bytes(), None)
        return cls(folder, certificate, key)

    def _self_signed(self, name):
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        usage = x509.KeyUsage(*[False] * 5, True, True, False, False)
        names = [x509.UniformResourceIdentifier("spiffe://strangers.test")]
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now() - HOUR)
            .not_valid_after(now() + 240 * HOUR)
            .add_extension(x509.BasicConstraints(True, None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False
            )
            .sign(self.key, hashes.SHA256())
        )

    def issue(self, name, uris, not_before=-HOUR, not_after=24 * HOUR, usages=("client", "server"),
              hosts=()):
        """A leaf with these URI names and hosts (addresses or DNS names), valid between two offsets
        from now; returns an Identity."""
        key = ec.generate_private_key(ec.SECP256R1())
        purposes = {
            "client": ExtendedKeyUsageOID.CLIENT_AUTH,
            "server": ExtendedKeyUsageOID.SERVER_AUTH,
        }
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(self.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now() + not_before)
            .not_valid_after(now() + not_after)
            .add_extension(x509.BasicConstraints(False, None), critical=True)
            .add_extension(
                x509.KeyUsage(True, *[False] * 8),
                critical=True,
            )
            .add_extension(
                x509.ExtendedKeyUsage([purposes[usage] for usage in usages]), critical=False
            )
        )
        names = [x509.UniformResourceIdentifier(uri) for uri in uris]
        for host in hosts:
            is_address = host.replace(".", "").isdigit()
            names.append(x509.IPAddress(ipaddress.ip_address(host)) if is_address
                         else x509.DNSName(host))
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=True)
        leaf = builder.sign(self.key, hashes.SHA256())
        chain_path = self.folder / f"{name}.pem"
        key_path = self.folder / f"{name}-key.pem"
        chain_path.write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
        key_path.write_bytes(key_pem(key))
        return Identity(chain_path, key_path, self.roots)

    def revocation_list(self, name, revoked=(), until=24 * HOUR):
        """The file of a list that revokes some identities of ours, in force until an offset from
        now."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(now() - 2 * HOUR)
            .next_update(now() + until)
        )
        for identity in revoked:
            leaf = x509.load_pem_x509_certificate(identity.chain.read_bytes())
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(leaf.serial_number)
                .revocation_date(now() - HOUR)
                .build()
            )
        path = self.folder / f"{name}.crl"
        path.write_bytes(
            builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        )
        return path
