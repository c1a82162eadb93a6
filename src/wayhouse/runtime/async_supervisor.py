"""`AsyncSupervisor`: keeps processes running beside the other work of an asyncio program.

Called by the daemon for its children. Rules: it ends its children when its `async with` is left, in reverse order, also when
that is cancelled; leave it in the thread that entered it, which must be the main one (children end with that thread).
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from wayhouse.base.errors import UnavailableError
from wayhouse.base.events import Events, Subscription
from wayhouse.base.tasks import Tasks
from wayhouse.runtime.supervision import facts
from wayhouse.runtime.supervision.child_output import Sink
from wayhouse.runtime.supervision.child_spec import AutoShutdown, ChildSpec, Intensity, Strategy
from wayhouse.runtime.supervision.child_state import IDLE, UP
from wayhouse.runtime.supervision.driver import Driver, Options, ignore, spare_specs
from wayhouse.runtime.supervision.machine import Outcome

Act = Callable[[], object]
Moved = tuple[dict[str, Any], Sequence[int]]


class LoopWatcher:
    """`turned` is called after each call, since deadlines may be others then."""

    def __init__(self, turned: Act) -> None:
        self._loop = asyncio.get_running_loop()
        self._turned = turned

    def watch(self, fd: int, call: Act) -> None:
        self._loop.add_reader(fd, self._call, call)

    def unwatch(self, fd: int) -> None:
        self._loop.remove_reader(fd)

    def _call(self, call: Act) -> None:
        try:
            call()
        finally:
            self._turned()


class AsyncSupervisor:
    """`async with AsyncSupervisor(specs) as it: await it.ready("broker")`. With `moved`, it goes on where another process
    was: that is what `handover` answered there, and the descriptors belong to this one."""

    def __init__(
        self,
        specs: Sequence[ChildSpec],
        *,
        strategy: Strategy = "one_for_one",
        intensity: Intensity | tuple[int, float] = (5, 60.0),
        auto_shutdown: AutoShutdown = "never",
        adopt_orphans: bool = False,
        zygote: Any = None,
        on_line: Sink = ignore,
        moved: Moved | None = None,
    ) -> None:
        intensity = intensity if isinstance(intensity, Intensity) else Intensity(*intensity)
        self._options = Options(
            strategy=strategy,
            intensity=intensity,
            auto_shutdown=auto_shutdown,
            orphans=adopt_orphans,
            zygote=zygote,
        )
        self._spare = spare_specs(specs, moved[0]) if moved else []
        self._specs = [*specs, *self._spare]
        self._on_line, self._moved = on_line, moved
        self._facts = Events()
        self._tasks = Tasks()
        self._released = self._frozen = False

    async def __aenter__(self) -> Self:
        self._turn, self._end = asyncio.Event(), asyncio.Event()
        watcher = LoopWatcher(self._turn.set)
        self._driver = Driver(
            self._specs, self._options, watcher, on_fact=self._facts.publish, on_line=self._on_line
        )
        await self._tasks.__aenter__()
        if self._options.orphans:
            asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self._turn.set)
        try:
            self._begin()
        except BaseException:
            self._finish()
            await self._tasks.__aexit__(None, None, None)
            raise
        self._tasks.spawn(self._serve(), name="supervisor")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if not self._released:
                self._frozen = False
                self._driver.stop_all()
                self._turn.set()
                await self._end.wait()
        finally:
            self._finish()
            await self._tasks.__aexit__(kind, error, trace)

    # ---- what its owner asks for

    async def ready(self, name: str) -> None:
        """Wait until it is. Raises `UnavailableError` when it ended for good, or everything did; `NotFoundError`."""
        with self.events() as happening:
            self._refuse_dead(name)
            if self._driver.machine.child(name).state == UP:
                return
            async for fact in happening:
                if isinstance(fact, facts.ChildReady) and fact.name == name:
                    return
                self._refuse_dead(name)

    async def stop(self, name: str) -> None:
        """It alone; returns when it has ended. Raises `NotFoundError`."""
        with self.events() as happening:
            self._ask(lambda: self._driver.stop(name))
            while self._driver.machine.child(name).live:
                await anext(happening)

    def start(self, name: str) -> None:
        """And what it depends on. Raises `NotFoundError`, `ConflictError` when all stops."""
        self._ask(lambda: self._driver.start(name))

    def restart(self, name: str) -> None:
        self._ask(lambda: self._driver.restart(name))

    def reload(self, name: str) -> None:
        """SIGHUP. Raises `ConflictError` while it does not run."""
        self._ask(lambda: self._driver.reload(name))

    def stop_all(self) -> None:
        """In reverse order, one after the other; `ended` waits for it."""
        self._ask(self._driver.stop_all)

    async def ended(self) -> Outcome:
        """Wait until all has ended, because it was asked for or because the supervisor gave up."""
        await self._end.wait()
        return self._driver.machine.outcome

    def events(self) -> Subscription[Any]:
        """All facts from now on: see `supervision_facts`."""
        return self._facts.subscribe()

    def pid(self, name: str) -> int:
        """Of the main process; 0 while there is none."""
        return self._driver.places[name].main

    def tail(self, name: str) -> list[str]:
        """The last lines that it wrote."""
        return self._driver.places[name].tail.lines()

    # ---- handing over

    def handover(self) -> Moved:
        """The state of all children as plain data (bytes among it) and descriptors, which stay ours. From here on nothing is
        done: `release` when the successor has it all, `resume` when it will not. Raises `ConflictError` for a child that
        does not survive this process."""
        packed = self._driver.pack()
        self._frozen = True
        self._driver.freeze()
        return packed

    def resume(self) -> None:
        self._frozen = False
        self._ask(self._driver.thaw)

    def release(self) -> None:
        """Another process supervises now."""
        self._released = True
        self._driver.detach()
        self._end.set()
        self._turn.set()

    # ---- inside

    def _begin(self) -> None:
        if self._moved is None:
            self._driver.start_all()
        else:
            state, fds = self._moved
            self._driver.take_over(state, fds, [one.name for one in self._spare])

    async def _serve(self) -> None:
        while not (self._released or self._driver.over):
            await self._wait()
            if self._frozen or self._released:
                continue
            if self._options.orphans:
                self._driver.reap_orphans()
            self._driver.tick()
        self._end.set()

    async def _wait(self) -> None:
        deadline = None if self._frozen else self._driver.deadline()
        left = None if deadline is None else max(0.0, deadline - self._driver.now())
        try:
            async with asyncio.timeout(left):
                await self._turn.wait()
        except TimeoutError:
            return
        self._turn.clear()

    def _finish(self) -> None:
        if self._options.orphans:
            asyncio.get_running_loop().remove_signal_handler(signal.SIGCHLD)
        if not self._released:
            self._driver.kill_all()
        self._driver.close()

    def _ask(self, act: Act) -> None:
        act()
        self._turn.set()

    def _refuse_dead(self, name: str) -> None:
        child = self._driver.machine.child(name)
        if self._end.is_set() or (child.state == IDLE and not child.wanted):
            raise UnavailableError(f"Child {name!r} does not run, and nobody asked for it.")
