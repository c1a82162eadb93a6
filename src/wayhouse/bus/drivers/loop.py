"""One poll loop for all sockets of the bus in a process.

Called by `server`. Rules: every part has its turn (a part takes a batch at most); time is read once a turn; the loop ends when told
to, from a signal handler or another thread.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import zmq
from zmq.backend import zmq_poll

log = logging.getLogger(__name__)

POLLIN = int(zmq.POLLIN)
LONGEST_S = 60.0


class Part(Protocol):
    """What has sockets and a machine. Times are monotonic seconds."""

    def sockets(self) -> Sequence[zmq.Socket[bytes]]: ...

    def readable(self, source: zmq.Socket[bytes], now: float) -> None:
        """One of `sockets()` may have messages."""
        ...

    def tick(self, now: float) -> None: ...

    def deadline(self) -> float | None:
        """When `tick` is due, whatever was readable; now or before: at once."""
        ...

    def close(self, now: float) -> None: ...


class Loop:
    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts
        self._stopped = False
        self._wakers: Sequence[int] = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    @property
    def wake_fd(self) -> int:
        """Whatever is written here makes the loop look whether it is to end; for `signal.set_wakeup_fd`."""
        return self._wakers[1]

    def stop(self) -> None:
        self._stopped = True
        with contextlib.suppress(BlockingIOError, IndexError):  # full: it wakes anyway; closed: it has ended
            os.write(self._wakers[1], b"\0")

    def run(self) -> None:
        """Until `stop`; then `close`."""
        owners: dict[Any, Part] = {source: part for part in self._parts for source in part.sockets()}
        watched: Any = [*((source, POLLIN) for source in owners), (self._wakers[0], POLLIN)]
        try:
            wait_ms = self._turn(time.monotonic())
            while not self._stopped:
                ready: list[tuple[Any, int]] = zmq_poll(watched, wait_ms)
                now = time.monotonic()
                for source, _ in ready:
                    if (part := owners.get(source)) is None:
                        self._drain()
                    else:
                        _guarded(part.readable, source, now)
                wait_ms = self._turn(now)
        finally:
            self.close()

    def close(self) -> None:
        """Close every part, the first one first; the loop is not to be run after that."""
        parts, self._parts = self._parts, ()
        for part in parts:
            part.close(time.monotonic())
        wakers, self._wakers = self._wakers, ()
        for fd in wakers:
            os.close(fd)

    def _turn(self, now: float) -> int:
        """The ticks of those whose time has come; the milliseconds until the next is due, rounded up, so that nothing is looked at
        again and again just before its time."""
        next_at = now + LONGEST_S
        for part in self._parts:
            when = part.deadline()
            if when is not None and when <= now:
                _guarded(part.tick, now)
                when = part.deadline()
            if when is not None and when < next_at:
                next_at = when
        return math.ceil(max(0.0, next_at - now) * 1000)

    def _drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(self._wakers[0], 4096):
                pass


def _guarded(step: Callable[..., None], *arguments: Any) -> None:
    """The border: a defect in one part is told and does not end the others. A socket that has failed is no such thing."""
    try:
        step(*arguments)
    except zmq.ZMQError:
        raise
    except Exception:
        log.exception("a part of the bus failed; what it was at is dropped")
