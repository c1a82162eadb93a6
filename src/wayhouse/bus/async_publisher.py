"""The key/value clients for programs with an asyncio loop; what they mean is in `publisher.py`.

Rules: a client belongs to the loop that runs when it is made; nothing of it blocks the loop; leaving the context closes everything.
"""

from __future__ import annotations

import asyncio
import time
from types import TracebackType
from typing import Self

from wayhouse.base.errors import UnavailableError
from wayhouse.bus.drivers.clone_sockets import Endpoints
from wayhouse.bus.drivers.edge import Edge
from wayhouse.bus.drivers.frames import AnySocket, send
from wayhouse.bus.keys import NO_KEYS, Keys
from wayhouse.bus.model import BROKER_PORT
from wayhouse.bus.publishing import Following, OnChange, Publishing, update_frames
from wayhouse.bus.subscriber import Patience

FIRST_RETRY_S = 0.001
LAST_RETRY_S = 0.05
SEND_TIMEOUT_S = 2.5


class AsyncKvPublisherClient(Publishing):
    """`async with` it, or call `destroy`."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.destroy()

    async def send(
        self,
        subtree: str | bytes = "subtree",
        key: str | bytes = "key",
        body: str | bytes = "body",
        *,
        ttl_s: float | None = None,
    ) -> None:
        """Raises `UnavailableError` when the server takes nothing for 2.5 seconds."""
        frames = update_frames(subtree, key, body, ttl_s, self._form)
        pause_s, waited_s = FIRST_RETRY_S, 0.0
        while not send(self._socket, frames):
            if waited_s >= SEND_TIMEOUT_S:
                raise UnavailableError("The key/value clone takes no updates: is the bus running?")
            await asyncio.sleep(pause_s)
            waited_s += pause_s
            pause_s = min(LAST_RETRY_S, pause_s * 2)

    async def delete(self, subtree: str | bytes, key: str | bytes) -> None:
        await self.send(subtree, key, b"")

    async def destroy(self) -> None:
        """What was sent has a second to leave; meanwhile the loop runs on."""
        self._socket.close()
        await asyncio.get_running_loop().run_in_executor(None, self._context.term)


class AsyncKvSubscriberClient(Following):
    """`async with` it, or call `destroy`. It follows from the moment it is made; `run` waits until `shutdown`."""

    def __init__(
        self,
        hostname: str = "localhost",
        subtree: str | bytes = "subtree",
        broker_ip: str = "127.0.0.1",
        broker_port: int = BROKER_PORT,
        *,
        on_change: OnChange | None = None,
        endpoints: Endpoints | None = None,
        patience: Patience | None = None,
        keys: Keys = NO_KEYS,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        endpoints = endpoints or Endpoints.of(broker_ip, broker_port)
        super().__init__(hostname, subtree, endpoints, on_change, patience, keys)
        self._live = asyncio.Event()
        self._stopped = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._snapshot_edge: Edge | None = None
        self._edge = Edge(self._sockets.updates, self._readable)
        self._settle()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.destroy()

    async def synchronised(self) -> None:
        """Returns when `kvmap` is complete; put a timeout around it."""
        await self._live.wait()

    async def run(self) -> None:
        await self._stopped.wait()

    def shutdown(self) -> None:
        self._stopped.set()

    def destroy(self) -> None:
        if self._context.closed:
            return
        self.shutdown()
        self._edge.close()
        if self._snapshot_edge is not None:
            self._snapshot_edge.close()
        if self._timer is not None:
            self._timer.cancel()
        self._sockets.close()
        self._context.term()

    def _readable(self, socket: AnySocket) -> None:
        self._sockets.readable(socket, time.monotonic())
        self._settle()

    def _due(self) -> None:
        self._machine.tick(time.monotonic())
        self._sockets.perform()
        self._settle()

    def _settle(self) -> None:
        """After whatever moved the machine: tell of changes, look at the sockets again, set the alarm."""
        self._edge.look()
        if self._snapshot_edge is not None:
            self._snapshot_edge.look()
        if self.is_synchronised:
            self._live.set()
        else:
            self._live.clear()
        if self._timer is not None:
            self._timer.cancel()
        moment = self._machine.deadline()
        delay_s = None if moment is None else max(0.0, moment - time.monotonic())
        self._timer = None if delay_s is None else self._loop.call_later(delay_s, self._due)
        self._tell()

    def _swap(self, old: AnySocket | None, new: AnySocket) -> None:
        if self._snapshot_edge is not None:
            self._snapshot_edge.close()
        self._snapshot_edge = Edge(new, self._readable)
