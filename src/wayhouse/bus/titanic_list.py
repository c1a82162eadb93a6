"""`titanic.list`: how many durable requests there are, and the newest of them.

Called by `titanic_services`. Rules: it only reads; the counts cost nothing, and the list looks at `LOOKED` requests at most, however
many are stored.

Body: [filter][limit], each may be left out or empty. The filter is a state (waiting, sent, answered, failed), or else a part of the
service's name. Answer: [200][JSON of `overview.DurableRequests`].
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from wayhouse.base.codec import encode_json
from wayhouse.bus.model import OK, Frames, MalformedError
from wayhouse.bus.overview import DurableRequest, DurableRequests
from wayhouse.bus.titanic import Dispatcher
from wayhouse.bus.titanic_store import Listed, TitanicStore

WAITING, SENT, ANSWERED, FAILED = "waiting", "sent", "answered", "failed"
STATES = (WAITING, SENT, ANSWERED, FAILED)
LOOKED = 10_000
SHOWN = 100
MAX_DIGITS = 9


class Listing:
    def __init__(self, store: TitanicStore, dispatcher: Dispatcher) -> None:
        self._store = store
        self._dispatcher = dispatcher

    def answer(self, body: Frames, now: float, _: float) -> Frames:
        """`now` in the store's time. Raises `MalformedError`."""
        wanted = body[0].decode("utf-8", "replace") if body else ""
        limit = min(_limit(body[1] if len(body) > 1 else b""), self._store.settings.page)
        found = list(islice(self._matching(wanted, now, limit), limit + 1))
        counts = self.counts()
        told = DurableRequests(
            counts=counts, requests=found[:limit], is_cut=len(found) > limit or self._looked_in_vain(wanted)
        )
        return [OK, encode_json(told)]

    def counts(self) -> dict[str, int]:
        """Of all that is stored, by state, and `bytes` on disk."""
        tally = self._store.tally
        done = tally["answered"] + tally["failed"]
        sent = min(self._dispatcher.sent, tally["requests"] - done)
        return {
            WAITING: tally["requests"] - done - sent,
            SENT: sent,
            ANSWERED: tally["answered"],
            FAILED: tally["failed"],
            "bytes": self._store.size,
        }

    def _matching(self, wanted: str, now: float, limit: int) -> Iterator[DurableRequest]:
        if wanted in {WAITING, SENT}:
            rows = self._store.listed(self._dispatcher.newest(limit + 1, is_sent=wanted == SENT))
        else:
            rows = self._store.newest(LOOKED)
        for row in rows:
            one = self._request(row, now)
            if not wanted or wanted == one.state or (wanted not in STATES and wanted in one.service):
                yield one

    def _looked_in_vain(self, wanted: str) -> bool:
        return wanted not in {"", WAITING, SENT} and self._store.tally["requests"] > LOOKED

    def _request(self, row: Listed, now: float) -> DurableRequest:
        attempts, is_sent = self._dispatcher.attempts(row.seq) or (None, row.was_sent)
        if row.is_answer is None:
            state = SENT if is_sent else WAITING
        else:
            state = ANSWERED if row.is_answer else FAILED
        return DurableRequest(
            uuid=row.uuid.hex(),
            service=row.service.decode("utf-8", "backslashreplace"),
            state=state,
            once=row.once,
            bytes=row.size,
            expires_s=round(max(0.0, row.expires - now), 3),
            attempts=attempts,
        )


def _limit(frame: bytes) -> int:
    if not frame:
        return SHOWN
    if not frame.isdigit() or len(frame) > MAX_DIGITS or not int(frame):
        raise MalformedError("The limit is a number above 0.")
    return int(frame)
