"""One poll loop for all sockets of the bus in a process.

Called by `server`. Rules: every part has its turn (a part takes a batch at most); time is read once a turn; the loop ends when told
to, from a signal handler or another thread.

It sleeps on descriptors: those of connections, and one for each of libzmq's sockets, which is one call of the system where `zmq_poll` makes
four. Such a one tells only of what is new since its socket was last used, so that it may be slept on only when nothing was left in any
socket, and nothing sent since.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol, runtime_checkable

import zmq
from zmq.backend import zmq_poll

from wayhouse.bus.drivers.watch import Watch

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


@runtime_checkable
class Settling(Protocol):
    """A part that has handlers of its own in the loop's `Watch`."""

    def settle(self, now: float) -> None:
        """All handlers of a wake-up were called."""
        ...


class Loop:
    """`watch` is the one that parts of their own have handlers in; it is closed with the loop."""

    def __init__(self, parts: Sequence[Part], watch: Watch | None = None) -> None:
        self._parts = parts
        self._stopped = self._has_ticked = False
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
        owners: dict[Any, Part] = {source: part for part in self._parts for source in part.sockets()}
        watched: Any = [(source, POLLIN) for source in owners]
        settling = [part for part in self._parts if isinstance(part, Settling)]
        ready: list[Any] = []
        self._watch.add(self._wakers[0], lambda _: self._drain())
        for source in owners:
            self._watch.add(int(source.getsockopt(zmq.FD)), partial(_note, ready, source))
        try:
            wait_s, is_quiet = self._turn(time.monotonic()), False
            while not self._stopped:
                for handler, what in self._watch.wait(wait_s if is_quiet else 0):
                    _guarded(handler, what)
                now = time.monotonic()
                for part in settling:
                    _guarded(part.settle, now)
                if not is_quiet:
                    ready[:] = [source for source, _ in zmq_poll(watched, 0)]
                is_quiet = self._serve(owners, ready, now)
                wait_s = self._turn(now)
                is_quiet = is_quiet and not self._has_ticked
        finally:
            self.close()

    def _serve(self, owners: dict[Any, Part], ready: list[Any], now: float) -> bool:
        """Whether all sockets are known to be empty, with nothing sent since."""
        is_quiet = True
        for source in ready:
            if not _guarded(owners[source].readable, source, now):
                is_quiet = False
        ready.clear()
        return is_quiet

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
        next_at, self._has_ticked = now + LONGEST_S, False
        for part in self._parts:
            when = part.deadline()
            if when is not None and when <= now:
                self._has_ticked = True
                _guarded(part.tick, now)
                when = part.deadline()
            if when is not None and when < next_at:
                next_at = when
        return max(0.0, next_at - now)

    def _drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(self._wakers[0], 4096):
                pass


def _note(ready: list[Any], source: Any, _what: int) -> None:
    """A socket of libzmq may have something new."""
    ready.append(source)


def _guarded(step: Callable[..., Any], *arguments: Any) -> Any:
    """The border: a defect in one part is told and does not end the others. A socket that has failed is no such thing."""
    try:
        return step(*arguments)
    except zmq.ZMQError:
        raise
    except Exception:
        log.exception("a part of the bus failed; what it was at is dropped")
        return None
