"""The word that ties a node's tunnel key to its fingerprint: signed by the key of its certificate, and sent among its candidates.

Called by `trust.py`. It is one word, `wh1:` and base64url, so parsers that want twelve fields between colons skip it. Rules: signalling may carry any
lie; what is verified here is that the certificate has the fingerprint that the controller asked for, names the uid, and signed the tunnel key and the
candidates beside it; `serial` grows, so that an old message can be told from a new one.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from ipaddress import IPv4Address

import msgspec

from wayhouse.overlay.candidates import is_candidate
from wayhouse.overlay.identity import Certificate, Identity, digest_of, fingerprint, read_certificate
from wayhouse.overlay.model import BadBindingError

PREFIX = "wh1:"
NO_PROOF = "The peer showed no proof of its tunnel key: it is an older tincan, or signalling cut the proof out. Only Wayhouse nodes can be linked."
MOST_CHARACTERS = 4096
MOST_NAME, MOST_SUBNETS = 64, 16
_PURPOSE = b"wayhouse overlay binding 1\0"


class Binding(msgspec.Struct, frozen=True, array_like=True):
    """`proof` is that of membership in a group, see `membership.py`, `ip4` the address that the node goes by, `about` SHA-256 of its candidates as
    text; all are signed. `serial` is its wall clock in milliseconds, `name` what it calls itself, `subnets` the networks behind it that it offers."""

    certificate: bytes
    tunnel_key: bytes
    signature: bytes
    proof: bytes = b""
    ip4: str = ""
    about: bytes = b""
    serial: int = 0
    name: str = ""
    subnets: tuple[str, ...] = ()


class Bound(msgspec.Struct, frozen=True, kw_only=True):
    """A peer whose keys belong together. `certificate_hash` is SHA-256 of its certificate, in hex."""

    uid: str
    tunnel_key: bytes
    certificate_hash: str
    proof: bytes = b""
    ip4: str = ""
    serial: int = 0
    name: str = ""
    subnets: tuple[str, ...] = ()


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a node says of itself in its binding."""

    ip4: str = ""
    name: str = ""
    subnets: tuple[str, ...] = ()


def encode(
    identity: Identity, told: Told | None = None, *, proof: bytes = b"", cas: str = "", serial: int = 0
) -> str:
    """The word that goes with the candidates `cas`."""
    told = told or Told()
    draft = Binding(
        identity.certificate,
        identity.tunnel_public_key,
        b"",
        proof,
        told.ip4,
        _about(cas),
        serial,
        told.name,
        told.subnets,
    )
    binding = msgspec.structs.replace(draft, signature=identity.sign(_signed(identity.uid, draft)))
    return PREFIX + base64.urlsafe_b64encode(msgspec.msgpack.encode(binding)).decode().rstrip("=")


def find(cas: str) -> str | None:
    """The first word of `cas` that looks like a binding."""
    return next((word for word in cas.split() if word.startswith(PREFIX)), None)


def verify(cas: str, uid: str, fingerprint_text: str) -> Bound:
    """Of the candidates `cas`, and the word among them. Raises `BadBindingError`, which says what does not fit."""
    token = find(cas)
    if token is None:
        raise BadBindingError(NO_PROOF, uid=uid)
    binding = decode(token)
    certificate = read_certificate(binding.certificate)
    if fingerprint(binding.certificate, digest_of(fingerprint_text)) != fingerprint_text:
        raise BadBindingError("The peer showed another certificate than the one whose fingerprint was told.")
    _check(binding, certificate, uid, cas)
    return Bound(
        uid=uid,
        tunnel_key=binding.tunnel_key,
        certificate_hash=hashlib.sha256(binding.certificate).hexdigest(),
        proof=binding.proof,
        ip4=binding.ip4,
        serial=binding.serial,
        name=binding.name,
        subnets=binding.subnets,
    )


def decode(token: str) -> Binding:
    """Its parts, with nothing verified. Raises `BadBindingError`."""
    if not token.startswith(PREFIX) or len(token) > MOST_CHARACTERS:
        raise BadBindingError("The peer's proof of who it is has a form that is not known here.")
    text = token.removeprefix(PREFIX)
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
        return msgspec.msgpack.decode(data, type=Binding)
    except (binascii.Error, ValueError, msgspec.DecodeError, RecursionError) as error:
        raise BadBindingError("The peer's proof of who it is is damaged.") from error


def _check(binding: Binding, certificate: Certificate, uid: str, cas: str) -> None:
    if certificate.uid != uid:
        raise BadBindingError("The peer's certificate is that of another uid.")
    if len(binding.tunnel_key) != 32 or binding.tunnel_key == bytes(32):
        raise BadBindingError("The peer's tunnel key is none.")
    if binding.ip4 and not _is_ip4(binding.ip4):
        raise BadBindingError("The peer's address is none.")
    if len(binding.name) > MOST_NAME or not binding.name.isprintable() or len(binding.subnets) > MOST_SUBNETS:
        raise BadBindingError("The peer's name is none, or it offers too many networks.")
    if binding.about != _about(cas):
        raise BadBindingError("The peer's candidates were changed on their way.")
    if not certificate.verify(binding.signature, _signed(uid, binding)):
        raise BadBindingError("The peer's tunnel key is not signed by its certificate.")


def _is_ip4(text: str) -> bool:
    try:
        IPv4Address(text)
    except ValueError:
        return False
    return True


def _signed(uid: str, binding: Binding) -> bytes:
    certificate, proof = hashlib.sha256(binding.certificate).digest(), hashlib.sha256(binding.proof).digest()
    told = (binding.ip4, binding.about, binding.serial, binding.name, binding.subnets)
    rest = (binding.tunnel_key, proof, *told)
    return _PURPOSE + msgspec.msgpack.encode((uid, certificate, *rest))


def _about(cas: str) -> bytes:
    return hashlib.sha256(" ".join(filter(is_candidate, cas.split())).encode()).digest()
