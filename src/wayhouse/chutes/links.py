"""Where symbolic links lead, worked out without touching a disk. Called by `bundle.py`, which makes only those that stay
inside the bundle."""

from __future__ import annotations

from collections.abc import Mapping

from wayhouse.chutes.archive import shown
from wayhouse.chutes.model import BadArchiveError

STEPS = 4096
STEPS_PER_LINK = 64
"""Parts of paths walked for all links together: enough for real trees, and an end for loops and links that multiply."""


class Steps:
    """A number of steps that is used up."""

    def __init__(self, count: int) -> None:
        self._left = count

    def take(self) -> bool:
        self._left -= 1
        return self._left >= 0


def check(links: Mapping[str, str]) -> None:
    """`links` maps names in the bundle to their targets. Raises `BadArchiveError` for one that leads out of the bundle,
    directly or by way of others, or nowhere (a loop)."""
    steps = Steps(STEPS + STEPS_PER_LINK * len(links))
    for name, target in links.items():
        if not target or "\0" in target or not _stays(name, links, steps):
            raise BadArchiveError(
                f"Tarfile contains unsafe paths: {shown(name)} is a link to {shown(target)}"
            )


def _stays(name: str, links: Mapping[str, str], steps: Steps) -> bool:
    """Walk from the top as the kernel would: a link on the way puts its target's parts in its place."""
    waiting = list(reversed(name.split("/")))
    here: list[str] = []
    while waiting:
        if not steps.take():
            return False
        part = waiting.pop()
        if part in {"", "."}:
            continue
        if part == "..":
            if not here:
                return False
            here.pop()
            continue
        here.append(part)
        target = links.get("/".join(here))
        if target is not None:
            if target.startswith("/"):
                return False
            here.pop()
            waiting.extend(reversed(target.split("/")))
    return True
