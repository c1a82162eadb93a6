"""The process of the links as the daemon has it: supervised, told what to carry out, and asked how it does.

Made by the gateway, used by `service.py` as its `Links`. Rules: there is no process while there is no overlay; it outlives the daemon in an upgrade and
ends when nobody has the gateway's lock any more; whenever it begins anew, it is told everything again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from wayhouse.base import codec
from wayhouse.base.errors import BadInputError, UnavailableError
from wayhouse.base.tasks import Tasks
from wayhouse.overlay.configuration import Configuration
from wayhouse.overlay.netcheck import NetReport
from wayhouse.overlay.views import OverlayState
from wayhouse.runtime.async_remote import AsyncRemote
from wayhouse.runtime.async_supervisor import AsyncSupervisor, Moved
from wayhouse.runtime.exceptions import AveException, NetworkError
from wayhouse.runtime.sight import trace_box
from wayhouse.runtime.supervision.child_spec import Backoff, ChildSpec, Intensity

log = logging.getLogger(__name__)

NAME = "links"
SOCKET = "links.sock"
UNTIRING = Intensity(1_000_000, 60.0)
AGAIN_S = 0.3
CALL_S = 10.0
NETCHECK_S = 30.0
LEVELS = logging.getLevelNamesMapping()


class LinkChild:
    """An async context; leaving it ends the process, unless a successor has it. `changed` is called with an overlay's name."""

    def __init__(
        self, *, data: Path, runtime: Path, lock: Path, changed: Callable[[str], object] = lambda _: None
    ) -> None:
        self._data, self._runtime, self._lock, self._changed = data, runtime, lock, changed
        self._documents, self._refused_documents = "[]", ""
        self._states: dict[str, OverlayState] = {}
        self._wanted, self._news = asyncio.Event(), asyncio.Event()
        self._remote: AsyncRemote | None = None
        self._problem = ""
        self._living: Tasks | None = None
        self._talking: asyncio.Task[None] | None = None
        self.supervisor: AsyncSupervisor | None = None
        self.revoked: Callable[[str, str], object] = lambda _name, _signed: None

    async def __aenter__(self) -> Self:
        self._living = await Tasks().__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.rest()
        if self._living is not None:
            await self._living.__aexit__(kind, error, trace)

    # ---- its life

    def start(self, moved: Moved | None = None) -> None:
        """Have the process when it is wanted; `moved` is that of a predecessor, which is there already."""
        assert self._living is not None  # noqa: S101 - entered by the gateway
        if moved is not None:
            self._wanted.set()
        self._living.spawn(self._supervise(moved), name="links")

    def go_on(self) -> None:
        """Talk to it, until `rest`."""
        if self._talking is None and self._living is not None:
            self._talking = self._living.spawn(self._talk(), name="links talk")

    async def rest(self) -> None:
        talking, self._talking = self._talking, None
        if talking is not None:
            talking.cancel()
            await asyncio.wait([talking])

    @property
    def pid(self) -> int:
        """Of the process; 0 while there is none."""
        return 0 if self.supervisor is None else self.supervisor.pid(NAME)

    @property
    def is_up(self) -> bool:
        return self._remote is not None

    # ---- what `service.py` asks for

    def carry_out(self, wanted: Sequence[Configuration]) -> None:
        self._documents = codec.encode_json(list(wanted)).decode()
        if wanted:
            self._wanted.set()
        self._news.set()

    def states(self) -> Mapping[str, OverlayState]:
        return self._states

    def problem(self) -> str:
        return self._problem

    async def netcheck(self, name: str) -> NetReport:
        text = await self._call("netcheck", name, timeout_s=NETCHECK_S)
        return codec.decode_json(text, NetReport, what="netcheck")

    async def forget(self, name: str, uid: str) -> None:
        await self._call("forget", name, uid)

    # ---- inside

    async def _supervise(self, moved: Moved | None) -> None:
        await self._wanted.wait()
        spec = _spec(self._data, self._runtime, self._lock)
        async with AsyncSupervisor([spec], intensity=UNTIRING, on_line=_log_line, moved=moved) as supervisor:
            self.supervisor = supervisor
            await asyncio.Event().wait()

    async def _talk(self) -> None:
        while True:
            await self._wanted.wait()
            try:
                async with AsyncRemote(str(self._runtime / SOCKET), timeout=CALL_S) as remote:
                    self._remote = remote
                    await self._converse(remote)
            except (AveException, NetworkError) as error:
                if self._remote is None:
                    self._problem = ""
                elif not isinstance(error, AveException) or not self._problem:
                    self._problem = f"The process of the links was lost: {error}"
            finally:
                self._remote = None
            self._states = {}
            await asyncio.sleep(AGAIN_S)

    async def _converse(self, remote: AsyncRemote) -> None:
        """Until the connection is lost. Raises `AveException`."""
        await self._configure(remote)
        async with Tasks() as tasks:
            telling = tasks.spawn(self._tell(remote), name="links are told")
            async with remote.stream("follow") as stream:
                async for text in stream:
                    self._hear(codec.decode_json(text, list[OverlayState], what="states"))
                    if telling.done():
                        return

    async def _tell(self, remote: AsyncRemote) -> None:
        while True:
            await self._news.wait()
            with contextlib.suppress(AveException, NetworkError):
                await self._configure(remote)

    async def _configure(self, remote: AsyncRemote) -> None:
        self._news.clear()
        try:
            await remote.configure(self._documents)
        except AveException as error:
            self._refused(error)
            raise

    def _refused(self, error: AveException) -> None:
        """One that has outlived an upgrade may not know what is new. The present one does, so it is made anew, once for the same documents."""
        if error.details.get("type") != BadInputError.__name__:
            return
        self._problem = f"The process of the links does not understand what it is told: {error}"
        if self.supervisor is not None and self._documents != self._refused_documents:
            self._refused_documents = self._documents
            log.warning("the process of the links is made anew, since it is of another version: %s", error)
            self.supervisor.restart(NAME)

    def _hear(self, states: Sequence[OverlayState]) -> None:
        self._problem = ""
        self._states = {one.overlay.name: one for one in states}
        for one in states:
            if one.revoked:
                self.revoked(one.overlay.name, one.revoked)
            self._changed(one.overlay.name)

    async def _call(self, method: str, *arguments: Any, timeout_s: float = CALL_S) -> Any:
        if self._remote is None:
            raise UnavailableError(self._problem or "The links are being set up. Try again in a moment.")
        try:
            return await self._remote.call(method, *arguments, __timeout__=timeout_s)
        except (AveException, NetworkError) as error:
            raise UnavailableError(f"The process of the links cannot say: {error}") from error


def _spec(data: Path, runtime: Path, lock: Path) -> ChildSpec:
    command = [sys.executable, "-m", "wayhouse.overlay.links_process"]
    command += ["--data", str(data), "--socket", str(runtime / SOCKET)]
    command += ["--lifeline", str(lock), "--traces", str(runtime / trace_box.FOLDER)]
    return ChildSpec(
        name=NAME,
        command=tuple(command),
        readiness="notify",
        backoff=Backoff(first_s=0.2, factor=2.0, most_s=30.0, steady_s=10.0),
        watchdog_s=60.0,
        shutdown_s=5.0,
        survives=True,
    )


def _log_line(name: str, _: str, line: str) -> None:
    """Its lines begin with the level; what is usual is not worth a line of the gateway's."""
    word, _, text = line.partition(": ")
    level = LEVELS.get(word)
    if level is None:
        log.warning("%s: %s", name, line)
    else:
        log.log(level if level > logging.INFO else logging.DEBUG, "%s: %s", name, text)
