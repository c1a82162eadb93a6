"""The code that a person pastes to bring a gateway into a network: one word, with all that it needs.

Called by services and the command line. `wayhouse1:` and base64url of msgpack in Zstandard, with a checksum, so that a letter lost in copying is
told as such. Rule: it lets its holder in, so it is a secret: it is in no `repr`, log or error.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
from ipaddress import ip_network

import msgspec
import zstandard

from wayhouse.overlay.account import Tls
from wayhouse.overlay.membership import Group
from wayhouse.overlay.model import BadBindingError, BadInvitationError, Kind, TurnServer
from wayhouse.overlay.tickets import Signed, Ticket

PREFIX = "wayhouse1:"
MOST_CHARACTERS = 16_384
MOST_BYTES = 65_536
_CHECKSUM = 5
"""Bytes, of SHA-256."""


class Account(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where to be introduced: an XMPP account. `port` is that of `host`; `pin` is SHA-256 of its server's certificate, if that is self-made."""

    jid: str
    password: str
    host: str = ""
    port: int = 5222
    pin: str = ""
    tls: Tls = Tls.STARTTLS

    def __repr__(self) -> str:
        return f"Account({self.jid})"


class Invitation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`subnet` in CIDR form; `secret` is the group's; `ticket_key` the private key of `ticket`. A social network has none of these."""

    overlay: str
    kind: Kind = "group"
    subnet: str = ""
    accounts: tuple[Account, ...] = ()
    stun: tuple[tuple[str, int], ...] = ()
    turn: tuple[TurnServer, ...] = ()
    relay_ca: str = ""
    admin_key: bytes = b""
    ticket: Signed | None = None
    ticket_key: bytes = b""
    secret: bytes = b""

    def __post_init__(self) -> None:
        if self.subnet:
            ip_network(self.subnet)
        lengths = {len(self.admin_key), len(self.ticket_key), len(self.secret)}
        if self.kind == "group" and (lengths != {32} or self.ticket is None):
            raise ValueError("an invitation to a group has a ticket and three keys of 32 bytes")

    def __repr__(self) -> str:
        return f"Invitation({self.overlay}, {self.kind})"

    def group(self) -> Group | None:
        """What its holder will know of the group; None for a social network."""
        if self.kind != "group":
            return None
        return Group(overlay=self.overlay, admin_key=self.admin_key, secret=self.secret)


def encode(invitation: Invitation) -> str:
    packed = zstandard.compress(msgspec.msgpack.encode(invitation), 19)
    return PREFIX + base64.urlsafe_b64encode(packed + _checksum(packed)).decode().rstrip("=")


def decode(code: str, wall: float) -> Invitation:
    """Raises `BadInvitationError`: damaged, of a later version, not signed by the group's key, or expired at `wall`."""
    invitation = _parsed(_unpacked("".join(code.split())))
    group = invitation.group()
    if group is not None and invitation.ticket is not None:
        _check_ticket(group, invitation.ticket, wall)
    return invitation


def _check_ticket(group: Group, signed: Signed, wall: float) -> Ticket:
    try:
        ticket = group.read_ticket(signed)
    except BadBindingError as error:
        raise BadInvitationError(
            "The invitation is not signed by the key that it names; ask for a new one."
        ) from error
    if 0 < ticket.expires <= wall:
        raise BadInvitationError("The invitation has expired; ask for a new one.")
    return ticket


def _unpacked(code: str) -> bytes:
    if not code.startswith(PREFIX):
        raise BadInvitationError(f"An invitation begins with `{PREFIX}`; paste all of it.")
    text = code.removeprefix(PREFIX)
    if len(text) > MOST_CHARACTERS:
        raise BadInvitationError("The invitation is too long; paste it alone.")
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadInvitationError("The invitation has characters that none has; copy it again.") from error
    packed, checksum = data[:-_CHECKSUM], data[-_CHECKSUM:]
    if checksum != _checksum(packed):
        raise BadInvitationError("A part of the invitation is missing or changed; copy it again, all of it.")
    return packed


def _parsed(packed: bytes) -> Invitation:
    try:
        plain = (
            zstandard.ZstdDecompressor(max_window_size=2**20)
            .stream_reader(io.BytesIO(packed))
            .read(MOST_BYTES + 1)
        )
        if len(plain) > MOST_BYTES:
            raise BadInvitationError("The invitation is too long.")
        return msgspec.msgpack.decode(plain, type=Invitation)
    except (zstandard.ZstdError, ValueError, RecursionError) as error:  # msgspec's are ValueErrors
        raise BadInvitationError(
            "The invitation was made by another version; update this gateway, or ask for a new one."
        ) from error


def _checksum(packed: bytes) -> bytes:
    return hashlib.sha256(b"wayhouse invitation 1\0" + packed).digest()[:_CHECKSUM]
