"""Answers the calls of a rehearsed run: looks at history, writes down what would have been done, and lets virtual time pass.

Called by `conversation` for `rehearsal`. Rule: nothing here reaches the world; a variable that is set is set for the rehearsal alone.
"""

from __future__ import annotations

from typing import Any

from wayhouse.automation.asks import (
    AddCron,
    Ask,
    Looking,
    Now,
    Publish,
    Readings,
    RemoveCron,
    SetVariable,
    ValueOf,
    Variable,
    Variables,
    WaitFor,
    Waiting,
    WaitSeconds,
    WaitUntil,
    entry_of,
    shorten,
    show,
)
from wayhouse.automation.calls import RefusedError
from wayhouse.automation.doing import MAX_READINGS, publishing
from wayhouse.automation.history import History, VirtualTime
from wayhouse.automation.model import Place
from wayhouse.automation.parameter import Plain
from wayhouse.automation.runs import Step
from wayhouse.automation.scenario import Scenario
from wayhouse.automation.waiting import moment_of
from wayhouse.base.errors import PermanentError, WayhouseError


class TooLongError(PermanentError):
    """It goes on for longer than a rehearsal does."""

    code = "rehearsal-too-long"


class RehearsedCalls:
    """`variables` is changed; `end` is when the time that can be rehearsed is over."""

    def __init__(
        self,
        scenario: Scenario,
        history: History,
        time: VirtualTime,
        variables: dict[str, Plain],
        place: Place,
        limit: int,
        end: float,
    ) -> None:
        self.steps: list[Step] = []
        self._scenario, self._history, self._time = scenario, history, time
        self._variables, self._place, self._limit, self._end = variables, place, limit, end
        self._number = 0

    def ready(self, missing: tuple[str, ...]) -> None:
        """The same as in any other run."""

    async def say(self, call: str, text: str) -> None:
        """Raises `TooLongError`."""
        self._note(Step(number=0, at=self._time.now, call=call, text=shorten(text), result=""))

    async def pause(self) -> None:
        """Nothing but its patience limits a rehearsal."""

    async def call(self, ask: Ask) -> Any:
        """Raises `RefusedError`, `TooLongError`."""
        self._number += 1
        at = self._time.now
        try:
            found = self._do(ask)
        except WayhouseError as error:
            if isinstance(error, TooLongError):
                raise
            self._took(ask, at, f"{error.code}: {error.message}")
            raise RefusedError(error.message, error.code) from error
        self._took(ask, at, "" if found is None else show(found))
        return found

    def _do(self, ask: Ask) -> Any:
        match ask:
            case ValueOf() | Now() | Variable() | Variables() | Readings():
                return self._look(ask)
            case WaitSeconds() | WaitUntil() | WaitFor():
                return self._wait(ask)
            case SetVariable():
                self._set(ask)
            case Publish():
                publishing(ask)
            case AddCron() | RemoveCron():
                return True
        return None

    def _look(self, ask: Looking) -> Any:
        match ask:
            case Now():
                return self._time.now
            case Variable():
                return self._variables.get(ask.name)
            case Variables():
                return sorted(self._variables)
            case ValueOf():
                return self._history.value(self._source(ask.entry), self._time.now)
            case Readings():
                end = self._time.now if ask.end is None else min(ask.end, self._time.now)
                found = self._history.between(self._source(ask.entry), ask.start, end)
                return [[at, value] for at, value in found[-MAX_READINGS:]]

    def _set(self, ask: SetVariable) -> None:
        if ask.value is None:
            self._variables.pop(ask.name, None)
        else:
            self._variables[ask.name] = ask.value

    def _wait(self, ask: Waiting) -> bool | None:
        now = self._time.now
        match ask:
            case WaitSeconds():
                self._pass(now + ask.seconds)
            case WaitUntil():
                self._pass(moment_of(ask.time, now, self._place))
            case WaitFor():
                return self._met(ask)
        return None

    def _met(self, ask: WaitFor) -> bool:
        source, now = self._source(ask.entry), self._time.now
        until = self._end if ask.timeout is None else now + ask.timeout
        before = self._history.value(source, now)
        for at, value in [(now, before), *self._history.between(source, now, until)]:
            if ask.is_met(value, before):
                self._pass(max(at, now))
                return True
            before = value if before is None else before
        if ask.timeout is None:
            raise TooLongError("It would still wait at the end of what is rehearsed.")
        self._pass(until)
        return False

    def _pass(self, moment: float) -> None:
        if moment > self._end:
            self._time.now = self._end
            raise TooLongError("It would still run at the end of what is rehearsed.")
        self._time.now = max(self._time.now, moment)

    def _source(self, entry: str) -> str:
        return entry_of(self._scenario.entries, entry)

    def _took(self, ask: Ask, at: float, result: str) -> None:
        took = self._time.now - at
        self._note(
            Step(number=self._number, at=at, call=ask.call, text=ask.text(), result=result, took_s=took)
        )

    def _note(self, step: Step) -> None:
        if len(self.steps) >= self._limit:
            raise TooLongError(f"It does more than {self._limit} steps, which is as far as a rehearsal goes.")
        self.steps.append(step)
