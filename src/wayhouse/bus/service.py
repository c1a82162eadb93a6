"""The bus of the gateway: its two processes, and this process's own client, workers and publications on it.

Made by the gateway and handed to whoever needs it. Rules: everything works again by itself after a process of the bus has ended; what
is published and what is served here does not depend on when the bus is there; nothing here waits for the bus but calls.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import zmq

from wayhouse.base.errors import ConflictError, UnavailableError
from wayhouse.base.tasks import Tasks
from wayhouse.bus import durable, processes
from wayhouse.bus.async_client import AsyncMajorDomoClient
from wayhouse.bus.async_publisher import AsyncKvPublisherClient, AsyncKvSubscriberClient
from wayhouse.bus.async_worker import AsyncMajorDomoWorker
from wayhouse.bus.drivers.clone_sockets import Endpoints
from wayhouse.bus.drivers.frames import AnySocket
from wayhouse.bus.model import Frames, NoReplyError, routing_key
from wayhouse.bus.outlet import Outlet
from wayhouse.bus.overview import (
    BrokerFigures,
    BusOverview,
    BusProcess,
    DurableRequests,
    durable_requests,
    figures,
)
from wayhouse.bus.processes import BUS, TITANIC, BusSettings, KeyFiles
from wayhouse.runtime.async_supervisor import AsyncSupervisor, Moved
from wayhouse.runtime.supervision import facts

log = logging.getLogger(__name__)

Handler = Callable[[Frames], Awaitable[list[bytes]]]
CREDIT = 16
"""Requests that a worker of this process may be at, at once: a slow device must not hold up the next."""
PORT_FILE = "bus.port"
LEVELS = logging.getLevelNamesMapping()
STATS_S = 2.0
LOOK_S = 10.0
LIST = "titanic.list"


class Bus:
    """A context: leaving it ends the processes, unless a successor has them. `lock` is the file the gateway holds a lock on; `keys` gives
    the gateway's own files of keys, and is asked only where the settings want a mechanism."""

    def __init__(
        self,
        settings: BusSettings,
        *,
        data: Path,
        runtime: Path,
        lock: Path,
        keys: Callable[[], KeyFiles] | None = None,
    ) -> None:
        self._settings = settings
        self._keys = keys
        self._data, self._runtime, self._lock = data, runtime, lock
        self._closing = contextlib.AsyncExitStack()
        self._handlers: dict[str, Handler] = {}
        self._workers: dict[str, tuple[AsyncMajorDomoWorker, asyncio.Task[None]]] = {}
        self._restarts: dict[str, int] = {}
        self._running: list[asyncio.Task[None]] = []
        self._client: AsyncMajorDomoClient | None = None
        self._context: zmq.Context[AnySocket] | None = None
        self._up = asyncio.Event()
        self.hostname = settings.hostname
        self.port = 0
        self.supervisor: AsyncSupervisor | None = None
        self.outlet = Outlet(self.publisher)
        self.seen = BusOverview(endpoints={}, processes=[])
        """How it was at the last look, some seconds ago, for those who must not wait."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.rest()
        await self._closing.aclose()

    # ---- its life

    async def start(self, moved: Moved | None = None) -> None:
        """Start the processes, or go on with those of a predecessor. Raises `ConflictError` when the ports are taken, and what `keys` raises."""
        if (warning := self._settings.warning()) is not None:
            log.warning("%s", warning)
        if not self.is_enabled:
            return
        self.port = self._choose_port(is_running=moved is not None)
        specs = processes.specs(
            self._settings,
            self.port,
            runtime=self._runtime,
            data=self._data,
            lock=self._lock,
            keys=self._keys() if self._keys is not None and self._settings.mechanism != "none" else None,
        )
        self.supervisor = await self._closing.enter_async_context(
            AsyncSupervisor(specs, intensity=processes.UNTIRING, on_line=_log_line, moved=moved)
        )

    def go_on(self, tasks: Tasks) -> None:
        """Serve, publish and watch until `rest`. The context of ZeroMQ is made here, in the process that will use it."""
        if self._context is not None or not self.is_enabled:
            return
        self._context = zmq.Context()
        self._client = AsyncMajorDomoClient(self.endpoint, context=self._context)
        self._running = [
            tasks.spawn(self._watch(), name="bus"),
            tasks.spawn(self.outlet.run(), name="bus-outlet"),
            tasks.spawn(self._look(), name="bus-look"),
        ]
        self._tasks = tasks
        self.outlet.send_all()
        for name in self._handlers:
            self._begin(name)

    async def rest(self) -> None:
        """Take leave of the broker; the processes run on. `go_on` is possible again."""
        context, self._context = self._context, None
        client, self._client = self._client, None
        for task in self._running:
            task.cancel()
        workers, self._workers = self._workers, {}
        for worker, _ in workers.values():
            await worker.destroy()
        for task in (*self._running, *(task for _, task in workers.values())):
            task.cancel()
            await asyncio.wait([task])
        if client is not None:
            await client.destroy()
        if context is not None:
            await asyncio.get_running_loop().run_in_executor(None, context.term)
        self._up.clear()

    async def ready(self) -> None:
        """Returns when the broker answers; put a timeout around it."""
        await self._up.wait()

    @property
    def is_enabled(self) -> bool:
        return self._settings.enabled

    @property
    def is_up(self) -> bool:
        return self._up.is_set()

    def supervised(self) -> AsyncSupervisor:
        """Of the processes. Raises `UnavailableError` before `start`."""
        if self.supervisor is None:
            raise UnavailableError("The bus was not started.")
        return self.supervisor

    # ---- addresses

    @property
    def endpoint(self) -> str:
        """Of the broker, for processes of this user on this machine."""
        return processes.endpoint(self._runtime)

    def endpoints(self) -> dict[str, str]:
        host = f"[{self._settings.address}]" if ":" in self._settings.address else self._settings.address
        roles = ("broker", "snapshot", "publisher", "collector")
        found = {role: f"tcp://{host}:{self.port + offset}" for offset, role in enumerate(roles)}
        return {**found, "local": self.endpoint}

    # ---- verbs

    async def call(
        self, service: str, request: Sequence[bytes], *, timeout_s: float = 10.0, once: bool = False
    ) -> Frames:
        """The reply's body. Raises `NoReplyError`, `UnavailableError` while the bus is not in use."""
        return await self._required().call(
            service, list(request), timeout_s=timeout_s, attempt_s=timeout_s, once=once
        )

    async def ask(self, service: str, request: Sequence[bytes], *, uuid: bytes, once: bool = False) -> Frames:
        """A durable request: `uuid` (16 bytes) is done once, however often it is asked. Raises as `durable.ask`."""
        return await durable.ask(self._required(), service, request, uuid=uuid, once=once)

    async def close_request(self, uuid: bytes) -> None:
        """The answer of a durable request is not wanted any more."""
        await durable.close(self._required(), uuid)

    def serve(self, services: Mapping[str, Handler]) -> None:
        """Put workers on the bus, from now on or from when it is there. Raises `ConflictError` for a name that is taken here."""
        for name in services:
            if name in self._handlers:
                raise ConflictError(f"{name} is served here already.")
        self._handlers.update(services)
        for name in services if self._context is not None else ():
            self._begin(name)

    def serves(self, name: str) -> bool:
        """Whether workers of this process have it, or will have it when the bus is there."""
        return name in self._handlers

    async def withdraw(self, name: str) -> None:
        """Serve it no more."""
        self._handlers.pop(name, None)
        worker, task = self._workers.pop(name, (None, None))
        if worker is not None and task is not None:
            await worker.destroy()
            await asyncio.wait([task])

    def publish(self, key: str, body: bytes, ttl_s: float | None = None) -> None:
        """Onto the key/value clone; an empty body deletes. Never waits, never raises."""
        if self.is_enabled:
            self.outlet.put(key, body, ttl_s)

    def publisher(self) -> AsyncKvPublisherClient:
        return AsyncKvPublisherClient(self.hostname, endpoints=self.clone())

    def subscriber(
        self, subtree: str, on_change: Callable[[str, bytes | None], object] | None = None
    ) -> AsyncKvSubscriberClient:
        """Follows a subtree from now on; the caller ends it."""
        return AsyncKvSubscriberClient(self.hostname, subtree, on_change=on_change, endpoints=self.clone())

    def clone(self) -> Endpoints:
        """Of the key/value clone, for processes of this user on this machine."""
        return Endpoints.in_folder(self._runtime)

    def routing_key(self, service: str) -> str:
        return routing_key(self.hostname, service)

    async def overview(self) -> BusOverview:
        broker = await self.figures()
        return BusOverview(
            endpoints=self.endpoints(),
            processes=self.processes(),
            broker=broker,
            durable=await self._durable(broker),
        )

    async def figures(self) -> BrokerFigures:
        """Empty while the broker is away."""
        if not self.is_up:
            return BrokerFigures()
        try:
            return figures(await self.call("mmi.stats", [b""], timeout_s=STATS_S))
        except (NoReplyError, UnavailableError):
            return BrokerFigures()

    async def requests(self, limit: int = 100, wanted: str = "") -> DurableRequests:
        """The newest durable requests; `wanted` is a state, or a part of a service's name. Raises as `call`."""
        body = [wanted.encode("utf-8", "replace"), b"%d" % max(1, limit)]
        return durable_requests(await self.call(LIST, body, timeout_s=STATS_S))

    def processes(self) -> list[BusProcess]:
        return [self._process(name) for name in (BUS, TITANIC)] if self.is_enabled else []

    # ---- inside

    def _choose_port(self, *, is_running: bool) -> int:
        path = self._runtime / PORT_FILE
        before = _port_in(path)
        if is_running and before is not None:
            return before
        port = processes.free_port(self._settings.port, self._settings.address, before)
        path.write_text(f"{port}\n", encoding="ascii")
        return port

    def _process(self, name: str) -> BusProcess:
        if self.supervisor is None:
            return BusProcess(name=name, pid=0, is_ready=False)
        pid = self.supervisor.pid(name)
        is_ready = pid != 0 and (name != BUS or self.is_up)
        lines = [] if is_ready else [str(line) for line in self.supervisor.tail(name)[-10:]]
        return BusProcess(
            name=name, pid=pid, is_ready=is_ready, restarts=self._restarts.get(name, 0), lines=lines
        )

    def _begin(self, name: str) -> None:
        assert self._context is not None  # noqa: S101 - asked by the callers
        worker = AsyncMajorDomoWorker(self.endpoint, name, credit=CREDIT, context=self._context)
        task = self._tasks.spawn(worker.serve(self._handlers[name]), name=f"bus-{name}")
        self._workers[name] = (worker, task)

    async def _durable(self, broker: BrokerFigures) -> dict[str, int]:
        """Empty while Titanic is away, which the broker knows better than a call that nobody answers."""
        if not broker.is_cut and not any(one.name == LIST and one.workers for one in broker.services):
            return {}
        with contextlib.suppress(NoReplyError, UnavailableError):
            return (await self.requests(1)).counts
        return {}

    async def _look(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._up.wait()
            self.seen = await self.overview()
            await asyncio.sleep(LOOK_S)

    async def _rejoin(self) -> None:
        """A broker that was started anew knows none of the workers; they would notice, but only by its silence."""
        for name in tuple(self._workers):
            worker, task = self._workers.pop(name)
            await worker.destroy()
            await asyncio.wait([task])
            self._begin(name)

    async def _watch(self) -> None:
        """Publish again what a bus that was started anew does not know."""
        supervisor = self.supervised()
        with supervisor.events() as happening:
            await supervisor.ready(BUS)
            self._up.set()
            async for fact in happening:
                if isinstance(fact, facts.ChildExited):
                    self._restarts[fact.name] = self._restarts.get(fact.name, 0) + 1
                    if fact.name == BUS:
                        self._up.clear()
                elif isinstance(fact, facts.ChildReady) and fact.name == BUS:
                    self._up.set()
                    self.outlet.send_all()
                    await self._rejoin()

    def _required(self) -> AsyncMajorDomoClient:
        if self._client is None:
            raise UnavailableError(
                "The bus is not in use now; try again in a moment."
                if self.is_enabled
                else "The bus is switched off: `bus.enabled` in the settings."
            )
        return self._client


def _port_in(path: Path) -> int | None:
    with contextlib.suppress(OSError, ValueError):
        return int(path.read_text(encoding="ascii"))
    return None


def _log_line(name: str, _: str, line: str) -> None:
    """Both processes begin their lines with the level; what is usual is not worth a line of the gateway's."""
    word, _, text = line.partition(": ")
    level = LEVELS.get(word)
    if level is None:
        log.warning("%s: %s", name, line)
    else:
        log.log(level if level > logging.INFO else logging.DEBUG, "%s: %s", name, text)
