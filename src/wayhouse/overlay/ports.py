"""What the overlay needs from outside, as Protocols: introductions, paths and tunnels.

The real ones are in `drivers/` and `engine/`, each with a fake beside it. Rule: every method is called on the event loop unless it says otherwise, and
none blocks; an `Outlet` is called from the engine's thread.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import msgspec

from wayhouse.overlay.model import Candidate, PathReport, SignalEvent

Address = tuple[Any, ...]
"""As the socket module gives it."""
Outlet = Callable[[bytes], None]
"""Sends one datagram on a way that is no UDP socket (a relay over TCP); never blocks, drops what cannot be sent."""


class Signaller(Protocol):
    """One way to be introduced: an XMPP account, or the local network."""

    @property
    def name(self) -> str:
        """`xmpp:<bare jid>` or `mdns`: the `via` of its events."""
        ...

    def start(self, uid: str, status: str, hear: Callable[[SignalEvent], None]) -> None:
        """Sign in and stay signed in, under `uid`, telling everybody `status`; what comes is given to `hear`."""
        ...

    def send(self, uid: str, kind: str, data: str) -> None:
        """Raises `NoSuchPeerError` if this signaller has not seen the peer."""
        ...

    async def stop(self) -> None: ...


class UdpEndpoint(msgspec.Struct, frozen=True):
    """Where a peer is reached: over this socket at `address`. With a `channel`, `address` is a TURN server, and every datagram in both
    directions has the 4 bytes of ChannelData (RFC 8656 section 12.4) in front. `is_relayed` says that a relay is between."""

    sock: socket.socket
    address: Address
    channel: int | None = None
    is_relayed: bool = False


class OutletEndpoint(msgspec.Struct, frozen=True):
    """Where a peer is reached when it is no UDP socket of our own; what comes back is given to `Tunnel.deliver`."""

    outlet: Outlet
    is_relayed: bool = True


Endpoint = UdpEndpoint | OutletEndpoint


class PathEvents(Protocol):
    """Who is told of a path, on the event loop."""

    def path_candidates(self, candidates: Sequence[Candidate], *, is_last: bool) -> None:
        """More addresses of this node; told as they are found."""
        ...

    def path_up(self, endpoint: Endpoint, local: Candidate, remote: Candidate) -> None:
        """There is a path, or a better one than before."""
        ...

    def path_lost(self, reason: str) -> None:
        """The path does not answer any more (consent, RFC 7675) or none was found; the seeker goes on looking by itself."""
        ...

    def path_data(self, data: bytes) -> None:
        """A datagram that is not STUN came on a way that the tunnel does not read itself."""
        ...


class Path(Protocol):
    """Seeks a path to one peer, and keeps it."""

    def start(self, events: PathEvents) -> None:
        """Gather, check as soon as there is a remote candidate, and go on until `close`."""
        ...

    def add_remote(self, candidates: Sequence[Candidate]) -> None:
        """May come before anything was gathered, and more than once. Other credentials than before restart the search."""
        ...

    def restart(self) -> None:
        """The addresses of this machine have changed: gather anew, keep what works until there is something better."""
        ...

    def lend(self, sock: socket.socket) -> Callable[[bytes, Address], None]:
        """The path reads this socket (of a `UdpEndpoint` that it told) no more; the borrower does until `close`, and gives back, on the event
        loop, every datagram that is not the tunnel's: `tunnel.adopt(sock, path.lend(sock))`. What is not lent comes by `path_data`."""
        ...

    def report(self) -> PathReport: ...

    async def close(self) -> None:
        """Closes its sockets: the tunnel has released them before."""
        ...


class PeerSetup(msgspec.Struct, frozen=True, kw_only=True):
    """A peer of the tunnel. `allowed_ips` are networks in CIDR form: what is routed to it, and what it may send from. `translation` is the peer's IPv4
    address as this node has it, and this node's own: IPv4 packets that arrive from the peer get these as source and destination, before the
    source is checked."""

    public_key: bytes
    allowed_ips: tuple[str, ...]
    preshared_key: bytes | None = None
    keepalive_s: int = 15
    translation: tuple[str, str] | None = None

    def __repr__(self) -> str:
        return f"PeerSetup({self.public_key.hex()[:8]}, {', '.join(self.allowed_ips)})"


class PeerFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes are of the inner packets; `last_handshake` is in monotonic seconds, None before the first."""

    sent_bytes: int = 0
    received_bytes: int = 0
    sent_packets: int = 0
    received_packets: int = 0
    last_handshake: float | None = None
    last_received: float | None = None
    dropped: int = 0


class TunnelEvents(Protocol):
    """Who is told of the tunnel, on the event loop."""

    def tunnel_established(self, public_key: bytes) -> None:
        """A handshake with this peer was completed."""
        ...

    def tunnel_silent(self, public_key: bytes) -> None:
        """Nothing answers at this peer's endpoint any more."""
        ...

    def tunnel_unroutable(self, packet: bytes) -> None:
        """An IP packet from the interface that no peer may get; told at most 10 times a second."""
        ...

    def tunnel_frame(self, frame: bytes, source: str) -> None:
        """Of a `FrameTunnel`: a frame for the controller. It is from the interface and no peer may get it (`source` is empty), or from the controller
        of the peer with the uid `source`."""
        ...

    def tunnel_troubled(self, public_key: bytes, why: str) -> None:
        """The tunnel to this peer cannot be set up, for a reason that is for people; it is tried again."""
        ...


class Tunnel(Protocol):
    """The interface and its encrypted peers: the built-in engine, or the kernel's."""

    @property
    def interface(self) -> str: ...

    def start(self, events: TunnelEvents) -> None: ...

    def set_addresses(self, addresses: Sequence[str], mtu: int) -> None:
        """`addresses` in CIDR form. Raises `OutsideError`."""
        ...

    def set_peer(self, peer: PeerSetup) -> None:
        """Add it, or change what is allowed to it; keeps its sessions."""
        ...

    def remove_peer(self, public_key: bytes) -> None: ...

    def set_endpoint(self, public_key: bytes, endpoint: Endpoint | None) -> None: ...

    def adopt(self, sock: socket.socket, other: Callable[[bytes, Address], None]) -> None:
        """Read this UDP socket from now on; datagrams that are not the tunnel's (STUN, TURN) are given to `other` on the event loop.
        Its owner does not read it any more."""
        ...

    def release(self, sock: socket.socket) -> None:
        """Read it no more; when this returns, its owner may close it."""
        ...

    def deliver(self, public_key: bytes, datagram: bytes) -> None:
        """A datagram of this peer that came on a way which the tunnel does not read itself."""
        ...

    def figures(self) -> dict[bytes, PeerFigures]:
        """By public key."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class FrameTunnel(Tunnel, Protocol):
    """The tunnel of a node that speaks as old ones do: it carries Ethernet frames."""

    @property
    def mac(self) -> str:
        """Of the interface, in hex with colons."""
        ...

    def set_switching(self, *, is_on: bool) -> None:
        """Whether frames go by their Ethernet addresses, which are learned, instead of the IP addresses in them."""
        ...

    def put_frame(self, source: str, frame: bytes) -> None:
        """Into the interface, as if the peer with the uid `source` had sent it. Raises `BadControlError`."""
        ...

    def send_frame(self, destination: str, frame: bytes) -> None:
        """To the peer with this uid, whatever is in it. Raises `NoSuchPeerError`, `BadControlError`."""
        ...
