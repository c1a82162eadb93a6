"""What a controller is told, what it wants and what people should know.

Facts go into `Controller.receive`, wishes come out of its `outbox`, news out of its `events`. Called by `node.py`, which does the wishes. Rule: plain
frozen values; wishes that tincan knows are tincan's own requests, so that a controller could as well drive one over its socket.
"""

from __future__ import annotations

import msgspec

from wayhouse.overlay.model import LinkStatus, SignalEvent
from wayhouse.overlay.tincan import CreateLink, Forward, TrimLink

ANNOUNCE = "announce"
"""The kind of a message that tells linked peers a new address; its data is as in `con_req`. Old controllers do not know it and pass over it."""


class Own(msgspec.Struct, frozen=True):
    """What a node tells of itself: its IPv4 address, its fingerprint, and `words`, which stand after the fingerprint in a `con_req`."""

    ip4: str
    fingerprint: str
    words: str = ""

    @property
    def data(self) -> str:
        return f"{self.fingerprint} {self.words}".rstrip()


class LinkChanged(msgspec.Struct, frozen=True):
    """As in `con_stat`."""

    uid: str
    status: LinkStatus


class LinkGone(msgspec.Struct, frozen=True):
    """The link was taken away, or could not be made, without a wish of the controller."""

    uid: str


class Traffic(msgspec.Struct, frozen=True):
    """Bytes of inner packets since the link was made; told every `wait_time` for each link that is online."""

    uid: str
    sent: int
    received: int


class Unroutable(msgspec.Struct, frozen=True):
    """An IP packet from the interface that no peer may get. Where links carry Ethernet it came in `frame`, or there is a frame alone; `source` is then
    the uid of the peer whose controller sent it to ours, or empty."""

    packet: bytes
    frame: bytes = b""
    source: str = ""


class Claimed(msgspec.Struct, frozen=True):
    """A peer proved that it goes by this IPv4 address; "" takes it back."""

    uid: str
    ip4: str


class Refused(msgspec.Struct, frozen=True):
    """No link to this peer, whoever asks (`PathPolicy.OFF`, or it is no member)."""

    uid: str


class Allowed(msgspec.Struct, frozen=True):
    """The end of `Refused`."""

    uid: str


class Forgotten(msgspec.Struct, frozen=True):
    """The peer is gone for good: its address may be given to another."""

    uid: str


class NetworkChanged(msgspec.Struct, frozen=True):
    """The machine has other addresses: what failed before may work now."""


Fact = (
    SignalEvent
    | Own
    | LinkChanged
    | LinkGone
    | Traffic
    | Unroutable
    | Claimed
    | Refused
    | Allowed
    | Forgotten
    | NetworkChanged
)


class SetAddress(msgspec.Struct, frozen=True):
    """`set_remote_ip`: the peer's addresses here; the latest one counts. `ip4` is "" while it has none (used up, or another's)."""

    uid: str
    ip4: str
    ip6: str


class MoveTo(msgspec.Struct, frozen=True):
    """Take this IPv4 address for ourselves, then tell the controller by `Own`."""

    ip4: str


Wish = Forward | CreateLink | TrimLink | SetAddress | MoveTo


class AddressConflict(msgspec.Struct, frozen=True):
    """Two nodes go by one address: the smaller uid keeps it."""

    ip4: str
    keeper: str
    loser: str


class NoAddressLeft(msgspec.Struct, frozen=True):
    """The peer is reached by IPv6 only."""

    uid: str


class TooManyPeers(msgspec.Struct, frozen=True):
    """More nodes turned up than are kept; this one was not looked at."""

    uid: str


News = AddressConflict | NoAddressLeft | TooManyPeers
