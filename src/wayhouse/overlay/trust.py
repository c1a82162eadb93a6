"""Whom this node believes: in a group, who has a ticket of its administrator; everywhere, who has the keys that it had the first time.

Called by `node.py`. Rules: nothing is believed because a server said it; a peer whose certificate has changed is refused and the reason told, unless
the same ticket brought the new one; a newer list of revocations replaces an older one, from whomever it comes, if it is signed.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Protocol

import msgspec

from wayhouse.access.model import UnsafeFileError
from wayhouse.access.plain_file import open_plain, place
from wayhouse.base import codec
from wayhouse.base.clock import Clock
from wayhouse.base.errors import BadInputError, UnavailableError
from wayhouse.overlay import binding
from wayhouse.overlay.binding import Bound, Told
from wayhouse.overlay.identity import Identity
from wayhouse.overlay.membership import Group, join
from wayhouse.overlay.model import BadBindingError
from wayhouse.overlay.tickets import Revocations, Signed, Ticket

log = logging.getLogger(__name__)

PINS_FILE = "known-peers.json"
WIREGUARD = "wireguard"
MOST_PINS = 4096
_MOST_BYTES = 4 * 1024 * 1024


class Pin(msgspec.Struct, frozen=True, kw_only=True):
    """How a peer is recognized: SHA-256 of its certificate in hex, and the ticket it had, if any. `since` in Unix seconds."""

    certificate_hash: str
    ticket: str = ""
    since: float = 0.0


class Pins(Protocol):
    """Where pins are kept."""

    def get(self, uid: str) -> Pin | None: ...

    def put(self, uid: str, pin: Pin) -> None: ...

    def forget(self, uid: str) -> None:
        """The peer is trusted anew at the next time."""
        ...


class MemoryPins:
    """Pins as long as the process lives."""

    def __init__(self, pins: dict[str, Pin] | None = None) -> None:
        self._pins = dict(pins or {})

    def get(self, uid: str) -> Pin | None:
        return self._pins.get(uid)

    def put(self, uid: str, pin: Pin) -> None:
        self._pins.pop(uid, None)
        self._pins[uid] = pin
        while len(self._pins) > MOST_PINS:
            del self._pins[next(iter(self._pins))]

    def forget(self, uid: str) -> None:
        self._pins.pop(uid, None)


class PinFile(MemoryPins):
    """Pins in a file, written as a whole. Raises `UnsafeFileError` for a file that is damaged: it must not be taken for an empty one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        super().__init__(_read(path))

    def put(self, uid: str, pin: Pin) -> None:
        super().put(uid, pin)
        self._write()

    def forget(self, uid: str) -> None:
        super().forget(uid)
        self._write()

    def _write(self) -> None:
        try:
            place(self._path, codec.encode_json(self._pins), os.rename)
        except (UnavailableError, UnsafeFileError) as error:
            log.warning("the known peers are not on disk: %s", error)


class Membership(msgspec.Struct, frozen=True, kw_only=True):
    """How this node is in a group."""

    group: Group
    ticket: Signed
    ticket_key: bytes

    def __repr__(self) -> str:
        return f"Membership({self.group!r})"


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """A peer that proved who it is. `ip4` is the address it says it goes by; in a group, the controller is told. `security` is what protects its
    link, as `peer_state` has it."""

    uid: str
    tunnel_key: bytes
    certificate_hash: str
    ip4: str = ""
    ticket: Ticket | None = None
    preshared_key: bytes | None = None
    serial: int = 0
    name: str = ""
    subnets: tuple[str, ...] = ()
    security: str = WIREGUARD

    def __repr__(self) -> str:
        return f"Verified({self.uid})"

    @property
    def is_modern(self) -> bool:
        """Whether it takes addresses as they are found."""
        return self.security == WIREGUARD

    def is_same(self, other: Verified | None) -> bool:
        """Apart from the message that proved it."""
        return other is not None and msgspec.structs.replace(other, serial=self.serial) == self


class Trust:
    """Checks peers, and shows this node to them."""

    def __init__(
        self, pins: Pins, clock: Clock, membership: Membership | None = None, revoked: Signed | None = None
    ) -> None:
        """`revoked` is the list as it was stored. Raises `BadBindingError` if it is not signed by the group's administrator."""
        self._pins = pins
        self._clock = clock
        self._membership = membership
        self._signed: Signed | None = None
        self._revoked = Revocations(overlay="" if membership is None else membership.group.overlay)
        if revoked is not None:
            self.hear_revocations(revoked)

    @property
    def revocations(self) -> Signed | None:
        """The newest list that is known, for peers and to be stored."""
        return self._signed

    def token(self, identity: Identity, told: Told | None = None, *, cas: str = "") -> str:
        """The binding that is shown to peers beside the candidates `cas`."""
        serial = int(self._clock.wall() * 1000)
        if (own := self._membership) is None:
            return binding.encode(identity, told, cas=cas, serial=serial)
        proof = join(own.ticket, own.ticket_key, identity.uid, identity.certificate)
        return binding.encode(identity, told, proof=proof, cas=cas, serial=serial)

    def check(self, cas: str, own_uid: str, uid: str, fingerprint: str) -> Verified:
        """What a peer proves by the words of `cas`. Raises `BadBindingError`, which says why it is not believed."""
        bound = binding.verify(cas, uid, fingerprint)
        ticket = self._member(bound)
        self.recognize(bound.uid, bound.certificate_hash, ticket)
        return Verified(
            uid=uid,
            tunnel_key=bound.tunnel_key,
            certificate_hash=bound.certificate_hash,
            ip4=bound.ip4,
            name=bound.name,
            subnets=bound.subnets,
            ticket=ticket,
            preshared_key=None
            if self._membership is None
            else self._membership.group.preshared_key(own_uid, uid),
            serial=bound.serial,
        )

    def is_still_good(self, peer: Verified) -> str | None:
        """Why a peer that was believed is not any more; None if it is."""
        if peer.ticket is None:
            return None
        if peer.uid in self._revoked.uids or peer.ticket.id in self._revoked.tickets:
            return "The peer's membership was taken back."
        if 0 < self._revoked.expires(peer.ticket) <= self._clock.wall():
            return "The peer's membership has expired; the network's administrator can renew its ticket."
        return None

    def keep(self, peer: Verified) -> None:
        """It proved that it has its tunnel key: recognize it from now on."""
        ticket = "" if peer.ticket is None else peer.ticket.id
        known = self._pins.get(peer.uid)
        if known is None or (known.certificate_hash, known.ticket) != (peer.certificate_hash, ticket):
            pin = Pin(certificate_hash=peer.certificate_hash, ticket=ticket, since=self._clock.wall())
            self._pins.put(peer.uid, pin)

    def recognize(self, uid: str, certificate_hash: str, ticket: Ticket | None = None) -> None:
        """Raises `BadBindingError` if it was known by another certificate, and no ticket is there to explain that."""
        known = self._pins.get(uid)
        if known is None or known.certificate_hash == certificate_hash:
            return
        if ticket is not None and known.ticket == ticket.id:
            return
        raise BadBindingError(
            "The peer has another certificate than before. If it was really made anew, forget the peer here and it will be trusted again; if not, somebody pretends to be it.",
            uid=uid,
        )

    def forget(self, uid: str) -> None:
        self._pins.forget(uid)

    def hear_revocations(self, signed: Signed) -> bool:
        """Whether it is newer than the list that is known, and holds from now on. Raises `BadBindingError`."""
        if self._membership is None:
            return False
        found = self._membership.group.read_revocations(signed)
        if found.serial <= self._revoked.serial:
            return False
        self._revoked, self._signed = found, signed
        return True

    def _member(self, bound: Bound) -> Ticket | None:
        if self._membership is None:
            return None
        return self._membership.group.verify(
            bound.proof, bound.uid, bound.certificate_hash, self._revoked, self._clock.wall()
        )


def _read(path: Path) -> dict[str, Pin]:
    try:
        with open_plain(path) as file:
            return codec.decode_json(file.read(_MOST_BYTES), dict[str, Pin], what=f"file {path.name}")
    except FileNotFoundError:
        return {}
    except BadInputError as error:
        raise UnsafeFileError(
            f"{path} is damaged: {error.message} Move it away, and all peers are trusted anew."
        ) from error
