"""A tunnel as old nodes have it: an Ethernet interface, and DTLS to each peer. `ports.FrameTunnel`, for nodes that were switched to it.

Made by `outside.py`. All of it runs on the event loop: it is for getting on with old nodes, not for speed. Rules: what a peer sends is taken only inside its
own link; nothing that comes from the net, the interface or a controller raises out of the loop; what goes nowhere is counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import math
import os
import socket
from collections import Counter
from collections.abc import Callable, Sequence

from wayhouse.base.clock import Clock
from wayhouse.base.errors import BadInputError, OutsideError
from wayhouse.overlay.drivers import old_way
from wayhouse.overlay.drivers.tap import GONE, FrameInterface, NoTap, Tap
from wayhouse.overlay.engine.ears import UNROUTABLE_PER_S, Meter
from wayhouse.overlay.ethernet import mac_of
from wayhouse.overlay.legacy import channel, frames, peer_key
from wayhouse.overlay.legacy.channel import Channel, Established, Silent
from wayhouse.overlay.legacy.dtls import Credentials
from wayhouse.overlay.legacy.forwarding import (
    Answered,
    Dropped,
    Forwarding,
    ToController,
    ToInterface,
    ToPeers,
)
from wayhouse.overlay.legacy.peer_key import PeerKey
from wayhouse.overlay.model import BadControlError, NoSuchPeerError
from wayhouse.overlay.ports import Address, Endpoint, PeerFigures, PeerSetup, TunnelEvents, UdpEndpoint

log = logging.getLogger(__name__)

BURST = 64
"""Frames or datagrams of one descriptor at a time; then others have their turn."""
LARGEST = 65_536
ICC_PER_S = 100
REOPEN_EVERY_S = 1.0
_VLAN = 4
_APPLICATION_DATA = 23


class _OldPeer:
    def __init__(self, public_key: bytes, key: PeerKey, link: Channel) -> None:
        self.public_key, self.key, self.link = public_key, key, link
        self.endpoint: Endpoint | None = None
        self.sent_bytes = self.sent_packets = self.received_bytes = self.received_packets = self.dropped = 0
        self.last_handshake: float | None = None
        self.last_received: float | None = None

    def figures(self) -> PeerFigures:
        return PeerFigures(**{name: getattr(self, name) for name in PeerFigures.__struct_fields__})


class TapTunnel:
    """Traffic passes from `start` to `close`."""

    def __init__(self, interface: FrameInterface, credentials: Credentials, *, clock: Clock) -> None:
        self.dropped: Counter[str] = Counter()
        """Frames and datagrams that went nowhere, by reason."""
        self._tap = interface
        self._credentials = credentials
        self._uid = bytes.fromhex(credentials.uid)
        self._clock = clock
        self._forwarding = Forwarding(self._uid, interface.mac)
        self._mtu = 0
        self._peers: dict[bytes, _OldPeer] = {}
        self._by_uid: dict[bytes, _OldPeer] = {}
        self._adopted: dict[socket.socket, Callable[[bytes, Address], None]] = {}
        self._users: dict[socket.socket, _OldPeer] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._events: TunnelEvents | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._unroutable = Meter(UNROUTABLE_PER_S, clock.monotonic)
        self._icc = Meter(ICC_PER_S, clock.monotonic)

    def __repr__(self) -> str:
        return f"TapTunnel({self.interface})"

    @property
    def interface(self) -> str:
        return self._tap.name

    @property
    def mac(self) -> str:
        return self._tap.mac.hex(":")

    def start(self, events: TunnelEvents) -> None:
        self._events = events
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._tap.fd, self._frames_wait)

    def set_addresses(self, addresses: Sequence[str], mtu: int) -> None:
        self._tap.configure(addresses, mtu)
        self._forwarding.set_addresses(addresses)
        self._mtu = mtu

    def set_switching(self, *, is_on: bool) -> None:
        self._forwarding.is_switch = is_on

    # Peers.

    def set_peer(self, peer: PeerSetup) -> None:
        """Raises `BadInputError`, and then nothing has changed."""
        key = peer_key.decode(peer.public_key)
        if key.uid == self._uid:
            raise BadInputError("A peer is another node than this one.")
        self._forwarding.set_peer(key.uid, peer)
        if peer.public_key in self._peers:
            return
        if (other := self._by_uid.get(key.uid)) is not None:
            self._drop(other)
        link = channel.make(self._credentials, key, self._uid)
        self._peers[peer.public_key] = self._by_uid[key.uid] = _OldPeer(peer.public_key, key, link)

    def remove_peer(self, public_key: bytes) -> None:
        if (peer := self._peers.get(public_key)) is not None:
            self._drop(peer)
            self._forwarding.remove_peer(peer.key.uid)

    def _drop(self, peer: _OldPeer) -> None:
        del self._peers[peer.public_key], self._by_uid[peer.key.uid]
        self._users = {sock: user for sock, user in self._users.items() if user is not peer}

    def set_endpoint(self, public_key: bytes, endpoint: Endpoint | None) -> None:
        if (peer := self._peers.get(public_key)) is None:
            return
        peer.endpoint = endpoint
        if endpoint is None:
            peer.link.path_down()
            return
        if isinstance(endpoint, UdpEndpoint):
            self._users[endpoint.sock] = peer
        peer.link.path_up(self._clock.monotonic())
        self._flush(peer)
        self._arm()

    def figures(self) -> dict[bytes, PeerFigures]:
        return {key: peer.figures() for key, peer in self._peers.items()}

    # Sockets.

    def adopt(self, sock: socket.socket, other: Callable[[bytes, Address], None]) -> None:
        """Raises `OutsideError` if it is closed, or is no UDP socket."""
        if self._loop is None or sock.type != socket.SOCK_DGRAM or sock.fileno() < 0:
            raise OutsideError("Only an open UDP socket can be read, and only by a tunnel that was started.")
        self._adopted[sock] = other
        self._loop.add_reader(sock, self._datagrams_wait, sock)

    def release(self, sock: socket.socket) -> None:
        self._users.pop(sock, None)
        if self._adopted.pop(sock, None) is not None and self._loop is not None:
            self._loop.remove_reader(sock)

    def deliver(self, public_key: bytes, datagram: bytes) -> None:
        peer = self._peers.get(public_key)
        if peer is not None and old_way.is_of_link(peer.key, datagram):
            self._take(peer, datagram)
        else:
            self.dropped["not-of-link"] += 1

    def _datagrams_wait(self, sock: socket.socket) -> None:
        for _ in range(BURST):
            if (other := self._adopted.get(sock)) is None:
                return
            try:
                data, source = sock.recvfrom(LARGEST)
            except BlockingIOError:
                return
            except OSError:  # an ICMP error that an earlier datagram brought about
                continue
            peer = self._users.get(sock)
            found = None if peer is None else old_way.inner(peer.endpoint, peer.key, data, source)
            if peer is None or found is None:
                other(data, source)
            else:
                self._take(peer, found)

    def _take(self, peer: _OldPeer, datagram: bytes) -> None:
        try:
            for plaintext in peer.link.receive(datagram, self._clock.monotonic()):
                self._arrive(peer, plaintext)
        except Exception:
            log.exception("a datagram of %s could not be taken", peer.key.uid.hex())
            self.dropped["defect"] += 1
        self._flush(peer)
        if datagram[0] != _APPLICATION_DATA:
            self._arm()

    def _arrive(self, peer: _OldPeer, plaintext: bytes) -> None:
        found = frames.unwrap(plaintext)
        if found is None or len(plaintext) > self._longest() + frames.HEADER:
            self._lose(peer, "length")
            return
        source, destination, frame = found
        if source != peer.key.uid or destination not in {self._uid, frames.NOBODY}:
            self._lose(peer, "foreign-uid")
            return
        peer.last_received = self._clock.monotonic()
        peer.received_bytes += len(frame) - frames.ETHERNET
        peer.received_packets += 1
        verdict = self._forwarding.arriving(source, frame)
        if isinstance(verdict, ToInterface):
            self._write(verdict.frame)
        elif isinstance(verdict, Answered):
            self._send(peer, verdict.frame)
        elif isinstance(verdict, ToController):
            self._tell_frame(self._icc, verdict.frame, source.hex())
        else:
            self._lose(peer, verdict.reason)

    def _lose(self, peer: _OldPeer, reason: str) -> None:
        self.dropped[reason] += 1
        peer.dropped += 1

    # The interface.

    def _frames_wait(self) -> None:
        for _ in range(BURST):
            if self._tap.fd < 0:
                return
            try:
                frame = os.read(self._tap.fd, LARGEST)
            except BlockingIOError:
                return
            except OSError as error:
                self._interface_failed(error)
                return
            self._leave(frame)

    def _leave(self, frame: bytes) -> None:
        verdict = self._forwarding.leaving(frame)
        if isinstance(verdict, ToPeers):
            for uid in verdict.uids:
                if (peer := self._by_uid.get(uid)) is not None:
                    self._send(peer, frame)
        elif isinstance(verdict, ToInterface):
            self._write(verdict.frame)
        elif isinstance(verdict, Dropped):
            self.dropped[verdict.reason] += 1
        else:
            self._tell_frame(self._unroutable, verdict.frame, "")

    def _send(self, peer: _OldPeer, frame: bytes) -> None:
        if not peer.link.send(frames.wrap(self._uid, peer.key.uid, frame)):
            self._lose(peer, "no-session")
            return
        peer.sent_bytes += len(frame) - frames.ETHERNET
        peer.sent_packets += 1
        self._flush(peer)

    def _write(self, frame: bytes) -> None:
        try:
            os.write(self._tap.fd, frame)
        except OSError:  # it is full, or down
            self.dropped["interface"] += 1

    def _interface_failed(self, error: OSError) -> None:
        self.dropped["interface"] += 1
        if error.errno not in GONE or self._loop is None:
            return
        log.warning("the interface %s was deleted; it is made again", self.interface)
        self._loop.remove_reader(self._tap.fd)
        self._loop.call_later(REOPEN_EVERY_S, self._open_again)

    def _open_again(self) -> None:
        if self._loop is None or self._events is None:
            return
        if self._tap.reopen():
            self._loop.add_reader(self._tap.fd, self._frames_wait)
        else:
            self._loop.call_later(REOPEN_EVERY_S, self._open_again)

    # What controllers hand over.

    def put_frame(self, source: str, frame: bytes) -> None:
        """Raises `BadControlError` for one that is too short or too long."""
        self._check(frame)
        self._write(self._forwarding.of_controller(bytes.fromhex(source), frame))

    def send_frame(self, destination: str, frame: bytes) -> None:
        """Raises `NoSuchPeerError` without a link to it, `BadControlError`."""
        self._check(frame)
        if (peer := self._by_uid.get(bytes.fromhex(destination))) is None:
            raise NoSuchPeerError(f"There is no link to {destination}.", uid=destination)
        self._send(peer, frame)

    def _check(self, frame: bytes) -> None:
        if not frames.ETHERNET <= len(frame) <= self._longest():
            raise BadControlError(
                f"A frame has {frames.ETHERNET} to {self._longest()} bytes, not {len(frame)}."
            )

    def _longest(self) -> int:
        return self._mtu + frames.ETHERNET + _VLAN

    # What is due and what is told.

    def _flush(self, peer: _OldPeer) -> None:
        for datagram in peer.link.outbox():
            if peer.endpoint is None or not old_way.transmit(peer.endpoint, datagram):
                self.dropped["not-sent"] += 1
        for event in peer.link.events():
            self._tell(peer, event)

    def _tell(self, peer: _OldPeer, event: channel.Event) -> None:
        key = peer.public_key
        if isinstance(event, Established):
            log.info("the link to %s is secured by %s", peer.key.uid.hex(), event.version)
            peer.last_handshake = self._clock.monotonic()
            self._later(lambda events: events.tunnel_established(key))
        elif isinstance(event, Silent):
            self._later(lambda events: events.tunnel_silent(key))
        else:
            why = event.why
            self._later(lambda events: events.tunnel_troubled(key, why))

    def _tell_frame(self, meter: Meter, frame: bytes, source: str) -> None:
        if meter.allows():
            self._later(lambda events: events.tunnel_frame(frame, source))
        else:
            self.dropped["too-many-for-controller"] += 1

    def _later(self, tell: Callable[[TunnelEvents], None]) -> None:
        if self._loop is not None:
            self._loop.call_soon(functools.partial(self._say, tell))

    def _say(self, tell: Callable[[TunnelEvents], None]) -> None:
        if self._events is not None:
            tell(self._events)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = self._clock.monotonic()
        due = min((peer.link.deadline(now) for peer in self._peers.values()), default=math.inf)
        if self._loop is not None and not math.isinf(due):
            self._timer = self._loop.call_later(max(due - now, 0.001), self._tick)

    def _tick(self) -> None:
        now = self._clock.monotonic()
        for peer in tuple(self._peers.values()):
            if peer.link.deadline(now) <= now:
                peer.link.tick(now)
                self._flush(peer)
        self._arm()

    def close(self) -> None:
        """The interface is gone after this; the sockets are their owners'."""
        if self._loop is None:
            self._tap.close()
            return
        loop, self._loop, self._events = self._loop, None, None
        if self._timer is not None:
            self._timer.cancel()
        for peer in self._peers.values():
            peer.link.close()
            self._flush(peer)
        for sock in self._adopted:
            loop.remove_reader(sock)
        self._adopted.clear()
        with contextlib.suppress(ValueError):
            loop.remove_reader(self._tap.fd)
        self._tap.close()


def open_tap(interface: str | None, private_key: bytes, *, clock: Clock) -> TapTunnel:
    """With None there is no interface, and frames go nowhere. Raises `BadInputError`, `OutsideError`."""
    try:
        credentials = Credentials(private_key)
    except ValueError as error:
        raise BadInputError(f"This is no key of an old node: {error}.") from error
    mac = mac_of(credentials.uid)
    return TapTunnel(NoTap(mac) if interface is None else Tap(interface, mac), credentials, clock=clock)
