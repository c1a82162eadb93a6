"""The heir's side of a hot upgrade: builds itself beside the elder, adopts what it has, and serves once both agree.

Called by a daemon that was started as a successor. Rules: nothing that can be seen from outside is done before `adopt` returns; if
it raises, the process must end, since the elder carries on. If the elder died, the heir is all there is.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import TypeVar

import msgspec

from wayhouse.base.errors import WayhouseError
from wayhouse.runtime.deadline import Deadline
from wayhouse.runtime.succession.passage import Passage
from wayhouse.runtime.succession.upgrade import (
    STATE_VERSION,
    Adopted,
    Adopter,
    Assembled,
    Commit,
    Digest,
    Limits,
    Message,
    Moved,
    Parcel,
    Piece,
    Prepare,
    Prepared,
    Rested,
    Serving,
    UpgradeFailedError,
    decode,
    demand,
    encode,
    parcels_of,
)

M = TypeVar("M", bound=msgspec.Struct)
DEATH_S = 1.0
"""Between an elder's last descriptor closing and the kernel saying that it is dead."""


class Heir:
    """`program` is the version that shall serve. The limits are longer than the elder's, which decides."""

    def __init__(self, passage: Passage, *, program: str, limits: Limits | None = None) -> None:
        self._passage = passage
        self._program = program
        self._limits = limits or Limits()
        self._digest = Digest()
        self._elder = -1
        self._ground: dict[str, list[Parcel]] = {}

    async def prepare(self, known: frozenset[str]) -> dict[str, list[Parcel]]:
        """The ground to build on, by part; waits until the elder is at rest. `known` are the parts that this program
        understands. Raises `UpgradeFailedError`."""
        offer = await self._expect(Prepare)
        if offer.state != STATE_VERSION:
            raise UpgradeFailedError(
                f"{self._program} understands state {STATE_VERSION}, {offer.program} offers {offer.state}. Restart instead."
            )
        unknown = sorted(set(offer.parts) - known)
        if unknown:
            raise UpgradeFailedError(
                f"{self._program} does not know how to go on with: {', '.join(unknown)}."
            )
        try:
            self._elder = os.pidfd_open(offer.pid)
        except (OSError, OverflowError) as error:
            raise UpgradeFailedError(f"There is no elder with the pid {offer.pid}.") from error
        await self._send(Prepared(self._program, STATE_VERSION))
        return await self._receive_ground()

    async def adopt(self, adopters: Mapping[str, Adopter], self_call: Callable[[], Awaitable[None]]) -> None:
        """Take what moves, prove by `self_call` that it serves, and wait for the elder's word. Raises `UpgradeFailedError`."""
        with _uncollected():
            await self._adopt(adopters, self_call)

    async def _adopt(self, adopters: Mapping[str, Adopter], self_call: Callable[[], Awaitable[None]]) -> None:
        await self._send(Assembled())
        moved = await self._adopt_pieces(adopters)
        if moved.digest != str(self._digest):
            raise UpgradeFailedError("Something else came than was sent.")
        await self_call()
        try:
            await self._send(Adopted(str(self._digest)))
            await self._expect(Commit)
            await self._send(Serving())
        except UpgradeFailedError:
            raise
        except WayhouseError as error:
            if not self._is_orphan():
                raise UpgradeFailedError("The elder took the upgrade back.") from error

    async def farewell(self, limit_s: float) -> None:
        """Wait until the elder has nothing more to say, which is when it has told others who serves now."""
        with contextlib.suppress(WayhouseError):
            await self._passage.receive(timeout=limit_s)

    def close(self) -> None:
        self._passage.close()
        if self._elder >= 0:
            os.close(self._elder)
            self._elder = -1

    async def _receive_ground(self) -> dict[str, list[Parcel]]:
        ground: dict[str, list[Parcel]] = {}
        while True:
            message, fds = await self._receive()
            if not isinstance(message, Piece):
                demand(message, Rested)
                return ground
            ground.setdefault(message.part, []).extend(parcels_of(message, fds))

    async def _adopt_pieces(self, adopters: Mapping[str, Adopter]) -> Moved:
        while True:
            message, fds = await self._receive()
            if not isinstance(message, Piece):
                return demand(message, Moved)
            adopter = adopters.get(message.part)
            if adopter is None:
                raise UpgradeFailedError(f"{self._program} does not know how to go on with: {message.part}.")
            for state, its in parcels_of(message, fds):
                try:
                    await adopter.adopt(state, its)
                except ValueError as error:
                    raise UpgradeFailedError(f"{message.part}: {error}.") from error

    async def _receive(self) -> tuple[Message, list[int]]:
        limits = self._limits
        patience = 2 * (limits.prepare + limits.rest + limits.assemble)
        body, fds = await self._passage.receive(timeout=patience)
        message = decode(body)
        if isinstance(message, Piece):
            self._digest.add(body, len(fds))
        return message, fds

    async def _expect(self, kind: type[M]) -> M:
        message, _ = await self._receive()
        return demand(message, kind)

    async def _send(self, message: Message) -> None:
        await self._passage.send(encode(message), timeout=self._limits.commit)

    def _is_orphan(self) -> bool:
        """Whether the elder is dead, not only silent."""
        poller = select.poll()
        poller.register(self._elder, select.POLLIN)
        return bool(poller.poll(Deadline(DEATH_S).left_ms()))


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Everybody waits now, and thousands of objects are made: the collector would look through the whole heap several times."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
