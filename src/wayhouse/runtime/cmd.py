"""Running programs: on a pseudo-terminal of their own, or with `pty=False` on a pipe, which is 10 times faster for bulk.

`run` waits for the end of the output, `run_bg` hands the terminal over. Rules: standard output and error are one stream;
what a program leaves behind in its session is hung up on; a program that cannot be started is a `RunError` here, whatever
else this process is doing.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import select
import signal
import sys
from collections.abc import Iterator
from typing import IO

from wayhouse.runtime.deadline import Deadline
from wayhouse.runtime.exceptions import RunError, Timeout
from wayhouse.runtime.spawn import on_pipe, on_terminal

READ_AT_ONCE = 1 << 18

Command = str | list[str]


def run(
    cmd: Command,
    timeout: float = 0,
    debug: bool = False,  # noqa: FBT001, FBT002 - the manual's signature
    cwd: str = "",
    output_file: IO[str] | IO[bytes] | None = None,
    *,
    pty: bool = True,
) -> tuple[int, str, str]:
    """`(status, output, "")`: the exit code, or minus the signal that ended the program.

    A string is split at white space, without quoting; on a terminal a line ends in CR LF. `output_file` is written as
    the output comes. Raises `RunError` when it cannot be started, and `Timeout` (with `cmd` and `out`) after `timeout`
    seconds (0: none), when all of its session has been killed.
    """
    argv = _argv(cmd)
    sink = _Sink(output_file, debug=debug)
    sink.say(f"{' '.join(argv)}\n")
    pid, fd = (on_terminal if pty else on_pipe)(argv, cmd, cwd)
    try:
        status = _follow(pid, fd, sink, Deadline(timeout if timeout > 0 else None))
    finally:
        os.close(fd)
    if status is None:
        raise Timeout({"message": "command timed out", "cmd": argv, "out": sink.text()})
    return status, sink.text(), ""


def run_bg(
    cmd: Command,
    debug: bool = False,  # noqa: FBT001, FBT002
    cwd: str = "",
) -> tuple[int, int]:
    """`(pid, descriptor of the terminal)`; the caller must wait for the one and close the other. Raises `RunError`."""
    argv = _argv(cmd)
    _Sink(None, debug=debug).say(f"{' '.join(argv)}\n")
    return on_terminal(argv, cmd, cwd)


def _argv(cmd: Command) -> list[str]:
    argv = cmd.split() if isinstance(cmd, str) else list(cmd)
    if not argv or not all(isinstance(word, str) and "\0" not in word for word in argv):
        raise RunError(cmd, "", "a command is a text, or a list of texts, and not empty")
    return argv


def _follow(pid: int, fd: int, sink: _Sink, deadline: Deadline) -> int | None:
    """Read to the end and reap; None when the deadline came first. Never leaves a child behind."""
    finished = False
    try:
        with _ended(pid) as end:
            finished = _read_all(pid, fd, end, sink, deadline) and _has_ended(end, deadline)
    finally:
        if not finished:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return status if finished else None


@contextlib.contextmanager
def _ended(pid: int) -> Iterator[int]:
    fd = os.pidfd_open(pid)
    try:
        yield fd
    finally:
        os.close(fd)


def _read_all(pid: int, fd: int, end: int, sink: _Sink, deadline: Deadline) -> bool:
    """False when the deadline came first. When the program ends, what is left of its session is hung up on."""
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    poller.register(end, select.POLLIN)
    while ready := poller.poll(deadline.left_ms()):
        ends = dict(ready)
        if end in ends:
            poller.unregister(end)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGHUP)
        if fd in ends and not sink.take(_read(fd)):
            return True
    return False


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, READ_AT_ONCE)
    except OSError:  # EIO: the terminal has no user left
        return b""


def _has_ended(end: int, deadline: Deadline) -> bool:
    poller = select.poll()
    poller.register(end, select.POLLIN)
    return bool(poller.poll(deadline.left_ms()))


class _Sink:
    """Where output goes: kept, copied to a file as it comes, shown when debugging."""

    def __init__(self, file: IO[str] | IO[bytes] | None, *, debug: bool) -> None:
        if file is not None and not _is_real(file):
            raise Exception(f"output_file is not a file: {type(file).__name__}")  # noqa: TRY002
        self._file = file
        self._as_text = isinstance(file, io.TextIOBase)
        self._debug = debug
        self._pieces: list[bytes] = []
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def take(self, data: bytes) -> bool:
        """Whether there was anything."""
        self._pieces.append(data)
        if self._debug or self._file is not None:
            self._copy(data)
        return bool(data)

    def say(self, text: str) -> None:
        if self._debug:
            sys.stderr.write(text)

    def text(self) -> str:
        return b"".join(self._pieces).decode("utf-8", "replace")

    def _copy(self, data: bytes) -> None:
        text = self._decoder.decode(data, final=not data)
        self.say(text)
        if self._file is not None:
            self._file.write(text if self._as_text else data)  # type: ignore[arg-type]
            self._file.flush()


def _is_real(file: object) -> bool:
    try:
        return isinstance(file.fileno(), int) and hasattr(file, "write")  # type: ignore[attr-defined]
    except (AttributeError, OSError):
        return False
