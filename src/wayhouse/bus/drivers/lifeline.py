"""A process of the bus that works for a gateway: it ends when the gateway has died, and `wayhouse trace` finds it.

Called by `server` and `titanic_server`. The gateway holds a lock on a file as long as it lives; in an upgrade the lock goes over to the
successor, so nothing is noticed then, and no matter how a gateway ends, its lock is free. Rule: the lock is kept until this
process has ended, so that the next gateway, which waits for it, finds the ports free.
"""

from __future__ import annotations

import contextlib
import fcntl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from wayhouse.runtime.sight import trace_box


@contextlib.contextmanager
def kept(
    name: str, end: Callable[[], object], *, lock: Path | None = None, traces: Path | None = None
) -> Iterator[None]:
    """`end` is called, in another thread, once nobody else holds the lock. Raises `OSError` for a lock that is not there."""
    if lock is not None:
        follow(lock, end)
    if traces is None:
        yield
        return
    with trace_box.armed(traces, name=name, role="bus"):
        yield


def follow(lock: Path, end: Callable[[], object]) -> None:
    file = lock.open("rb")

    def wait() -> None:
        fcntl.flock(file, fcntl.LOCK_SH)
        end()

    threading.Thread(target=wait, name="lifeline", daemon=True).start()
