"""Who belongs to a group: the administrator's key signs tickets, a ticket's key signs nodes, and any member can check that without asking anybody.

Called by `trust.py`, `invitation.py` and services. Rules: the chain administrator -> ticket -> node is verified offline; a signed list takes
tickets and uids back, or prolongs tickets, and the one with the highest serial number holds; signalling servers know no secret of the group.
"""

from __future__ import annotations

import hashlib
from typing import TypeVar

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from wayhouse.base import ids
from wayhouse.overlay.identity import verify
from wayhouse.overlay.model import BadBindingError, BadInvitationError, is_uid
from wayhouse.overlay.tickets import Proof, Revocations, Signed, Ticket

_TICKET = b"wayhouse overlay ticket 1\0"
_MEMBER = b"wayhouse overlay member 1\0"
_LIST = b"wayhouse overlay revocations 1\0"
_PAIR = b"wayhouse overlay pair 1\0"
T = TypeVar("T")


class Administrator:
    """The key of a group's administrator: makes tickets and lists."""

    def __init__(self, private_key: bytes, overlay: str) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(private_key)
        self.private_key = private_key
        self.overlay = overlay

    def __repr__(self) -> str:
        return f"Administrator({self.overlay}, {self.public_key.hex()[:8]})"

    @classmethod
    def create(cls, overlay: str) -> Administrator:
        return cls(new_key(), overlay)

    @property
    def public_key(self) -> bytes:
        return self._key.public_key().public_bytes_raw()

    def ticket(
        self, key: bytes, *, expires: int = 0, role: str = "member", tags: tuple[str, ...] = ()
    ) -> Signed:
        """A ticket for whoever has the private `key` (32 bytes). Raises `BadInvitationError` for names that are none."""
        public_key = Ed25519PrivateKey.from_private_bytes(key).public_key().public_bytes_raw()
        try:
            ticket = Ticket(
                overlay=self.overlay,
                id=ids.short_id(),
                public_key=public_key,
                expires=expires,
                role=role,
                tags=tags,
            )
        except ValueError as error:
            raise BadInvitationError(f"This ticket cannot be made: {error}.") from error
        return self._signed(_TICKET, ticket)

    def revocations(self, listed: Revocations) -> Signed:
        return self._signed(_LIST, listed)

    def _signed(self, purpose: bytes, document: msgspec.Struct) -> Signed:
        body = msgspec.msgpack.encode(document, order="deterministic")
        return Signed(body, self._key.sign(purpose + body))


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """What a member knows of its group: enough to check others, nothing to let others in."""

    overlay: str
    admin_key: bytes
    secret: bytes

    def __repr__(self) -> str:
        return f"Group({self.overlay})"

    def read_ticket(self, signed: Signed) -> Ticket:
        """Raises `BadBindingError`."""
        ticket = self._opened(_TICKET, signed, Ticket, "ticket")
        if ticket.overlay != self.overlay:
            raise BadBindingError("The peer's ticket is for another network.")
        return ticket

    def read_revocations(self, signed: Signed) -> Revocations:
        """Raises `BadBindingError`."""
        found = self._opened(_LIST, signed, Revocations, "list of revocations")
        if found.overlay != self.overlay:
            raise BadBindingError("The list of revocations is of another network.")
        return found

    def verify(
        self, proof: bytes, uid: str, certificate_hash: str, revoked: Revocations, wall: float
    ) -> Ticket:
        """The ticket of a member. Raises `BadBindingError`, which says what is missing."""
        if not proof:
            raise BadBindingError("The peer showed no membership of this network; it needs an invitation.")
        found = _decoded(proof, Proof, "proof of membership")
        ticket = self.read_ticket(found.ticket)
        if not verify(ticket.public_key, found.signature, _member(uid, certificate_hash)):
            raise BadBindingError("The peer's membership is that of another node.")
        if uid in revoked.uids or ticket.id in revoked.tickets:
            raise BadBindingError("The peer's membership was taken back.")
        if 0 < revoked.expires(ticket) <= wall:
            raise BadBindingError(
                "The peer's membership has expired; the network's administrator can renew its ticket.",
                ticket=ticket.id,
            )
        return ticket

    def preshared_key(self, one: str, other: str) -> bytes:
        """Of two uids, for the tunnel between them (32 bytes): who is outside the group cannot get in, whatever signalling says."""
        low, high = sorted((one, other))
        info = _PAIR + f"{self.overlay} {low} {high}".encode()
        return HKDF(hashes.SHA256(), 32, None, info).derive(self.secret)

    def _opened(self, purpose: bytes, signed: Signed, kind: type[T], what: str) -> T:
        if not verify(self.admin_key, signed.signature, purpose + signed.body):
            raise BadBindingError(f"The {what} is not signed by the administrator of this network.")
        return _decoded(signed.body, kind, what)


def new_key() -> bytes:
    """A private key or secret of 32 random bytes."""
    return bytes.fromhex(ids.token_hex(256))


def join(ticket: Signed, ticket_key: bytes, uid: str, certificate: bytes) -> bytes:
    """The proof of membership of the node `uid` with this certificate (DER), for `binding.encode`."""
    signature = Ed25519PrivateKey.from_private_bytes(ticket_key).sign(
        _member(uid, hashlib.sha256(certificate).hexdigest())
    )
    return msgspec.msgpack.encode(Proof(ticket, signature))


def revoke(
    current: Revocations,
    *,
    tickets: frozenset[str] = frozenset(),
    uids: frozenset[str] = frozenset(),
    renewed: dict[str, int] | None = None,
) -> Revocations:
    """The next list, with these in it, too. Raises `BadInvitationError` for what is no uid."""
    if not all(map(is_uid, uids)):
        raise BadInvitationError("A uid is 40 lower-case hex digits.")
    return msgspec.structs.replace(
        current,
        serial=current.serial + 1,
        tickets=current.tickets | tickets,
        uids=current.uids | uids,
        renewed={**current.renewed, **(renewed or {})},
    )


def _member(uid: str, certificate_hash: str) -> bytes:
    return _MEMBER + f"{uid} {certificate_hash}".encode()


def _decoded(data: bytes, kind: type[T], what: str) -> T:
    try:
        return msgspec.msgpack.decode(data, type=kind)
    except (ValueError, RecursionError) as error:  # msgspec's are ValueErrors
        raise BadBindingError(f"The {what} is damaged.") from error
