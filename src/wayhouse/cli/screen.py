"""What the commands write: JSON for programs (`--json`), tables and sentences for people, notes on standard error.

What comes from apps and gateways may hold control characters; a terminal never sees them. Colours only on a terminal
and never with NO_COLOR (no-color.org).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from wayhouse.base.errors import BadInputError

BOLD, DIM, RED, GREEN, YELLOW = "1", "2", "31", "32", "33"
STATES = {
    "running": GREEN,
    "succeeded": GREEN,
    "ok": GREEN,
    "failed": RED,
    "fail": RED,
    "missing": RED,
    "dead": RED,
    "restarting": YELLOW,
    "undoing": YELLOW,
    "cancelled": YELLOW,
    "warn": YELLOW,
    "exited": YELLOW,
}


class Screen:
    def __init__(
        self,
        *,
        json: bool = False,
        env: Mapping[str, str] | None = None,
        out: TextIO | None = None,
        err: TextIO | None = None,
    ) -> None:
        self.json = json
        self.out = out or sys.stdout
        self.err = err or sys.stderr
        env = env or {}
        self._dumb = env.get("TERM") == "dumb"
        self._colour = not env.get("NO_COLOR") and not self._dumb

    @property
    def is_live(self) -> bool:
        """Whether there is a terminal to draw on."""
        return not self.json and not self._dumb and self.out.isatty() and self.err.isatty()

    @property
    def can_ask(self) -> bool:
        return sys.stdin.isatty() and self.err.isatty()

    def data(self, value: Any) -> None:
        """One JSON document."""
        import msgspec

        from wayhouse.base import codec

        self._write(msgspec.json.format(codec.encode_json(value), indent=2).decode())

    def data_line(self, value: Any) -> None:
        """One JSON document on one line, of several that follow each other."""
        from wayhouse.base import codec

        self._write(codec.encode_json(value).decode())

    def line(self, text: str = "") -> None:
        self._write(self.safe(text))

    def lines(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Names and values, aligned; an empty name continues the one above."""
        width = max((len(name) for name, _ in pairs), default=0)
        for name, value in pairs:
            self._write(f"{self._paint(name.ljust(width), BOLD)}  {self.safe(value)}".rstrip())

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[str]], *, empty: str) -> None:
        """Columns under their heads; `empty` says what it means that there is none."""
        if not rows:
            self.note(empty)
            return
        cells = [[self.safe(cell) for cell in row] for row in rows]
        widths = [max(len(row[at]) for row in [list(heads), *cells]) for at in range(len(heads))]
        self._write(self._paint(_row(heads, widths), BOLD))
        for row in cells:
            padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
            painted = [self._paint(cell, STATES.get(cell.strip(), "")) for cell in padded]
            self._write("  ".join(painted).rstrip())

    def note(self, text: str) -> None:
        """For people, beside the answer: on standard error, so that pipes stay clean; not at all with --json."""
        if not self.json:
            self.err.write(self.safe(text) + "\n")
            self.err.flush()

    def paint(self, text: str, state: str) -> str:
        """`text` in the colour of `state`."""
        return self._paint(self.safe(text), STATES.get(state, ""))

    def painted(self, text: str) -> None:
        """A line that `paint` has made."""
        self._write(text)

    def confirm(self, question: str, *, otherwise: str) -> bool:
        """Ask a person. Without one, raises `BadInputError` with `otherwise`: what to write on the command line."""
        if not self.can_ask:
            raise BadInputError(otherwise)
        self.err.write(f"{self.safe(question)} [y/N] ")
        self.err.flush()
        return sys.stdin.readline().strip().lower() in {"y", "yes"}

    def safe(self, text: str) -> str:
        """Without control characters, where a terminal would obey them."""
        if text.isprintable() or not (self.out.isatty() or self.err.isatty()):
            return text
        return "".join(char if char.isprintable() or char == "\t" else _visible(char) for char in text)

    def _paint(self, text: str, code: str) -> str:
        if not code or not self._colour or not self.out.isatty():
            return text
        return f"\033[{code}m{text}\033[0m"

    def _write(self, text: str) -> None:
        self.out.write(text + "\n")
        self.out.flush()


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _visible(char: str) -> str:
    """Line ends stay; the rest of what is not printable shows as what it is."""
    return char if char == "\n" else "" if char == "\r" else f"\\x{ord(char):02x}"
