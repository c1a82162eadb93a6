"""What the six `titanic.*` services answer: frames in, a change of the store, frames out.

Called by `titanic_server` between `begin` and `commit`; the answer goes out after `commit`. Rules: nothing that comes can raise;
the first frame of an answer is its status, a text may follow one that is no 200.

| service | body | answer |
|---|---|---|
| `titanic.request` | [service with marks][body...] | [200][uuid] (a uuid of the marks that is known already: nothing is stored), [400][text] not understood, [500][text] full or failed |
| `titanic.reply` | [uuid] | [200][reply...], [300] pending, [400] unknown, [500][text] there will be none |
| `titanic.close` | [uuid] | [200] |
| `titanic.status` | [uuid...] | [200][status of each...] |
| `titanic.store` | see `titanic_verbs` | |
| `titanic.list` | [filter][limit], each may be left out | [200][JSON], see `titanic_list` |
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable

from wayhouse.bus.model import ERROR, OK, PENDING, UNKNOWN, Frames, MalformedError
from wayhouse.bus.titanic import Dispatcher
from wayhouse.bus.titanic_list import Listing
from wayhouse.bus.titanic_model import (
    CLOSE,
    LIST,
    REPLY,
    REQUEST,
    STATUS,
    STORE,
    Order,
    Waiting,
    parse_order,
    parse_uuid,
)
from wayhouse.bus.titanic_records import Records
from wayhouse.bus.titanic_store import TitanicStore
from wayhouse.bus.titanic_verbs import StoreVerbs

Answer = Callable[[Frames, float, float], Frames]

FULL = b"Too many requests are waiting, or the disk space for them is used up; close some, then try again."
TAKEN = b"This id belongs to another request; choose a new one."

log = logging.getLogger(__name__)


class TitanicServices:
    """What a transaction has `accepted` (with the bodies) and `closed` (numbers), for the dispatcher to learn."""

    def __init__(self, store: TitanicStore, dispatcher: Dispatcher) -> None:
        self._store = store
        self._dispatcher = dispatcher
        self._is_full = False
        self.accepted: list[Waiting] = []
        self.bodies: dict[int, Frames] = {}
        self.closed: list[int] = []
        self._services: dict[bytes, Answer] = {
            REQUEST: self._request,
            REPLY: self._reply,
            CLOSE: self._close,
            STATUS: self._status,
            STORE: StoreVerbs(Records(store), store.settings).answer,
            LIST: Listing(store, dispatcher).answer,
        }

    def start(self) -> None:
        """Before each transaction, also one that cannot begin: what the last one accepted is not to be undone with it."""
        self.accepted, self.bodies, self.closed = [], {}, []
        self._is_full = self._store.is_full

    def answer(self, service: bytes, body: Frames, now: float, wall: float) -> Frames:
        """`now` in the store's time, `wall` in Unix seconds. Raises `sqlite3.Error` alone, for the whole transaction."""
        try:
            return self._services[service](body, now, wall)
        except sqlite3.Error:
            raise
        except MalformedError as error:
            return [UNKNOWN, str(error).encode()]
        except Exception:
            log.exception("a request to %r failed", service)
            return [ERROR]

    def _request(self, body: Frames, now: float, wall: float) -> Frames:
        order = parse_order(body, self._store.settings.max_body_bytes)
        if order.uuid is not None and (found := self._store.find(order.uuid)):
            return _again(order, order.uuid, found.order)
        if order.uuid is not None and self._store.was_closed(order.uuid, now):
            return [OK, order.uuid.hex().encode()]
        waiting = len(self._dispatcher) + len(self.accepted)
        if self._is_full or waiting >= self._store.settings.max_open:
            return [ERROR, FULL]
        uuid, waits = self._store.add(order, now, wall)
        self.accepted.append(waits)
        self.bodies[waits.seq] = order.body
        return [OK, uuid.hex().encode()]

    def _reply(self, body: Frames, now: float, wall: float) -> Frames:
        uuid = parse_uuid(body[0]) if body else None
        found = self._store.reply_of(uuid) if uuid else None
        if found is None:
            return [UNKNOWN]
        is_answer, reply = found
        if reply is None:
            return [PENDING]
        return [OK if is_answer else ERROR, *reply]

    def _close(self, body: Frames, now: float, wall: float) -> Frames:
        uuid = parse_uuid(body[0]) if body else None
        seq = self._store.close_request(uuid, now) if uuid else None
        if seq is not None:
            self.closed.append(seq)
        return [OK]

    def _status(self, body: Frames, now: float, wall: float) -> Frames:
        if len(body) > self._store.settings.page:
            raise MalformedError(f"Ask for {self._store.settings.page} at a time.")
        return [OK, *(self._reply([uuid], now, wall)[0] for uuid in body)]


def _again(order: Order, uuid: bytes, stored: Order) -> Frames:
    """The client asks again, since it got no answer; its request is here already."""
    if (order.service, order.body, order.once) != (stored.service, stored.body, stored.once):
        return [UNKNOWN, TAKEN]
    return [OK, uuid.hex().encode()]
