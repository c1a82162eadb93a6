"""One poll loop for all sockets of the bus in a process.

Called by `server`. Rules: every part has its turn (a part takes a batch at most); time is read once a turn; the loop ends when told
to, from a signal handler or another thread.

It sleeps on the sockets' descriptors, which is one call of the system where `zmq_poll` makes four. A descriptor tells only of what is
new since its socket was last used, so that it may be slept on only when nothing was left in any socket, and nothing sent since.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import select
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

    def readable(self, source: zmq.Socket[bytes], now: float) -> bool | None:
        """One of `sockets()` may have messages. True: none is left in it, and none was sent on any since that was seen."""
        ...

    def tick(self, now: float) -> None: ...

    def deadline(self) -> float | None:
        """When `tick` is due, whatever was readable; now or before: at once."""
        ...

    def close(self, now: float) -> None: ...


class Loop:
    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts
        self._stopped = self._has_ticked = False
        self._wakers: Sequence[int] = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    @property
    def wake_fd(self) -> int:
        """Whatever is written here makes the loop look whether it is to end; for `signal.set_wakeup_fd`."""
        return self._wakers[1]

    def stop(self) -> None:
        self._stopped = True
        with contextlib.suppress(
            OSError, IndexError
        ):  # full: it wakes anyway; closed, or just now: it has ended
            os.write(self._wakers[1], b"\0")

    def run(self) -> None:
        """Until `stop`; then `close`."""
        owners: dict[Any, Part] = {source: part for part in self._parts for source in part.sockets()}
        watched: Any = [(source, POLLIN) for source in owners]
        by_fd: dict[int, Any] = {int(source.getsockopt(zmq.FD)): source for source in owners}
        sleeper = select.poll()
        for fd in (*by_fd, self._wakers[0]):
            sleeper.register(fd, select.POLLIN)
        try:
            wait_ms, is_quiet = self._turn(time.monotonic()), False
            while not self._stopped:
                if is_quiet:
                    ready = [by_fd.get(fd) for fd, _ in sleeper.poll(wait_ms)]
                else:
                    ready = [source for source, _ in zmq_poll(watched, 0)]
                now = time.monotonic()
                is_quiet = self._serve(owners, ready, now)
                wait_ms = self._turn(now)
                is_quiet = is_quiet and not self._has_ticked
        finally:
            self.close()

    def _serve(self, owners: dict[Any, Part], ready: Sequence[Any], now: float) -> bool:
        """Whether all sockets are known to be empty, with nothing sent since."""
        is_quiet = True
        for source in ready:
            if source is None:
                self._drain()
            elif not _guarded(owners[source].readable, source, now):
                is_quiet = False
        return is_quiet

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
        next_at, self._has_ticked = now + LONGEST_S, False
        for part in self._parts:
            when = part.deadline()
            if when is not None and when <= now:
                self._has_ticked = True
                _guarded(part.tick, now)
                when = part.deadline()
            if when is not None and when < next_at:
                next_at = when
        return math.ceil(max(0.0, next_at - now) * 1000)

    def _drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(self._wakers[0], 4096):
                pass


def _guarded(step: Callable[..., bool | None], *arguments: Any) -> bool | None:
    """The border: a defect in one part is told and does not end the others. A socket that has failed is no such thing."""
    try:
        return step(*arguments)
    except zmq.ZMQError:
        raise
    except Exception:
        log.exception("a part of the bus failed; what it was at is dropped")
        return None
