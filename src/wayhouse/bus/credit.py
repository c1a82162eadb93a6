"""How many requests a worker holds at once: one, as MDP says, more when it asks for it or keeps up.

Called by the broker. Frames do not change: what is sent ahead waits in the worker's own socket. Rule: a window grows only while
requests wait and the worker goes through all that it holds in `TURN_S`, so that a slow worker never hoards; it shrinks as soon
as a turn takes twice that.
"""

from __future__ import annotations

TURN_S = 0.01


class Window:
    """`size` is how many requests may be held now; a fixed one keeps what the worker asked for."""

    __slots__ = ("_ceiling", "_left", "_pressed", "_since", "size")

    def __init__(self, size: int = 1, ceiling: int = 1) -> None:
        self.size = size
        self._ceiling = max(size, ceiling)
        self._left = size
        self._since = 0.0
        self._pressed = False

    def begin(self, now: float) -> None:
        """An idle worker got a request."""
        self._since, self._left, self._pressed = now, self.size, False

    def answered(self, now: float, *, waiting: bool) -> None:
        """A reply came; `waiting`: more requests are there than workers have room for."""
        if self._ceiling == 1:
            return
        if waiting:
            self._pressed = True
        self._left -= 1
        if self._left > 0:
            return
        took = now - self._since
        if took > 2 * TURN_S:
            self.size = max(1, self.size // 2)
        elif took <= TURN_S and self._pressed:
            self.size = min(self._ceiling, self.size * 2)
        self.begin(now)


def window(asked: int | None, *, ceiling: int, adaptive: bool) -> Window:
    """The window of a new worker that asked for `asked` requests, or for nothing."""
    if asked is not None:
        size = min(asked, ceiling)
        return Window(size, size)
    return Window(1, ceiling if adaptive else 1)
