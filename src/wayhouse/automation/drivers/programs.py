"""Programs of the machine, run in plain English and with an end. A program that is not there is None, not an error."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from typing import NamedTuple

TIMEOUT_S = 10.0
MAX_TEXT = 65536
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Ran(NamedTuple):
    """`code` is None for a program that gave no answer in time."""

    code: int | None
    out: str
    err: str

    @property
    def is_done(self) -> bool:
        return self.code == 0


class Programs:
    def __init__(self, path: str = PATH, *, timeout_s: float = TIMEOUT_S) -> None:
        self._path = path
        self._timeout_s = timeout_s

    def where(self, program: str) -> str | None:
        """Its whole path, if it is there."""
        return shutil.which(program, path=self._path)

    async def run(self, program: str, *arguments: str) -> Ran | None:
        """None if there is no such program, or it cannot be run."""
        where = self.where(program)
        if where is None:
            return None
        try:
            process = await asyncio.create_subprocess_exec(
                where,
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={**os.environ, "LC_ALL": "C", "PATH": self._path},
            )
        except OSError:
            return None
        return await self._finish(process)

    async def _finish(self, process: asyncio.subprocess.Process) -> Ran:
        try:
            async with asyncio.timeout(self._timeout_s):
                out, err = await process.communicate()
        except TimeoutError:
            return Ran(None, "", f"gave no answer within {self._timeout_s:g} seconds")
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        return Ran(process.returncode, _text(out), _text(err))


def _text(data: bytes) -> str:
    return data[:MAX_TEXT].decode("utf-8", "replace")
