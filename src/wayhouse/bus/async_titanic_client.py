"""`AsyncTitanicClient`: durable requests for asyncio programs.

Called by programs and rooms above. Rules: as for `TitanicClient`; a call that is cancelled leaves nothing behind but, perhaps, the request
itself on disk.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

from wayhouse.bus.drivers.caller import AsyncCaller
from wayhouse.bus.kvmsg import to_bytes
from wayhouse.bus.model import (
    CLIENT_RETRIES,
    CLIENT_TIMEOUT_S,
    OK,
    PENDING,
    ClientError,
    Frames,
    NoReplyError,
)
from wayhouse.bus.titanic_book import Book, Callback, Data, Note, Text, accepted, build_order, parse_name
from wayhouse.bus.titanic_client import AGAIN_S, BROKER, NOT_OURS, PAGE, POLL_MS, TTL_S
from wayhouse.bus.titanic_model import CLOSE, REPLY, REQUEST, STATUS

log = logging.getLogger(__name__)


class AsyncTitanicClient:
    """Make it in a running loop. `poll` in milliseconds, `ttl` in seconds."""

    def __init__(
        self,
        broker: str = BROKER,
        hostname: str = "localhost",
        *,
        poll: float = POLL_MS,
        ttl: float = TTL_S,
        timeout_s: float = CLIENT_TIMEOUT_S,
        retries: int = CLIENT_RETRIES,
    ) -> None:
        """Raises `EndpointError` for an address that cannot be."""
        self.broker = broker
        self.hostname = hostname
        self.poll = poll
        self.retries = retries
        self._loop = asyncio.get_running_loop()
        self._caller = AsyncCaller(broker, timeout_s, retries)
        self._book = Book(ttl)
        self._stopping = asyncio.Event()
        self._is_ours: bool | None = None

    async def request(
        self,
        service: Text | None = None,
        data: Data = ("mmi.echo",),
        callback: Callback | None = None,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        hostname: str | None = None,
        once: bool = False,
        ttl_s: float | None = None,
    ) -> str:
        """As `TitanicClient.request`, errors included."""
        own = os.urandom(16) if await self._knows_marks() else None
        if own is None and (once or ttl_s is not None):
            raise ClientError(NOT_OURS)
        host = self.hostname if hostname is None else hostname
        order = build_order(host, service, data, once=once, ttl_s=ttl_s, uuid=own)
        uuid = await self._ask_for(order)
        self._book.add(Note(uuid, self._loop.time(), callback, args, kwargs or {}))
        return uuid.hex()

    def status(self, uuid: Text) -> bytes:
        """300 while it waits; the final status (200 or 500) once, then 400."""
        return self._book.status(parse_name(uuid))

    def take(self, uuid: Text) -> Frames | None:
        """As `TitanicClient.take`."""
        note = self._book.take(parse_name(uuid))
        return None if note is None else note.result()

    async def send(self, service: Text, request: Data) -> Frames | None:
        """A plain request; its reply, None when nobody answers."""
        frames = [to_bytes(part) for part in ([request] if isinstance(request, str | bytes) else request)]
        return await self._caller.call(to_bytes(service), frames)

    async def run(self) -> None:
        """Every `poll` milliseconds ask for replies and call those who wait for them, until `shutdown`."""
        while not self._stopping.is_set():
            await self.check()
            try:
                await asyncio.wait_for(self._stopping.wait(), self.poll / 1000)
            except TimeoutError:
                continue

    async def check(self) -> None:
        """Ask once for all that is outstanding."""
        for uuid in await self._ready(self._book.pending()):
            answer = await self.send(REPLY, uuid.hex())
            if answer is None:
                return
            note = self._book.answered(uuid, answer)
            if note is not None:
                await self._finished(note)
        self._book.tidy(self._loop.time())

    def shutdown(self) -> None:
        self._stopping.set()

    def destroy(self) -> None:
        self.shutdown()
        self._caller.close()

    async def _ask_for(self, order: Frames) -> bytes:
        for attempt in range(self.retries):
            if attempt:
                await asyncio.sleep(AGAIN_S)
            uuid = accepted(await self.send(REQUEST, order))
            if uuid is not None:
                return uuid
        raise NoReplyError("Titanic was lost while it took the request; try again.")

    async def _knows_marks(self) -> bool:
        if self._is_ours is None:
            answer = await self.send("mmi.service", STATUS)
            if answer is None:
                raise NoReplyError("The broker does not answer: is it running?")
            self._is_ours = answer[-1:] == [OK]
        return self._is_ours

    async def _ready(self, pending: Sequence[bytes]) -> list[bytes]:
        if not pending or not await self._knows_marks():
            return list(pending)
        found = list[bytes]()
        for start in range(0, len(pending), PAGE):
            page = pending[start : start + PAGE]
            answer = await self.send(STATUS, [uuid.hex() for uuid in page])
            statuses = answer[1:] if answer and answer[0] == OK else []
            found += [uuid for uuid, status in zip(page, statuses, strict=False) if status != PENDING]
        return found

    async def _finished(self, note: Note) -> None:
        if note.status == OK and note.callback is not None:
            try:
                note.callback(note.reply, note.args, note.kwargs)
            except Exception:
                log.exception("the callback of request %s failed", note.uuid.hex())
        await self.send(CLOSE, note.uuid.hex())
