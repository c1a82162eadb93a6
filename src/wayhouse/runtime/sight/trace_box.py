"""The file into which a process writes its stacks on a signal, even when it is stuck in C or in a loop without end.

Every Wayhouse process calls `arm` (or enters `armed`) once at its start; `trace_ask.py` is the other side. The file is
`<directory>/<pid>`: a first line of JSON that says who this is, then what faulthandler writes. Rules: directory and file are for
their owner alone; the handler is armed before the file can be found; a file whose process is gone is swept by the next who
comes. Standard library alone, since the sandbox's small processes import it.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import signal
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from wayhouse.runtime.sight import proc_stat

FOLDER = "trace"
"""Name of the directory below the runtime directory."""
SIGNAL = signal.SIGUSR2
HEAD_BYTES = 4096
_TEXT = 200


class Head(NamedTuple):
    """Who a file belongs to. `started` is in clock ticks since the boot `boot`; `belongs_to` names the app, if it is of one."""

    pid: int
    started: int
    boot: str
    name: str
    role: str
    belongs_to: str = ""

    @property
    def is_alive(self) -> bool:
        """Whether this very process runs: a pid that another one got since does not count."""
        found = proc_stat.read_stat(self.pid)
        return found is not None and found.started == self.started and self.boot == proc_stat.boot_id()


class TraceBox:
    """An armed process's own file. `close` at a clean end; harmless twice."""

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self._fd = fd

    def close(self) -> None:
        global _own  # noqa: PLW0603 - a process has one handler for the signal
        if _own is self:
            _own = None
            self.path.unlink(missing_ok=True)
            self._let_go()

    def leave(self) -> None:
        """In a forked child: the file stays its parent's."""
        global _own  # noqa: PLW0603 - see above
        _own = None
        self._let_go()

    def _let_go(self) -> None:
        faulthandler.unregister(SIGNAL)
        os.close(self._fd)


_own: TraceBox | None = None


def arm(directory: Path, *, name: str, role: str, belongs_to: str = "") -> TraceBox:
    """Make this process's file in `directory` and arm the signal. A box that it had before is closed. Raises `OSError`."""
    global _own  # noqa: PLW0603 - see above
    if _own is not None:
        _own.close()
    make_private(directory)
    sweep(directory)
    head = _own_head(name, role, belongs_to)
    path = directory / str(head.pid)
    part = directory / f"{head.pid}.{os.urandom(4).hex()}"
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
    fd = os.open(part, flags, 0o600)
    try:
        os.write(fd, json.dumps(head._asdict()).encode() + b"\n")
        _catch_quietly()
        faulthandler.register(SIGNAL, file=fd, all_threads=True, chain=False)
        part.rename(path)
    except BaseException:
        faulthandler.unregister(SIGNAL)
        os.close(fd)
        part.unlink(missing_ok=True)
        raise
    _own = TraceBox(path, fd)
    return _own


@contextlib.contextmanager
def armed(directory: Path, *, name: str, role: str, belongs_to: str = "") -> Iterator[None]:
    """`arm` for the length of a block. Nothing is worth less than a process that does not start for it: a failure is logged."""
    try:
        box = arm(directory, name=name, role=role, belongs_to=belongs_to)
    except OSError as error:
        _warn(error)
        yield
        return
    try:
        yield
    finally:
        box.close()


def boxes(directory: Path) -> dict[int, Head]:
    """The processes that are armed in `directory`, by pid; {} where nobody ever was. Raises `PermissionError`."""
    try:
        names = os.listdir(directory)  # noqa: PTH208 - names, not paths
    except (FileNotFoundError, NotADirectoryError):
        return {}
    heads = (read_head(directory / name) for name in names if name.isascii() and name.isdigit())
    return {head.pid: head for head in heads if head is not None and head.is_alive}


def read_head(path: Path) -> Head | None:
    """None for what is gone, no plain file, not this user's to read, or no such file of ours."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        head = parse_head(os.pread(fd, HEAD_BYTES, 0))
    except OSError:
        return None
    finally:
        os.close(fd)
    return head if head is not None and str(head.pid) == path.name else None


def parse_head(data: bytes) -> Head | None:
    """The first line; None for anything else."""
    line, end, _ = data.partition(b"\n")
    try:
        found = json.loads(line) if end else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or set(found) != set(Head._fields):
        return None
    numbers = (found["pid"], found["started"])
    texts = [found[name] for name in ("boot", "name", "role", "belongs_to")]
    if not all(type(one) is int and 0 < one < 2**63 for one in numbers):
        return None
    return (
        Head(*numbers, *texts) if all(isinstance(one, str) and len(one) <= _TEXT for one in texts) else None
    )


def sweep(directory: Path) -> None:
    """Remove the files of processes that are gone. Others may sweep at the same time."""
    for path in directory.iterdir():
        pid = path.name.partition(".")[0]
        if not pid.isascii() or not pid.isdigit():
            continue
        head = read_head(path)
        is_used = head.is_alive if head is not None else proc_stat.read_stat(int(pid[:12])) is not None
        if not is_used:
            with contextlib.suppress(OSError):
                path.unlink()


def make_private(directory: Path) -> None:
    """A directory for this user alone. Raises `PermissionError` when it is somebody else's."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    facts = directory.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.geteuid():
        raise PermissionError(1, "it is not this user's own directory", str(directory))
    if stat.S_IMODE(facts.st_mode) != 0o700:
        directory.chmod(0o700)


def _own_head(name: str, role: str, belongs_to: str) -> Head:
    found = proc_stat.read_stat(os.getpid())
    if found is None:
        raise FileNotFoundError(2, "the kernel tells nothing of this process", f"/proc/{os.getpid()}")
    texts = [text[:_TEXT] for text in (name, role, belongs_to)]
    return Head(os.getpid(), found.started, proc_stat.boot_id(), *texts)


def _catch_quietly() -> None:
    """Below faulthandler's handler lies one that does nothing: a signal that comes while the box is closed ends nobody."""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(SIGNAL) is signal.SIG_DFL:
        signal.signal(SIGNAL, _nothing)


def _warn(error: OSError) -> None:
    import logging  # the smallest processes have no log

    logging.getLogger(__name__).warning("this process cannot be traced when it is stuck: %s", error)


def _nothing(_number: int, _frame: FrameType | None) -> Any:
    return None


def _after_fork() -> None:
    if _own is not None:
        _own.leave()


os.register_at_fork(after_in_child=_after_fork)
