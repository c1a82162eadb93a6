"""Runs one command inside a running container, through the shim's `enter` role."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wayhouse.base import ids
from wayhouse.chutes.engines.sandbox import processes, records
from wayhouse.chutes.model import EngineError
from wayhouse.chutes.ports import ExecResult

MAX_OUTPUT_BYTES = 64 * 1024
TIMED_OUT = 124


async def execute(directory: Path, first: int, command: Sequence[str], timeout_s: float) -> ExecResult:
    """Exit code 124, as `timeout` says it, when time is up. Output beyond 64 KiB is dropped."""
    if not command:
        raise EngineError("There is no command to run.")
    plan = records.read_json(directory / "plan.json")
    if plan is None:
        raise EngineError("The container is gone.")
    path = directory / f"enter-{ids.short_id()}.json"
    records.write_json(path, {**plan, "argv": list(command)})
    try:
        return await _run(path, first, command, timeout_s)
    finally:
        path.unlink(missing_ok=True)


async def _run(path: Path, first: int, command: Sequence[str], timeout_s: float) -> ExecResult:
    process = await asyncio.create_subprocess_exec(
        *processes.shim_command("enter", str(path), str(first)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={},
        start_new_session=True,
    )
    kept = bytearray()
    try:
        async with asyncio.timeout(timeout_s):
            await _collect(process.stdout, kept)
            code = await process.wait()
    except TimeoutError:
        kept += f"\n{shlex.join(command)} did not end within {timeout_s:g} s.".encode()
        code = TIMED_OUT
    finally:
        with contextlib.suppress(ProcessLookupError):
            await processes.end(process)
    return ExecResult(code, kept.decode("utf-8", "replace"))


async def _collect(output: Any, kept: bytearray) -> None:
    while data := await output.read(8192):
        kept += data[: max(0, MAX_OUTPUT_BYTES - len(kept))]
