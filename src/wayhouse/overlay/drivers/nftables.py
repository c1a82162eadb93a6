"""Puts the overlay's rules into the kernel with `nft`, each time in one step; and a fake that remembers.

Used by the link process. Rule: it takes texts of `ruleset.py` and decides nothing; when `nft` is missing or refuses, that is an error with its own words,
and what was in place stays.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil

from wayhouse.base.errors import OutsideError, UnavailableError

TIMEOUT_S = 10.0
PROGRAM = "nft"


class Nftables:
    """`prefix` goes in front of the command, as to work in another network namespace."""

    def __init__(self, prefix: tuple[str, ...] = ()) -> None:
        self._prefix = prefix
        self._turn = asyncio.Lock()

    def is_there(self) -> bool:
        return shutil.which(PROGRAM) is not None

    async def apply(self, text: str) -> None:
        """All of it or nothing. Raises `UnavailableError` without `nft`, `OutsideError` if it refuses."""
        if not self.is_there():
            raise UnavailableError(
                "Access rules need the program nft: install the package nftables, or switch the rules of this overlay off."
            )
        async with self._turn:
            code, told = await self._run(text)
        if code:
            raise OutsideError(
                f"nft did not take the rules: {told}. Look at `nft list ruleset` for what is in the way."
            )

    async def _run(self, text: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            *self._prefix,
            PROGRAM,
            "-f",
            "-",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(TIMEOUT_S):
                _, error = await process.communicate(text.encode())
        except TimeoutError:
            return 1, f"it did not end within {TIMEOUT_S:g} s"
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        return process.returncode or 0, " ".join(error.decode(errors="replace").split())[:500]


class FakeFirewall:
    """Remembers the texts; the last of each table is in force. With `refusal` it refuses."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.tables: dict[str, str] = {}
        self.refusal = ""

    def is_there(self) -> bool:
        return True

    async def apply(self, text: str) -> None:
        if self.refusal:
            raise OutsideError(self.refusal)
        self.texts.append(text)
        table = text.split(maxsplit=4)[3]
        if f"table inet {table} {{" in text:
            self.tables[table] = text
        else:
            self.tables.pop(table, None)
