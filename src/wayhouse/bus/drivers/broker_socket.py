"""The broker's ROUTER: messages in, machine, messages out.

Called by `server`, in its loop. Rules: it decides nothing; no peer can block it, since what cannot be sent at once is given back to
the broker; a worker whose connection ends is forgotten at once, and what it held goes to another.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from wayhouse.bus.broker import Broker
from wayhouse.bus.drivers.router import Router
from wayhouse.bus.drivers.watch import Watch
from wayhouse.bus.zmtp.mechanisms import Mechanism, Null

log = logging.getLogger(__name__)

LINGER_S = 0.5
"""What is left to be sent at the end has that long."""


class BrokerSocket:
    """One ROUTER on several endpoints. `mechanism` makes that of a peer over TCP."""

    def __init__(self, broker: Broker, watch: Watch, mechanism: Callable[[bytes], Mechanism] = Null) -> None:
        self.broker = broker
        self.router = Router(watch, mechanism, broker.settings.expiry_s)
        self.listen = self.router.listen
        self.adopt = self.router.adopt
        self.listeners = self.router.listeners
        self.turn_out = self.router.turn_out
        self._is_closed = False

    def settle(self, now: float) -> None:
        """What came goes to the broker, and what came of that is sent. A defect that one message shows is told, and costs no other."""
        router, to_broker = self.router, self.broker.receive
        if router.received:
            for frames in router.received:
                try:
                    to_broker(frames, now)
                except Exception:
                    log.exception("a message of %d frames made the broker fail; it is dropped", len(frames))
            router.received.clear()
        self._flush(now)

    def deadline(self) -> float:
        ours = self.router.deadline()
        due = self.broker.deadline()
        return due if ours is None or due < ours else ours

    def tick(self, now: float) -> None:
        self.router.tick(now)
        self.broker.tick(now)
        self._flush(now)

    def close(self, now: float) -> None:
        """DISCONNECT to every worker, then no more."""
        if self._is_closed:
            return
        self._is_closed = True
        self.broker.shutdown(now)
        self._flush(now)
        until = time.monotonic() + LINGER_S
        while not self.router.end() and time.monotonic() < until:
            time.sleep(0.005)
        self.router.close()

    def _flush(self, now: float) -> None:
        """Send what is to be sent, and what comes of that some of it could not be."""
        router, broker = self.router, self.broker
        out = broker.outbox()
        while out or router.gone:
            for missed in router.send(out):
                broker.undelivered(missed, now)
            router.flush()
            gone = router.gone[:]
            router.gone.clear()
            for identity in gone:
                broker.peer_gone(identity, now)
            out = broker.outbox()
