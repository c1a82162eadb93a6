"""The broker's ROUTER: messages in, machine, messages out.

Called by `server`, whose loop polls `sockets()`. Rules: it decides nothing; no peer can block it, since what cannot be sent at once is
given back to the broker; TCP finds peers whose host is gone, also while they work. Not libzmq's own heartbeats: when a peer that was
stopped for its flood of messages is gone, their timer ends the whole process (`Assertion failed: !_io_error`, libzmq 4.3.5).
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from typing import Any

import zmq
from zmq.backend import Socket as Backend

from wayhouse.bus.broker import Broker
from wayhouse.bus.drivers import listening
from wayhouse.bus.drivers.frames import BATCH, is_readable
from wayhouse.bus.drivers.zap import Security
from wayhouse.bus.model import Frames

MAX_MESSAGE = 16 << 20
"""Bytes of a frame; who sends more is disconnected by libzmq."""
_NOW, _NOW_MORE = int(zmq.NOBLOCK), int(zmq.NOBLOCK) | int(zmq.SNDMORE)
_recv: Any = Backend.recv
_send: Any = Backend.send
ASKED = BATCH - 2
"""While this many of a batch are left, it is asked whether there are more."""
TOGETHER = 16
"""Messages taken before what they brought about is sent, when there are many: libzmq's thread is woken once for all of it."""
HIGH_WATER = 10_000
"""Messages that wait for one peer; more than any window of credit."""


def put(target: zmq.Socket[bytes], frames: Frames) -> bool:
    """Send a message; False when the peer is gone or does not read. As `frames.send`, but for one call less a message."""
    try:
        for frame in frames[:-1]:
            _send(target, frame, _NOW_MORE)
        _send(target, frames[-1], _NOW)
    except zmq.Again:
        return False
    except zmq.ZMQError as error:
        if error.errno == errno.EHOSTUNREACH:
            return False
        raise
    return True


def take(source: zmq.Socket[bytes]) -> Frames | None:
    """The next message of a ROUTER, None when there is none. The identity is never the last frame, so that one need not be asked,
    which saves a fifth of the work."""
    try:
        frames = [_recv(source, _NOW)]
    except zmq.Again:
        return None
    more = True
    while more:
        frame = _recv(source, _NOW, False)
        frames.append(frame.bytes)
        more = frame.more
    return frames


class BrokerSocket:
    """One ROUTER on several endpoints. `security` holds for those over TCP; UNIX sockets are guarded by their folder, and are to be
    opened before those."""

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], broker: Broker, security: Security | None = None
    ) -> None:
        self.broker = broker
        self.socket: zmq.Socket[bytes] = context.socket(zmq.ROUTER)
        self._security = security or Security()
        self._listeners: dict[str, socket.socket] = {}
        expiry_ms = int(broker.settings.expiry_s * 1000)
        for option, value in (
            (zmq.LINGER, 0),
            (zmq.ROUTER_MANDATORY, 1),
            (zmq.SNDHWM, HIGH_WATER),
            (zmq.MAXMSGSIZE, MAX_MESSAGE),
            (zmq.TCP_MAXRT, expiry_ms),
            (zmq.TCP_KEEPALIVE, 1),
            (zmq.TCP_KEEPALIVE_IDLE, max(1, expiry_ms // 1000)),
            (zmq.TCP_KEEPALIVE_INTVL, max(1, expiry_ms // 3000)),
            (zmq.TCP_KEEPALIVE_CNT, 3),
            (zmq.HANDSHAKE_IVL, 10_000),
        ):
            self.socket.setsockopt(option, value)

    def listen(self, endpoint: str) -> str:
        """Bind it; the endpoint with the port that was chosen. Raises `EndpointError`."""
        return self._accept(listening.listen(endpoint))

    def adopt(self, fd: int) -> str:
        """Go on with a listening socket that was handed over; its endpoint. Raises `EndpointError`."""
        return self._accept(listening.adopt(fd))

    def turn_out(self) -> None:
        """End all connections over TCP, as `listening.turn_out`."""
        self._security.apply(self.socket)
        for endpoint, listener in self._listeners.items():
            listening.turn_out(self.socket, endpoint, listener)

    def listeners(self) -> dict[str, int]:
        """The descriptors that a successor adopts, by endpoint; they stay ours."""
        return {endpoint: sock.fileno() for endpoint, sock in self._listeners.items()}

    def sockets(self) -> Sequence[zmq.Socket[bytes]]:
        return [self.socket]

    def readable(self, source: zmq.Socket[bytes], now: float) -> bool:
        """Take what is there, a batch at most. Asking whether there is more costs a quarter of finding out by trying, which is worth it
        while messages come one by one."""
        to_broker, left = self.broker.receive, BATCH
        try:
            while left and (frames := take(source)) is not None:
                to_broker(frames, now)
                left -= 1
                if left >= ASKED or not left % TOGETHER:
                    self._flush(now)
                    if left >= ASKED and not is_readable(source):
                        return True
        finally:
            self._flush(now)
        return False

    def deadline(self) -> float:
        return self.broker.deadline()

    def tick(self, now: float) -> None:
        self.broker.tick(now)
        self._flush(now)

    def close(self, now: float) -> None:
        """DISCONNECT to every worker, then no more. What is sent leaves the process when the context ends, in `linger` at most."""
        if self.socket.closed:
            return
        self.broker.shutdown(now)
        self._flush(now)
        self.socket.setsockopt(zmq.LINGER, 500)
        self.socket.close()
        for sock in self._listeners.values():
            sock.close()

    def _accept(self, listener: socket.socket) -> str:
        try:
            over_tcp = listener.family != socket.AF_UNIX
            (self._security if over_tcp else Security()).apply(self.socket)
            endpoint = listening.bind(self.socket, listener)
        except BaseException:
            listener.close()
            raise
        self._listeners[endpoint] = listener
        return endpoint

    def _flush(self, now: float) -> None:
        target, is_lost = self.socket, False
        for frames in self.broker.outbox():
            if not put(target, frames):
                self.broker.undelivered(frames, now)
                is_lost = True
        if is_lost:
            self._flush(now)
