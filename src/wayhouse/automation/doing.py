"""Does what the code of a live run asks for. Called by `calls`, which journals it.

Rules: a command has an id that follows from the run and the step, so it is never done twice; whatever else is done may be done again
without harm; only waits end when the run is to stop, so that the code can tidy up.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from wayhouse.automation.asks import (
    AddCron,
    Ask,
    Command,
    Looking,
    Now,
    Publish,
    Readings,
    RemoveCron,
    SetVariable,
    Start,
    ValueOf,
    Variable,
    Variables,
    WaitFor,
    Waiting,
    WaitSeconds,
    WaitUntil,
    entry_of,
)
from wayhouse.automation.facts import Facts
from wayhouse.automation.model import Job, JobExistsError, NoSuchJobError, Place, Value
from wayhouse.automation.parameter import Plain
from wayhouse.automation.ports import Actions, Crons, Sources
from wayhouse.automation.runs import Wait
from wayhouse.automation.scenario_store import Kept, Work
from wayhouse.automation.waiting import Waiter, moment_of
from wayhouse.base import codec
from wayhouse.base.clock import Clock
from wayhouse.base.errors import BadInputError, ForbiddenError, OutsideError, WayhouseError

MAX_READINGS = 5000
MAX_BODY = 64 * 1024
MAX_KEY = 1024
MAX_TTL_S = 366 * 86400
SHORT_S = 2.0
OWN_KEYS = ("/device/", "/event/", "/scenario/")
Begun = Callable[[Kept, bytes, bool], Awaitable[None]]
log = logging.getLogger(__name__)


class Outside(NamedTuple):
    """What runs need from outside."""

    actions: Actions
    sources: Sources
    crons: Crons | None
    facts: Facts
    clock: Clock
    place: Place


Change = tuple[Work, Callable[[], None]]
"""What is to be written with the step, and what is to be done when it is."""


class Home(NamedTuple):
    """What a run needs of its scenario. `assign` and `put_off` (start a scenario) raise `WayhouseError`."""

    name: str
    entries: Mapping[str, str]
    variables: Callable[[], Mapping[str, Plain]]
    assign: Callable[[str, Plain | None], Change]
    put_off: Callable[[str], Change]


def _nothing() -> None:
    pass


class Told(NamedTuple):
    """`found` is for the code; `work` to be written with the step, `done` to be called then."""

    found: Any = None
    work: Work | None = None
    done: Callable[[], None] = _nothing


class _Note(msgspec.Struct, frozen=True, omit_defaults=True):
    """Of a wait that is under way. `until`: Unix seconds; `before`: what the value was."""

    until: float | None = None
    before: Value = None


class Doing:
    """`waiter` is told when the run is to stop; `on_wait` is told that it waits (for so many seconds, `inf`), and None after."""

    def __init__(
        self, run: str, home: Home, outside: Outside, waiter: Waiter, on_wait: Callable[[float | None], None]
    ) -> None:
        self.run = run
        self.waiting: Wait | None = None
        self._home, self._outside, self._waiter, self._on_wait = home, outside, waiter, on_wait

    async def do(self, ask: Ask, step: Kept, begun: Begun) -> Told:
        """`begun` writes that it is under way, and with what. Raises `WayhouseError`, `StopAsked`."""
        match ask:
            case WaitSeconds() | WaitUntil() | WaitFor():
                return Told(await self._wait(ask, step, begun))
            case SetVariable():
                return Told(None, *self._home.assign(ask.name, ask.value))
            case Start():
                return Told(None, *self._home.put_off(ask.scenario))
            case Command() | AddCron() | RemoveCron():
                if step.note is None:
                    await begun(step, b"{}", False)
                return Told(await (self._command(ask, step) if isinstance(ask, Command) else self._cron(ask)))
            case Publish():
                self._outside.actions.publish(*publishing(ask))
                return Told()
            case _:
                return Told(await self._look(ask))

    async def settled(self, request: str) -> None:
        """Raises `WayhouseError`."""
        await self._guarded(self._outside.actions.settled(request))

    async def _look(self, ask: Looking) -> Any:
        match ask:
            case Now():
                return self._outside.clock.wall()
            case Variable():
                return self._home.variables().get(ask.name)
            case Variables():
                return sorted(self._home.variables())
            case ValueOf():
                return self._outside.facts.current(entry_of(self._home.entries, ask.entry))
            case Readings():
                source = entry_of(self._home.entries, ask.entry)
                end = self._outside.clock.wall() if ask.end is None else ask.end
                found = await self._guarded(self._outside.sources.readings(source, ask.start, end))
                return [[at, value] for at, value in found[-MAX_READINGS:]]

    async def _wait(self, ask: Waiting, step: Kept, begun: Begun) -> Any:
        now = self._outside.clock.wall()
        note = codec.decode_json(step.note, _Note, what="stored wait") if step.note else self._from(ask, now)
        self.waiting = Wait(f"{ask.call}({ask.text()})", note.until)
        try:
            if step.note is None:
                is_short = isinstance(ask, WaitSeconds) and ask.seconds < SHORT_S
                await begun(step, codec.encode_json(note), is_short)
            left = None if note.until is None else max(0.0, note.until - now)
            self._on_wait(math.inf if left is None else left)
            return await self._waited(ask, note, left)
        finally:
            self.waiting = None
            self._on_wait(None)

    def _from(self, ask: Waiting, now: float) -> _Note:
        match ask:
            case WaitSeconds():
                return _Note(until=now + ask.seconds)
            case WaitUntil():
                return _Note(until=moment_of(ask.time, now, self._outside.place))
            case WaitFor():
                before = self._outside.facts.current(entry_of(self._home.entries, ask.entry))
                return _Note(until=None if ask.timeout is None else now + ask.timeout, before=before)

    async def _waited(self, ask: Waiting, note: _Note, left: float | None) -> Any:
        """`left`: seconds of it that are left, by the wall clock, which may have jumped."""
        match ask:
            case WaitSeconds():
                return await self._waiter.passed(min(left or 0.0, ask.seconds))
            case WaitUntil():
                return await self._waiter.until(note.until or 0.0)
            case WaitFor():
                seconds = None if ask.timeout is None or left is None else min(left, ask.timeout)
                return await self._met(ask, note.before, seconds)

    async def _met(self, ask: WaitFor, before: Value, seconds: float | None) -> bool:
        source, is_over = entry_of(self._home.entries, ask.entry), False

        def heard(value: Value) -> None:
            nonlocal is_over, before
            is_over = is_over or ask.is_met(value, before)
            before = value if before is None else before
            self._waiter.look()

        end = self._outside.facts.listen(source, heard)
        try:
            heard(self._outside.facts.current(source))
            return await self._waiter.met(lambda: is_over, seconds)
        finally:
            end()

    async def _command(self, ask: Command, step: Kept) -> Value:
        request = request_id(step.number, self.run)
        act = self._outside.actions.command(ask.device, ask.command, ask.value, request_id=request)
        found: Value = await self._guarded(act)
        return found

    async def _cron(self, ask: AddCron | RemoveCron) -> bool:
        crons = self._outside.crons
        if crons is None:
            raise ForbiddenError("Jobs cannot be changed here.")
        try:
            if isinstance(ask, RemoveCron):
                await self._guarded(crons.remove(ask.job))
            else:
                await self._guarded(crons.add(Job(name=ask.job, schedule=ask.schedule)))
        except NoSuchJobError:
            return False
        except JobExistsError:
            if isinstance(ask, RemoveCron) or crons.jobs[ask.job].schedule != ask.schedule:
                raise
        return True

    async def _guarded(self, work: Awaitable[Any]) -> Any:
        """The border to other rooms: a defect there is an error of this call alone."""
        try:
            return await work
        except WayhouseError:
            raise
        except Exception as error:
            log.exception("scenario %s: a call failed", self._home.name)
            raise OutsideError("The gateway failed to do this; its log says why.") from error


def publishing(ask: Publish) -> tuple[str, bytes, float | None]:
    """Key, body and seconds. Raises `BadInputError`, `ForbiddenError`."""
    if not ask.key or len(ask.key) > MAX_KEY or not ask.key.isprintable():
        raise BadInputError(f"A key has 1 to {MAX_KEY} printable characters.")
    if ask.key.startswith(OWN_KEYS):
        raise ForbiddenError(f"Keys under {', '.join(OWN_KEYS)} are the gateway's own. Take another.")
    if ask.ttl is not None and not 0 < ask.ttl <= MAX_TTL_S:
        raise BadInputError("`ttl` is more than 0 seconds and at most 366 days.")
    body = b"" if ask.value is None else codec.encode_json(ask.value)
    if len(body) > MAX_BODY:
        raise BadInputError(f"What is published has at most {MAX_BODY // 1024} KiB.")
    return ask.key, body, ask.ttl


def request_id(number: int, run: str) -> str:
    """Of the command in that step: 32 hexadecimal digits, always the same ones."""
    return hashlib.sha256(f"{run}:{number}".encode()).hexdigest()[:32]
