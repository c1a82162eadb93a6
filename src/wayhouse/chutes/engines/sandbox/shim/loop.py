"""The shim's event loop: file descriptors, timers and signals on one thread, with little memory."""

from __future__ import annotations

import heapq
import itertools
import selectors
import signal
import socket
import time
from collections.abc import Callable
from typing import Protocol

READ = selectors.EVENT_READ
WRITE = selectors.EVENT_WRITE


class HasDescriptor(Protocol):
    def fileno(self) -> int: ...


Watched = int | HasDescriptor


class Timer:
    def __init__(self, action: Callable[[], None]) -> None:
        self.action: Callable[[], None] | None = action

    def cancel(self) -> None:
        self.action = None


class Loop:
    """`watch` may be called again to change the events; 0 events is the same as `forget`."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Timer]] = []
        self._numbers = itertools.count()
        self._running = True
        self._signals: dict[int, Callable[[], None]] = {}
        self._wakeup, self._wakeup_end = socket.socketpair()
        self._wakeup.setblocking(False)
        self._wakeup_end.setblocking(False)
        self._selector.register(self._wakeup, READ, lambda _events: self._on_signals())

    def watch(self, watched: Watched, events: int, action: Callable[[int], None]) -> None:
        known = watched in self._selector.get_map()
        if not events:
            self.forget(watched)
        elif known:
            self._selector.modify(watched, events, action)
        else:
            self._selector.register(watched, events, action)

    def forget(self, watched: Watched) -> None:
        if watched in self._selector.get_map():
            self._selector.unregister(watched)

    def later(self, delay_s: float, action: Callable[[], None]) -> Timer:
        timer = Timer(action)
        heapq.heappush(self._timers, (time.monotonic() + delay_s, next(self._numbers), timer))
        return timer

    def on_signal(self, number: int, action: Callable[[], None]) -> None:
        self._signals[number] = action
        signal.set_wakeup_fd(self._wakeup_end.fileno(), warn_on_full_buffer=False)
        signal.signal(number, lambda _number, _frame: None)

    def stop(self) -> None:
        self._running = False

    def run(self) -> None:
        while self._running:
            for key, events in self._selector.select(self._patience()):
                if key.fd in self._selector.get_map():
                    key.data(events)
            self._run_timers()

    def _patience(self) -> float | None:
        if not self._timers:
            return None
        return max(0.0, self._timers[0][0] - time.monotonic())

    def _run_timers(self) -> None:
        while self._timers and self._timers[0][0] <= time.monotonic():
            _, _, timer = heapq.heappop(self._timers)
            if timer.action is not None:
                timer.action()

    def _on_signals(self) -> None:
        try:
            numbers = self._wakeup.recv(4096)
        except BlockingIOError:
            return
        for number in set(numbers):
            if number in self._signals:
                self._signals[number]()
