"""Reads small files of /sys, /proc and /etc below a root that tests can replace. Missing files are None, never errors."""

from __future__ import annotations

from pathlib import Path

MAX_FILE = 64 * 1024


class Sysfs:
    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root

    def text(self, path: str) -> str | None:
        """The text of `path` without surrounding white space; None if it is missing, unreadable or empty."""
        try:
            with (self._root / path).open("rb") as file:
                data = file.read(MAX_FILE)
        except OSError:
            return None
        return data.decode("utf-8", "replace").strip() or None

    def names(self, path: str) -> list[str]:
        """What the directory holds, sorted; nothing if it is missing."""
        try:
            return sorted(entry.name for entry in (self._root / path).iterdir())
        except OSError:
            return []

    def target(self, path: str) -> tuple[str, ...]:
        """The parts of the path that a link leads to, below the root; nothing if it leads nowhere or out."""
        try:
            return (self._root / path).resolve(strict=True).relative_to(self._root.resolve()).parts
        except (OSError, ValueError, RuntimeError):
            return ()
