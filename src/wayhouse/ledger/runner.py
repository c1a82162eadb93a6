"""Runs one change: plan, do in order, and on failure undo backwards. Every step is on disk before it begins.

Called by `Ledger` for a new change and for one that a crash interrupted; both take the same path, since the stored
states of the tasks say where to go on. An interrupted task is undone first, then done again. A runner that is told to come to rest stops between two tasks; the next start, or `carry on`
of its ledger, goes on there.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from wayhouse.base.clock import Clock
from wayhouse.base.errors import UnavailableError, WayhouseError
from wayhouse.ledger.model import Change, State, TaskState
from wayhouse.ledger.store import LedgerStore
from wayhouse.ledger.task import Planner, Say, Task

log = logging.getLogger(__name__)


class Kind(msgspec.Struct, frozen=True):
    """What the ledger knows of one kind of change."""

    planner: Planner
    tools: Any
    decoder: msgspec.json.Decoder[Any]


class Report(Protocol):
    """Tells the ledger that the change entered a new state (it saves and publishes it)."""

    async def __call__(self, change: Change, /) -> None: ...


class Runner:
    def __init__(self, store: LedgerStore, clock: Clock, report: Report) -> None:
        self._store = store
        self._clock = clock
        self._report = report
        self.at_rest = False
        """Set and unset by the ledger."""

    async def run(self, change: Change, kind: Kind, say: Say) -> Change | None:
        """Take `change` to a final state and return it; None when it was left between two tasks. The final state is not yet
        reported: the ledger first writes the last lines of the stream."""
        resumed = change.state != State.QUEUED
        if change.state == State.QUEUED:
            change = msgspec.structs.replace(change, state=State.RUNNING, started=self._clock.wall())
            await self._report(change)
        if resumed:
            say("The gateway was restarted during this change; going on with it.")
        if change.state == State.RUNNING:
            change = await self._forward(change, kind, say)
        if change.state == State.UNDOING and await self._backward(change, kind, say):
            change = msgspec.structs.replace(change, state=State.FAILED)
        return msgspec.structs.replace(change, ended=self._clock.wall()) if change.state.is_over else None

    async def _forward(self, change: Change, kind: Kind, say: Say) -> Change:
        """As `SUCCEEDED`, or `UNDOING` with the reason, or as it was when it was left."""
        try:
            if self.at_rest or not await self._do_all(change, kind, say):
                return change
            return msgspec.structs.replace(change, state=State.SUCCEEDED)
        except Exception as error:  # noqa: BLE001 - the task runner is one of the four borders
            change = msgspec.structs.replace(change, state=State.UNDOING, reason=reason_of(error))
            await self._report(change)
        return change

    async def _do_all(self, change: Change, kind: Kind, say: Say) -> bool:
        """Whether all tasks are done; not when the change was left between two of them."""
        tasks, states = await self._plan(change, kind, say)
        for number, task in enumerate(tasks):
            if states[number] == TaskState.DONE:
                continue
            if self.at_rest:
                if number:
                    await self._mark(change.id, {number - 1: TaskState.DONE}, tasks[number - 1])
                return False
            if states[number] == TaskState.DOING:
                await task.undo(kind.tools, say)
            else:
                await self._mark(change.id, _advance(number), task)
            await self._do(task, kind, say)
            states[number] = TaskState.DONE
        if tasks:
            await self._mark(change.id, {len(tasks) - 1: TaskState.DONE}, tasks[-1])
        return True

    async def _plan(self, change: Change, kind: Kind, say: Say) -> tuple[Sequence[Task], list[TaskState]]:
        stored = self._store.tasks(change.id)
        if stored:
            known: list[Task] = [kind.decoder.decode(task.body) for task in stored]
            kind.planner.resume(change, known)
            return known, [task.state for task in stored]
        tasks = await kind.planner.plan(change, say)
        await self._store.put_plan(change.id, [msgspec.json.encode(task) for task in tasks])
        return tasks, [TaskState.PENDING] * len(tasks)

    async def _mark(self, change_id: int, states: dict[int, TaskState], task: Task) -> None:
        """Past the point of no return a full disk must not undo the change: what is not noted is done again, no more."""
        try:
            await self._store.mark(change_id, states)
        except UnavailableError:
            if not task.best_effort:
                raise

    async def _do(self, task: Task, kind: Kind, say: Say) -> None:
        if task.title:
            say(task.title)
        try:
            await task.do(kind.tools, say)
        except Exception as error:
            if not task.best_effort:
                raise
            say(f"Going on although this failed: {reason_of(error)}")

    async def _backward(self, change: Change, kind: Kind, say: Say) -> bool:
        """Undo what was begun, last first; whether all is undone. A failing undo is told and does not stop the others."""
        stored = self._store.tasks(change.id)
        touched = [number for number, task in enumerate(stored) if task.state not in _UNTOUCHED]
        if touched and not self.at_rest:
            say(f"Undoing: {change.reason}")
        for number in reversed(touched):
            if self.at_rest:
                return False
            task: Task = kind.decoder.decode(stored[number].body)
            await self._note(change.id, number, TaskState.UNDOING)
            try:
                await task.undo(kind.tools, say)
            except Exception as error:  # noqa: BLE001 - the task runner is one of the four borders
                say(f"Could not undo '{task.title}': {reason_of(error)}")
            await self._note(change.id, number, TaskState.UNDONE)
        return True

    async def _note(self, change_id: int, number: int, state: TaskState) -> None:
        """On a full disk undoing goes on without notes: undoing twice is harmless, leaving things behind is not."""
        with contextlib.suppress(UnavailableError):
            await self._store.mark(change_id, {number: state})


_UNTOUCHED = {TaskState.PENDING, TaskState.UNDONE}


def _advance(number: int) -> dict[int, TaskState]:
    """The task before is done and this one begins, in one write."""
    return {number - 1: TaskState.DONE, number: TaskState.DOING} if number else {0: TaskState.DOING}


def reason_of(error: Exception) -> str:
    """Why, for people. What we did not foresee goes to the log with its trace, and only its kind to the user."""
    if isinstance(error, WayhouseError):
        return error.message
    log.error("unforeseen failure in a change", exc_info=error)
    return f"unforeseen failure ({type(error).__name__}); the gateway's log has the details"
