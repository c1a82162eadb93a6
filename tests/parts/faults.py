"""Kills or stops a process at a step of a hot upgrade, as the file named by `FAULT_FILE` says at that moment.

`<side> <moment> <message>`: side `elder` or `heir`, moment `before` (sending) or `after` (sending or receiving), message the name of a
message of `wayhouse.runtime.succession.upgrade`; `stop` in front of it stops the process (SIGSTOP) instead of killing it. For programs of the
tests, which call `arm` first.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from wayhouse.runtime.succession.passage import Passage
from wayhouse.runtime.succession.upgrade import decode

ALL = [
    f"{side} {moment} {message}"
    for side, moment, message in (
        ("heir", "after", "Prepare"),
        ("heir", "before", "Prepared"),
        ("heir", "after", "Rested"),
        ("heir", "before", "Assembled"),
        ("heir", "after", "Piece"),
        ("heir", "after", "Moved"),
        ("heir", "before", "Adopted"),
        ("heir", "after", "Adopted"),
        ("heir", "after", "Commit"),
        ("heir", "before", "Serving"),
    )
]


def arm(file: str | None, *, is_heir: bool) -> None:
    if file is None:
        return
    path, side = Path(file), "heir" if is_heir else "elder"
    send, receive = Passage.send, Passage.receive

    async def faulty_send(self: Passage, body: bytes, fds: Sequence[int] = (), *, timeout: float) -> None:
        name = type(decode(body)).__name__
        _strike(path, f"{side} before {name}")
        await send(self, body, fds, timeout=timeout)
        _strike(path, f"{side} after {name}")

    async def faulty_receive(self: Passage, *, timeout: float) -> tuple[bytes, list[int]]:
        body, fds = await receive(self, timeout=timeout)
        _strike(path, f"{side} after {type(decode(body)).__name__}")
        return body, fds

    Passage.send, Passage.receive = faulty_send, faulty_receive  # type: ignore[method-assign]


def _strike(path: Path, step: str) -> None:
    if not path.exists():
        return
    wanted = path.read_text()
    if wanted.removeprefix("stop ") == step:
        path.unlink()
        sys.stdout.flush()
        os.kill(os.getpid(), signal.SIGSTOP if wanted.startswith("stop ") else signal.SIGKILL)
