"""Hands the daemon over to a successor while it serves: `wayhouse upgrade`, and SIGHUP after a new version was installed.

Called by `life.py`. The successor is this very program, started anew from what is installed now. Rules: one at a time; whatever
goes wrong, this daemon carries on as if nothing had happened; who asked hears every step, and the reason when it fails.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence

from wayhouse import __version__
from wayhouse.base.database import Database
from wayhouse.base.errors import ConflictError, WayhouseError
from wayhouse.base.tasks import Tasks
from wayhouse.gateway.housekeeping import Housekeeping
from wayhouse.gateway.http_moving import HttpConnections
from wayhouse.gateway.inheritance import GROUND, HTTP, LOCK
from wayhouse.gateway.sockets import Sockets
from wayhouse.ledger.service import Ledger
from wayhouse.runtime import systemd
from wayhouse.runtime.succession.elder import Elder
from wayhouse.runtime.succession.heir_process import HeirProcess
from wayhouse.runtime.succession.rpc_part import RpcPart
from wayhouse.runtime.succession.upgrade import Parcel, Part, Phase, UpgradeFailedError

LEAVE_S = 5.0
"""How long calls that did not end in time may still take here, once the successor serves."""

logger = logging.getLogger(__name__)


class Ground:
    """The listening sockets and the lock on the data."""

    name = GROUND
    phase = Phase.GROUND

    def __init__(self, listening: Sockets, lock: int) -> None:
        self._listening = listening
        self._lock = lock

    async def rest(self, patience_s: float) -> None: ...

    def pack(self) -> Iterable[Parcel]:
        yield {"name": LOCK}, [self._lock]
        for name, sock in self._listening.names().items():
            yield {"name": name}, [sock.fileno()]

    def carry_on(self) -> None: ...

    def let_go(self) -> None:
        self._listening.hand_on()


class Work:
    """Changes and housekeeping: they stop between two tasks, and go on in the successor from what is on disk."""

    name = "work"
    phase = Phase.AT_LEISURE

    def __init__(self, ledger: Ledger, housekeeping: Housekeeping) -> None:
        self._ledger = ledger
        self._housekeeping = housekeeping

    async def rest(self, patience_s: float) -> None:
        await self._housekeeping.rest(patience_s)
        await self._ledger.rest(patience_s)

    def pack(self) -> Iterable[Parcel]:
        return ()

    def carry_on(self) -> None:
        self._ledger.carry_on()
        self._housekeeping.carry_on()

    def let_go(self) -> None: ...


class Http:
    """Requests end, connections and streams move."""

    name = HTTP
    phase = Phase.AT_LEISURE

    def __init__(self, connections: HttpConnections) -> None:
        self._connections = connections
        self.rest = connections.rest
        self.pack = connections.pack
        self.carry_on = connections.carry_on
        self.let_go = connections.let_go


class Disk:
    """All is written, and nothing more is."""

    name = "disk"
    phase = Phase.AT_LEISURE

    def __init__(self, database: Database) -> None:
        self._database = database

    async def rest(self, patience_s: float) -> None:
        await self._database.hold()

    def pack(self) -> Iterable[Parcel]:
        return ()

    def carry_on(self) -> None:
        self._database.go_on()

    def let_go(self) -> None: ...


class Succession:
    """`refusal` says why this daemon is not to be upgraded, if so; `over` is called when a successor serves and nothing is
    left to do here."""

    def __init__(
        self,
        parts: Sequence[Part],
        env: Mapping[str, str],
        tasks: Tasks,
        *,
        refusal: str,
        over: Callable[[], object],
    ) -> None:
        self._parts = parts
        self._env = env
        self._tasks = tasks
        self._refusal = refusal
        self._over = over
        self._task: asyncio.Task[None] | None = None
        self.is_over = False

    def begin(self) -> None:
        """On SIGHUP: the log says how it went."""
        try:
            self._begin()
        except WayhouseError as error:
            logger.warning("no upgrade: %s", error.message)

    async def upgrade(self) -> AsyncIterator[str]:
        """Each step in words, until the successor serves. Raises `ConflictError` when it cannot begin, and
        `UpgradeFailedError` with the reason."""
        async for line in self._begin():
            yield line

    def _begin(self) -> _Story:
        if self._refusal:
            raise ConflictError(self._refusal)
        if self.is_over or (self._task is not None and not self._task.done()):
            raise ConflictError("An upgrade is under way already. Wait for its end.")
        story = _Story()
        self._task = self._tasks.spawn(self._run(story), name="upgrade")
        return story

    async def give_up(self) -> None:
        """Before the daemon ends: take back what is under way, so that nobody serves who was not told to stop, and begin no other."""
        self._refusal = self._refusal or "The gateway stops."
        if self._task is not None and not self.is_over:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self, story: _Story) -> None:
        failure: WayhouseError | None = UpgradeFailedError("Something is broken; the gateway's log has it.")
        try:
            await self._hand_over(story)
            failure = None
        except WayhouseError as error:
            failure = error
        except asyncio.CancelledError:
            failure = UpgradeFailedError("The gateway was told to stop.")
            raise
        finally:
            if failure is not None and not self.is_over:
                story.say(f"Nothing was changed: {failure.message}")
                systemd.ready(self._env)
            story.end(failure)

    async def _hand_over(self, story: _Story) -> None:
        story.say(f"starting the successor of Wayhouse {__version__}")
        systemd.reloading(self._env)
        started = HeirProcess(command(sys.orig_argv), self._env)
        elder = Elder(
            started.passage,
            self._parts,
            program=f"Wayhouse {__version__}",
            say=story.say,
            end_heir=started.end,
        )
        try:
            await elder.hand_over()
            story.say(f"process {started.pid} serves now")
            systemd.main_pid(self._env, started.pid)
        finally:
            started.close()
            self.is_over = elder.has_let_go
        try:
            for part in self._parts:
                if isinstance(part, RpcPart):
                    await part.leave(LEAVE_S)
        finally:
            self._over()


class _Story:
    """What an upgrade tells, to the log and to the one who asked for it."""

    def __init__(self) -> None:
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()
        self._error: WayhouseError | None = None

    def say(self, line: str) -> None:
        logger.info("upgrade: %s", line)
        self._lines.put_nowait(line)

    def end(self, error: WayhouseError | None) -> None:
        self._error = error
        self._lines.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[str]:
        while (line := await self._lines.get()) is not None:
            yield line
        if self._error is not None:
            raise self._error


def command(own: Sequence[str]) -> list[str]:
    """How the successor is started: as this process was (`own`), to its last argument, which will be a descriptor."""
    kept = list(own[1:])
    if "--heir" in kept:
        del kept[kept.index("--heir") : kept.index("--heir") + 2]
    return [sys.executable, *kept, "--heir"]
