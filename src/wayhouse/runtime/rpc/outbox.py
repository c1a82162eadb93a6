"""What waits to be sent on one connection: framed messages, big attachments that are not copied, descriptors.

Called by the machines of `wire.py`, which fill it, and by `transport.py`, which empties it. Rules: small messages are joined, so that
they leave with one send; a message that cannot be encoded leaves no trace.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from wayhouse.runtime.rpc.frames import U32, WITH_PARTS
from wayhouse.runtime.rpc.parts import Taken

UNCOPIED_FROM = 16 * 1024
"""Attachments of this size, when nobody can change them, are sent from where they are."""

_encode = msgspec.json.Encoder().encode
_encode_into = msgspec.json.Encoder().encode_into
_two_lengths = struct.Struct(">II").pack
_pack_into = U32.pack_into
_length = U32.pack
HEADER = b"\0\0\0\0"


class Outbox:
    """`chunks`, then `out`, in this order; `marks` are (position, descriptors that go with the byte there)."""

    __slots__ = ("chunks", "marks", "out")

    def __init__(self) -> None:
        self.chunks: deque[memoryview] = deque()
        self.out = bytearray()
        self.marks: deque[tuple[int, list[int]]] = deque()

    def __len__(self) -> int:
        return len(self.out) + sum(map(len, self.chunks)) if self.chunks else len(self.out)

    def sent(self, count: int) -> None:
        """`count` bytes are on their way; descriptors that went with them are closed here."""
        if self.marks:
            self._close_sent(count)
        while self.chunks:
            size = len(self.chunks[0])
            if size > count:
                self.chunks[0] = memoryview(bytes(self.chunks[0][count:]))  # its owner may now change it
                return
            self.chunks.popleft()
            count -= size
        if count == len(self.out):
            self.out.clear()
        elif count:
            del self.out[:count]

    def buffers(self, limit: int) -> list[memoryview]:
        """At most `limit` bytes from the front, in pieces."""
        found: list[memoryview] = []
        for piece in (*self.chunks, memoryview(self.out)):
            if limit <= 0:
                break
            found.append(piece[:limit])
            limit -= len(found[-1])
        return found[:1000]

    def first(self) -> tuple[int, list[int]]:
        """(how many bytes to send now, the descriptors that go with the first of them)."""
        if not self.marks:
            return len(self), []
        if self.marks[0][0]:
            return self.marks[0][0], []
        end = self.marks[1][0] if len(self.marks) > 1 else len(self)
        return end, self.marks[0][1]

    def content(self) -> bytes:
        return b"".join((*self.chunks, self.out))

    def close(self) -> None:
        while self.marks:
            close_all(self.marks.popleft()[1])
        self.chunks.clear()
        self.out = bytearray()

    def put(self, message: Any) -> None:
        """Append one framed JSON message. Raises what msgspec raises, and then nothing is appended."""
        out = self.out
        start = len(out)
        out += HEADER
        try:
            _encode_into(message, out, -1)
        except BaseException:
            del out[start:]
            raise
        _pack_into(out, start, len(out) - start - 4)

    def put_frame(self, body: bytes) -> None:
        self.out += _length(len(body)) + body

    def put_parts(self, message: Any, taken: Taken) -> None:
        """Append a v1 message with attachments and descriptors."""
        start = len(self)
        if not taken.attachments:
            self.put(message)
        else:
            self.put_raw(message, taken.attachments)
        if taken.descriptors:
            self.marks.append((start, [one.copy() for one in taken.descriptors]))

    def put_attached(self, head: bytes, view: memoryview) -> None:
        """Append one message, of which the JSON is given, with one attachment."""
        size = 4 + len(head) + len(view)
        if size >= WITH_PARTS:
            raise ValueError("a message cannot have 2 GiB or more")
        self.out += _two_lengths(size | WITH_PARTS, len(head)) + head
        self._append(view)

    def put_raw(self, message: Any, attachments: Sequence[memoryview]) -> None:
        """Append a v1 message that is followed by attachments."""
        head = _encode(message)
        size = 4 + len(head) + sum(map(len, attachments))
        if size >= WITH_PARTS:
            raise ValueError("a message cannot have 2 GiB or more")
        self.out += _two_lengths(size | WITH_PARTS, len(head)) + head
        for view in attachments:
            self._append(view)

    def _append(self, view: memoryview) -> None:
        if len(view) < UNCOPIED_FROM or not view.readonly:
            self.out += view
            return
        if self.out:
            self.chunks.append(memoryview(self.out))
            self.out = bytearray()
        self.chunks.append(view)

    def _close_sent(self, count: int) -> None:
        moved: deque[tuple[int, list[int]]] = deque()
        for position, fds in self.marks:
            if position < count:
                close_all(fds)
            else:
                moved.append((position - count, fds))
        self.marks = moved


def close_all(fds: Iterable[int]) -> None:
    for fd in fds:
        with contextlib.suppress(OSError):
            os.close(fd)
