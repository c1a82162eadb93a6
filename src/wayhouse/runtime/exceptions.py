"""Every error of the runtime. The `AveException` family crosses the network as `details`, a JSON object; the network
and process errors below it never do.

Called by everything in this room and by code that talks to it. Two rules: whatever a peer puts into `details` can
neither crash the reader nor reach a page by itself (`fields` stays empty), and an error survives copy, pickle and proxies.
"""

# ruff: noqa: N818 - these are the names that the manual gives and that cross the wire

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, ClassVar

from wayhouse.base.errors import WayhouseError

ExceptHook = Callable[[type[BaseException], BaseException, TracebackType | None], Any]


class AveException(WayhouseError):
    """An error with `details`: an object with a `message`, a `type` (the class's name unless given) and any more keys.

    Each key can be read as an attribute. `trace`, when there, is the stack of the process that raised it: rows of
    `[file, line, function, text]`. Raises a bare `Exception` for details of a wrong shape.
    """

    code: ClassVar[str] = "remote-failed"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "A process answered with an error"

    details: dict[str, Any]

    def __init__(self, details: dict[str, Any]) -> None:
        kept = _checked(details)
        kept.setdefault("type", type(self).__name__)
        super().__init__(str(kept["message"]))
        self.details = kept

    def __getattr__(self, name: str) -> Any:
        details = self.__dict__.get("details", {})
        if name in details:
            return details[name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __str__(self) -> str:
        text = str(self.details["message"])
        return f"{text}\nServer side traceback:\n{self.format_trace()}" if self.has_trace() else text

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.details)

    def has_trace(self) -> bool:
        return bool(self.details.get("trace"))

    def format_trace(self) -> str:
        """The trace as Python prints one, "" without; rows that are no rows are left out."""
        rows = self.details.get("trace")
        known = [_row(row) for row in rows if _is_row(row)] if isinstance(rows, list | tuple) else []
        return "".join(traceback.format_list(known))

    def print_trace(self) -> None:
        sys.stderr.write(self.format_trace())

    def json(self) -> dict[str, Any]:
        return self.details


class Worded(AveException):
    """One that may also be made of its message alone."""

    def __init__(self, details: dict[str, Any] | str) -> None:
        super().__init__({"message": details} if isinstance(details, str) else details)


class Timeout(Worded):
    code = "timed-out"
    status = 504


class Exit(Worded):
    """The process that serves ends, in order."""

    code = "exited"
    status = 503


class AuthError(Worded):
    code = "unauthenticated-call"
    status = 401


class Restarting(Worded):
    """The process that was asked is an old generation: connect again to reach the new one."""

    code = "restarting"
    status = 503


class Terminated(Worded):
    """An activity in the background has ended."""

    code = "terminated"


class Offline(Worded):
    code = "offline"
    status = 503


class CompositionServerResponseNot200Exception(Worded):
    code = "composition-not-200"
    status = 502


class CompositionServerResponseHttpRetryCode(Worded):
    """The composition server answered 502, 503 or 504: worth another try."""

    code = "composition-retry"
    status = 503


class CompositionServerResponseOrderFailed(Worded):
    code = "composition-order-failed"
    status = 502


class CompositionDownloadImagesFailed(Worded):
    code = "composition-download-failed"
    status = 502


class RunError(AveException):
    """A program could not be started or has failed; `cmd` is what was asked for, `out` what it wrote."""

    code = "run-failed"

    def __init__(self, cmd: str | list[str], out: str, message: str = "") -> None:
        super().__init__({"message": message, "cmd": cmd, "out": out, "ptyout": out})

    def __str__(self) -> str:
        return f"{self.cmd}:\n{self.details['message']}:\n{self.out}"


_REBUILT: dict[str, type[Worded]] = {
    kind.__name__: kind for kind in (Timeout, Exit, AuthError, Restarting, Terminated, Offline)
}


def exception_factory(details: object) -> Exception:
    """The exception that `details`, the "exception" member of an answer, stands for.

    Types that are not known here become an `AveException` that keeps the type's name; anything may be passed.
    """
    kept = dict(details) if isinstance(details, Mapping) else {"message": details}
    kept = {str(key): value for key, value in kept.items()}
    kept.setdefault("type", "Exception")
    kept.setdefault("message", "the peer gave no message")
    name = str(kept["type"])
    if name == "OverflowError":
        return OverflowError(kept["message"])
    if name == "RunError":
        return _run_error(kept)
    return _REBUILT.get(name, AveException)(kept)


def amend_excepthook(hook: ExceptHook) -> ExceptHook:
    """Install, and return, an excepthook that calls `hook` and then prints the far side's trace, where there is one."""

    def amended(kind: type[BaseException], value: BaseException, where: TracebackType | None) -> None:
        hook(kind, value, where)
        if isinstance(value, AveException) and value.has_trace():
            value.print_trace()

    sys.excepthook = amended
    return amended


def _checked(details: object) -> dict[str, Any]:
    """The shapes and texts of the original, which raises bare `Exception`s here."""
    if not isinstance(details, dict):
        raise Exception(f"details is not a dictionary: {type(details).__name__}")  # noqa: TRY002, TRY004
    if not all(isinstance(key, str) for key in details):
        raise Exception("not all keys of details are strings")  # noqa: TRY002
    if "message" not in details:
        raise Exception('details has no "message"')  # noqa: TRY002
    return dict(details)


def _rebuild(kind: type[AveException], details: dict[str, Any]) -> AveException:
    error = kind.__new__(kind)
    AveException.__init__(error, details)
    return error


def _run_error(details: dict[str, Any]) -> RunError:
    details.setdefault("cmd", "")
    details.setdefault("out", "")
    details.setdefault("ptyout", details["out"])
    error = RunError.__new__(RunError)
    AveException.__init__(error, details)
    return error


def _is_row(row: object) -> bool:
    return isinstance(row, list | tuple) and len(row) == 4 and isinstance(row[1], int)


def _row(row: Any) -> tuple[str, int, str, str]:
    return str(row[0]), row[1], str(row[2]), str(row[3] or "")


class NetworkError(WayhouseError):
    """What a connection or a process tells its own side; never sent to a peer."""

    code: ClassVar[str] = "connection-failed"
    status: ClassVar[int] = 503
    title: ClassVar[str] = "A connection failed"
    text: ClassVar[str] = "network error"

    def __init__(self, msg: str | None = None) -> None:
        super().__init__(self.text if msg is None else msg)


class ConnectionClosed(NetworkError):
    text = "connection closed"


class ConnectionTimeout(NetworkError):
    code = "connection-timed-out"
    text = "timed out"


class ConnectionRefused(NetworkError):
    text = "connection refused"


class ConnectionInProgress(NetworkError):
    """Poll the socket for writing, then go on."""

    text = "connection in progress"


class ConnectionAgain(NetworkError):
    """Nothing can be read or written at the moment: poll the socket, then try again."""

    text = "connection again"


class ConnectionReset(NetworkError):
    text = "connection reset"


class FrameTooLong(NetworkError, OverflowError):
    """A peer announces more bytes than are taken; nothing that follows on that connection can be read."""

    code = "frame-too-long"
    status = 413
    text = "frame too long"


class ProcessError(NetworkError):
    code = "process-failed"
    title = "A process cannot be waited for"
    text = "process error"


class Unstarted(ProcessError):
    text = "process is not started"


class Unwaitable(ProcessError):
    """Only a process's own parent can wait for it."""

    text = "process is not a child of this process"


class Unjoinable(ProcessError):
    text = "a process cannot join itself"


class Unknown(ProcessError):
    text = "unknown process state"


RemoteTimeout = Timeout
RemoteExit = Exit
RemoteAuthError = AuthError
RemoteRunError = RunError
