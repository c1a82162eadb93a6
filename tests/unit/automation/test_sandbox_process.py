"""The daemon's end of a scenario's process: what it hears, and that nothing is left of it.

# covers: automation/conversation.py, automation/calls.py, automation/doing.py
"""

from __future__ import annotations

import os
import signal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from wayhouse.automation.asks import Ask, ValueOf
from wayhouse.automation.calls import RefusedError
from wayhouse.automation.conversation import converse
from wayhouse.automation.doing import request_id
from wayhouse.automation.runs import Outcome
from wayhouse.automation.sandbox_process import End, Garbled, Message, Ready, SandboxProcess, _read, launch
from wayhouse.automation.waiting import StopAsked
from wayhouse.base.errors import BadInputError


def begin(code: str) -> dict[str, Any]:
    return {
        "name": "one",
        "code": code,
        "cause": "asked",
        "entries": {},
        "settings": {},
        "seed": "x",
        "memory_bytes": 2**28,
    }


class Answers:
    def __init__(self) -> None:
        self.said: list[str] = []
        self.process: SandboxProcess | None = None

    def ready(self, missing: tuple[str, ...]) -> None:
        assert missing == ()

    async def say(self, call: str, text: str) -> None:
        self.said.append(text)

    async def pause(self) -> None:
        self.said.append("pause")

    async def call(self, ask: Ask) -> Any:
        match ask:
            case ValueOf(entry="stop"):
                raise StopAsked
            case ValueOf(entry="refuse"):
                raise RefusedError("no", "forbidden")
            case ValueOf(entry="die"):
                assert self.process
                os.kill(self.process.pid, signal.SIGKILL)
            case ValueOf(entry="ask to stop"):
                assert self.process
                self.process.ask_to_stop()
        return ask.text()


async def talk(code: str) -> tuple[End | None, list[str], int]:
    answers = Answers()
    process = await launch(begin(code), "Europe/Berlin")
    answers.process = process
    try:
        end = await converse(process, answers)
    finally:
        status = await process.close()
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)
    return end, answers.said, status


async def test_a_talk() -> None:
    code = "print(value('a'), now().tzname())\ntry: value('refuse')\nexcept CallError as error: print(error.code)\nvalue('stop')"
    with pytest.raises(BadInputError):
        _read(b"{}\n")
    end, said, _ = await talk(code.replace(", now().tzname()", ""))
    assert (end, said) == (End(Outcome.STOPPED), ['"a"', "forbidden"])


async def test_who_is_ready_twice_is_not_heard() -> None:
    code = """
import os
for fd in range(3, 4096):
    try: os.write(fd, b'{"do":"ready"}\\n')
    except OSError: pass
"""
    with pytest.raises(BadInputError):
        await talk(code)


async def test_a_garbled_call_is_paced() -> None:
    assert (await talk("try: value(3)\nexcept CallError: print('no')"))[1] == ["pause", "no"]


async def test_the_end_of_the_process() -> None:
    assert await talk("value('die')") == (None, [], -signal.SIGKILL)
    end, said, _ = await talk(
        "import time; print(time.tzname[0])\nvalue('ask to stop')\nwhile not stopping: pass\nprint('off')"
    )
    assert (end, said) == (End(Outcome.DONE), ["CET", "off"])


async def test_closing_ends_whatever_it_does() -> None:
    process = await launch(begin("while True: pass"), "UTC")
    assert isinstance(await process.receive(), Ready)
    assert not process.computes_too_long(1000)
    assert await process.close() == -signal.SIGKILL
    assert await process.close() == -signal.SIGKILL
    process.kill()
    assert await process.receive() is None


async def test_a_line_that_is_too_long() -> None:
    code = "import os\nfor fd in range(3, 4096):\n    try: os.write(fd, b'x' * 3000000)\n    except OSError: pass"
    process = await launch(begin(code), "UTC")
    try:
        with pytest.raises(BadInputError):
            await converse(process, Answers())
    finally:
        await process.close()


@settings(max_examples=300)
@given(
    some.binary()
    | some.text().map(str.encode)
    | some.sampled_from([b'{"do":"call","ask":{"call":"value"}}', b'{"do":"call","ask":5}'])
)
def test_anything_that_comes_is_read_or_refused(line: bytes) -> None:
    try:
        found = _read(line)
    except BadInputError:
        return
    assert isinstance(found, Message | Garbled)


def test_garbled_calls_say_what_is_wrong() -> None:
    found = _read(b'{"do":"call","ask":{"call":"value","entry":3}}')
    assert found == Garbled("Expected `str`, got `int` - at `entry`")
    assert msgspec.to_builtins(found)


def test_requests_have_ids_of_their_own() -> None:
    found = {request_id(number, run) for number in range(50) for run in ("a", "b", "a:1")}
    assert len(found) == 150
    assert all(len(one) == 32 for one in found)
    assert request_id(1, "a") == request_id(1, "a")
