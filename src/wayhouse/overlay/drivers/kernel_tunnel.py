"""The kernel's WireGuard as a `Tunnel`: one interface for the whole overlay, whose packets never come here. Made by the node where the kernel has it.

What goes straight to a peer leaves from the port of the peer's ICE socket by `port_exchange`, so that ICE keeps the socket, and what it has opened in NATs;
what goes over a relay is carried by a `LoopbackWay`. Rules: the kernel is spoken to by one worker thread, in order; only `set_addresses` and
`close` wait for it. It cannot do what needs a look into packets: no `translation`, and `tunnel_unroutable` is never told.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLongError
from typing import Protocol, TypeVar

from wayhouse.base.clock import Clock, SystemClock
from wayhouse.base.errors import OutsideError, UnavailableError, WayhouseError
from wayhouse.overlay import port_exchange
from wayhouse.overlay.drivers.kernel_place import Place, check_peer, public_key_of
from wayhouse.overlay.drivers.kernel_wireguard import Card, GoneError
from wayhouse.overlay.drivers.loopback_way import HOST, LoopbackWay
from wayhouse.overlay.ice import channel
from wayhouse.overlay.kernel_peers import News, Seen
from wayhouse.overlay.ports import Address, Endpoint, PeerFigures, PeerSetup, TunnelEvents
from wayhouse.overlay.wireguard.allowed_ips import parse_network

log = logging.getLogger(__name__)

PATIENCE_S = 10.0
LOOK_S, LOOK_SOON_S, EAGER_S = 1.0, 0.1, 10.0
"""How often the kernel is asked for news, and how long more often after a peer got another way."""
YIELD_S = 0.5
"""Of two peers the one with the smaller key begins later: kernels that begin at the same moment refuse each other, for 5 s."""
SESSION_S = 180.0
_READS = 64
_KINDS = frozenset(bytes((kind, 0, 0, 0)) for kind in range(1, 5))
T = TypeVar("T")
Found = dict[bytes, tuple[int, int, float]]


class KernelCard(Protocol):
    """What is wanted of a `kernel_wireguard.Card`; see there."""

    port: int

    def remake(self) -> None: ...

    def configure(self, addresses: Sequence[str], mtu: int) -> None: ...

    def set_peer(
        self, peer: PeerSetup, endpoint: tuple[str, int] | None = None, *, keepalive: bool
    ) -> None: ...

    def remove_peer(self, public_key: bytes) -> None: ...

    def peers(self) -> Found: ...

    def exchange_ports(self, table: str) -> None: ...

    def close(self) -> None: ...


class KernelTunnel:
    """The interface exists from the start; made on the event loop. Raises `OutsideError` if the kernel has no WireGuard or `nft` is missing,
    `BadInputError` for a private key or name that is none."""

    def __init__(
        self,
        interface: str,
        private_key: bytes,
        *,
        clock: Clock | None = None,
        make_card: Callable[[str, bytes], KernelCard] = Card,
    ) -> None:
        port_exchange.name(interface)
        self.public_key = public_key_of(private_key)
        self.interface = interface
        self._clock = clock or SystemClock()
        self._loop = asyncio.get_running_loop()
        self._events: TunnelEvents | None = None
        self._places: dict[bytes, Place] = {}
        self._others: dict[socket.socket, Callable[[bytes, Address], None]] = {}
        self._addresses: tuple[tuple[str, ...], int] = ((), 1280)
        self._table = ""
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._is_looking = False
        self._worker = ThreadPoolExecutor(1, "wayhouse-kernel-wireguard")
        try:
            making = self._worker.submit(lambda: _prepared(make_card(interface, private_key), interface))
            self._card = making.result()  # as long as it takes: netlink is loaded first
        except BaseException:
            self._worker.shutdown()
            raise

    def __repr__(self) -> str:
        return f"KernelTunnel({self.interface})"

    def start(self, events: TunnelEvents) -> None:
        self._events = events
        self._look()

    def set_addresses(self, addresses: Sequence[str], mtu: int) -> None:
        """Raises `BadInputError` and `OutsideError`."""
        for text in addresses:
            parse_network(text)
        self._ask(lambda: self._card.configure(addresses, mtu))
        self._addresses = (tuple(addresses), mtu)

    def set_peer(self, peer: PeerSetup) -> None:
        """Raises `BadInputError`, and then nothing has changed; `OutsideError` if there is no socket left."""
        check_peer(peer, self.public_key)
        place = self._places.get(peer.public_key)
        if place is None:
            self._places[peer.public_key] = self._open(peer)
        else:
            place.setup = peer
        is_placed = place is not None and place.way.endpoint is not None and place.begin is None
        self._do(lambda: self._card.set_peer(peer, keepalive=is_placed))

    def _open(self, peer: PeerSetup) -> Place:
        try:
            return Place(peer, LoopbackWay(self._card.port, self._loop))
        except OSError as error:
            raise OutsideError(f"There is no socket for another peer ({error.strerror}).") from None

    def remove_peer(self, public_key: bytes) -> None:
        if (place := self._places.pop(public_key, None)) is not None:
            place.wait_no_more()
            place.way.close()
            self._do(lambda: self._card.remove_peer(public_key))
            self._exchange_ports()

    def set_endpoint(self, public_key: bytes, endpoint: Endpoint | None) -> None:
        place = self._places.get(public_key)
        if place is None or (endpoint is None and place.way.endpoint is None):
            return
        place.wait_no_more()
        place.way.endpoint = endpoint
        place.watch.placed()
        place.eager_until = self._loop.time() + EAGER_S
        self._exchange_ports()
        self._aim(place)
        if endpoint is not None:
            wait_s = 0.0 if self.public_key > public_key else YIELD_S
            place.begin = self._loop.call_later(wait_s, self._begin, place)
            self._look()

    def adopt(self, sock: socket.socket, other: Callable[[bytes, Address], None]) -> None:
        """Raises `OutsideError` if it is closed, or is no UDP socket."""
        if sock.type != socket.SOCK_DGRAM or sock.fileno() < 0:
            raise OutsideError("Only an open UDP socket can be read by the tunnel.")
        sock.setblocking(False)
        self._others[sock] = other
        self._loop.add_reader(sock, self._readable, sock)

    def release(self, sock: socket.socket) -> None:
        if self._others.pop(sock, None) is None:
            return
        self._loop.remove_reader(sock)
        for key, place in self._places.items():
            if place.sock is sock:
                self.set_endpoint(key, None)

    def deliver(self, public_key: bytes, datagram: bytes) -> None:
        if (place := self._places.get(public_key)) is not None:
            place.way.deliver(datagram)

    def figures(self) -> dict[bytes, PeerFigures]:
        """As they were when the kernel was last asked, within a second; bytes with WireGuard's own."""
        return {key: place.watch.figures for key, place in self._places.items()}

    def close(self) -> None:
        """The interface is gone after this; the sockets are their owners'."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        for sock in self._others:
            self._loop.remove_reader(sock)
        for place in self._places.values():
            place.wait_no_more()
            place.way.close()
        self._events = None
        removal = port_exchange.removal(self.interface)
        self._worker.submit(_guarded, self._card.close)
        self._worker.submit(_guarded, lambda: self._card.exchange_ports(removal))
        self._worker.shutdown()

    # To the kernel.

    def _do(self, work: Callable[[], object]) -> None:
        """In the worker, in order."""
        if not self._is_closed:
            self._worker.submit(_guarded, work)

    def _ask(self, work: Callable[[], T]) -> T:
        """The same, and wait for what it gives."""
        if self._is_closed:
            raise UnavailableError("The tunnel is closed.")
        answer: Future[T] = self._worker.submit(work)
        try:
            return answer.result(PATIENCE_S)
        except TookTooLongError:
            raise UnavailableError("The kernel's WireGuard does not answer; restart the link.") from None

    def _exchange_ports(self) -> None:
        ways = [place.straight for place in self._places.values()]
        table = port_exchange.table(self.interface, self._card.port, [way for way in ways if way is not None])
        if table != self._table:
            self._table = table
            self._do(lambda: self._card.exchange_ports(table))

    def _aim(self, place: Place) -> None:
        """The kernel sends there, once it sends."""
        straight = place.straight
        host, port = (HOST, place.way.port) if straight is None else (straight.host, straight.port)
        key = place.setup.public_key
        last = place.watch.figures.last_handshake
        if last is None or self._clock.monotonic() - last > SESSION_S:
            self._do(
                lambda: self._card.remove_peer(key)
            )  # it forgets when it last tried, and tries again at once
        setup = place.setup
        self._do(lambda: self._card.set_peer(setup, (host, port), keepalive=False))

    def _begin(self, place: Place) -> None:
        """A keepalive at once, or a handshake before it, and others from time to time."""
        place.begin = None
        setup = place.setup
        self._do(lambda: self._card.set_peer(setup, keepalive=True))

    # From the kernel.

    def _look(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._events is not None and not self._is_looking:
            self._is_looking = True
            self._do(self._read)

    def _read(self) -> None:
        """In the worker."""
        try:
            found: Found | None = self._card.peers()
        except GoneError:
            found = None
        except Exception as error:  # noqa: BLE001 - the border: it is asked again
            log.warning("the overlay's interface: %r", error)
            found = {}
        with contextlib.suppress(RuntimeError):  # the event loop is closed
            self._loop.call_soon_threadsafe(self._hear, found)

    def _hear(self, found: Found | None) -> None:
        self._is_looking = False
        if self._events is None:
            return
        if found is None:
            self._make_again()
        else:
            for key, counted in found.items():
                if (place := self._places.get(key)) is not None:
                    news = place.watch.look(self._seen(*counted), self._clock.monotonic())
                    self._tell(key, news if place.way.endpoint is not None else ())
        now = self._loop.time()
        is_eager = any(one.eager_until > now and one.watch.is_expecting for one in self._places.values())
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(LOOK_SOON_S if is_eager else LOOK_S, self._look)

    def _seen(self, sent: int, received: int, last: float) -> Seen:
        age = self._clock.wall() - last
        handshake = self._clock.monotonic() - age if last else None
        return Seen(sent_bytes=sent, received_bytes=received, handshake=handshake)

    def _tell(self, key: bytes, news: tuple[News, ...]) -> None:
        for one in news:
            if self._events is None:
                return
            if one is News.ESTABLISHED:
                self._events.tunnel_established(key)
            else:
                self._events.tunnel_silent(key)

    def _make_again(self) -> None:
        log.warning("the overlay's interface is gone and is made again")
        addresses, mtu = self._addresses
        self._do(self._card.remake)
        self._do(lambda: self._card.configure(addresses, mtu))
        for place in self._places.values():
            self._aim(place)
            if place.way.endpoint is not None:
                self._begin(place)

    # What comes by the ICE sockets: STUN, relayed datagrams, and what came before the kernel was told where the peer is.

    def _readable(self, sock: socket.socket) -> None:
        for _ in range(_READS):
            other = self._others.get(sock)
            if other is None:
                return
            try:
                data, address = sock.recvfrom(1 << 16)
            except BlockingIOError:
                return
            except OSError:  # an ICMP error that an earlier datagram brought about
                continue
            if not self._is_ours(sock, data, address):
                other(data, address)

    def _is_ours(self, sock: socket.socket, data: bytes, address: Address) -> bool:
        is_relayed = channel.is_channel_data(data)
        if not is_relayed and data[:4] not in _KINDS:
            return False
        here = (place for place in self._places.values() if place.sock is sock)
        return any(place.take(data, address, is_relayed=is_relayed) for place in here) or not is_relayed


def _prepared(card: KernelCard, interface: str) -> KernelCard:
    """With the table of ports, so that it is known now whether the kernel takes one. Raises `OutsideError`."""
    try:
        card.exchange_ports(port_exchange.table(interface, card.port, ()))
    except BaseException:
        card.close()
        raise
    return card


def _guarded(work: Callable[[], object]) -> None:
    try:
        work()
    except WayhouseError as error:
        log.warning("the kernel's WireGuard: %s", error)
    except Exception:  # the border: a worker that ends would end the overlay
        log.exception("the kernel's WireGuard failed at something and goes on")
