"""One base error for all rooms: a stable code, an HTTP status and typed fields.

Rooms derive their leaf errors in their own ``model.py``. The `api` room turns any of them into a problem document
(RFC 9457); everything else that is raised is a defect and is answered with a bare 500.
"""

from __future__ import annotations

from typing import Any, ClassVar


class WayhouseError(Exception):
    """Something a caller can understand and act on.

    `message` is for people and says what to do next; `code` is for programs and never changes; `fields` carry
    machine-readable detail and must never hold a secret.
    """

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Something went wrong"

    def __init__(self, message: str, **fields: Any) -> None:
        super().__init__(message)
        self.message = message
        self.fields = fields

    def __str__(self) -> str:
        return self.message


class BadInputError(WayhouseError):
    """What was sent cannot be understood; `path` in the fields names the faulty place where there is one."""

    code = "bad-input"
    status = 400
    title = "The request cannot be understood"


class UnauthenticatedError(WayhouseError):
    code = "unauthenticated"
    status = 401
    title = "Sign in first"


class ForbiddenError(WayhouseError):
    code = "forbidden"
    status = 403
    title = "Not allowed"


class NotFoundError(WayhouseError):
    code = "not-found"
    status = 404
    title = "Not found"


class MethodNotAllowedError(WayhouseError):
    code = "method-not-allowed"
    status = 405
    title = "This method is not possible here"


class ConflictError(WayhouseError):
    code = "conflict"
    status = 409
    title = "This does not fit the present state"


class TooLargeError(WayhouseError):
    code = "too-large"
    status = 413
    title = "Too large"


class UnsupportedMediaError(WayhouseError):
    code = "unsupported-media"
    status = 415
    title = "This kind of body is not taken here"


class TooManyRequestsError(WayhouseError):
    """Slow down; `retry_after_s` in the fields says for how long."""

    code = "too-many-requests"
    status = 429
    title = "Too many requests"


class UnavailableError(WayhouseError):
    code = "unavailable"
    status = 503
    title = "A part that this needs is not available"


class OutsideError(WayhouseError):
    """An outside part (an engine, a registry, a git server) answered with a failure."""

    code = "outside-failed"
    status = 502
    title = "An outside part failed"


class TemporaryError(WayhouseError):
    """Worth trying again: the same wish may succeed later."""

    code = "temporary"
    status = 503
    title = "Try again later"


class PermanentError(WayhouseError):
    """Trying again cannot help."""

    code = "permanent"
    status = 500
    title = "This cannot be done"
