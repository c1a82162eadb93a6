"""What moves on a terminal: a line at its foot that says what is going on, and pages that are drawn anew.

rich draws them and is only imported for it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

from wayhouse.cli.figures import span
from wayhouse.cli.screen import Screen


class StepLine(Protocol):
    def step(self, text: str, at: str) -> None:
        """A step has begun; `at` is the time since the first one."""
        ...


class PlainLines:
    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    def step(self, text: str, at: str) -> None:
        self._screen.note(text)


class MovingLine:
    """Says the latest step with a spinner and the time since `started`; the steps themselves scroll by above it."""

    def __init__(self, console: Any, safe: Any) -> None:
        self._console = console
        self._safe = safe
        self._started = time.monotonic()
        self._text = "Waiting for its turn"

    def step(self, text: str, at: str) -> None:
        from rich.text import Text

        self._text = self._safe(text)
        self._console.print(Text.assemble((at, "dim"), "  ", self._text))

    def __rich__(self) -> Any:
        from rich.text import Text

        first = self._text.partition("\n")[0]
        took = span(int(time.monotonic() - self._started))
        return Text.assemble(first, "  ", (took, "dim"), no_wrap=True, overflow="ellipsis")


@contextlib.contextmanager
def live_line(screen: Screen) -> Iterator[StepLine]:
    if not screen.is_live:
        yield PlainLines(screen)
        return
    from rich.console import Console
    from rich.live import Live
    from rich.spinner import Spinner

    console = Console(file=screen.err, highlight=False, markup=False, emoji=False)
    moving = MovingLine(console, screen.safe)
    with Live(Spinner("dots", moving), console=console, refresh_per_second=8, transient=True):
        yield moving


def away(screen: Screen) -> Callable[[float], None]:
    """What to do when a stream that goes on has lost the gateway (`lost` of `Client.follow`): say so."""
    return lambda seconds: screen.note(
        f"The gateway is away: it may be restarting. Waiting for it, up to {span(int(seconds))}."
    )


def draw(screen: Screen, pages: Iterable[Sequence[str]]) -> None:
    """Each page in the place of the one before it, on the whole terminal, until they end."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(file=screen.out, highlight=False, markup=False, emoji=False)
    with Live(console=console, screen=True, auto_refresh=False) as live:
        for page in pages:
            text = Text("\n".join(map(screen.safe, page)), no_wrap=True, overflow="crop")
            live.update(text, refresh=True)
