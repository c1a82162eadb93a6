"""What a client says to Titanic, step by step: asking for a request, and for the replies of all that are outstanding.

Called by `titanic_client` and `async_titanic_client`, which carry the questions and wait, and have in common what `Asking` has. A talk is a
generator: it yields a `Question` and is sent the answer's frames (None: nobody answered), or a `Pause`. Rules: no I/O, no clock; that Titanic or the broker is lost
on the way says nothing about a request.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Mapping, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from wayhouse.bus.model import OK, PENDING, ClientError, Frames, NoReplyError
from wayhouse.bus.titanic_book import (
    Book,
    Callback,
    Data,
    Note,
    Text,
    accepted,
    build_order,
    choose_uuid,
    parse_name,
)
from wayhouse.bus.titanic_model import CLOSE, REPLY, REQUEST, STATUS

AGAIN_S = 0.25
PAGE = 500
NOT_OURS = "This Titanic knows no uuid of yours, no `once` and no ttl; leave them out, or use Wayhouse's."
SILENT = "The broker does not answer: is it running?"
AWAY = "Titanic is not on the bus: is it running?"
LOST = "Titanic was lost while it took the request; try again."

log = logging.getLogger(__name__)


class Question(msgspec.Struct, frozen=True):
    service: bytes
    body: Frames


class Pause(msgspec.Struct, frozen=True):
    seconds: float


Step = Question | Pause
Result = TypeVar("Result")


class Held(Generic[Result]):
    """A talk that is held: `result` is there when `next` gives None."""

    result: Result

    def __init__(self, talk: Generator[Step, Frames | None, Result]) -> None:
        self._talk = talk

    def next(self, answer: Frames | None) -> Step | None:
        """What is to be done for it now, after the answer to what was done last (None at first, and after a pause)."""
        try:
            return self._talk.send(answer)
        except StopIteration as end:
            self.result = end.value
            return None


class Talks:
    """Of one client. `patience_s`: how long Titanic may be away before that is told; `attempts`: how often a request is handed in when
    Titanic is lost meanwhile."""

    def __init__(self, ttl_s: float, patience_s: float, attempts: int) -> None:
        self.book = Book(ttl_s)
        self._looks = max(2, round(patience_s / AGAIN_S))
        self._attempts = attempts
        self._is_ours: bool | None = None

    def request(
        self,
        host: str,
        service: Text | None,
        data: Data,
        uuid: Text | None,
        ttl_s: float | None,
        *,
        once: bool,
    ) -> Generator[Step, Frames | None, bytes]:
        """Gives the uuid. Raises as `TitanicClient.request`."""
        own: bytes | None = choose_uuid(uuid)
        if not (yield from self._knows_marks()):
            if once or ttl_s is not None or uuid is not None:
                raise ClientError(NOT_OURS)
            own = None
        order = build_order(host, service, data, once=once, ttl_s=ttl_s, uuid=own)
        for attempt in range(self._attempts):
            if attempt:
                yield Pause(AGAIN_S)
            given = accepted((yield Question(REQUEST, order)))
            if given is not None:
                return given
        raise NoReplyError(LOST)

    def check(self, now: float) -> Generator[Step, Frames | None, None]:
        """Ask for all that is outstanding, and call those who wait for it."""
        for uuid in (yield from self._ready(self.book.pending())):
            answer = yield Question(REPLY, [_hex(uuid)])
            if answer is None:
                return
            note = self.book.answered(uuid, answer)
            if note is not None:
                _tell(note)
                yield Question(CLOSE, [_hex(uuid)])
        self.book.tidy(now)

    def _knows_marks(self) -> Generator[Step, Frames | None, bool]:
        """Whether this Titanic has what only ours has. One that is about to start has its services one after another."""
        others = looks = 0
        while self._is_ours is None:
            if (yield from _is_there(STATUS)):
                self._is_ours = True
            elif (yield from _is_there(REQUEST)):
                others += 1
                self._is_ours = False if others > 1 else None
            if self._is_ours is None:
                looks += 1
                if looks >= self._looks:
                    raise NoReplyError(AWAY)
                yield Pause(AGAIN_S)
        return self._is_ours

    def _ready(self, pending: Sequence[bytes]) -> Generator[Step, Frames | None, list[bytes]]:
        """Those to ask for: all, where a Titanic cannot tell of many at once."""
        if not pending or not (yield from self._knows_marks()):
            return list(pending)
        found = list[bytes]()
        for start in range(0, len(pending), PAGE):
            page = pending[start : start + PAGE]
            answer = yield Question(STATUS, list(map(_hex, page)))
            statuses = answer[1:] if answer and answer[0] == OK else []
            found += [uuid for uuid, status in zip(page, statuses, strict=False) if status != PENDING]
        return found


class Asking:
    """What a client does without asking anybody. `poll` in milliseconds, `ttl` in seconds; `timeout_s` is for one attempt of `retries`."""

    def __init__(
        self, broker: str, hostname: str, *, poll: float, ttl: float, timeout_s: float, retries: int
    ) -> None:
        self.broker = broker
        self.hostname = hostname
        self.poll = poll
        self._talks = Talks(ttl, timeout_s * retries, retries)

    def status(self, uuid: Text) -> bytes:
        """300 while it waits; the final status (200 or 500) once, then 400."""
        return self._talks.book.status(parse_name(uuid))

    def take(self, uuid: Text) -> Frames | None:
        """The reply of a request that is over, once; None while it waits. Raises `ServerError` with the reason if there will be none."""
        note = self._talks.book.take(parse_name(uuid))
        return None if note is None else note.result()

    def _note(
        self,
        uuid: bytes,
        now: float,
        callback: Callback | None,
        args: Sequence[Any],
        kwargs: Mapping[str, Any] | None,
    ) -> str:
        """Remember a request that was taken; its name."""
        self._talks.book.add(Note(uuid, now, callback, args, kwargs or {}))
        return uuid.hex()


def _is_there(service: bytes) -> Generator[Step, Frames | None, bool]:
    answer = yield Question(b"mmi.service", [service])
    if answer is None:
        raise NoReplyError(SILENT)
    return answer[-1:] == [OK]


def _tell(note: Note) -> None:
    if note.status == OK and note.callback is not None:
        try:
            note.callback(note.reply, note.args, note.kwargs)
        except Exception:
            log.exception("the callback of request %s failed", note.uuid.hex())


def _hex(uuid: bytes) -> bytes:
    return uuid.hex().encode()
