"""What both ends of a wire share: frames in, an outbox, and the claiming of attachments and descriptors.

Called by `server_wire.py` and `client_wire.py`. Rule: descriptors are claimed in the order in which they came; what nobody can claim
is closed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from wayhouse.runtime.rpc.frames import U32, WITH_PARTS, Buffer, Frames
from wayhouse.runtime.rpc.messages import (
    Params,
    RefusedError,
)
from wayhouse.runtime.rpc.outbox import Outbox, close_all
from wayhouse.runtime.rpc.parts import (
    MAX_DESCRIPTORS,
    MAX_PARTS,
    Descriptor,
    Place,
    Taken,
    put_back,
)

NO_BYTES = memoryview(b"")


class Wire:
    """What both ends share: frames in, an outbox, descriptors that came and are not yet claimed."""

    __slots__ = ("_fds", "descriptors", "frames", "outbox", "version")

    def __init__(self, limit: int) -> None:
        if not 1024 <= limit < WITH_PARTS:
            raise ValueError("the limit must be at least 1024 bytes and less than 2 GiB")
        self.frames = Frames(limit)
        self.outbox = Outbox()
        self._fds: deque[int] = deque()
        self.version = 0
        self.descriptors = False

    def feed(self, data: Buffer, fds: Sequence[int] = ()) -> None:
        """Lend bytes (until `next` gives None or `settle`), and give the descriptors that came with them."""
        self.frames.feed(data)
        if fds:
            self._fds.extend(fds)

    def settle(self) -> None:
        self.frames.settle()

    def close(self) -> None:
        close_all(self._fds)
        self._fds.clear()
        self.outbox.close()

    def _check_parts(self, taken: Taken) -> None:
        if len(taken.places) > MAX_PARTS or len(taken.descriptors) > MAX_DESCRIPTORS:
            raise ValueError("too many attachments or descriptors in one message")
        if taken.descriptors and not self.descriptors:
            raise ValueError(
                "descriptors travel only over UNIX sockets, to a client made with descriptors=True"
            )

    def _split(self, body: memoryview) -> tuple[memoryview, memoryview]:
        """(head, attachments) of a marked frame."""
        if len(body) < 4:
            raise RefusedError("malformed attachments: no head")
        end = 4 + U32.unpack_from(body)[0]
        if end > len(body):
            raise RefusedError("malformed attachments: the head is longer than the message")
        return body[4:end], body[end:]

    def _put_attached(self, values: list[Any], parts: Any, raw: memoryview) -> bool:
        """Whether the usual was the case, and is done: one attachment that is one of `values`."""
        if not parts or len(parts) != 1:
            return False
        place, size = parts[0]
        if type(place) is not int or not 0 <= place < len(values) or size != len(raw):
            return False
        if values[place] is not None:
            return False
        values[place] = self.frames.keep(raw)
        return True

    def _claim(
        self, root: Any, parts: list[tuple[Place, int]], fds: list[Place], raw: memoryview, number: int
    ) -> Any:
        """Put attachments and descriptors where they belong. Raises `RefusedError`."""
        received = self._claim_fds(len(fds), number) if fds else []
        try:
            root = self._put_attachments(root, parts, raw)
            for place, descriptor in zip(fds, received, strict=True):
                root = _put(root, place, descriptor)
        except (LookupError, TypeError, ValueError) as error:
            for descriptor in received:
                descriptor.close()
            raise RefusedError(f"malformed attachments: {error}", number) from None
        return root

    def _put_attachments(self, root: Any, parts: list[tuple[Place, int]], raw: memoryview) -> Any:
        if len(parts) == 1 and parts[0][1] == len(raw):
            return _put(root, parts[0][0], self.frames.keep(raw))
        if len(parts) > MAX_PARTS or any(size < 0 for _, size in parts):
            raise ValueError("too many, or of no size")
        if sum(size for _, size in parts) != len(raw):
            raise ValueError("their sizes are not those of the bytes that came")
        start = 0
        for place, size in parts:
            root = _put(root, place, self.frames.keep(raw[start : start + size]))
            start += size
        return root

    def _claim_fds(self, count: int, number: int) -> list[Descriptor]:
        if count > MAX_DESCRIPTORS or count > len(self._fds):
            raise RefusedError(f"{count} descriptors are announced, {len(self._fds)} came", number)
        return [Descriptor(self._fds.popleft(), owned=True) for _ in range(count)]


class CallRoot:
    """The arguments of a call as one thing with places: a number for `vargs`, a name for `kwargs`."""

    def __init__(self, params: Params) -> None:
        self.params = params

    def __getitem__(self, place: int | str) -> Any:
        return self.params.vargs[place] if isinstance(place, int) else self.params.kwargs[place]

    def __setitem__(self, place: int | str, value: Any) -> None:
        if isinstance(place, int):
            self.params.vargs[place] = value
        else:
            self.params.kwargs[place] = value


def _put(root: Any, place: Place, part: Any) -> Any:
    if place is None and isinstance(root, CallRoot):
        raise LookupError("a call has no place of that name")
    return put_back(root, place, part)
