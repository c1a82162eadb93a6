"""The built-in engine as a `Tunnel`: WireGuard in this process, in a thread of its own. Made by the node; every method is called on the event loop.

Rule: what the caller got wrong is raised at once; all else is a command for the engine's thread. Only `release`, `figures`, `close` and a new MTU
wait for it, for one turn (milliseconds).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TookTooLongError
from typing import TypeVar

from wayhouse.base.clock import Clock, SystemClock
from wayhouse.base.errors import BadInputError, OutsideError, UnavailableError, WayhouseError
from wayhouse.overlay.engine import udp_batch
from wayhouse.overlay.engine.ears import UNROUTABLE_PER_S, Ears, Meter
from wayhouse.overlay.engine.loop import Loop, now_s
from wayhouse.overlay.engine.no_tun import NoTun
from wayhouse.overlay.engine.tun import Tun, broadcasts
from wayhouse.overlay.ports import Address, Endpoint, PeerFigures, PeerSetup, TunnelEvents
from wayhouse.overlay.wireguard.allowed_ips import parse_network
from wayhouse.overlay.wireguard.device import Device
from wayhouse.overlay.wireguard.timing import Timing
from wayhouse.overlay.wireguard.traffic import Answering, Established, Silent

log = logging.getLogger(__name__)

PATIENCE_S = 5.0
T = TypeVar("T")


class EngineTunnel:
    """The interface exists from the start, traffic passes from `start` to `close`; with None there is none, and packets go nowhere. Raises
    `OutsideError` if the interface cannot be made, `BadInputError` for a private key or name that is none."""

    def __init__(
        self,
        interface: str | None,
        private_key: bytes,
        *,
        timing: Timing | None = None,
        clock: Clock | None = None,
    ) -> None:
        device = Device(private_key, timing=timing or Timing())
        self._tun: Tun | NoTun = NoTun() if interface is None else Tun(interface)
        self._events: TunnelEvents | None = None
        self._asyncio: asyncio.AbstractEventLoop | None = None
        self._ears: dict[socket.socket, Ears] = {}
        self._addresses: tuple[str, ...] = ()
        self._meter = Meter(UNROUTABLE_PER_S, now_s)
        self._is_closed = False
        self._loop = Loop(
            self._tun.fd,
            device,
            tell=self._tell,
            unroutable=self._tell_unroutable,
            reopen=self._reopen,
            wall=(clock or SystemClock()).wall,
        )
        self._loop.incoming.has_uso = self._tun.has_uso
        self.public_key = device.public_key

    def __repr__(self) -> str:
        return f"EngineTunnel({self.interface})"

    @property
    def interface(self) -> str:
        return self._tun.name

    def start(self, events: TunnelEvents) -> None:
        self._events = events
        self._asyncio = asyncio.get_running_loop()
        self._loop.thread.start()

    def set_addresses(self, addresses: Sequence[str], mtu: int) -> None:
        """Raises `BadInputError` and `OutsideError`."""
        self._tun.configure(addresses, mtu)
        self._addresses = tuple(addresses)

        def work() -> None:
            self._loop.outgoing.set_mtu(mtu)
            self._loop.incoming.set_mtu(mtu)
            self._loop.outgoing.broadcasts = broadcasts(addresses)

        self._do(work)

    def set_peer(self, peer: PeerSetup) -> None:
        """Raises `BadInputError`, and then nothing has changed."""
        _check(peer, self.public_key)

        def work() -> None:
            found = self._loop.device.set_peer(peer, now_s())
            found.roams = False  # the engine follows a peer itself, by its own rule
            self._loop.incoming.translations.pop(found, None)
            if peer.translation is not None:
                source, destination = (socket.inet_aton(text) for text in peer.translation)
                self._loop.incoming.translations[found] = (source, destination)

        self._do(work)

    def remove_peer(self, public_key: bytes) -> None:
        def work() -> None:
            peer = self._loop.device.peers.get(public_key)
            if peer is not None:
                self._loop.incoming.translations.pop(peer, None)
            self._loop.incoming.placed.discard(public_key)
            self._loop.device.remove_peer(public_key)

        self._do(work)

    def set_endpoint(self, public_key: bytes, endpoint: Endpoint | None) -> None:
        def work() -> None:
            way = None if endpoint is None else self._loop.ways.keep(endpoint)
            self._loop.incoming.placed.add(public_key)
            self._loop.device.set_endpoint(public_key, way, now_s(), roams=False)

        self._do(work)

    def adopt(self, sock: socket.socket, other: Callable[[bytes, Address], None]) -> None:
        """Raises `OutsideError` if it is closed, or is no UDP socket."""
        if self._asyncio is None:
            raise UnavailableError("The tunnel is not started yet; call start first.")
        try:
            if sock.type != socket.SOCK_DGRAM or sock.fileno() < 0:
                raise OutsideError("Only an open UDP socket can be read by the tunnel.")
            udp_batch.prepare(sock)
        except OSError as error:
            raise OutsideError(f"The socket cannot be used ({error.strerror}); open another one.") from None
        ears = self._ears[sock] = Ears(self._asyncio, other)
        self._do(lambda: self._loop.add(sock, ears))

    def release(self, sock: socket.socket) -> None:
        ears = self._ears.pop(sock, None)
        if ears is None:
            return
        ears.is_open = False
        self._ask(lambda: self._drop(sock))
        with contextlib.suppress(OSError):
            udp_batch.restore(sock)

    def _drop(self, sock: socket.socket) -> None:
        """Ways over it end as well."""
        device = self._loop.device
        for key, peer in device.peers.items():
            if getattr(peer.endpoint, "sock", None) is sock:
                device.set_endpoint(key, None, now_s(), roams=False)
        self._loop.drop(sock)

    def deliver(self, public_key: bytes, datagram: bytes) -> None:
        self._do(lambda: self._loop.deliver(public_key, datagram))

    def figures(self) -> dict[bytes, PeerFigures]:
        """Raises `UnavailableError` if the engine does not answer."""
        return self._ask(self._loop.device.figures)

    def dropped(self) -> Counter[str]:
        """Packets and datagrams that went nowhere, by reason."""
        return self._ask(lambda: self._loop.dropped + self._loop.device.refused)

    def close(self) -> None:
        """The interface is gone after this; the sockets are their owners'."""
        if self._is_closed:
            return
        self._is_closed = True
        for ears in self._ears.values():
            ears.is_open = False
        self._loop.stop()
        for sock in self._ears:
            with contextlib.suppress(OSError):
                udp_batch.restore(sock)
        self._ears.clear()
        self._events = None
        self._tun.close()

    # Between the threads.

    def _is_running(self) -> bool:
        return self._loop.thread.is_alive()

    def _do(self, work: Callable[[], object]) -> None:
        """In the engine's thread, in order; before `start`, at once."""
        if self._is_closed:
            return
        if not self._is_running():
            work()
            return
        self._loop.command(lambda: _guarded(work))

    def _ask(self, work: Callable[[], T]) -> T:
        """The same, and wait for what it gives."""
        if self._is_closed:
            raise UnavailableError("The tunnel is closed.")
        if not self._is_running():
            return work()
        answer: Future[T] = Future()

        def do() -> None:
            try:
                answer.set_result(work())
            except Exception as error:  # noqa: BLE001 - carried to the one who waits
                answer.set_exception(error)

        self._loop.command(do)
        try:
            return answer.result(PATIENCE_S)
        except TookTooLongError:
            raise UnavailableError("The overlay's engine does not answer; restart the link.") from None

    def _tell(self, event: object) -> None:
        match event:
            case Established(public_key=key) | Answering(public_key=key):
                self._later(lambda events: events.tunnel_established(key))
            case Silent(public_key=key):
                self._later(lambda events: events.tunnel_silent(key))

    def _tell_unroutable(self, packet: bytes) -> None:
        if self._meter.allows():
            self._later(lambda events: events.tunnel_unroutable(packet))

    def _later(self, tell: Callable[[TunnelEvents], None]) -> None:
        """On the event loop, if there is still somebody who listens."""

        def say() -> None:
            if self._events is not None:
                tell(self._events)

        if self._asyncio is not None:
            with contextlib.suppress(RuntimeError):  # the event loop is closed
                self._asyncio.call_soon_threadsafe(say)

    def _reopen(self) -> int | None:
        if not self._tun.reopen():
            return None
        self._loop.incoming.has_uso = self._tun.has_uso
        try:
            self._tun.configure(self._addresses, self._tun.mtu)
        except WayhouseError as error:
            log.warning("the interface is there again, without its addresses: %s", error)
        return self._tun.fd


def _check(peer: PeerSetup, own_key: bytes) -> None:
    """Raises `BadInputError` for what the device would refuse."""
    if len(peer.public_key) != 32 or peer.public_key == own_key:
        raise BadInputError("The public key of a peer has 32 bytes and is not this gateway's own.")
    if peer.preshared_key is not None and len(peer.preshared_key) != 32:
        raise BadInputError("A preshared key has 32 bytes; make one with `wg genpsk`.")
    if not 0 <= peer.keepalive_s <= 65535:
        raise BadInputError("The keepalive is 0 (none) to 65535 seconds.", path="keepalive_s")
    for network in peer.allowed_ips:
        parse_network(network)
    for text in peer.translation or ():
        try:
            socket.inet_pton(socket.AF_INET, text)
        except OSError:
            raise BadInputError(f"{text!r} is no IPv4 address.", path="translation") from None


def _guarded(work: Callable[[], object]) -> None:
    try:
        work()
    except WayhouseError as error:
        log.warning("the overlay's engine: %s", error)
