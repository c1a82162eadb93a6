"""What Titanic does now and then: removes values that have expired, replies that nobody closed, history that is too old.

Called by `titanic_server` in each of its transactions. Rule: a little at a time, and nothing on a disk that is idle.
"""

from __future__ import annotations

import math

from wayhouse.bus.titanic_records import Records, Revision
from wayhouse.bus.titanic_store import SWEPT_AT_ONCE, TitanicStore

SWEEP_S = 60.0
LOOK_S = 1.0


class Expiry:
    def __init__(self, store: TitanicStore) -> None:
        self._store = store
        self._records = Records(store)
        self._values_due = 0.0
        self._sweep_due = 0.0

    def deadline(self) -> float:
        """When to `sweep` next, in the store's time."""
        return min(self._values_due, self._sweep_due)

    def sweep(self, now: float, wall: float) -> list[Revision]:
        """What has expired of `titanic.store`."""
        if now >= self._sweep_due:
            swept = (self._store.sweep(now), self._store.sweep_closed(now), self._records.sweep())
            is_done = max(swept) < SWEPT_AT_ONCE
            self._sweep_due = now + (SWEEP_S if is_done else LOOK_S)
        return self._values(now, wall)

    def _values(self, now: float, wall: float) -> list[Revision]:
        earliest = self._records.next_expiry()
        gone = self._records.expire(now, wall) if earliest is not None and earliest <= now else []
        if gone:
            earliest = self._records.next_expiry()
        self._values_due = math.inf if earliest is None else max(earliest, now)
        return gone
