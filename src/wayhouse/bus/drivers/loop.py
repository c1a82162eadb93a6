"""One poll loop for all that a process of the bus does.

Called by `server`. Rules: whatever a part has to read is read by its handlers in the `Watch`, a bounded piece at each wake-up; time is read once a
turn; a defect in one part does not end the others; the loop ends when told to, from a signal handler or another thread.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

from wayhouse.bus.drivers.watch import Watch

log = logging.getLogger(__name__)

LONGEST_S = 60.0


class Part(Protocol):
    """Times are monotonic seconds."""

    def tick(self, now: float) -> None: ...

    def deadline(self) -> float | None:
        """When `tick` is due, whatever was readable; now or before: at once."""
        ...

    def close(self, now: float) -> None: ...


@runtime_checkable
class Settling(Protocol):
    """A part that has handlers in the loop's `Watch`."""

    def settle(self, now: float) -> None:
        """All handlers of a wake-up were called."""
        ...


class Loop:
    """`watch` is the one that parts of their own have handlers in; it is closed with the loop."""

    def __init__(self, parts: Sequence[Part], watch: Watch | None = None) -> None:
        self._parts = parts
        self._stopped = False
        self._watch = watch or Watch()
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
        settling = [part for part in self._parts if isinstance(part, Settling)]
        self._watch.add(self._wakers[0], lambda _: self._drain())
        try:
            wait_s = self._turn(time.monotonic())
            while not self._stopped:
                for handler, what in self._watch.wait(wait_s):
                    _guarded(handler, what)
                now = time.monotonic()
                for part in settling:
                    _guarded(part.settle, now)
                wait_s = self._turn(now)
        finally:
            self.close()

    def close(self) -> None:
        """Close every part, the first one first; the loop is not to be run after that."""
        parts, self._parts = self._parts, ()
        for part in parts:
            part.close(time.monotonic())
        self._watch.close()
        wakers, self._wakers = self._wakers, ()
        for fd in wakers:
            os.close(fd)

    def _turn(self, now: float) -> float:
        """The ticks of those whose time has come; the seconds until the next is due, which epoll rounds up to milliseconds, so that nothing is
        looked at again and again just before its time."""
        next_at = now + LONGEST_S
        for part in self._parts:
            when = part.deadline()
            if when is not None and when <= now:
                _guarded(part.tick, now)
                when = part.deadline()
            if when is not None and when < next_at:
                next_at = when
        return max(0.0, next_at - now)

    def _drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(self._wakers[0], 4096):
                pass


def _guarded(step: Callable[..., Any], argument: Any) -> None:
    """The border: a defect in one part is told and does not end the others."""
    try:
        step(argument)
    except Exception:
        log.exception("a part of the bus failed; what it was at is dropped")
