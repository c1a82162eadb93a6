"""TLS: the certificate that was given, or one the gateway makes for itself and keeps."""

from __future__ import annotations

import datetime
import ipaddress
import os
import socket
import ssl
from pathlib import Path

from wayhouse.base.clock import Clock
from wayhouse.base.errors import BadInputError
from wayhouse.gateway.settings import GatewaySettings

LIFETIME = datetime.timedelta(days=825)
RENEW_BEFORE = datetime.timedelta(days=30)


def files(settings: GatewaySettings, keys: Path, clock: Clock) -> tuple[Path, Path] | None:
    """(certificate, key) to serve with; None without TLS. Raises `BadInputError` if what was given is not there."""
    if settings.tls == "off":
        return None
    if settings.tls == "given":
        return _given(settings)
    certificate, key = keys / "tls-certificate.pem", keys / "tls-key.pem"
    now = datetime.datetime.fromtimestamp(clock.wall(), datetime.UTC)
    if not _is_good(certificate, key, now):
        _make(certificate, key, now)
    return certificate, key


def fingerprint(certificate: Path) -> str:
    """SHA-256 of the certificate, as browsers show it."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    digest = x509.load_pem_x509_certificate(certificate.read_bytes()).fingerprint(hashes.SHA256())
    return ":".join(f"{byte:02X}" for byte in digest)


def _given(settings: GatewaySettings) -> tuple[Path, Path]:
    if not settings.tls_certificate or not settings.tls_key:
        raise BadInputError(
            "gateway.tls is `given`: set gateway.tls_certificate and gateway.tls_key as well."
        )
    certificate, key = Path(settings.tls_certificate), Path(settings.tls_key)
    for path in (certificate, key):
        if not path.is_file() or not os.access(path, os.R_OK):
            raise BadInputError(f"The TLS file {path} cannot be read.")
    return certificate, key


def _is_good(certificate: Path, key: Path, now: datetime.datetime) -> bool:
    """Whether they are there, fit together (a crash can leave a new key and an old certificate) and last a while."""
    from cryptography import x509

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
        ends = x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
    except (OSError, ValueError):  # ssl.SSLError is an OSError
        return False
    return ends - now > RENEW_BEFORE


def _make(certificate: Path, key: Path, now: datetime.datetime) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Wayhouse gateway")])
    hosts = {"localhost", "wayhouse.local", socket.gethostname()}
    names: list[x509.GeneralName] = [x509.DNSName(host) for host in sorted(hosts) if host]
    names.extend(x509.IPAddress(ipaddress.ip_address(text)) for text in ("127.0.0.1", "::1"))
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )
    key.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(key, pem, 0o600)
    _write(certificate, signed.public_bytes(serialization.Encoding.PEM), 0o644)


def _write(path: Path, data: bytes, mode: int) -> None:
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(path)
