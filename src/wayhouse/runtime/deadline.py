"""One deadline for a whole call, however many steps it takes. None means for ever."""

from __future__ import annotations

import time


class Deadline:
    __slots__ = ("_end",)

    def __init__(self, timeout_s: float | None) -> None:
        self._end = None if timeout_s is None else time.monotonic() + max(0.0, timeout_s)

    def left_s(self) -> float | None:
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    def left_ms(self) -> int | None:
        """For poll(2): rounded up, so that a wait never ends early and spins."""
        left = self.left_s()
        return None if left is None else int(left * 1000 + 0.999)

    def passed(self) -> bool:
        return self._end is not None and time.monotonic() >= self._end

    def pause(self, longest_s: float) -> None:
        """Sleep `longest_s`, or what is left."""
        left = self.left_s()
        time.sleep(longest_s if left is None else min(longest_s, left))
