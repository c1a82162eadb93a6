"""Who this node is: a key that signs, the certificate that names it, and the key of the tunnel.

Called by `node.py`, `binding.py` and services. Rules: all of it comes from one secret, which is in a file that only its owner can read; the same
secret and uid always make the same certificate, so a fingerprint that others have pinned survives a restart. No secret is in a `repr`.
"""

from __future__ import annotations

import datetime
import hashlib
from enum import StrEnum
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.x509.oid import NameOID

from wayhouse.access.secret_file import Secret, read_or_create
from wayhouse.base import ids
from wayhouse.overlay.model import BadBindingError, is_uid

FILE = "identity.key"
_SECRET = Secret(
    "[0-9a-f]{64}",
    lambda: ids.token_hex(256),
    "64 hexadecimal digits",
    "peers that know this node must be told to trust it anew",
)
_BEGIN = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
_END = datetime.datetime(9999, 12, 31, 23, 59, 59, tzinfo=datetime.UTC)
"""RFC 5280 section 4.1.2.5: no well-defined end."""
MOST_CERTIFICATE = 2048


class Digest(StrEnum):
    """Of a fingerprint: SHA-1 is what controllers of 2013 count with (59 characters), SHA-256 (95) what new nodes use among themselves."""

    SHA1 = "sha1"
    SHA256 = "sha256"

    @property
    def characters(self) -> int:
        return hashlib.new(self.value, usedforsecurity=False).digest_size * 3 - 1


class Identity:
    """A node's keys and certificate. `certificate` is DER, its common name the uid."""

    def __init__(self, secret: bytes, uid: str) -> None:
        if len(secret) != 32 or not is_uid(uid):
            raise ValueError("an identity is made of 32 bytes and a uid")
        self._signing = Ed25519PrivateKey.from_private_bytes(_derived(secret, b"signature"))
        self._tunnel = X25519PrivateKey.from_private_bytes(_derived(secret, b"tunnel"))
        self.uid = uid
        self.certificate = _certificate(self._signing, uid)

    def __repr__(self) -> str:
        return f"Identity({self.uid})"

    @property
    def tunnel_public_key(self) -> bytes:
        """32 bytes, as WireGuard has it."""
        return self._tunnel.public_key().public_bytes_raw()

    @property
    def tunnel_private_key(self) -> bytes:
        return self._tunnel.private_bytes_raw()

    def fingerprint(self, digest: Digest = Digest.SHA1) -> str:
        return fingerprint(self.certificate, digest)

    def sign(self, data: bytes) -> bytes:
        """64 bytes, by the key of the certificate (Ed25519)."""
        return self._signing.sign(data)


class Certificate(msgspec.Struct, frozen=True):
    """What a peer's certificate says."""

    uid: str
    public_key: bytes

    def verify(self, signature: bytes, data: bytes) -> bool:
        return verify(self.public_key, signature, data)


def load_or_create(folder: Path, uid: str) -> Identity:
    """The identity whose secret is in `folder`, made there at first. Raises `UnsafeFileError`."""
    return Identity(bytes.fromhex(read_or_create(folder / FILE, _SECRET)), uid)


def fingerprint(certificate: bytes, digest: Digest = Digest.SHA1) -> str:
    """Of a certificate in DER, as RFC 8122 section 5 writes it."""
    return hashlib.new(digest.value, certificate, usedforsecurity=False).digest().hex(":").upper()


def digest_of(fingerprint_text: str) -> Digest:
    return Digest.SHA256 if len(fingerprint_text) == Digest.SHA256.characters else Digest.SHA1


def read_certificate(der: bytes) -> Certificate:
    """Raises `BadBindingError` for anything but a certificate of a node: Ed25519, one common name, which is a uid."""
    if len(der) > MOST_CERTIFICATE:
        raise BadBindingError("The peer's certificate is too long.")
    try:
        found = x509.load_der_x509_certificate(der)
        key = found.public_key()
        names = found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        uid = str(names[0].value) if len(names) == 1 else ""
    except Exception as error:
        raise BadBindingError("The peer's certificate cannot be read.") from error
    if not isinstance(key, Ed25519PublicKey) or not is_uid(uid):
        raise BadBindingError("The peer's certificate is not one of a Wayhouse node.")
    return Certificate(uid, key.public_bytes_raw())


def verify(public_key: bytes, signature: bytes, data: bytes) -> bool:
    """Whether `signature` (Ed25519) is of `data`."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True


def _derived(secret: bytes, purpose: bytes) -> bytes:
    return HKDF(hashes.SHA256(), 32, None, b"wayhouse overlay identity 1 " + purpose).derive(secret)


def _certificate(key: Ed25519PrivateKey, uid: str) -> bytes:
    """Nothing in it is random or from a clock, and Ed25519 signs the same in the same way."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, uid)])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(int(uid[:30], 16) + 1)
        .not_valid_before(_BEGIN)
        .not_valid_after(_END)
        .sign(key, None)
    )
    return made.public_bytes(serialization.Encoding.DER)
