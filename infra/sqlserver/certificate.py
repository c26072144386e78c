"""A certificate authority of its own, and a server certificate for this machine.

Written into a directory once and reused while it is valid, so that a client configured with `ca.pem` keeps working
across restarts. The keys are for demos and tests on one machine; they are readable by their owner only.
"""

import datetime as dt
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALIDITY = dt.timedelta(days=365)
_RENEW_BEFORE = dt.timedelta(days=7)


def ensure_certificate(directory: Path) -> Path:
    """Creates ca.pem, server.pem and server.key in `directory` if they are missing or about to expire; returns ca.pem."""
    directory.mkdir(parents=True, exist_ok=True)
    ca_path = directory / "ca.pem"
    if not _is_usable(directory / "server.pem") or not ca_path.exists() or not (directory / "server.key").exists():
        _generate(directory)
    return ca_path


def server_context(directory: Path) -> ssl.SSLContext:
    """The server's TLS context. TLS 1.2 at most: the TDS 7.4 handshake inside packets knows no 1.3 tickets."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "server.pem", directory / "server.key")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def _is_usable(path: Path) -> bool:
    if not path.exists():
        return False
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    return certificate.not_valid_after_utc > dt.datetime.now(dt.UTC) + _RENEW_BEFORE


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(subject: x509.Name, issuer: x509.Name, key: rsa.RSAPrivateKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - dt.timedelta(hours=1)).not_valid_after(now + VALIDITY)
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)


def _usage(sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True, key_encipherment=not sign_certificates, key_cert_sign=sign_certificates,
        crl_sign=sign_certificates, content_commitment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _generate(directory: Path) -> None:
    ca_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    ca_name = _name("FlowForge local CA")
    ca = _builder(ca_name, ca_name, ca_key).add_extension(x509.BasicConstraints(True, 0), critical=True)
    ca = ca.add_extension(_usage(sign_certificates=True), critical=True).sign(ca_key, hashes.SHA256())
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    # The address also as a DNS name: Microsoft's ODBC driver compares with those only.
    address = "127.0.0.1"
    names = [x509.DNSName("localhost"), x509.DNSName(address), x509.IPAddress(ipaddress.ip_address(address))]
    server = _builder(_name("localhost"), ca_name, key).add_extension(
        x509.SubjectAlternativeName(names), critical=False
    )
    server = server.add_extension(x509.BasicConstraints(False, None), critical=True)
    server = server.add_extension(_usage(sign_certificates=False), critical=True)
    server = server.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    certificate = server.add_extension(authority, critical=False).sign(ca_key, hashes.SHA256())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(directory / "server.key", private)
    _write(directory / "server.pem", certificate.public_bytes(serialization.Encoding.PEM))
    _write(directory / "ca.pem", ca.public_bytes(serialization.Encoding.PEM))


def _write(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(content)
