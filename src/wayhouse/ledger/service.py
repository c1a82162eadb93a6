"""The verbs of the ledger: submit a wish, watch it, cancel it, look back.

What `submit` has returned is on disk. `start` finishes or undoes what a crash interrupted. Rooms `register` their
kinds of change before `start`.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import operator
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from wayhouse.base.clock import Clock
from wayhouse.base.database import Database
from wayhouse.base.errors import BadInputError, UnavailableError
from wayhouse.base.events import Events
from wayhouse.base.tasks import Tasks
from wayhouse.ledger.model import (
    Actor,
    Change,
    ChangeMoved,
    Line,
    NoSuchChangeError,
    NotCancellableError,
    State,
    Wish,
)
from wayhouse.ledger.runner import Kind, Runner, reason_of
from wayhouse.ledger.schedule import Schedule
from wayhouse.ledger.store import LedgerStore
from wayhouse.ledger.stream import Entry, Stream, entries
from wayhouse.ledger.task import Planner, Task

log = logging.getLogger(__name__)

RETRY_S = 5.0


class Ledger:
    def __init__(
        self, database: Database, events: Events, clock: Clock, tasks: Tasks, *, width: int = 4
    ) -> None:
        self._store = LedgerStore(database)
        self._events = events
        self._clock = clock
        self._tasks = tasks
        self._kinds: dict[str, Kind] = {}
        self._schedule = Schedule(width)
        self._open: dict[int, Change] = {}
        self._streams: dict[int, Stream] = {}
        self._runner = Runner(self._store, clock, self._moved)
        self._running: dict[int, asyncio.Task[None]] = {}
        self.finished = 0
        """How many changes have ended in this process; for caches of what changes touch."""

    def register(self, kind: str, planner: Planner, tasks: Sequence[type[Task]], tools: Any) -> None:
        """Make wishes of `kind` possible. `tasks` lists every task class its plans may hold; `tools` goes to them."""
        if kind in self._kinds:
            raise ValueError(f"kind of change {kind} is registered twice")
        union = functools.reduce(operator.or_, tasks)
        self._kinds[kind] = Kind(planner, tools, msgspec.json.Decoder(union))

    async def start(self) -> None:
        """Take up what is on disk: settle what ended, then go on with what did not."""
        for change in self._store.unsettled():
            await self._settle(change)
        for change in self._store.unfinished():
            self._enter(change, Stream(self._store.lines(change.id)))
        self._run_ready()

    async def submit(self, wish: Wish, actor: Actor) -> Change:
        """Store the wish and answer at once; it runs as soon as its resource is free."""
        if wish.kind not in self._kinds:
            raise BadInputError(f"There is no kind of change called {wish.kind}.")
        change = await self._store.add(wish, actor, self._clock.wall())
        self._enter(change, Stream())
        self._events.publish(ChangeMoved(change))
        self._run_ready()
        return self._open.get(change.id, change)

    async def cancel(self, change_id: int, actor: Actor) -> Change:
        """Take a queued change back. Raises `NotCancellableError` once it has started."""
        change = self.get(change_id)
        if change.state != State.QUEUED or not self._schedule.remove(change_id):
            raise NotCancellableError(
                f"Change {change_id} is {change.state}; only a queued change can be cancelled."
            )
        change = msgspec.structs.replace(
            change, state=State.CANCELLED, ended=self._clock.wall(), reason=f"Cancelled by {actor.name}."
        )
        await self._finish(change)
        return change

    def get(self, change_id: int) -> Change:
        change = self._open.get(change_id) or self._store.get(change_id)
        if change is None:
            raise NoSuchChangeError(f"There is no change {change_id}.", change_id=change_id)
        return change

    def open_changes(self) -> list[Change]:
        """Running ones first, then queued ones, in order."""
        order = (*self._schedule.running, *self._schedule.queued)
        return [self._open[change_id] for change_id in order if change_id in self._open]

    def touching(self, resource: str) -> list[Change]:
        """The changes of `resource` that are not over."""
        return [change for change in self._open.values() if change.wish.resource == resource]

    def history(
        self, *, limit: int = 50, before: int | None = None, resource: str | None = None
    ) -> list[Change]:
        return self._store.history(limit=limit, before=before, resource=resource)

    async def watch(self, change_id: int, start: int = 0) -> AsyncIterator[list[Entry]]:
        """The stream of a change from line `start` (0: the first) to its last, in batches; ends when the change is over."""
        self.get(change_id)
        stream = self._streams.get(change_id)
        if stream is None:
            yield entries(self._store.lines(change_id))[start:]
            return
        async for batch in stream.watch(start):
            yield batch

    async def wait(self, change_id: int) -> Change:
        """Return the change once it is over."""
        async for _ in self.watch(change_id):
            pass
        return self.get(change_id)

    async def rest(self, patience_s: float) -> None:
        """Begin no further task; wait for those under way. After `patience_s` seconds they are interrupted, as a crash would,
        which the next start (or `carry_on`) repairs. New wishes are still stored."""
        self._runner.at_rest = True
        running = [task for task in self._running.values() if not task.done()]
        if running:
            _, late = await asyncio.wait(running, timeout=patience_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def carry_on(self) -> None:
        """After `rest`: go on with what was left."""
        self._runner.at_rest = False
        for change_id in self._schedule.running:
            if self._running[change_id].done():
                self._spawn(change_id)
        self._run_ready()

    def _enter(self, change: Change, stream: Stream) -> None:
        self._open[change.id] = change
        self._streams[change.id] = stream
        self._schedule.add(change.id, change.wish.resource)

    def _run_ready(self) -> None:
        if self._runner.at_rest:
            return
        for change_id in self._schedule.start():
            self._spawn(change_id)

    def _spawn(self, change_id: int) -> None:
        work = self._run(self._open[change_id])
        self._running[change_id] = self._tasks.spawn(work, name=f"change-{change_id}")

    async def _run(self, change: Change) -> None:
        kind = self._kinds.get(change.wish.kind)
        say = functools.partial(self._say, change.id)
        if kind is None:
            gone = f"This version of Wayhouse knows no change of kind {change.wish.kind}."
            final = msgspec.structs.replace(change, state=State.FAILED, ended=self._clock.wall(), reason=gone)
        else:
            ran = await self._runner.run(change, kind, say)
            if ran is None:
                return
            final = ran
        await self._finish(final)

    async def _moved(self, change: Change) -> None:
        self._open[change.id] = change
        while True:
            try:
                await self._store.save(change)
                break
            except UnavailableError as error:  # a full disk: the world has moved, so the note must follow
                log.error("change %d cannot be noted: %s", change.id, error)  # noqa: TRY400 - no trace needed
                await self._clock.sleep(RETRY_S)
        self._events.publish(ChangeMoved(change))

    async def _finish(self, change: Change) -> None:
        """The reason and the verdict go on the stream, then the state to disk, then the stream is closed."""
        self._schedule.remove(change.id)
        for text in self._last_lines(change):
            self._say(change.id, text, always=True)
        await self._moved(change)
        self.finished += 1
        del self._open[change.id]
        self._running.pop(change.id, None)
        self._schedule.finish(change.id)
        self._streams.pop(change.id).close()
        self._run_ready()
        await self._settle(change)

    def _last_lines(self, change: Change) -> list[str]:
        kind = self._kinds.get(change.wish.kind)
        last = [] if kind is None else [kind.planner.verdict(change)]
        return [f"Reason: {change.reason}", *last] if change.reason else last

    async def _settle(self, change: Change) -> None:
        kind = self._kinds.get(change.wish.kind)
        try:
            if kind is not None:
                await kind.planner.settle(change)
        except Exception as error:  # noqa: BLE001 - tidying is tried again at the next start
            log.warning("could not tidy up after change %d: %s", change.id, reason_of(error))
            return
        await self._store.mark_settled(change)

    def _say(self, change_id: int, message: str, *, always: bool = False) -> None:
        stream = self._streams[change_id]
        number = len(stream)
        line = stream.append(Line(self._clock.wall(), message), always=always)
        if line is not None:
            self._store.add_line(change_id, number, line)
