"""`Supervisor`: keeps processes running, blocking style: one loop of poll(2) over pidfds, notifications, pipes and signals.

Called by the gateway's keeper and by RasPy's runners (whose `Supervisor(runner)` this is, too). Rules: the loop runs in the
main thread, which forks (children are told when that thread ends); nothing here loads asyncio.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FrameType
from typing import Any, Self

from wayhouse.base.errors import ConflictError
from wayhouse.runtime.supervision.child_output import Sink
from wayhouse.runtime.supervision.child_spec import ChildSpec
from wayhouse.runtime.supervision.driver import Driver, Listener, Options, ignore, spare_specs
from wayhouse.runtime.supervision.machine import Outcome

Act = Callable[[], object]


class PollWatcher:
    """Descriptors and what is called for them."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._calls: dict[int, tuple[Act]] = {}

    def watch(self, fd: int, call: Act) -> None:
        self._calls[fd] = (call,)
        self._poll.register(fd, select.POLLIN)

    def unwatch(self, fd: int) -> None:
        if self._calls.pop(fd, None) is not None:
            self._poll.unregister(fd)

    def wait(self, timeout_s: float | None) -> None:
        """Call for all that can be read; one that was unwatched meanwhile, or whose number is another's now, is left out."""
        timeout_ms = None if timeout_s is None else max(0.0, timeout_s * 1000 + 0.999)
        found = [(fd, self._calls[fd]) for fd, _ in self._poll.poll(timeout_ms)]
        for fd, call in found:
            if self._calls.get(fd) is call:
                call[0]()


class Supervisor:
    """`with Supervisor(specs=[...]) as it: it.run()`. `on_fact` gets every fact, `on_line` every line that children write."""

    def __init__(
        self,
        runner: Any = None,
        specs: Sequence[ChildSpec] = (),
        options: Options | None = None,
        *,
        on_fact: Listener = ignore,
        on_line: Sink = ignore,
        executives: Mapping[str, Callable[..., Any]] | None = None,
    ) -> None:
        self.runner = runner
        self.options = options or Options()
        self._on_fact, self._on_line = on_fact, on_line
        self._executives = dict(executives or {})
        self._watcher = PollWatcher()
        self._wake_r, self._wake_w = os.pipe()
        for fd in (self._wake_r, self._wake_w):
            os.set_blocking(fd, False)
        self._watcher.watch(self._wake_r, self._woken)
        self._wishes: list[Act] = []
        self._started = self._closed = self._reloading = self._shut = False
        self._driver = self._make_driver(specs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._closed:
            self.shutdown()
            self.wait()
            self.close()

    # ---- what everybody may ask for, from any thread and any signal handler

    def shutdown(self) -> None:
        """Stop all in reverse order; `run` returns then. It must not be used afterwards."""
        self._wish(self.stop_all)

    def wish(self, act: Act) -> None:
        """Call `act` in the loop."""
        self._wish(act)

    # ---- from the thread of the loop

    @property
    def outcome(self) -> Outcome:
        return self._driver.machine.outcome

    @property
    def over(self) -> bool:
        return self._driver.over

    def start(self, name: str | None = None) -> None:
        """One child, or all. Raises `NotFoundError`, `ConflictError` after `shutdown`."""
        self._started = True
        self._driver.start_all() if name is None else self._driver.start(name)

    def stop(self, name: str) -> None:
        self._driver.stop(name)

    def stop_all(self) -> None:
        """In reverse order, one after the other; `wait` and `run` return then."""
        self._shut = True
        self._driver.stop_all()

    def restart(self, name: str) -> None:
        self._driver.restart(name)

    def reload(self, name: str | None = None) -> None:
        """SIGHUP for one child. With a runner and no name: stop all executives, read the file again, start what it names."""
        if name is not None:
            return self._driver.reload(name)
        if self.runner is None:
            for one, child in self._driver.machine.children.items():
                if child.pid:
                    self._driver.reload(one)
            return None
        return self._reload_executives()

    def pid(self, name: str) -> int:
        """Of the main process; 0 while there is none."""
        return self._driver.places[name].main

    def tail(self, name: str) -> list[str]:
        return self._driver.places[name].tail.lines()

    def step(self, timeout_s: float | None = None) -> None:
        """Wait for the next thing to happen, at most `timeout_s`, and do what follows."""
        deadline = self._driver.deadline()
        if deadline is not None:
            left = max(0.0, deadline - self._driver.now())
            timeout_s = left if timeout_s is None else min(left, timeout_s)
        self._watcher.wait(timeout_s)
        self._do_wishes()
        if self.options.orphans:
            self._driver.reap_orphans()
        self._driver.tick()

    def wait(self) -> Outcome:
        """Until all has ended, by a `shutdown` or by itself."""
        self._do_wishes()
        while not self.over:
            self.step()
        return self.outcome

    def run(self, signals: Mapping[int, Act] | None = None) -> Outcome:
        """Start, and go on until all has ended. In the main thread SIGTERM and SIGINT shut it down and SIGHUP reloads,
        unless `signals` says otherwise."""
        self._demand_open()
        with self._signals(self._usual() if signals is None else signals):
            if not self._started:
                self.reload() if self.runner is not None else self.start()
            outcome = self.wait()
        self.close()
        return outcome

    def close(self) -> None:
        """When all is over."""
        if not self._closed:
            self._closed = True
            self._driver.close()
            os.close(self._wake_r)
            os.close(self._wake_w)

    # ---- RasPy

    def get_instance_id(self) -> str:
        """`service#hostname`. Raises `ConflictError` without a runner."""
        if self.runner is None:
            raise ConflictError("This supervisor has no runner, so it has no service and no host name.")
        return f"{self.runner.options.service}#{self.runner.options.hostname}"

    def stop_executives(self) -> None:
        """Stop all in reverse order, and wait for them."""
        self._driver.stop_all()
        while not self._driver.over:
            self._watcher.wait(self._left())
            self._driver.tick()

    def _reload_executives(self) -> None:
        from wayhouse.runtime.supervision.executives import specs_of

        self._demand_open()
        if self._reloading:
            return
        self._reloading = True
        try:
            specs = specs_of(self.runner.options, self._executives)
            if self._started:
                self.stop_executives()
            self._driver.close()
            self._driver = self._make_driver(specs)
            if not self._shut:
                self.start()
        finally:
            self._reloading = False

    # ---- handing over

    def handover(self) -> tuple[dict[str, Any], list[int]]:
        """The state of all children as plain data (bytes among it) and descriptors, which stay ours. From here on nothing is
        done: `release` when the successor has it all, `resume` when it will not. Raises `ConflictError` for a child that
        does not survive this process."""
        packed = self._driver.pack()
        self._driver.freeze()
        return packed

    def resume(self) -> None:
        self._driver.thaw()

    def release(self) -> None:
        """Another process supervises now."""
        self._driver.detach()
        self.close()

    @classmethod
    def adopt(
        cls,
        specs: Sequence[ChildSpec],
        state: dict[str, Any],
        fds: Sequence[int],
        options: Options | None = None,
        **listeners: Any,
    ) -> Self:
        """Go on where another process was; it owns `fds`. Children that have no description any more are stopped, new ones
        are started. Raises `ValueError` for a state that is not understood."""
        spare = spare_specs(specs, state)
        made = cls(None, [*specs, *spare], options, **listeners)
        made._driver.take_over(state, fds, [one.name for one in spare])
        made._started = True
        return made

    # ---- inside

    def _make_driver(self, specs: Sequence[ChildSpec]) -> Driver:
        return Driver(specs, self.options, self._watcher, on_fact=self._on_fact, on_line=self._on_line)

    def _left(self) -> float | None:
        deadline = self._driver.deadline()
        return None if deadline is None else max(0.0, deadline - self._driver.now())

    def _demand_open(self) -> None:
        if self._closed or self._shut:
            raise ConflictError("This supervisor was shut down: make another one.")

    def _wish(self, act: Act) -> None:
        self._wishes.append(act)
        if not self._closed:  # the number may be another file's by then
            with contextlib.suppress(OSError):  # full: it wakes anyway
                os.write(self._wake_w, b"\0")

    def _woken(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_r, 4096)

    def _do_wishes(self) -> None:
        while self._wishes:
            self._wishes.pop(0)()

    def _usual(self) -> dict[int, Act]:
        return {signal.SIGTERM: self.stop_all, signal.SIGINT: self.stop_all, signal.SIGHUP: self.reload}

    @contextlib.contextmanager
    def _signals(self, acts: Mapping[int, Act]) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def handle(number: int, _: FrameType | None) -> None:
            if number in acts:
                self._wish(acts[number])

        numbers = [*acts, *([signal.SIGCHLD] if self.options.orphans else [])]
        before = {number: signal.signal(number, handle) for number in numbers}
        wakeup = signal.set_wakeup_fd(self._wake_w, warn_on_full_buffer=False)
        mask = signal.pthread_sigmask(
            signal.SIG_UNBLOCK, numbers
        )  # whoever started us may have held them back
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, handler)
