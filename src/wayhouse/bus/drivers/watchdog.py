"""Signs of life to the service manager, from the poll loop itself, so that a loop that is stuck gives none.

Called by `server` as one of the loop's parts. Rule: without a watching manager it does nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from wayhouse.runtime import systemd


class Watchdog:
    def __init__(self, env: Mapping[str, str], now: float) -> None:
        self._env = env
        limit_s = systemd.watchdog_s(env)
        self._every_s = None if limit_s is None else limit_s / 2
        self._at = now

    def tick(self, now: float) -> None:
        if self._every_s is not None and now >= self._at:
            self._at = now + self._every_s
            systemd.watchdog(self._env)

    def deadline(self) -> float | None:
        return None if self._every_s is None else self._at

    def close(self, now: float) -> None:
        """The manager is told of the end by the server."""
