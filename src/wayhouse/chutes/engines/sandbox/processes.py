"""Starts the shim in its different roles and watches over shims that other daemons started.

A shim leaves our process tree at once; it is known again by pid, start time and boot (`shim.identity`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import wayhouse
from wayhouse.chutes.engines.sandbox.shim import identity
from wayhouse.chutes.model import EngineError

PACKAGES = str(Path(wayhouse.__file__).resolve().parent.parent)
BOOTSTRAP = (
    "import sys; sys.path.append(sys.argv.pop(1)); "
    "from wayhouse.chutes.engines.sandbox.shim.main import main; sys.exit(main(sys.argv[1:]))"
)
ANSWER_S = 60.0
LINE_BYTES = 64 * 1024


def shim_command(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-I", "-S", "-X", "utf8", "-c", BOOTSTRAP, PACKAGES, *arguments)


async def start_detached(*arguments: str) -> None:
    """Start `serve` or `hold`, wait for its answer. Raises `EngineError` with the reason if it could not."""
    process = await asyncio.create_subprocess_exec(
        *shim_command(*arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={},
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(ANSWER_S):
            answer, _ = await process.communicate()
    except TimeoutError as error:
        raise EngineError("The sandbox did not start within a minute.") from error
    text = answer.decode("utf-8", "replace")
    if text != "ok":
        raise EngineError(text or "The sandbox ended before it said why.")


async def run_lines(*command: str, environment: Mapping[str, str] | None = None) -> AsyncIterator[str]:
    """Run a program, yield its lines of output; a last item "exit N" tells how it ended."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=dict(environment or {}),
        start_new_session=True,
        limit=LINE_BYTES,
    )
    try:
        async for line in _lines(process):
            yield line
        yield f"exit {await process.wait()}"
    finally:
        await end(process)


async def _lines(process: asyncio.subprocess.Process) -> AsyncIterator[str]:
    output = process.stdout
    while output is not None:
        try:
            line = await output.readuntil(b"\n")
        except asyncio.LimitOverrunError as error:
            line = await output.readexactly(error.consumed)
        except asyncio.IncompleteReadError as error:
            if error.partial:
                yield error.partial.decode("utf-8", "replace")
            return
        yield line.decode("utf-8", "replace").rstrip("\r\n")


async def run_program(*command: str, text: str = "") -> tuple[int, str]:
    """Run a program of the host with `text` as its input: exit code and all output. 127 if there is no such program."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    except FileNotFoundError:
        return 127, f"{command[0]} is not installed"
    try:
        output, _ = await process.communicate(text.encode())
    finally:
        await end(process)
    return process.returncode or 0, output.decode("utf-8", "replace").strip()


async def end(process: asyncio.subprocess.Process, *, patience_s: float = 2.0) -> None:
    """Terminate a child of ours that still runs; kill it if it does not listen."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(patience_s):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def end_shim(known: Mapping[str, Any], *, number: int = signal.SIGTERM, patience_s: float) -> bool:
    """Signal the identified process and wait until it is gone; False if it still runs after `patience_s`."""
    try:
        handle = os.pidfd_open(int(known["pid"]))
    except (OSError, KeyError, TypeError, ValueError):
        return True
    try:
        if not identity.is_same(dict(known)):
            return True
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, number)
        return await _gone(handle, patience_s)
    finally:
        os.close(handle)


async def _gone(handle: int, patience_s: float) -> bool:
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    loop.add_reader(handle, over.set)
    try:
        async with asyncio.timeout(patience_s):
            await over.wait()
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(handle)
    return True
