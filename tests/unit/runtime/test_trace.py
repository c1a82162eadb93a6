"""Stacks of threads and tasks, without secrets."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import subprocess
import sys
import threading
import types
from pathlib import Path
from typing import Any

import pytest

from tests.parts.rpc_server import Sample, listener
from wayhouse.runtime import trace
from wayhouse.runtime.remote import RemoteControl


def test_all_threads_are_shown() -> None:
    go = threading.Event()

    def waits_here_for_the_test() -> None:
        go.wait()

    thread = threading.Thread(target=waits_here_for_the_test, name="the waiting one", daemon=True)
    thread.start()
    text = trace.dump()
    go.set()
    thread.join()
    assert text.startswith(f"process {os.getpid()} ")
    assert "thread 'the waiting one' (daemon)" in text
    assert "waits_here_for_the_test" in text
    assert "test_all_threads_are_shown" in text


async def test_tasks_are_shown() -> None:
    async def sleeping_task() -> None:
        await asyncio.sleep(100)

    task = asyncio.create_task(sleeping_task(), name="sleeper")
    await asyncio.sleep(0)
    text = trace.dump()
    task.cancel()
    assert "task 'sleeper'" in text
    assert "in sleeping_task" in text


async def test_a_task_shows_what_it_waits_for_in_the_end() -> None:
    async def items() -> Any:
        await asyncio.sleep(100, "innermost")
        yield 1

    async def middle(password: str) -> None:
        async for _ in items():
            pass

    @types.coroutine
    def generator() -> Any:
        yield from middle("s3cr3t")

    async def outermost() -> None:
        await generator()

    task = asyncio.create_task(outermost(), name="nested")
    await asyncio.sleep(0)
    names = [frame.f_code.co_name for frame in trace.awaiting(task.get_coro())]
    text = trace.dump().partition("\ntask 'nested'")[2].partition("\n\n")[0]
    task.cancel()
    assert names[:3] == ["outermost", "generator", "middle"]
    assert text.index("in outermost") < text.index("in generator") < text.index("in middle")
    assert "async for _ in items()" in text
    assert list(trace.awaiting(None)) == []


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("password='abc def'", "password=<redacted>"),
        ("authkey: 12345, port: 3", "authkey: <redacted>, port: 3"),
        ('{"token": "abc", "name": "x"}', '{"token": <redacted>, "name": "x"}'),
        ("nothing to hide = 3", "nothing to hide = 3"),
        ("Authorization: Bearer abc", "Authorization: <redacted>"),
    ],
)
def test_secrets_are_redacted(text: str, seen: str) -> None:
    assert trace.redact(text) == seen


def test_variables_hide_what_is_named_or_shaped_like_a_secret() -> None:
    authkey, keys, number, note = "s3cr3t", ["s3cr3t"], 5, "password=s3cr3t"
    text = trace.hickup(sys._getframe())
    assert "s3cr3t" not in text.split("globals:")[0].split("locals:")[1]
    assert "number = 5" in text
    assert (authkey, keys, number, note) != ()


def test_a_dump_goes_to_files_and_pipes_and_never_fails(tmp_path: Path) -> None:
    memory = io.StringIO()
    trace.write(memory)
    assert "process" in memory.getvalue()
    reader, writer = os.pipe()
    trace.write(writer)
    assert os.read(reader, 8) == b"process "
    os.close(reader)
    trace.write(writer)
    os.close(writer)
    trace.write(writer)


def test_over_rpc() -> None:
    with Sample(listener()).in_thread() as running, RemoteControl(running.address, "primary", 20) as remote:
        text = remote.TRACE()
        assert "thread 'serve wayhouse-sample'" in text
        assert "in trace" in text
        assert "s3cr3t" not in text


def test_a_stuck_process_can_be_dumped() -> None:
    code = (
        "import os, sys, time; from wayhouse.runtime import trace; trace.arm_faulthandler(); "
        "print('armed', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == b"armed\n"
    process.send_signal(signal.SIGUSR2)
    assert b"most recent call first" in process.stderr.readline()
    process.kill()
    process.communicate()
