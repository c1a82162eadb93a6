"""The compiled frame mover, where there is one: `load` finds, checks and tries it; `build` makes it, with `cc` and Python's headers.

Called by `frames`, and by `make fast` as `python -m wayhouse.bus.drivers.frames_compiled`. Rules: nobody needs it; it is used only when it was
built from the very `frames.c` and `zmtp.c` that lie beside this file and has moved messages in this process; else the pure twin is used, and why is
logged. `WAYHOUSE_PURE_FRAMES=1` leaves it alone.
"""

from __future__ import annotations

import hashlib
import importlib
import logging
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, cast

import zmq

from wayhouse.bus.model import Frames, MalformedError

SWITCH = "WAYHOUSE_PURE_FRAMES"
NAME = "_wayhouse_frames"
FILE = f"{NAME}.abi3.so"
SOURCES = tuple(Path(__file__).with_name(name) for name in ("frames.c", "zmtp.c"))
_FLAGS = ("-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-fvisibility=hidden")
_TRIED = [[b"one"], [b"", b"", b"x" * 70_000], [b"\0"] * 9]

log = logging.getLogger(__name__)


class Mover(Protocol):
    """The functions of `frames.c` and `zmtp.c`, which are those of `frames_pure` and `zmtp_pure`."""

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


class BuildError(Exception):
    """It could not be built; the text says what to do."""


class NoToolsError(BuildError):
    """What builds it is not here."""


def load() -> Mover | None:
    """The mover, ready for use; None where there is none, or none that can be used."""
    if os.environ.get(SWITCH, "0") not in {"", "0"}:
        return None
    try:
        mover = cast("Mover", importlib.import_module(NAME))
    except ModuleNotFoundError:
        return None
    except ImportError as error:
        log.warning("the compiled frame mover cannot be loaded (%s); `make fast` builds it anew", error)
        return None
    try:
        check(mover)
    except Exception as error:  # noqa: BLE001 - the border to what somebody has built: nothing of it ends us
        log.warning("the compiled frame mover is not used: %s; `make fast` builds it anew", error)
        return None
    return mover


def mark() -> str:
    """What a mover that was built from the present source calls its BUILD."""
    return hashlib.sha256(b"".join(source.read_bytes() for source in SOURCES)).hexdigest()[:16]


def build(folder: Path) -> Path:
    """Build it into `folder`; the file. Raises `BuildError`, `NoToolsError` where there is no compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise NoToolsError("There is no C compiler; on Debian and Ubuntu: apt install gcc libc6-dev")
    headers = Path(sysconfig.get_path("include"))
    if not (headers / "Python.h").exists():
        raise NoToolsError(
            f"There is no Python.h in {headers}; on Debian and Ubuntu: apt install python3-dev"
        )
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".build-") as inside:
        made = Path(inside) / FILE
        options = [
            *_FLAGS,
            f"-I{headers}",
            f'-DBUILD="{mark()}"',
            "-o",
            str(made),
            *map(str, SOURCES),
            "-ldl",
        ]
        done = subprocess.run([compiler, *options], capture_output=True, text=True, check=False)
        if done.returncode:
            raise BuildError(f"The C compiler failed:\n{done.stderr}")
        return made.replace(folder / FILE)


def main(arguments: Sequence[str]) -> int:
    """Into the folder that is named, or to where this Python finds it."""
    try:
        made = build(Path(arguments[0] if arguments else sysconfig.get_path("platlib")))
    except (BuildError, OSError) as error:
        print(f"{error}\nWayhouse works without it.", file=sys.stderr)  # noqa: T201 - to whoever called it
        return 1
    print(f"{made}: the bus uses it from its next start on")  # noqa: T201
    return 0


def check(mover: Mover) -> None:
    """Join it to pyzmq and have it move messages. Raises `ImportError` if it is not to be used."""
    if mark() != mover.BUILD:
        raise ImportError("it was built for another version of Wayhouse")
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
    sys.exit(main(sys.argv[1:]))
