"""`AsyncTitanicClient`: durable requests for asyncio programs.

Called by programs and rooms above. Rules: as for `TitanicClient`; a call that is cancelled leaves nothing behind but, perhaps, the request
itself on disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Mapping, Sequence
from typing import Any

import zmq

from wayhouse.bus.async_client import AsyncMajorDomoClient
from wayhouse.bus.drivers.frames import AnySocket
from wayhouse.bus.keys import NO_KEYS, Keys
from wayhouse.bus.model import CLIENT_RETRIES, CLIENT_TIMEOUT_S, EndpointError, Frames, NoReplyError
from wayhouse.bus.titanic_book import Callback, Data, Text
from wayhouse.bus.titanic_client import BROKER, POLL_MS, TTL_S
from wayhouse.bus.titanic_talk import Asking, Held, Pause, Result, Step


class AsyncTitanicClient(Asking):
    """Make it in a running loop. `poll` in milliseconds, `ttl` in seconds; `timeout_s` is for one attempt of `retries`."""

    def __init__(
        self,
        broker: str = BROKER,
        hostname: str = "localhost",
        *,
        poll: float = POLL_MS,
        ttl: float = TTL_S,
        timeout_s: float = CLIENT_TIMEOUT_S,
        retries: int = CLIENT_RETRIES,
        keys: Keys = NO_KEYS,
    ) -> None:
        """Raises `EndpointError` for an address that cannot be."""
        super().__init__(broker, hostname, poll=poll, ttl=ttl, timeout_s=timeout_s, retries=retries)
        self._timeout_s, self._retries = timeout_s, retries
        self._loop = asyncio.get_running_loop()
        self._context: zmq.Context[AnySocket] = zmq.Context()
        try:
            self._client = AsyncMajorDomoClient(broker, marks=False, context=self._context, keys=keys)
        except EndpointError:
            self._context.term()
            raise
        self._stopping = asyncio.Event()

    async def request(  # noqa: PLR0913 - five are of the manual
        self,
        service: Text | None = None,
        data: Data = ("mmi.echo",),
        callback: Callback | None = None,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        hostname: str | None = None,
        uuid: Text | None = None,
        once: bool = False,
        ttl_s: float | None = None,
    ) -> str:
        """As `TitanicClient.request`, errors included."""
        host = self.hostname if hostname is None else hostname
        given = await self._hold(self._talks.request(host, service, data, uuid, ttl_s, once=once))
        return self._note(given, self._loop.time(), callback, args, kwargs)

    async def send(self, service: Text, request: Data) -> Frames | None:
        """A plain request; its reply, None when nobody answers."""
        if self._context.closed:
            return None
        try:
            return await self._client.call(
                service, request, timeout_s=self._timeout_s * self._retries, attempt_s=self._timeout_s
            )
        except NoReplyError:
            return None

    async def run(self) -> None:
        """Every `poll` milliseconds ask for replies and call those who wait for them, until `shutdown`."""
        while not self._stopping.is_set():
            await self.check()
            try:
                async with asyncio.timeout(self.poll / 1000):
                    await self._stopping.wait()
            except TimeoutError:
                continue

    async def check(self) -> None:
        """Ask once for all that is outstanding."""
        await self._hold(self._talks.check(self._loop.time()))

    def shutdown(self) -> None:
        self._stopping.set()

    def destroy(self) -> None:
        """What waits for an answer gets none. What was asked for goes on; its replies stay with Titanic until they expire."""
        self.shutdown()
        if not self._context.closed:
            self._client.close(farewell_ms=0)
            self._context.term()

    async def _hold(self, talk: Generator[Step, Frames | None, Result]) -> Result:
        held, answer = Held(talk), None
        while (step := held.next(answer)) is not None:
            answer = None
            if isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
            else:
                answer = await self.send(step.service, step.body)
        return held.result
