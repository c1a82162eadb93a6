"""The talk with one process, from its first word to its last, whoever answers. Called by `scenario_run` and `rehearsal`."""

from __future__ import annotations

from typing import Any, Protocol

from wayhouse.automation.asks import Ask
from wayhouse.automation.calls import RefusedError
from wayhouse.automation.sandbox_process import Call, End, Garbled, Ready, SandboxProcess, Say
from wayhouse.automation.waiting import StopAsked


class Answers(Protocol):
    def ready(self, missing: tuple[str, ...]) -> None: ...

    async def say(self, call: str, text: str) -> None: ...

    async def pause(self) -> None:
        """Before a call is refused that nobody understands."""
        ...

    async def call(self, ask: Ask) -> Any:
        """Raises `RefusedError`, which the code is told, and `StopAsked`."""
        ...


async def converse(process: SandboxProcess, answers: Answers) -> End | None:
    """How the code ended; None: its process did. Raises what ends the run: `CannotGoOnError` of `answers`, `BadInputError` for
    what is no call."""
    while True:
        message = await process.receive()
        match message:
            case None | End():
                return message
            case Ready():
                answers.ready(message.missing)
            case Say():
                await answers.say(message.call, message.text)
            case Garbled():
                await answers.pause()
                await process.answer("error", message.reason, "bad-input")
            case Call():
                await _answer(process, answers, message.ask)


async def _answer(process: SandboxProcess, answers: Answers, ask: Ask) -> None:
    try:
        found = await answers.call(ask)
    except StopAsked:
        await process.answer("stopped")
    except RefusedError as error:
        await process.answer("error", error.message, error.kind)
    else:
        await process.answer("ok", found)
