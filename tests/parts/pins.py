"""Mock pins that one process alone can have at a time, as real ones are: locks in the folder that `PINS` names. For programs of the tests."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import Any

from gpiozero.pins.mock import MockFactory

SHARED = "4"
"""A pin that everybody may have, so that not all of them fail."""


def arm(folder: str | None) -> None:
    if folder is None:
        return
    held: list[Any] = []
    pin, close = MockFactory.pin, MockFactory.close

    def exclusive(self: MockFactory, name: Any, *more: Any, **named: Any) -> Any:
        if str(name) != SHARED:
            lock = (Path(folder) / str(name)).open("a")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                lock.close()
                raise
            held.append(lock)
        return pin(self, name, *more, **named)

    def release(self: MockFactory) -> None:
        close(self)
        while held:
            held.pop().close()

    MockFactory.pin, MockFactory.close = exclusive, release
