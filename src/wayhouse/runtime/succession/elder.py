"""The elder's side of a hot upgrade: hands everything to an heir, or carries on as if nothing had happened.

Called by a daemon that has started its successor and holds one end of a socket pair to it. Rules: whatever fails, at whatever
step, the heir is ended first and then every part that came to rest is carried on, in reverse order; never do both serve.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import msgspec

from wayhouse.base.errors import WayhouseError
from wayhouse.runtime.exceptions import Timeout
from wayhouse.runtime.succession.passage import Passage
from wayhouse.runtime.succession.upgrade import (
    STATE_VERSION,
    Adopted,
    Assembled,
    Commit,
    Digest,
    Limits,
    Message,
    Moved,
    Part,
    Phase,
    Piece,
    Prepare,
    Prepared,
    Refused,
    Rested,
    Serving,
    UpgradeFailedError,
    decode,
    demand,
    encode,
    pieces,
)

M = TypeVar("M", bound=msgspec.Struct)
log = logging.getLogger(__name__)

YIELD_S = 0.05
"""Closing thousands of connections takes time that the heir, which now answers on them, needs more."""


class Elder:
    """`program` is the version that serves; `say` is told each step in words; `parts` in the order in which they come to rest;
    `end_heir` kills the heir and returns when it is dead."""

    def __init__(
        self,
        passage: Passage,
        parts: Sequence[Part],
        *,
        program: str,
        say: Callable[[str], object],
        end_heir: Callable[[], Awaitable[None]],
        limits: Limits | None = None,
    ) -> None:
        self._passage = passage
        self._parts = parts
        self._program = program
        self._say = say
        self._end_heir = end_heir
        self._is_committed = False
        self.has_let_go = False
        """The heir serves, whether `hand_over` could end or not."""
        self._limits = limits or Limits()
        self._digest = Digest()
        self._at_rest: list[Part] = []

    async def hand_over(self) -> None:
        """Returns when the heir serves and everything here was let go. Raises `UpgradeFailedError`."""
        try:
            await self._hand_over()
        except BaseException as error:
            await self._end_heir()
            if not await self._was_served():
                self._carry_on()
                if isinstance(error, UpgradeFailedError) or not isinstance(error, WayhouseError):
                    raise
                raise UpgradeFailedError(error.message) from error
        try:
            await asyncio.sleep(YIELD_S)
        finally:  # also when this is cut short: the heir serves
            self._let_go()

    def _let_go(self) -> None:
        self.has_let_go = True
        for part in self._at_rest:
            try:
                part.let_go()
            except Exception:  # the heir serves: whatever is left behind here ends with this process
                log.exception("the part %s was not let go in order", part.name)

    async def _hand_over(self) -> None:
        limits = self._limits
        prepare = Prepare(self._program, STATE_VERSION, [part.name for part in self._parts], os.getpid())
        await self._send(prepare, limits.prepare)
        successor = await self._expect(Prepared, limits.prepare, "start")
        self._say(f"{successor.program} is loaded; coming to rest")
        await self._rest(Phase.GROUND, Phase.AT_LEISURE)
        await self._move(Phase.GROUND)
        await self._send(Rested(), limits.move)
        await self._expect(Assembled, limits.assemble, "build itself")
        self._say("the successor is built; moving connections")
        await self._move(Phase.AT_LEISURE)
        await self._rest(Phase.IN_HASTE)
        await self._move(Phase.IN_HASTE)
        await self._send(Moved(str(self._digest)), limits.move)
        adopted = await self._expect(Adopted, limits.move, "adopt what was moved")
        if adopted.digest != str(self._digest):
            raise UpgradeFailedError("The successor adopted something else than was sent.")
        self._is_committed = True
        await self._send(Commit(), limits.commit)
        await self._expect(Serving, limits.commit, "begin to serve")

    async def _rest(self, *phases: Phase) -> None:
        patience = self._limits.quiet if Phase.IN_HASTE in phases else self._limits.rest
        for part in self._of(*phases):
            self._at_rest.append(part)
            await part.rest(patience)

    async def _move(self, phase: Phase) -> None:
        for part in self._of(phase):
            for piece, fds in pieces(part.name, part.pack()):
                await self._send_piece(piece, fds)

    def _of(self, *phases: Phase) -> Iterable[Part]:
        return [part for part in self._parts if part.phase in phases]

    async def _send_piece(self, piece: Piece, fds: list[int]) -> None:
        body = encode(piece)
        self._digest.add(body, len(fds))
        limit = self._limits.move
        with _told(limit, "take what was moved"):
            await self._passage.send(body, fds, timeout=limit)

    async def _send(self, message: Message, limit: float) -> None:
        with _told(limit, "hear what is next"):
            await self._passage.send(encode(message), timeout=limit)

    async def _expect(self, kind: type[M], limit: float, what: str) -> M:
        with _told(limit, what):
            body, fds = await self._passage.receive(timeout=limit)
        for fd in fds:
            os.close(fd)
        return demand(decode(body), kind)

    async def _was_served(self) -> bool:
        """Whether the heir, dead by now, had begun to serve: its word came too late, or behind something else."""
        with contextlib.suppress(WayhouseError):
            while self._is_committed:
                body, _ = await self._passage.receive(timeout=0)
                if isinstance(decode(body), Serving):
                    return True
        return False

    def _carry_on(self) -> None:
        while self._at_rest:
            self._at_rest.pop().carry_on()


@contextlib.contextmanager
def _told(limit: float, what: str) -> Iterator[None]:
    """Whatever becomes of the connection says that the successor is gone, or too slow; it depends on the moment what is seen first."""
    try:
        yield
    except WayhouseError as error:
        how = f"took longer than {limit:g} s to" if isinstance(error, Timeout) else "ended before it could"
        raise UpgradeFailedError(f"The successor {how} {what}.") from error


async def refuse(passage: Passage, reason: str) -> None:
    """Tell the other side that it will not be; it may be gone."""
    with contextlib.suppress(WayhouseError):
        await passage.send(encode(Refused(reason)), timeout=1)
