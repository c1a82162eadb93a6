"""`TitanicClient`: durable requests for programs with threads, with the names of RasPy's manual.

Called by programs. Rules: `request` returns when the request is on disk, and asking again after a lost answer does not double it, where
the Titanic is ours; nothing waits for ever; any thread may call anything.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from wayhouse.bus.drivers.caller import Caller
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
from wayhouse.bus.titanic_model import CLOSE, REPLY, REQUEST, STATUS

BROKER = "tcp://127.0.0.1:5514"
POLL_MS, TTL_S = 1500, 900
AGAIN_S = 0.25
PAGE = 500
NOT_OURS = "This Titanic knows no `once` and no ttl; leave them out, or use Wayhouse's."

log = logging.getLogger(__name__)


class TitanicClient:
    """`poll` in milliseconds, `ttl` in seconds, as in RasPy; `timeout_s` is for one attempt of `retries`."""

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
        self._caller = Caller(broker, timeout_s, retries)
        self._book = Book(ttl)
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._is_ours: bool | None = None

    def request(
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
        """Have `service` of `hostname` (by default that of the constructor, none if empty) do `data`; the request's uuid.

        `once`: it is never sent twice, even if that means never to learn what became of it. `ttl_s`: how long it may take.
        Raises `ClientError` for 400, `ServerError` for 500, `NoReplyError` when nobody answers.
        """
        own = os.urandom(16) if self._knows_marks() else None
        if own is None and (once or ttl_s is not None):
            raise ClientError(NOT_OURS)
        host = self.hostname if hostname is None else hostname
        order = build_order(host, service, data, once=once, ttl_s=ttl_s, uuid=own)
        uuid = self._ask_for(order)
        with self._lock:
            self._book.add(Note(uuid, time.monotonic(), callback, args, kwargs or {}))
        return uuid.hex()

    def status(self, uuid: Text) -> bytes:
        """300 while it waits; the final status (200 or 500) once, then 400."""
        with self._lock:
            return self._book.status(parse_name(uuid))

    def take(self, uuid: Text) -> Frames | None:
        """The reply of a request that is over, once; None while it waits. Raises `ServerError` with the reason if there will be none."""
        with self._lock:
            note = self._book.take(parse_name(uuid))
        return None if note is None else note.result()

    def send(self, service: Text, request: Data) -> Frames | None:
        """A plain request; its reply, None when nobody answers."""
        frames = [to_bytes(part) for part in ([request] if isinstance(request, str | bytes) else request)]
        with self._lock:
            return self._caller.call(to_bytes(service), frames)

    def run(self) -> None:
        """Every `poll` milliseconds ask for replies and call those who wait for them, until `shutdown`."""
        while not self._stopping.wait(self.poll / 1000):
            self.check()

    def check(self) -> None:
        """Ask once for all that is outstanding."""
        with self._lock:
            pending = self._book.pending()
        for uuid in self._ready(pending):
            answer = self.send(REPLY, [uuid.hex().encode()])
            if answer is None:
                return
            with self._lock:
                note = self._book.answered(uuid, answer)
            if note is not None:
                self._finished(note)
        with self._lock:
            self._book.tidy(time.monotonic())

    def shutdown(self) -> None:
        self._stopping.set()

    def destroy(self) -> None:
        """Stops `run`, too. What was asked for goes on; its replies stay with Titanic until they expire."""
        self.shutdown()
        with self._lock:
            self._caller.close()

    def _ask_for(self, order: Frames) -> bytes:
        for attempt in range(self.retries):
            if attempt and self._stopping.wait(AGAIN_S):
                break
            uuid = accepted(self.send(REQUEST, order))
            if uuid is not None:
                return uuid
        raise NoReplyError("Titanic was lost while it took the request; try again.")

    def _knows_marks(self) -> bool:
        """Whether this Titanic has what only ours has."""
        if self._is_ours is None:
            answer = self.send("mmi.service", STATUS)
            if answer is None:
                raise NoReplyError("The broker does not answer: is it running?")
            self._is_ours = answer[-1:] == [OK]
        return self._is_ours

    def _ready(self, pending: Sequence[bytes]) -> list[bytes]:
        """Those to ask for: all, where a Titanic cannot tell of many at once."""
        if not pending or not self._knows_marks():
            return list(pending)
        found = list[bytes]()
        for start in range(0, len(pending), PAGE):
            page = pending[start : start + PAGE]
            answer = self.send(STATUS, [uuid.hex() for uuid in page])
            statuses = answer[1:] if answer and answer[0] == OK else []
            found += [uuid for uuid, status in zip(page, statuses, strict=False) if status != PENDING]
        return found

    def _finished(self, note: Note) -> None:
        if note.status == OK and note.callback is not None:
            try:
                note.callback(note.reply, note.args, note.kwargs)
            except Exception:
                log.exception("the callback of request %s failed", note.uuid.hex())
        self.send(CLOSE, [note.uuid.hex()])
