"""Memory laid out as rows of one length, one packet each, with the ways to look at it that the engine needs. Made once, used for ever.

Rule: `spans` hands out views that are made once for each place and kept, as making one costs as much as a tenth of encrypting a packet.
"""

from __future__ import annotations

import numpy as np

from wayhouse.overlay.engine.checksums import Array

LARGEST_PACKET = 0xFFFF
_MOST_SPANS = 48


class Rows:
    """`count` rows of `stride` bytes, a multiple of 64, and room for one largest packet behind the last row's beginning."""

    def __init__(self, count: int, stride: int) -> None:
        self.count, self.stride = count, stride
        self.memory = bytearray(count * stride + LARGEST_PACKET + 1)
        self.view = memoryview(self.memory)
        self.flat: Array = np.frombuffer(self.memory, dtype=np.uint8)
        self.matrix: Array = self.flat[: count * stride].reshape(count, stride)
        self.words16: Array = self.matrix.view("<u2")
        self.words16_be: Array = self.matrix.view(">u2")
        self.words32: Array = self.matrix.view("<u4")
        self.words32_be: Array = self.matrix.view(">u4")
        self.words64: Array = self.matrix.view("<u8")
        self.starts = range(0, count * stride, stride)
        self._spans: dict[tuple[int, int], list[memoryview]] = {}

    def span(self, row: int, start: int, end: int) -> memoryview:
        """Bytes `start` to `end` of one row."""
        base = row * self.stride
        return self.view[base + start : base + end]

    def spans(self, start: int, end: int) -> list[memoryview]:
        """Bytes `start` to `end` of every row; not to be changed."""
        found = self._spans.get((start, end))
        if found is None:
            if len(self._spans) >= _MOST_SPANS:
                self._spans.clear()
            found = [self.view[base + start : base + end] for base in self.starts]
            self._spans[start, end] = found
        return found
