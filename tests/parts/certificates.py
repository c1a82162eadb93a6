"""Certificates for the servers of a test: signed by themselves, so that each is its own authority, or by a private authority."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


def self_signed(certificate: Path, key: Path, name: str, addresses: Sequence[str]) -> None:
    """Writes both as PEM; good for `name`, the addresses and two days."""
    secret = ec.generate_private_key(ec.SECP256R1())
    made = _builder(secret, name, _subject(name)).add_extension(_names(name, addresses), critical=False)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    _write(made.sign(secret, hashes.SHA256()), certificate)
    _write_key(secret, key)


class Authority:
    """A private one: `certificate` is what others must know to trust what it signs."""

    def __init__(self, certificate: Path, name: str = "an authority of our own") -> None:
        self.certificate, self._subject = certificate, _subject(name)
        self._secret = ec.generate_private_key(ec.SECP256R1())
        made = _builder(self._secret, name, self._subject)
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        _write(made.sign(self._secret, hashes.SHA256()), certificate)

    def issue(self, certificate: Path, key: Path, name: str, addresses: Sequence[str]) -> None:
        """Writes both as PEM, for a server."""
        secret = ec.generate_private_key(ec.SECP256R1())
        made = _builder(secret, name, self._subject).add_extension(_names(name, addresses), critical=False)
        made = made.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        _write(made.sign(self._secret, hashes.SHA256()), certificate)
        _write_key(secret, key)


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def _names(name: str, addresses: Sequence[str]) -> x509.SubjectAlternativeName:
    found = (x509.IPAddress(ipaddress.ip_address(address)) for address in addresses)
    return x509.SubjectAlternativeName([x509.DNSName(name), *found])


def _builder(secret: ec.EllipticCurvePrivateKey, name: str, issuer: x509.Name) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_subject(name))
        .issuer_name(issuer)
        .public_key(secret.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
    )


def _write(made: x509.Certificate, certificate: Path) -> None:
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))


def _write_key(secret: ec.EllipticCurvePrivateKey, key: Path) -> None:
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    key.write_bytes(secret.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
