"""One run from begin to end: its process, its journal, its answers; and again, when the process ends before the code does.

Called by `scenario_service`. Rules: a run that is cancelled is not over: the next one who is given it carries it on; a process that ends
without progress `MAX_DEATHS` times in a row is given up.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable
from typing import NamedTuple

from wayhouse.automation.calls import Calls, CannotGoOnError
from wayhouse.automation.conversation import converse
from wayhouse.automation.doing import Doing, Home, Outside
from wayhouse.automation.journal import Journal
from wayhouse.automation.pace import Pace
from wayhouse.automation.runs import Outcome, RunSummary, ScenarioSettings, Step, Wait
from wayhouse.automation.sandbox_process import End, SandboxProcess, launch
from wayhouse.automation.scenario_store import Given, ScenarioStore
from wayhouse.automation.slots import Slots
from wayhouse.automation.waiting import Waiter
from wayhouse.base.errors import BadInputError, UnavailableError
from wayhouse.base.tasks import Tasks

MAX_DEATHS = 3
IDLE_S = 5.0
"""Whoever waits longer can give its process up."""
_ENDS = (Outcome.DONE, Outcome.FAILED, Outcome.STOPPED)


class Means(NamedTuple):
    """What every run is run with."""

    store: ScenarioStore
    outside: Outside
    slots: Slots
    settings: ScenarioSettings
    tasks: Tasks


class ScenarioRun:
    """`summary` is of the run as it began."""

    def __init__(
        self,
        summary: RunSummary,
        given: Given,
        code: str,
        home: Home,
        means: Means,
        on_step: Callable[[Step], None],
        *,
        is_cut: bool = False,
    ) -> None:
        self.summary = summary
        self._given, self._code, self._home, self._means, self._on_step = given, code, home, means, on_step
        self._waiter = Waiter(means.outside.clock, means.tasks)
        self._pace = Pace(means.outside.clock)
        self._doing = Doing(summary.id, home, means.outside, self._waiter, self._waits)
        self.journal = self._open_journal(is_cut=is_cut)
        self._process: SandboxProcess | None = None
        self._patience: asyncio.Timeout | None = None
        self._has_slot = self._has_begun = self._is_over_limit = self._gave_up = False

    @property
    def waiting(self) -> Wait | None:
        return self._doing.waiting

    @property
    def pid(self) -> int | None:
        """Of its process; None while it has none."""
        return self._process.pid if self._process else None

    async def live(self) -> End:
        """Until it has ended. Cancelled, it can be carried on."""
        try:
            async with asyncio.timeout(None) as self._patience:
                if self._waiter.is_stopping:
                    self.stop()
                return await self._carry_on()
        except TimeoutError:
            return End(Outcome.STOPPED)
        finally:
            self._patience = None

    def stop(self) -> None:
        """Ask the code to end; when it has not by then, its process is ended."""
        self._waiter.stop()
        grace = self._means.settings.stop_grace_s if self._has_begun else 0.0
        if self._process:
            self._process.ask_to_stop()
        if self._patience:
            self._patience.reschedule(asyncio.get_running_loop().time() + grace)

    def watch_over(self) -> None:
        """Called each second: end a process that only computes."""
        process = self._process
        if process is not None and process.computes_too_long(self._means.settings.cpu_s):
            self._is_over_limit = True
            process.kill()

    async def flush(self) -> None:
        """Raises `UnavailableError`."""
        if self.journal.is_waiting:
            await self.journal.flush()

    async def _carry_on(self) -> End:
        deaths = reached = 0
        while True:
            try:
                end, status = await self._once()
            except (CannotGoOnError, BadInputError, UnavailableError) as error:
                return End(Outcome.FAILED, error.message)
            if end is not None:
                return self._judged(end)
            if self._is_over_limit:
                return End(
                    Outcome.LIMITED, f"It computed for {self._means.settings.cpu_s:g} s without a call."
                )
            if self.journal.is_cut:
                return End(
                    Outcome.LOST, f"Its process ended ({_how(status)}) after more steps than can be repeated."
                )
            deaths = 0 if self._gave_up or self.journal.number > reached else deaths + 1
            reached = max(reached, self.journal.number)
            if deaths >= MAX_DEATHS:
                return End(
                    Outcome.LOST, f"Its process ended {MAX_DEATHS} times at the same place ({_how(status)})."
                )
            self._say_again(status)
            await self.flush()
            self.journal = self._open_journal()

    def _say_again(self, status: int) -> None:
        if not self._gave_up:
            self.journal.remark("gateway", f"its process ended ({_how(status)}): it is carried on")
        self._gave_up = False

    def _judged(self, end: End) -> End:
        if end.outcome not in _ENDS:
            return End(Outcome.FAILED, "It said that it ended in a way that there is not.")
        if end.outcome is Outcome.FAILED and end.error.startswith("MemoryError"):
            size = self._means.settings.memory_bytes // 2**20
            return End(Outcome.LIMITED, f"It needed more than {size} MiB of memory.", end.line)
        if end.outcome is Outcome.DONE and self._waiter.is_stopping:
            return End(Outcome.STOPPED)
        return end

    async def _once(self) -> tuple[End | None, int]:
        """One process: how the code ended, or None; and the process's exit status."""
        await self._means.slots.acquire()
        self._has_slot = True
        try:
            process = await launch(self._begin(), self._means.outside.place.zone)
            self._process, self._has_begun = process, True
            end, status = None, 0
            try:
                if self._waiter.is_stopping:
                    process.ask_to_stop()
                end = await converse(process, Calls(self.journal, self._doing, self._pace))
            finally:
                self._process = None
                status = await process.close()
                with contextlib.suppress(UnavailableError):
                    await self.flush()
            return end, status
        finally:
            self._release()

    def _begin(self) -> dict[str, object]:
        return {
            "name": self._home.name,
            "code": self._code,
            "cause": self.summary.cause,
            "entries": dict(self._home.entries),
            "settings": dict(self._given.settings),
            "seed": self.summary.id,
            "memory_bytes": self._means.settings.memory_bytes,
        }

    def _open_journal(self, *, is_cut: bool = False) -> Journal:
        store = self._means.store
        kept = [] if is_cut else store.steps(self.summary.id)
        return Journal(store, self.summary.id, self._means.outside.clock, kept, self._on_step, is_cut=is_cut)

    def _waits(self, seconds: float | None) -> None:
        if seconds is None:
            self._means.slots.busy(self)
        elif seconds > IDLE_S and not self.journal.is_cut and self._has_slot:
            self._means.slots.idle(self, self._give_up)

    def _give_up(self) -> None:
        """Somebody else needs a process, and this one only waits."""
        self._gave_up = True
        process, self._process = self._process, None
        if process is not None:
            self._means.tasks.spawn(process.close(), name="a scenario's process is ended")
        self._release()

    def _release(self) -> None:
        self._means.slots.busy(self)
        if self._has_slot:
            self._has_slot = False
            self._means.slots.release()


def _how(status: int) -> str:
    if status >= 0:
        return f"status {status}"
    with contextlib.suppress(ValueError):
        return signal.Signals(-status).name
    return f"signal {-status}"
