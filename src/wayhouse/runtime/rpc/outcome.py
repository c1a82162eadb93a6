"""What becomes of an exception that a method raises: the object that the client gets.

Called by the server. Rules: an `AveException` keeps its own trace, so it survives a chain of processes; the dispatcher's
frames are left out of a trace, so its first row is the method; nothing that an exception does can fail the server.
"""

from __future__ import annotations

import traceback
from types import TracebackType
from typing import Any

from wayhouse.base.errors import WayhouseError
from wayhouse.runtime.exceptions import AveException

MAX_TRACE = 100
"""The most rows of a trace: a deep recursion would fill megabytes."""


def details_of(error: BaseException, *, skip: int = 1) -> dict[str, Any]:
    """`{type, message, trace, ...}`; `skip` frames of the server itself are left out of the trace."""
    if isinstance(error, AveException):
        details = dict(error.details)
        details.setdefault("trace", trace_of(error.__traceback__, skip=skip))
        return details
    details = {
        "type": type(error).__name__,
        "message": _text(error),
        "trace": trace_of(error.__traceback__, skip=skip),
    }
    if isinstance(error, WayhouseError):
        details["code"] = error.code
    return details


def trace_of(where: TracebackType | None, *, skip: int = 1) -> list[list[Any]]:
    """Rows of `[file, line, function, text]`, the outermost first."""
    while where is not None and skip > 0:
        where, skip = where.tb_next, skip - 1
    rows = traceback.extract_tb(where, limit=-MAX_TRACE) if where is not None else []
    return [[row.filename, row.lineno, row.name, row.line or ""] for row in rows]


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - a foreign exception's own text may be broken
        return f"<no text: {type(error).__name__}>"
