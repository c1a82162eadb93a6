"""The daemon's end of a scenario's process: start it, hear it, answer it, end it.

Called by `conversation`. Rules: the process has one descriptor (its end of a socket pair) and nothing of our environment; it is in a
session of its own, and no process of it is left when `close` has returned; what it says is read as the words of a stranger.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import marshal
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from wayhouse.automation.asks import Ask
from wayhouse.automation.runs import Outcome
from wayhouse.base.errors import BadInputError, UnavailableError

MAX_LINE = 1024 * 1024
_CALL = b'{"do":"call"'
_BOOT = "import sys; sys.path[:] = sys.argv[2:]; from wayhouse.automation.sandbox.main import main; main()"


class Ready(msgspec.Struct, frozen=True, tag_field="do", tag="ready"):
    """The walls stand; `missing`: what this machine did not let us wall off."""

    missing: tuple[str, ...] = ()


class Call(msgspec.Struct, frozen=True, tag_field="do", tag="call"):
    """It waits for an answer."""

    ask: Ask


class Garbled(msgspec.Struct, frozen=True):
    """A call with the wrong things in it, such as a number for a name; it waits for an answer."""

    reason: str


class Say(msgspec.Struct, frozen=True, tag_field="do", tag="say"):
    """A line for the trace; it waits for nothing."""

    call: Literal["print", "log"]
    text: str


class End(msgspec.Struct, frozen=True, tag_field="do", tag="end"):
    """The code has ended."""

    outcome: Outcome
    error: str = ""
    line: int | None = None


Message = Ready | Call | Say | End
_decoder: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)


class SandboxProcess:
    """Make it with `launch`."""

    def __init__(
        self, process: subprocess.Popen[bytes], ends: tuple[asyncio.StreamReader, asyncio.StreamWriter]
    ) -> None:
        self._process = process
        self._reader, self._writer = ends
        self._spent_s = 0.0
        self._is_answered = True
        self._is_ready = self._is_to_stop = False

    @property
    def pid(self) -> int:
        return self._process.pid

    async def receive(self) -> Message | Garbled | None:
        """What it says next; None: it has ended. Raises `BadInputError` for what nobody understands."""
        try:
            line = await self._reader.readline()
        except (ConnectionError, OSError):
            return None
        except ValueError as error:
            raise BadInputError(f"The code sent more than {MAX_LINE // 1024} KiB at once.") from error
        if not line.endswith(b"\n"):
            return None
        message = _read(line)
        if isinstance(message, Ready):
            self._hear_ready()
        self._spent_s, self._is_answered = self.cpu_s(), not isinstance(message, Call | Garbled)
        return message

    def _hear_ready(self) -> None:
        if self._is_ready:
            raise BadInputError("The code said what it cannot say.")
        self._is_ready = True
        if self._is_to_stop:
            self.ask_to_stop()

    async def answer(
        self, kind: Literal["ok", "error", "stopped"], value: Any = None, code: str = ""
    ) -> None:
        self._is_answered = True
        await self.send((kind, value, code))

    async def send(self, value: Any) -> None:
        data = marshal.dumps(value)
        with contextlib.suppress(ConnectionError):
            self._writer.write(len(data).to_bytes(4, "big") + data)
            await self._writer.drain()

    def cpu_s(self) -> float:
        """How long it has computed."""
        try:
            return time.clock_gettime(~self._process.pid << 3 | 2)
        except OSError:
            return self._spent_s

    def computes_too_long(self, limit_s: float) -> bool:
        """Whether it has computed for longer than that since it last said anything."""
        return self._is_answered and self.cpu_s() - self._spent_s > limit_s

    def ask_to_stop(self) -> None:
        """Not before it can hear it: until then the signal would end it."""
        self._is_to_stop = True
        if self._is_ready:
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """The whole group; `receive` then hears the end."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def close(self) -> int:
        """End it, whatever it does. Answers the exit status, or minus the signal that ended it."""
        self._writer.close()
        if (status := self._process.poll()) is not None:
            return status
        pidfd = os.pidfd_open(self._process.pid)
        try:
            self.kill()
            await _readable(pidfd)
        finally:
            os.close(pidfd)
        return self._process.wait()


async def launch(begin: Mapping[str, Any], zone: str) -> SandboxProcess:
    """`begin`: what the process is told first. Raises `UnavailableError` when there can be no more processes."""
    ours, theirs = socket.socketpair()
    try:
        process = _spawn(theirs.fileno(), zone)
    except OSError as error:
        ours.close()
        raise UnavailableError(f"No process can be started for a scenario: {error.strerror}.") from error
    finally:
        theirs.close()
    try:
        ends = await asyncio.open_connection(sock=ours, limit=MAX_LINE)
        made = SandboxProcess(process, ends)
    except BaseException:
        process.kill()
        process.wait()
        ours.close()
        raise
    try:
        await made.send({**begin, "parent": os.getpid(), "shown": list(_search_path())})
    except BaseException:
        made.kill()
        process.wait()
        raise
    return made


def _spawn(fd: int, zone: str) -> subprocess.Popen[bytes]:
    """Python without the environment and the user's own modules. Not `-I`: it would ignore that hashes are to be the same in each
    process, without which a set of texts has another order when a run is repeated."""
    return subprocess.Popen(
        [sys.executable, "-s", "-P", "-S", "-c", _BOOT, str(fd), *_search_path()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"PYTHONHASHSEED": "0", "TZ": zone, "LANG": "C.UTF-8"},
        cwd="/",
        start_new_session=True,
        pass_fds=(fd,),
    )


@functools.cache
def _search_path() -> tuple[str, ...]:
    """Python's own folders, those of installed packages, and the one that this package is in; nothing else that may be on `sys.path`."""
    own = str(Path(__file__).parents[2])
    folders = (sys.base_prefix + "/", sys.prefix + "/")
    found = (path for path in sys.path if path.startswith(folders) and Path(path).is_dir())
    return tuple(dict.fromkeys((*found, own)))


def _read(line: bytes) -> Message | Garbled:
    """Raises `BadInputError`."""
    try:
        return _decoder.decode(line)
    except msgspec.ValidationError as error:
        if line.startswith(_CALL):
            return Garbled(str(error).replace("$.ask.", ""))
        raise BadInputError("The code sent something that is no call.") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInputError("The code sent something that is no call.") from error


async def _readable(fd: int) -> None:
    loop = asyncio.get_running_loop()
    seen = asyncio.Event()
    loop.add_reader(fd, seen.set)
    try:
        await seen.wait()
    finally:
        loop.remove_reader(fd)
