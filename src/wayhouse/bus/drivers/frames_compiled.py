"""The compiled frame mover, where there is one: what it must be able to do before it is used. `python -m` this module builds it.

Called by `frames` and `make fast`. Rules are those of `base.compiled`. `WAYHOUSE_PURE_FRAMES=1` leaves it alone.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, cast

import zmq

from wayhouse.base import compiled
from wayhouse.bus.model import Frames, MalformedError

PART = compiled.Part(
    module="_wayhouse_frames",
    folder=Path(__file__).with_name("native"),
    switch="WAYHOUSE_PURE_FRAMES",
    what="the compiled frame mover",
    user="the bus",
)
_TRIED = [[b"one"], [b"", b"", b"x" * 70_000], [b"\0"] * 9]


class Mover(Protocol):
    """The functions of `native/`, which are those of `frames_pure` and `zmtp_pure`."""

    BUILD: str

    def connect(self, path: str, fail: Callable[[int], None], malformed: type[Exception]) -> None: ...

    def receive_many(
        self, socket: zmq.Socket[bytes], into: list[list[bytes]], most: int, most_bytes: int, /
    ) -> bool: ...

    def send_many(
        self, socket: zmq.Socket[bytes], messages: list[list[bytes]], start: int, /
    ) -> tuple[int, int] | None: ...

    def is_readable(self, socket: zmq.Socket[bytes], /) -> bool: ...

    def decode(self, data: bytes, into: list[Frames | bytes], max_bytes: int, /) -> tuple[int, int]: ...

    def encode(self, message: Frames, start: int, /) -> bytes: ...


def load() -> Mover | None:
    """The mover, ready for use; None where the twins are to be used."""
    return cast("Mover | None", compiled.load(PART, check))


def check(mover: Mover) -> None:
    """Join it to pyzmq and have it move messages. Raises `ImportError` if it is not to be used."""
    backend = importlib.import_module("zmq.backend.cython._zmq")
    mover.connect(str(backend.__file__), _fail, MalformedError)
    with zmq.Context(io_threads=0) as context, context.socket(zmq.PAIR) as here:
        there = context.socket(zmq.PAIR)
        here.bind("inproc://frames")
        there.connect("inproc://frames")
        got = list[list[bytes]]()
        is_sent = mover.send_many(here, list(_TRIED), 0) is None and mover.is_readable(there)
        is_empty = mover.receive_many(there, got, len(_TRIED) + 1, 1 << 30)
        there.close()
    if (is_sent, is_empty, got) != (True, True, _TRIED):
        raise ImportError("messages do not come through it as they are")
    into: list[Frames | bytes] = [[b"me"]]
    mover.decode(b"".join(mover.encode(one, 0) for one in _TRIED), into, 1 << 30)
    if into != [*([b"me", *one] for one in _TRIED), [b"me"]]:
        raise ImportError("messages are not made of bytes as they are")


def _fail(number: int) -> None:
    """Raises the error that pyzmq has for it."""
    raise zmq.ContextTerminated(number) if number == zmq.ETERM else zmq.ZMQError(number)


if __name__ == "__main__":
    sys.exit(compiled.main(PART, sys.argv[1:]))
