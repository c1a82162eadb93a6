"""Answers the calls of a live run, each through the journal: what was answered before a restart is answered again, the rest is done.

Called by `conversation`. Rules: what was told is on disk before anything that comes after it reaches the world; a variable or a start and
the step that made it are one transaction; a command's request is closed only when its answer is on disk.
"""

from __future__ import annotations

import functools
import logging
from typing import Any

import msgspec

from wayhouse.automation.asks import AddCron, Ask, Command, RemoveCron, show
from wayhouse.automation.doing import Doing, Told, request_id
from wayhouse.automation.journal import Journal, ReplayError
from wayhouse.automation.pace import Pace
from wayhouse.automation.scenario_store import Kept, Work
from wayhouse.base import codec
from wayhouse.base.errors import UnavailableError, WayhouseError

log = logging.getLogger(__name__)


class CannotGoOnError(WayhouseError):
    """The run ends, whatever its code would say to it."""

    code = "cannot-go-on"


class RefusedError(WayhouseError):
    """What the code is told as a `CallError`; `kind` is its code."""

    def __init__(self, message: str, kind: str) -> None:
        super().__init__(message)
        self.kind = kind


class _Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the code was told, as it is kept."""

    ok: Any = None
    error: str | None = None
    kind: str = ""

    def shown(self) -> str:
        if self.error is not None:
            return f"{self.kind}: {self.error}"
        return "" if self.ok is None else show(self.ok)


class Calls:
    def __init__(self, journal: Journal, doing: Doing, pace: Pace) -> None:
        self._journal, self._doing, self._pace = journal, doing, pace
        self._unsettled = ""

    def ready(self, missing: tuple[str, ...]) -> None:
        for what in missing:
            _tell(what)

    async def say(self, call: str, text: str) -> None:
        """Raises `CannotGoOnError`."""
        await self._pace.turn()
        try:
            await self._journal.say(call, text)
        except UnavailableError as error:
            raise CannotGoOnError(error.message) from error

    async def pause(self) -> None:
        await self._pace.turn()

    async def call(self, ask: Ask) -> Any:
        """Raises `RefusedError`, which the code is told, `StopAsked`, and `CannotGoOnError`."""
        try:
            step = self._journal.take(ask)
        except ReplayError as error:
            raise CannotGoOnError(error.message) from error
        if step.answer is not None:
            return self._again(step)
        await self.settle()
        await self._pace.turn()
        told, answer = await self._ask(ask, step)
        self._journal.finish(step, codec.encode_json(answer), answer.shown())
        if told.work is not None:
            await self._flush(told.work)
            told.done()
        elif isinstance(ask, Command | AddCron | RemoveCron):
            await self._flush()
        self._note_request(step)
        await self.settle()
        return _found(answer)

    async def settle(self) -> None:
        """The last command's answer is on disk: its request need not be kept any more."""
        if self._unsettled:
            request, self._unsettled = self._unsettled, ""
            try:
                await self._doing.settled(request)
            except WayhouseError as error:
                log.warning("request %s could not be closed: %s", request, error)

    async def _ask(self, ask: Ask, step: Kept) -> tuple[Told, _Answer]:
        """What came of it, which may be an error. Raises `StopAsked`, `CannotGoOnError`."""
        try:
            told = await self._doing.do(ask, step, self._begun)
        except CannotGoOnError:
            raise
        except WayhouseError as error:
            return Told(), _Answer(error=error.message, kind=error.code)
        return told, _Answer(ok=told.found)

    async def _begun(self, step: Kept, note: bytes, is_short: bool) -> None:  # noqa: FBT001 - a callback
        """`is_short`: it may as well be begun anew."""
        self._journal.begin(step, note)
        if not is_short:
            await self._flush()

    def _again(self, step: Kept) -> Any:
        self._note_request(step)
        return _found(codec.decode_json(step.answer or b"{}", _Answer, what="stored step"))

    def _note_request(self, step: Kept) -> None:
        if step.call == "command":
            self._unsettled = request_id(step.number, self._doing.run)

    async def _flush(self, *more: Work) -> None:
        try:
            await self._journal.flush(*more)
        except UnavailableError as error:
            raise CannotGoOnError(error.message) from error


@functools.cache
def _tell(what: str) -> None:
    """Once is enough."""
    log.warning("this machine does not let us give scenarios %s", what)


def _found(answer: _Answer) -> Any:
    if answer.error is not None:
        raise RefusedError(answer.error, answer.kind)
    return answer.ok
