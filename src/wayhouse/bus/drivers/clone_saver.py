"""Keeps the clone's keys on disk: what changed is written now and then, by a thread of its own.

Called by `server`, whose loop it is a part of. Rules: the loop never waits for the disk; what the disk does not take is tried again with
the next batch, costs no more memory than the clone and the file have keys, and is told once; at an orderly end all is written, while a crash loses the changes of the last `every_s` seconds.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading

from wayhouse.bus.clone import Clone
from wayhouse.bus.clone_store import CloneStore

SAVE_S = 5.0
"""Each batch costs a sync and about 4 KiB for each page of keys that changed: a memory card's wear, not the bus's speed."""

log = logging.getLogger(__name__)


class CloneSaver:
    def __init__(self, store: CloneStore, clone: Clone, now: float, every_s: float = SAVE_S) -> None:
        self._store = store
        self._clone = clone
        self._every_s = every_s
        self._at = now + every_s
        self._failed: dict[bytes, bytes] = {}
        self._is_failing = False
        self._thread: threading.Thread | None = None

    def deadline(self) -> float:
        return self._at

    def tick(self, now: float) -> None:
        """A batch, unless the last one is still being written."""
        if now < self._at:
            return
        if self._thread is not None and self._thread.is_alive():
            self._at = now + self._every_s / 10
            return
        self._at = now + self._every_s
        batch = self._batch()
        if batch:
            arguments = (batch, self._clone.sequence)
            self._thread = threading.Thread(target=self._write, args=arguments, name="clone saver")
            self._thread.start()

    def close(self, now: float) -> None:
        if self._thread is not None:
            self._thread.join()
        if batch := self._batch():
            self._write(batch, self._clone.sequence)
        self._store.close()

    def _batch(self) -> dict[bytes, bytes]:
        failed, self._failed = self._failed, {}
        return {**failed, **self._clone.unsaved()}

    def _write(self, batch: dict[bytes, bytes], sequence: int) -> None:
        try:
            self._store.write(batch, sequence)
        except sqlite3.Error as error:
            self._keep(batch, error)
        else:
            if self._is_failing:
                log.info("the keys of the clone are written again")
            self._is_failing = False

    def _keep(self, batch: dict[bytes, bytes], error: sqlite3.Error) -> None:
        """For the next try, without the keys that came and went meanwhile."""
        self._failed = batch
        with contextlib.suppress(sqlite3.Error):
            self._failed = self._store.needed(batch)
        if not self._is_failing:
            log.error(
                "the keys of the clone cannot be written (%s) and are tried again; free space on %s",
                error,
                self._store.path.parent,
            )
        self._is_failing = True
