"""Which web pages of other origins may read answers (CORS): those that the settings name, nobody by default."""

from __future__ import annotations

from collections.abc import Iterable


class Cors:
    def __init__(self, origins: Iterable[str]) -> None:
        self._origins = frozenset(origins)

    def headers(self, request: dict[str, str]) -> list[tuple[str, str]]:
        """The headers for the answer to `request`; the values are ParaDrop's. Credentials (cookies) are never allowed."""
        origin = request.get("origin")
        if origin is None or not self._origins:
            return []
        if "*" not in self._origins and origin not in self._origins:
            return []
        return [
            ("access-control-allow-origin", "*" if "*" in self._origins else origin),
            ("access-control-allow-methods", "GET, PUT, POST, DELETE, PATCH"),
            ("access-control-allow-headers", "Content-Type, Authorization"),
            ("access-control-max-age", "2520"),
            ("vary", "Origin"),
        ]
