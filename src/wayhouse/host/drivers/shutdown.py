"""shutdown(8): schedules a restart or halt in a minute, and cancels it. `FakePower` records instead, for demo mode."""

from __future__ import annotations

import asyncio
import contextlib

from wayhouse.base.errors import UnavailableError
from wayhouse.host.model import PowerError
from wayhouse.ledger.task import Say

TIMEOUT_S = 10.0
MAX_TEXT = 300


class Shutdown:
    def __init__(self, program: str = "shutdown", *, timeout_s: float = TIMEOUT_S) -> None:
        self._program = program
        self._timeout_s = timeout_s

    async def schedule(self, *, restart: bool, say: Say) -> None:
        """Raises `UnavailableError` without the program, `PowerError` if it refuses or hangs."""
        await self._run(say, "-r" if restart else "-h", "+1")

    async def cancel(self, say: Say) -> None:
        await self._run(say, "-c")

    async def _run(self, say: Say, *arguments: str) -> None:
        try:
            process = await asyncio.create_subprocess_exec(
                self._program,
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
        except OSError as error:
            raise UnavailableError(
                f"{self._program} cannot be run ({error.strerror}). Switch the machine by hand."
            ) from error
        text = await self._finish(process)
        if process.returncode != 0:
            raise PowerError(f"{self._program} refused: {text or f'exit code {process.returncode}'}")
        if text:
            say(text)

    async def _finish(self, process: asyncio.subprocess.Process) -> str:
        try:
            async with asyncio.timeout(self._timeout_s):
                output, _ = await process.communicate()
        except TimeoutError as error:
            raise PowerError(f"{self._program} gave no answer within {self._timeout_s:g} seconds.") from error
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        return " ".join(output.decode("utf-8", "replace").split())[:MAX_TEXT]


class FakePower:
    """A machine that only notes what it was told."""

    def __init__(self) -> None:
        self.scheduled: str | None = None

    async def schedule(self, *, restart: bool, say: Say) -> None:
        self.scheduled = "restart" if restart else "halt"
        say("This is a demo: the machine stays on.")

    async def cancel(self, say: Say) -> None:
        self.scheduled = None
        say("This is a demo: nothing was scheduled.")
