"""How long a gateway that is gone is waited for: it may be restarting, or an upgrade may be under way.

Used by `api.client` for streams and by the commands that watch a change.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from wayhouse.api.client_errors import ProblemError, UnreachableError, UntrustedError
from wayhouse.base.errors import WayhouseError

GRACE_S = 30.0
PAUSE_S = 0.5
_AWAY = {502, 503, 504}
"""What a proxy before the gateway, or a gateway that starts, answers."""


class Grace:
    """Runs from the first failure after it was `reached` last. With `grace_s` 0 nothing is waited for. `lost` is told when the waiting begins, and for
    how long it will be at the most."""

    def __init__(
        self, grace_s: float = GRACE_S, *, lost: Callable[[float], None] = lambda _seconds: None
    ) -> None:
        self._grace_s, self._tell = grace_s, lost
        self._lost: float | None = None

    def reached(self) -> None:
        self._lost = None

    def wait(self, error: WayhouseError) -> None:
        """Pause before the next attempt. Raises `error` if another cannot help, `UnreachableError` when time is up."""
        if self._grace_s <= 0 or not _may_pass(error):
            raise error
        now = time.monotonic()
        if self._lost is None:
            self._lost = now
            self._tell(self._grace_s)
        if now - self._lost >= self._grace_s:
            raise UnreachableError(
                f"The gateway was lost and has not come back within {self._grace_s:g} seconds. {error.message}"
            ) from error
        time.sleep(PAUSE_S)


def _may_pass(error: WayhouseError) -> bool:
    if isinstance(error, ProblemError):
        return error.status in _AWAY
    return isinstance(error, UnreachableError) and not isinstance(error, UntrustedError)
