"""What a node tells of itself, its peers and its links: for the API, the command line and the page.

Made in the link process by nodes, carried over its control socket, shown by the daemon. Rule: no secrets, and nothing that only a program can read
without a text beside it.
"""

from __future__ import annotations

import msgspec

from wayhouse.overlay.model import LinkStatus, PairTried, PathPolicy
from wayhouse.overlay.subnets import Subnet


class SignalView(msgspec.Struct, frozen=True, kw_only=True):
    """A way to be introduced; `reason` is why it is not up."""

    name: str
    is_up: bool
    reason: str = ""


class LinkView(msgspec.Struct, frozen=True, kw_only=True):
    """A peer that was seen, and the link to it as far as there is one. `state` is what the link is doing (see `link.py`), `why` says in a
    sentence why it is relayed or not there, `rtt_s` is of the last check of the path, rates are bytes a second over the last seconds."""

    uid: str
    status: LinkStatus
    state: str
    name: str = ""
    """In the DNS, without the overlay's name."""
    ip4: str = ""
    ip6: str = ""
    via: str = ""
    """The signaller that introduced it."""
    fingerprint: str = ""
    tags: tuple[str, ...] = ()
    policy: PathPolicy = PathPolicy.AUTO
    is_relayed: bool | None = None
    local: str = ""
    remote: str = ""
    """Candidates of the path: `type host:port`."""
    rtt_s: float | None = None
    sent_bytes: int = 0
    received_bytes: int = 0
    sent_bps: float = 0.0
    received_bps: float = 0.0
    handshake_age_s: float | None = None
    seen_age_s: float | None = None
    online_age_s: float | None = None
    nat: str = "unknown"
    pairs: tuple[PairTried, ...] = ()
    why: str = ""
    offered_subnets: tuple[str, ...] = ()


class OverlayView(msgspec.Struct, frozen=True, kw_only=True):
    """One overlay, as this gateway is in it. `problem` is why it is not up, for people."""

    name: str
    kind: str
    uid: str
    ip4: str = ""
    ip6: str = ""
    dns_name: str = ""
    interface: str = ""
    is_up: bool = False
    problem: str = ""
    is_admin: bool = False
    """This gateway founded the group: it can invite and revoke."""
    signallers: tuple[SignalView, ...] = ()
    peers: int = 0
    online: int = 0
    relayed: int = 0


class OverlayState(msgspec.Struct, frozen=True, kw_only=True):
    overlay: OverlayView
    links: tuple[LinkView, ...] = ()
    subnets: tuple[Subnet, ...] = ()
    """Networks behind peers, and how they stand."""
    revoked: str = ""
    """A signed list of revocations that is newer than the one in the configuration, as JSON; it is no secret."""


class ReceivedDevice(msgspec.Struct, frozen=True, kw_only=True):
    """`name` is its name at the peer, `id` that of the device here, "" until it has joined; `reason` is why it is not available."""

    name: str
    may: str
    id: str = ""
    is_available: bool = False
    reason: str = ""


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """What a peer that is linked gives to this gateway, as it was told. `services` are their names on the bus here, `apps` the names of apps by the
    port of the peer's `address`."""

    uid: str
    name: str
    address: str
    devices: tuple[ReceivedDevice, ...] = ()
    services: tuple[str, ...] = ()
    apps: dict[int, str] = {}


class OverlayChanged(msgspec.Struct, frozen=True):
    """An event: there is something new to see of it, or it was left."""

    name: str
    is_gone: bool = False
