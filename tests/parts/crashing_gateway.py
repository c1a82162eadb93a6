"""The real daemon, with one addition: it kills itself (SIGKILL) at a chosen boundary between tasks.

`CRASH_AT=n` counts the ledger's notes about tasks of one change: even numbers crash right before the n/2-th note is
written (the work is done, nobody knows), odd ones right after (it is known, the work is not begun).
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from wayhouse.gateway.__main__ import main
from wayhouse.ledger.store import LedgerStore

CRASH_AT = int(os.environ["CRASH_AT"])
_mark = LedgerStore.mark
_seen = -1


async def mark(self: LedgerStore, change_id: int, states: dict[int, Any]) -> None:
    global _seen
    _seen += 1
    if 2 * _seen == CRASH_AT:
        os.kill(os.getpid(), signal.SIGKILL)
    await _mark(self, change_id, states)
    if 2 * _seen + 1 == CRASH_AT:
        os.kill(os.getpid(), signal.SIGKILL)


LedgerStore.mark = mark  # type: ignore[method-assign]

if __name__ == "__main__":
    sys.exit(main())
