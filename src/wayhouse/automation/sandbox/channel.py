"""The one way out of the sandbox: calls to the gateway over a socket, one at a time, and what is told without an answer.

Out go lines of JSON, since the gateway trusts nothing that comes from here; in come `marshal`ed answers, since that needs no import.
Used by `names`. Rule: when the gateway is gone, so is this process.
"""

from __future__ import annotations

import _thread
import marshal
import math
import os
from _json import encode_basestring_ascii  # `json` would cost 9 ms

TYPE_CHECKING = False  # `typing` would cost half of the start
if TYPE_CHECKING:
    from typing import Any

MAX_INTEGER = 2**63 - 1


class CallError(Exception):
    """The gateway or a device refused; the text says why. `code` is for programs."""

    def __init__(self, message: str, code: str = "error") -> None:
        super().__init__(message)
        self.code = code


class Stopped(BaseException):
    """Raised by waits when the scenario is to stop. Tidy up in `finally`; there are a few seconds."""


class Channel:
    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lock = _thread.allocate_lock()

    def call(self, name: str, /, **asked: Any) -> Any:
        """Raises `CallError`, `Stopped`, and `TypeError` for what cannot be sent."""
        line = encode({"do": "call", "ask": {"call": name, **asked}})
        with self._lock:
            self._send(line)
            kind, answer, code = self.receive()
        if kind == "ok":
            return answer
        raise Stopped if kind == "stopped" else CallError(answer, code)

    def tell(self, **message: Any) -> None:
        line = encode(message)
        with self._lock:
            self._send(line)

    def receive(self) -> Any:
        return marshal.loads(self._read(int.from_bytes(self._read(4), "big")))  # noqa: S302 - the gateway's own

    def _send(self, line: str) -> None:
        data = memoryview(line.encode() + b"\n")
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError:
            os._exit(1)

    def _read(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            try:
                chunk = os.read(self._fd, size - len(found))
            except OSError:
                chunk = b""
            if not chunk:
                os._exit(1)
            found += chunk
        return found


def encode(value: Any) -> str:
    """JSON of plain data. Raises `TypeError` for anything else."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            text: str = encode_basestring_ascii(value)
            return text
        case int() if abs(value) <= MAX_INTEGER:
            return int.__repr__(value)
        case float() if math.isfinite(value):
            return float.__repr__(value)
        case list() | tuple():
            return "[" + ",".join(encode(one) for one in value) + "]"
        case dict() if all(isinstance(key, str) for key in value):
            return "{" + ",".join(f"{encode(key)}:{encode(one)}" for key, one in value.items()) + "}"
    raise TypeError(f"the gateway takes numbers of 64 bits, texts, True, False and None, not {value!r:.80}")
