"""Errors as answers: problem details (RFC 9457) with the fields that ParaDrop's clients look for beside them.

What is not a `WayhouseError` is a defect of ours: it is logged with its trace and answered without any detail.
"""

from __future__ import annotations

import logging
from typing import Any

import msgspec

from wayhouse.api.table import Reply
from wayhouse.base.errors import TooManyRequestsError, UnauthenticatedError, WayhouseError

log = logging.getLogger(__name__)

MEDIA = "application/problem+json"
CHALLENGE = ("www-authenticate", 'Basic realm="Login Required"')


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 9457. `code` never changes and is for programs; `error` and `message` repeat `detail` for old clients."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    error: str
    message: str


def problem(error: WayhouseError) -> dict[str, Any]:
    text = _sendable(error.message)
    known = {
        "type": f"urn:wayhouse:problem:{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": text,
        "code": error.code,
        "error": text,
        "message": text,
    }
    return {**{name: _sendable(value) for name, value in error.fields.items()}, **known}


def reply_for(error: Exception, *, challenge: bool = True) -> Reply:
    """The answer to a request that raised. `challenge`: let a browser ask for a password (not for a page's own calls)."""
    if not isinstance(error, WayhouseError):
        log.error("unforeseen failure while answering a request", exc_info=error)
        error = WayhouseError("The gateway failed to answer this; its log says why.")
    headers: tuple[tuple[str, str], ...] = ()
    if isinstance(error, UnauthenticatedError) and challenge:
        headers = (CHALLENGE,)
    if isinstance(error, TooManyRequestsError):
        headers = (*headers, ("retry-after", str(int(error.fields.get("retry_after_s", 1)) + 1)))
    return Reply(problem(error), error.status, headers, MEDIA)


def _sendable(value: Any) -> Any:
    """Names of files that are not UTF-8 come as text with lone surrogates, which JSON cannot hold."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
