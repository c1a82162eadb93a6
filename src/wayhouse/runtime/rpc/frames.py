"""Frames: a 4-byte big-endian length and that many bytes. Cuts a stream of bytes into them, without a socket.

Called by both machines of `wire.py`. Rules: any splitting of the bytes gives the same frames, what a reader lends
(one reused buffer) is copied only when a frame is cut by its end, and no declared length makes room before bytes come.
"""

from __future__ import annotations

import struct

LIMIT = 64 * 1024 * 1024
"""The largest frame that is accepted unless configured otherwise, in bytes."""

LARGE = 16 * 1024
"""When this much of a frame is missing, `large` is set, and a reader does well to use `tail` and `filled` in place of `feed`."""

GROWTH = 1024 * 1024

WITH_PARTS = 0x80000000
"""Wire v1 marks a frame that carries raw attachments after its head with the highest bit of the length."""

U32 = struct.Struct(">I")
_length = U32.unpack_from
_EMPTY = memoryview(b"")

Buffer = bytes | bytearray | memoryview


class OversizeError(Exception):
    """A length beyond the limit was announced; the stream cannot be read any further."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"{size} bytes are announced, {limit} are accepted")
        self.size = size
        self.limit = limit


class Frames:
    """`feed` lends or copies bytes, `next` gives one frame's body as a view or None, `settle` ends the loan.

    A view is good until the next `feed` or `settle`; `keep` makes it last. `marked` says whether the frame given last
    had the mark of attachments (only when `marks` is set, else such a length is oversize). What is left is `view[pos:end]`,
    which a caller in a hurry may look at, and take whole frames from by moving `pos`.
    """

    __slots__ = ("_own", "end", "large", "limit", "marked", "marks", "pos", "view")

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self.marks = False
        self.marked = False
        self.large = False
        self._own: bytearray | None = None
        self.view = memoryview(b"")
        self.pos = 0
        self.end = 0

    def feed(self, data: Buffer) -> None:
        """Take `data` after what is left; it must stay as it is until `settle`, which `next` calls when it gives None."""
        view = memoryview(data)
        self.large = False
        if self.end > self.pos:
            self._append(view)
            return
        self._own = None
        self.view = view
        self.pos = 0
        self.end = len(view)

    def lend(self, view: memoryview, count: int) -> None:
        """`feed` of the first `count` bytes of `view`, for a reader that fills the same room again and again."""
        if self.end > self.pos:
            self.feed(view[:count])
            return
        self.large = False
        self._own = None
        self.view = view
        self.pos = 0
        self.end = count

    def next(self) -> memoryview | None:
        """The next whole frame's body. Raises `OversizeError`."""
        begin = self.pos
        start = begin + 4
        if start > self.end:
            if begin < self.end:
                self.settle()
            return None
        view = self.view
        (size,) = _length(view, begin)
        if size > self.limit:
            size = self._checked(size)
        elif self.marked:
            self.marked = False
        end = start + size
        if end > self.end:
            self.settle()
            self.large = end - self.end >= LARGE
            return None
        self.pos = end
        return view[start:end]

    def settle(self) -> None:
        """Copy what is left of a loan, so that the lender may reuse its buffer."""
        if self.pos == self.end:
            self._own, self.view, self.pos, self.end = None, _EMPTY, 0, 0
        elif self._own is None:
            left = bytearray(self.view[self.pos : self.end])
            self._own = left
            self.view = memoryview(left)
            self.pos = 0
            self.end = len(left)

    def discard(self) -> None:
        """Forget what came."""
        self._own, self.view, self.pos, self.end, self.large = None, _EMPTY, 0, 0, False

    def keep(self, part: memoryview) -> memoryview:
        """A part of the frame given last, for good: a copy, or the buffer itself where nothing else is in it."""
        if self._own is None or self.end != self.pos or len(part) < 4096:
            return memoryview(bytes(part))
        return part.toreadonly()

    def rest(self) -> bytes:
        """What came after the last whole frame (for a hand-over)."""
        return bytes(self.view[self.pos : self.end])

    def __len__(self) -> int:
        return self.end - self.pos

    def tail(self) -> memoryview:
        """Where the next bytes of the frame under way belong; room is made as they come, not as they are announced."""
        have = self.end - self.pos
        if self._own is None or self.end == len(self._own) or self.pos:
            size = have + min(self.missing(), max(GROWTH, have))
            own = bytearray(size)
            own[:have] = self.view[self.pos : self.end]
            self._own, self.view, self.pos, self.end = own, memoryview(own), 0, have
        return self.view[self.end :]

    def filled(self, count: int) -> None:
        """`count` bytes were read into `tail`."""
        self.end += count
        self.large = self.missing() >= LARGE

    def missing(self) -> int:
        """How many bytes the frame under way still wants, 0 when its length is not known."""
        if self.end - self.pos < 4:
            return 0
        size = int(_length(self.view, self.pos)[0]) & ~WITH_PARTS
        return max(0, size + 4 - (self.end - self.pos))

    def _append(self, data: memoryview) -> None:
        own = self._own
        if own is None:
            own = bytearray(self.view[self.pos : self.end])
            self.pos, self.end = 0, len(own)
        self.view = _EMPTY
        try:
            del own[self.end :]
            if self.pos:
                del own[: self.pos]
            own += data
        except BufferError:  # somebody kept a view
            own = own[self.pos : self.end] + data
        self.pos = 0
        self._own = own
        self.view = memoryview(own)
        self.end = len(own)

    def _checked(self, size: int) -> int:
        bare = size & ~WITH_PARTS
        if not self.marks or not size & WITH_PARTS or bare > self.limit:
            raise OversizeError(size if not self.marks else bare, self.limit)
        self.marked = True
        return bare
