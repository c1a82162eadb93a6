"""What can go wrong between a client and its gateway. Raised by `api.client` and its transport; read by the commands."""

from __future__ import annotations

from typing import Any

from wayhouse.base.errors import OutsideError, UnavailableError, WayhouseError


class ProblemError(WayhouseError):
    """The gateway refused: a problem document (RFC 9457) with its own status and code."""

    def __init__(self, message: str, *, status: int, code: str, fields: dict[str, Any] | None = None) -> None:
        super().__init__(message, **(fields or {}))
        self.status = status  # type: ignore[misc]  # the other side's, not this class's
        self.code = code  # type: ignore[misc]


class UnreachableError(UnavailableError):
    """Nobody answers at the place, or the connection was lost."""

    code = "gateway-unreachable"
    title = "The gateway cannot be reached"


class UntrustedError(UnreachableError):
    """The place shows a certificate that nobody vouches for, or not the one that was pinned. Nothing was sent to it."""

    code = "certificate-not-trusted"
    title = "The gateway's certificate is not trusted"


class StrangeAnswerError(OutsideError):
    """Something answers, but not as a gateway of this version does."""

    code = "strange-answer"
    title = "The answer cannot be understood"
