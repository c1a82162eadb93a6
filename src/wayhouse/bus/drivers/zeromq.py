"""The broker's ROUTER: messages in, machine, messages out.

Called by `server`, whose loop polls `sockets()`. Rules: it decides nothing; no peer can block it, since what cannot be sent at once is
given back to the broker; TCP finds peers whose host is gone, also while they work. Not libzmq's own heartbeats: when a peer that was
stopped for its flood of messages is gone, their timer ends the whole process (`Assertion failed: !_io_error`, libzmq 4.3.5).
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Sequence

import zmq

from wayhouse.bus.broker import Broker
from wayhouse.bus.drivers import listening
from wayhouse.bus.drivers.frames import BATCH, BATCH_BYTES, IS_COMPILED, is_readable, receive_many, send_many
from wayhouse.bus.drivers.zap import Security
from wayhouse.bus.model import Frames

log = logging.getLogger(__name__)

MAX_MESSAGE = 16 << 20
"""Bytes of a frame; who sends more is disconnected by libzmq."""
SINGLE = BATCH - 2
"""While so many of a batch are left, `FIRST` messages are taken at once."""
SIZES = {"pure": (1, 16), "compiled": (64, 64)}
FIRST, TOGETHER = SIZES["compiled" if IS_COMPILED else "pure"]
"""Messages taken before what they brought about is sent: libzmq's thread is woken once for all of it. Without the compiled mover it costs
a quarter of the work of a message to find by trying that there is none, so that one after another is taken until there are many."""
HIGH_WATER = 10_000
"""Messages that wait for one peer; more than any window of credit."""


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
        """Take what is there, a batch at most. A defect that one message shows is told, and costs no other."""
        to_broker, left = self.broker.receive, BATCH
        while left > 0:
            found: list[Frames] = []
            receive_many(source, found, FIRST if left >= SINGLE else TOGETHER, BATCH_BYTES)
            for frames in found:
                try:
                    to_broker(frames, now)
                except Exception:
                    log.exception("a message of %d frames made the broker fail; it is dropped", len(frames))
            self._flush(now)
            if not is_readable(source):
                return True
            left -= len(found)
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
        """Send what is to be sent, and what comes of that some of it could not be."""
        out = self.broker.outbox()
        while out:
            missed = send_many(self.socket, out, 0)
            if missed is None:
                return
            while missed is not None:
                self.broker.undelivered(out[missed[0]], now)
                missed = send_many(self.socket, out, missed[0] + 1)
            out = self.broker.outbox()
