"""Keeps other pages from acting with a user's session cookie (cross-site request forgery).

Apps live on other ports of this same machine, which browsers count as the same *site*, so `SameSite` alone is not
enough: a request that carries the cookie and may change something, and every WebSocket, must come from this origin.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from wayhouse.base.errors import ForbiddenError

_SAFE = {"GET", "HEAD", "OPTIONS"}


def demand_same_origin(scope: dict[str, Any], headers: dict[str, str]) -> None:
    """Raises `ForbiddenError` for a request of another origin."""
    if scope["type"] == "http" and scope["method"] in _SAFE:
        return
    if not is_same_origin(headers):
        raise ForbiddenError(
            "This request comes from another page. Open the gateway's own page and try again."
        )


def is_same_origin(headers: dict[str, str]) -> bool:
    site = headers.get("sec-fetch-site")
    if site is not None and site not in {"same-origin", "none"}:
        return False
    origin = headers.get("origin")
    if origin is None:
        return site is not None
    try:
        place = urlsplit(origin).netloc.lower()
    except ValueError:
        return False
    return bool(place) and place == headers.get("host", "").lower()  # "null" has no place
