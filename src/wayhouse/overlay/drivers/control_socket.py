"""The control protocol's sockets: UDP on 127.0.0.1 and ::1, as tincan has them.

Made by the link process. Rules: only this process's own user and root drive it, which the kernel answers for each sender; whoever else sends gets
nothing and is logged now and then; no datagram can raise out of the reading, and each is answered in the framing it came in.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket

from wayhouse.base.clock import Clock
from wayhouse.base.errors import OutsideError, WayhouseError
from wayhouse.overlay import node_views, notifications
from wayhouse.overlay.drivers.socket_owner import SocketOwners
from wayhouse.overlay.ethernet import ethernet_frame
from wayhouse.overlay.legacy import frames
from wayhouse.overlay.model import BadControlError
from wayhouse.overlay.node import Node
from wayhouse.overlay.notifications import Message, Notification, Refusal
from wayhouse.overlay.ports import FrameTunnel
from wayhouse.overlay.requests import Requests
from wayhouse.overlay.tincan import (
    NO_UID,
    PACKET,
    ControlDatagram,
    Generation,
    PacketDatagram,
    SetCallback,
    frame_control,
    frame_packet,
    parse_request,
    split_datagram,
)
from wayhouse.overlay.wishes import Fact, Unroutable

log = logging.getLogger(__name__)

PORT = 5800
LARGEST = 65_507
BURST = 32
"""Datagrams of one socket read at a time; then others have their turn."""
QUIET_S = 1.0
"""How long a refused sender is not looked up again."""
COMPLAIN_S = 10.0
MOST_REFUSED = 1024
LOOPBACK = ("127.0.0.1", "::1")
Place = tuple[str, int]


class ControlSocket:
    """`open`, then `close`. `allowed` are user ids; by default this process's own and root."""

    def __init__(
        self, node: Node, requests: Requests, clock: Clock, *, allowed: frozenset[int] | None = None
    ) -> None:
        self._node = node
        self._requests = requests
        self._clock = clock
        self._allowed = allowed if allowed is not None else frozenset({0, os.getuid()})
        self._owners = SocketOwners()
        self._socks: dict[int, socket.socket] = {}
        self._callback: tuple[Place, Generation] | None = None
        self._knows_state = False
        """Whether the callback was told who this node is: the first controllers need that before anything else."""
        self._refused: dict[Place, float] = {}
        self._complained = -COMPLAIN_S
        self._count = 0
        node.told.append(self.tell)
        node.facts.append(self._hear)

    def open(self, port: int = PORT) -> int:
        """The port; 0 takes any free one. IPv6 may be missing on this machine. Raises `OutsideError`."""
        found = self._bind(socket.AF_INET, LOOPBACK[0], port)
        with contextlib.suppress(_NoFamilyError):
            self._bind(socket.AF_INET6, LOOPBACK[1], found)
        loop = asyncio.get_running_loop()
        for sock in self._socks.values():
            loop.add_reader(sock, self._read, sock)
        return found

    def close(self) -> None:
        for listeners, own in ((self._node.told, self.tell), (self._node.facts, self._hear)):
            with contextlib.suppress(ValueError):
                listeners.remove(own)  # type: ignore[arg-type]
        for sock in self._socks.values():
            asyncio.get_running_loop().remove_reader(sock)
            sock.close()
        self._socks.clear()
        self._owners.close()

    def tell(self, told: Notification) -> None:
        """To the callback endpoint, if there is one."""
        if self._callback is None:
            return
        place, generation = self._callback
        if isinstance(told, Message) and not self._knows_state:
            self._knows_state = True
            self._send(place, generation, node_views.local_state(self._node))
        self._send(place, generation, told)

    def _hear(self, fact: Fact) -> None:
        """A packet that no peer may get goes to the controller, as an Ethernet frame behind this node's uid and that of nobody; what a peer's
        controller sent to ours, behind the peer's."""
        if isinstance(fact, Unroutable) and self._callback is not None and self._node.uid:
            place, generation = self._callback
            frame = fact.frame or ethernet_frame(self._node.uid, fact.packet)
            kind = frames.icc_kind(frame) if fact.source else None
            source = fact.source or self._node.uid
            self._put(place, frame_packet(generation, source, NO_UID, frame, kind or PACKET))

    def _bind(self, family: int, address: str, port: int) -> int:
        try:
            sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        except OSError as error:
            raise _NoFamilyError(f"The control protocol has no socket: {error.strerror}.") from error
        try:
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((address, port))
        except OSError as error:
            sock.close()
            if family == socket.AF_INET6 and error.errno == errno.EADDRNOTAVAIL:
                raise _NoFamilyError(f"{address} is not there: {error.strerror}.") from error
            raise OutsideError(
                f"The control protocol cannot listen on {address} port {port}: {error.strerror}. Is another link process running? Choose a port with --control-port.",
                port=port,
            ) from error
        self._socks[family] = sock
        return int(sock.getsockname()[1])

    def _read(self, sock: socket.socket) -> None:
        known: set[Place] = set()
        for _ in range(BURST):
            try:
                data, sender = sock.recvfrom(LARGEST + 1)
            except BlockingIOError:
                return
            except OSError as error:  # what an earlier answer met: nobody listens there any more
                log.debug("control socket: %s", error.strerror)
                continue
            place = (str(sender[0]), int(sender[1]))
            if place in known or self._may(place):
                known.add(place)
                self._take(place, data)

    def _may(self, place: Place) -> bool:
        now = self._clock.monotonic()
        if now < self._refused.get(place, -1.0):
            self._count += 1
            return False
        try:
            owners = self._owners.owners(place)
        except (OSError, ValueError) as error:
            log.warning("the owner of a control socket cannot be found: %s", error)
            owners = set()
        if owners and owners <= self._allowed:
            return True
        self._refuse(place, owners, now)
        return False

    def _refuse(self, place: Place, owners: set[int], now: float) -> None:
        self._count += 1
        if len(self._refused) >= MOST_REFUSED:
            self._refused.clear()
        self._refused[place] = now + QUIET_S
        if now >= self._complained + COMPLAIN_S:
            who = f"user {', '.join(map(str, sorted(owners)))}" if owners else "a sender that is gone already"
            log.warning(
                "%d control messages were passed over: %s at port %d may not drive this node",
                self._count,
                who,
                place[1],
            )
            self._complained, self._count = now, 0

    def _take(self, place: Place, data: bytes) -> None:
        generation = Generation.G0
        try:
            datagram = split_datagram(data)
            generation = datagram.generation
            self._do(place, datagram)
        except WayhouseError as error:
            log.info("a control message could not be done: %s", error)
            self._send(place, generation, Refusal(error.message))
        except Exception:
            log.exception("a control message failed")
            self._send(place, generation, Refusal("This failed inside; see the log of the link process."))

    def _do(self, place: Place, datagram: ControlDatagram | PacketDatagram) -> None:
        if isinstance(datagram, PacketDatagram):
            self._pass_on(datagram)
            return
        request, generation = parse_request(datagram), datagram.generation
        log.debug("control: %r", request)
        if isinstance(request, SetCallback):
            self._call_back(place, request, generation)
        for reply in self._requests.do(request, generation):
            self._send(place, generation, reply)
            if self._callback is not None and place == self._callback[0]:
                self._knows_state = self._knows_state or isinstance(reply, notifications.LocalState)

    def _pass_on(self, datagram: PacketDatagram) -> None:
        tunnel = self._node.tunnel if self._node.uid else None
        if not isinstance(tunnel, FrameTunnel):
            raise BadControlError(
                "Packets of controllers are not put into the interface here; a node with --legacy takes them."
            )
        if datagram.kind == PACKET:
            tunnel.put_frame(datagram.source, datagram.frame)
        elif frames.icc_kind(datagram.frame) == datagram.kind:
            tunnel.send_frame(datagram.destination, datagram.frame)
        else:
            raise BadControlError(
                "A frame for another controller has its Ethernet address, 00:69:70:6f:70:03 or 04."
            )

    def _call_back(self, place: Place, request: SetCallback, generation: Generation) -> None:
        address = place[0] if request.is_senders else request.ip
        self._callback, self._knows_state = ((address, request.port), generation), False
        self._node.introduces = generation is Generation.G0
        if self._node.introduces:
            self._node.introduce_all()

    def _send(self, place: Place, generation: Generation, told: Notification) -> None:
        self._put(place, frame_control(generation, notifications.encode(told)))

    def _put(self, place: Place, data: bytes) -> None:
        sock = self._socks.get(socket.AF_INET6 if ":" in place[0] else socket.AF_INET)
        if sock is None or len(data) > LARGEST:
            log.warning("a notification of %d bytes could not be sent", len(data))
            return
        try:
            sock.sendto(data, place)
        except OSError as error:
            log.debug("the controller at port %d did not take a notification: %s", place[1], error.strerror)


class _NoFamilyError(OutsideError):
    """There is no IPv6 on this machine."""
