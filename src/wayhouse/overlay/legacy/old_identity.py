"""Who a node is to old peers: an RSA key, and a certificate that it signed itself, with the uid for a name.

Made by whoever starts a node that speaks as old ones do. Rules: OpenSSL of 2013 knows no Ed25519, so the key is a file of its own beside the secret of
today; the same key and uid always make the same certificate, as peers know it by its fingerprint. No secret is in a `repr`.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.x509.oid import NameOID

from wayhouse.access.model import UnsafeFileError
from wayhouse.access.secret_file import Secret, read_or_create
from wayhouse.overlay.identity import Digest, Identity
from wayhouse.overlay.legacy import peer_key

FILE = "old-identity.key"
BITS = 2048
_BEGIN = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
_END = datetime.datetime(2049, 12, 31, 23, 59, 59, tzinfo=datetime.UTC)
"""The last year that a UTCTime can tell: old parsers may know no other form."""
_COST = "old peers that know this node must be told to trust it anew"
_SECRET = Secret(
    "[A-Za-z0-9_=-]{1000,4000}",
    lambda: base64.urlsafe_b64encode(new_key()).decode(),
    "an RSA key",
    _COST,
    longest=4096,
)


class OldIdentity(Identity):
    """`tunnel_private_key` is the key and the certificate in PEM, `tunnel_public_key` what this node is known by in the tunnel of a peer."""

    def __init__(self, der: bytes, uid: str) -> None:
        """`der` is the key in PKCS #8. Raises `ValueError` if it is none."""
        super().__init__(hashlib.sha256(der).digest(), uid)
        key = _read_key(der)
        self._key = key
        made = _certificate(key, uid)
        self.certificate = made.public_bytes(serialization.Encoding.DER)
        self._pem = made.public_bytes(serialization.Encoding.PEM)

    @property
    def tunnel_public_key(self) -> bytes:
        return peer_key.encode(self.uid, self.fingerprint(Digest.SHA1))

    @property
    def tunnel_private_key(self) -> bytes:
        key = self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return key + self._pem


def load_or_create(folder: Path, uid: str) -> OldIdentity:
    """Its key is in `folder`, made there at first. Raises `UnsafeFileError`."""
    text = read_or_create(folder / FILE, _SECRET)
    try:
        return OldIdentity(base64.urlsafe_b64decode(text), uid)
    except ValueError as error:
        raise UnsafeFileError(
            f"{folder / FILE} holds no RSA key. Move it away; a new one is made, and {_COST}."
        ) from error


def new_key() -> bytes:
    """PKCS #8."""
    return generate_private_key(65537, BITS).private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _read_key(der: bytes) -> RSAPrivateKey:
    try:
        key = serialization.load_der_private_key(der, None)
    except (TypeError, UnsupportedAlgorithm) as error:
        raise ValueError("a key of another kind") from error
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("a key of another kind")  # noqa: TRY004 - what the file holds is wrong
    return key


def _certificate(key: RSAPrivateKey, uid: str) -> x509.Certificate:
    """Nothing in it is random or from a clock, and RSA (PKCS #1 v1.5) signs the same in the same way."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, uid)])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(int(uid[:30], 16) + 1)
        .not_valid_before(_BEGIN)
        .not_valid_after(_END)
        .sign(key, hashes.SHA256())
    )
