"""A ROUTER of our own, and what it has in common with other sockets: listening, the connections that are made, and who is who.

Called by the drivers of broker and clone, in the poll loop. Rules: a peer is told apart by its identity, which it may choose while nobody has it; nothing
waits for a peer; one that does not say who it is in time is closed. Beside libzmq's it needs no second thread, tells at once who has gone,
and can end the connections of one peer alone.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable

from wayhouse.bus.drivers import listening
from wayhouse.bus.drivers.connection import Backlog, Connection
from wayhouse.bus.drivers.watch import Watch
from wayhouse.bus.model import Frames
from wayhouse.bus.zmtp.mechanisms import Mechanism, Null
from wayhouse.bus.zmtp.session import ROUTER, SUB, Session

log = logging.getLogger(__name__)

HANDSHAKE_S = 10.0
PAUSE_S = 1.0
"""Without a descriptor left nothing is accepted for so long."""
ALL = b"\1"
"""A subscription to everything."""
ACCEPTED = 64
"""Connections that are taken in one turn."""


class Router:
    """`mechanism` makes one for each connection over TCP; UNIX sockets are guarded by their folder. `expiry_s` is how long the host of a peer
    may be silent. `received` and `gone` are for the owner to take away: messages, the identity first, and identities. `kind` is what the socket is for its
    peers: as PULL or SUB nothing is sent, as XPUB subscriptions are received."""

    def __init__(
        self, watch: Watch, mechanism: Callable[[bytes], Mechanism], expiry_s: float, kind: bytes = ROUTER
    ) -> None:
        self._kind = kind
        self.received: list[Frames] = []
        self.gone: list[bytes] = []
        self._mechanism = mechanism
        self._expiry_s = expiry_s
        self._watch = watch
        self._listeners: dict[str, socket.socket] = {}
        self._peers: dict[bytes, Connection] = {}
        self._greeting: dict[Connection, float] = {}
        self._touched: list[Connection] = []
        self._backlog = Backlog()
        self._number = int.from_bytes(os.urandom(4), "big")
        self._paused_until = 0.0

    def listen(self, endpoint: str) -> str:
        """Bind it; the endpoint with the port that was chosen. Raises `EndpointError`."""
        return self._add(listening.listen(endpoint))

    def adopt(self, fd: int) -> str:
        """Go on with a listening socket that was handed over; its endpoint. Raises `EndpointError`."""
        return self._add(listening.adopt(fd))

    def listeners(self) -> dict[str, int]:
        """The descriptors that a successor adopts, by endpoint; they stay ours."""
        return {endpoint: sock.fileno() for endpoint, sock in self._listeners.items()}

    def peers(self) -> list[bytes]:
        """The identities of all who are connected."""
        return list(self._peers)

    def send(self, messages: list[Frames]) -> list[Frames]:
        """Have each sent to the peer that its first frame names; those whose peer is not here, or does not read."""
        peers, missed = self._peers, []
        for message in messages:
            peer = peers.get(message[0])
            if peer is None or not peer.put(message):
                missed.append(message)
        return missed

    def send_to(self, identity: bytes, messages: list[Frames]) -> int | None:
        """Have those sent to one peer, in order, as far as it takes them: how many. None: it is not here."""
        peer = self._peers.get(identity)
        if peer is None:
            return None
        for place, message in enumerate(messages):
            if not peer.put(message):
                return place
        return len(messages)

    def connection(self, identity: bytes) -> Connection | None:
        return self._peers.get(identity)

    def flush(self) -> None:
        """What was `send` leaves."""
        for connection in self._touched:
            connection.flush()
        self._touched.clear()

    def turn_out(self, is_known: Callable[[Connection], bool]) -> None:
        """End the connections over TCP of those who are not known any more."""
        for connection in [*self._peers.values(), *self._greeting]:
            if not connection.is_local and not is_known(connection):
                connection.close("it is not known any more")

    def deadline(self) -> float | None:
        """When `tick` is due."""
        if not self._greeting and not self._paused_until:
            return None
        times = list(self._greeting.values())[:1]  # the oldest is the first
        if self._paused_until:
            times.append(self._paused_until)
        return min(times, default=None)

    def tick(self, now: float) -> None:
        for connection in [one for one, until in self._greeting.items() if until <= now]:
            connection.close("it did not say who it is in time")
        if self._paused_until and now >= self._paused_until:
            self._paused_until = 0.0
            for listener in self._listeners.values():
                self._accept_from(listener)

    def end(self) -> bool:
        """Accept nobody, send what is left; whether that is done and all are closed. To be called until it is."""
        for listener in self._listeners.values():
            self._watch.remove(listener.fileno())
            listener.close()
        self._listeners.clear()
        for connection in list(self._greeting):
            connection.close()
        left = [connection for connection in list(self._peers.values()) if not connection.end()]
        return not left

    def close(self) -> None:
        """At once."""
        for connection in [*self._peers.values(), *self._greeting]:
            connection.close()
        self.end()

    def _add(self, listener: socket.socket) -> str:
        listener.setblocking(False)
        endpoint = listening.endpoint_of(listener)
        self._listeners[endpoint] = listener
        self._accept_from(listener)
        return endpoint

    def _accept_from(self, listener: socket.socket) -> None:
        self._watch.add(listener.fileno(), lambda _: self._accept(listener))

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(ACCEPTED):
            try:
                sock, _address = listener.accept()
            except (BlockingIOError, ConnectionError):
                return
            except OSError as error:
                self._pause(error)
                return
            self._begin(sock)

    def _begin(self, sock: socket.socket) -> None:
        try:
            sock.setblocking(False)
            self._prepare(sock)
        except OSError:  # it has gone already
            sock.close()
            return
        mechanism = Null(self._kind) if sock.family == socket.AF_UNIX else self._mechanism(self._kind)
        connection = Connection(
            sock,
            Session(mechanism, self._kind),
            self._watch,
            self.received,
            self._touched,
            self._backlog,
            self._opened,
            self._lost,
        )
        if not connection.is_closed:
            self._greeting[connection] = time.monotonic() + HANDSHAKE_S

    def _prepare(self, sock: socket.socket) -> None:
        """Over TCP a message leaves at once, and a host that is gone is found, also while something is under way to it."""
        if sock.family == socket.AF_UNIX:
            return
        whole_s = max(1, int(self._expiry_s))
        for option, value in (
            (socket.TCP_NODELAY, 1),
            (socket.TCP_KEEPIDLE, whole_s),
            (socket.TCP_KEEPINTVL, max(1, whole_s // 3)),
            (socket.TCP_KEEPCNT, 3),
            (socket.TCP_USER_TIMEOUT, int(self._expiry_s * 1000)),
        ):
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def _opened(self, connection: Connection, wish: bytes) -> bytes:
        """The identity it gets: the one it wishes, unless somebody has that."""
        self._greeting.pop(connection, None)
        identity = wish if wish and wish not in self._peers else self._next()
        self._peers[identity] = connection
        if self._kind == SUB:
            connection.put([identity, ALL])
        return identity

    def _next(self) -> bytes:
        while True:
            self._number = (self._number + 1) & 0xFFFFFFFF
            identity = b"\0" + self._number.to_bytes(4, "big")
            if identity not in self._peers:
                return identity

    def _lost(self, connection: Connection, reason: str) -> None:
        self._greeting.pop(connection, None)
        if self._peers.get(connection.identity) is connection:
            del self._peers[connection.identity]
            self.gone.append(connection.identity)
        elif reason:
            log.debug("a peer was not let in: %s", reason)

    def _pause(self, error: OSError) -> None:
        log.warning("no more peers are accepted for now: %s", error)
        for listener in self._listeners.values():
            self._watch.remove(listener.fileno())
        self._paused_until = time.monotonic() + PAUSE_S
