"""Snapshots on their way out: which messages each asker gets next, in bounded pieces, and never more than it can take.

Called by the clone's machine and by the driver that owns the ROUTER socket. Rules: a snapshot is a copy taken at one sequence, so
it is complete and consistent however long it takes; a peer that speaks plain RFC 12 gets a message per key, paced by its full pipe;
a client of ours gets pages, paced by the credit that it gives; a peer that stands still is dropped.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import msgspec

from wayhouse.base.errors import BadInputError
from wayhouse.bus.kvmsg import KTHXBAI, Form

Item = tuple[bytes, bytes, bytes]  # key, packed sequence, body

PAGED_PEER = b"chp-paged:"
"""A routing id that begins so belongs to a client that understands pages and answers each with MOREPLZ. Other servers do not look
at it, so a client can always have it."""
KVPAGE = b"KVPAGE"
"""A page is this word and a MessagePack list of [key, sequence, body]."""
MOREPLZ = b"MOREPLZ"
PAGE_ITEMS = 1000
PAGE_BYTES = 256 * 1024
WINDOW = 4
"""Pages that may be on their way to one client."""
PIECE = 256
"""Messages for a peer of plain RFC 12 in one turn."""
TURN = 4
"""Pieces between two looks at the sockets."""
FIRST_RETRY_S = 0.001
LAST_RETRY_S = 0.032

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Item]).decode


def read_page(frame: bytes) -> list[Item]:
    """Raises `BadInputError`."""
    try:
        return _decode(frame)
    except msgspec.DecodeError:
        raise BadInputError("This is not a page of a snapshot.") from None


class Copy(msgspec.Struct, frozen=True):
    """What a snapshot shows. `facts` is for clients of ours: lines of properties."""

    items: list[Item]
    sequence: bytes
    subtree: bytes
    facts: bytes


class Stream(ABC):
    """One snapshot to one peer."""

    def __init__(self, identity: bytes, copy: Copy, form: Form, now: float) -> None:
        self.identity = identity
        self.moved_at = now
        self.blocked_until = now
        self._copy = copy
        self._form = form
        self._position = 0
        self._retry_s = FIRST_RETRY_S
        self.is_done = False

    @property
    @abstractmethod
    def may_send(self) -> bool: ...

    @abstractmethod
    def piece(self) -> list[list[bytes]]:
        """The next messages, with the peer's identity in front; report with `sent` how many of them went."""

    @abstractmethod
    def grant(self) -> None:
        """The peer took a page."""

    @abstractmethod
    def _move(self, count: int) -> None: ...

    def sent(self, count: int, now: float) -> None:
        if count:
            self._move(count)
            self.moved_at = self.blocked_until = now
            self._retry_s = FIRST_RETRY_S

    def blocked(self, now: float) -> None:
        """The peer's pipe is full: try again a little later, and later each time."""
        self.blocked_until = now + self._retry_s
        self._retry_s = min(LAST_RETRY_S, self._retry_s * 2)


class PlainStream(Stream):
    """KVSYNC for each key, then KTHXBAI, as RFC 12 has it."""

    @property
    def may_send(self) -> bool:
        return not self.is_done

    def piece(self) -> list[list[bytes]]:
        copy, frames, identity = self._copy, self._form.frames, self.identity
        items = copy.items[self._position : self._position + PIECE]
        messages = [[identity, *frames(key, sequence, body)] for key, sequence, body in items]
        if len(items) < PIECE:
            messages.append([identity, *frames(KTHXBAI, copy.sequence, copy.subtree)])
        return messages

    def grant(self) -> None:
        """Its pipe is what paces it."""

    def _move(self, count: int) -> None:
        self._position += count
        self.is_done = self._position > len(self._copy.items)


class PagedStream(Stream):
    """KVPAGE for many keys at once, then KTHXBAI with the server's facts."""

    def __init__(self, identity: bytes, copy: Copy, form: Form, now: float) -> None:
        super().__init__(identity, copy, form, now)
        self._credit = WINDOW
        self._next: list[bytes] | None = None
        self._next_position = 0

    @property
    def may_send(self) -> bool:
        return not self.is_done and (self._credit > 0 or self._position >= len(self._copy.items))

    def grant(self) -> None:
        self._credit = min(WINDOW, self._credit + 1)

    def piece(self) -> list[list[bytes]]:
        if self._next is None:
            self._next = self._page() if self._position < len(self._copy.items) else self._end()
        return [[self.identity, *self._next]]

    def _move(self, count: int) -> None:
        self.is_done = self._position >= len(self._copy.items)
        self._position = self._next_position
        self._next = None
        self._credit -= 1

    def _page(self) -> list[bytes]:
        items, begin, size = self._copy.items, self._position, 0
        end = begin
        for end in range(begin, min(begin + PAGE_ITEMS, len(items))):
            size += len(items[end][0]) + len(items[end][2])
            if size >= PAGE_BYTES:
                break
        self._next_position = end + 1
        return [KVPAGE, _encode(items[begin : end + 1])]

    def _end(self) -> list[bytes]:
        copy = self._copy
        frames = self._form.frames(KTHXBAI, copy.sequence, copy.subtree, b"", copy.facts)
        return frames if self._form is Form.CHP else [*frames, copy.facts]


class Snapshots:
    """All that are asked for and under way. `build` copies the part of the map below a subtree."""

    def __init__(
        self,
        form: Form,
        build: Callable[[bytes], Copy],
        *,
        active: int = 64,
        waiting: int = 1000,
        stall_s: float = 30.0,
    ) -> None:
        self._form = form
        self._build = build
        self._max_active = active
        self._max_waiting = waiting
        self._stall_s = stall_s
        self._waiting: dict[bytes, bytes] = {}
        self.active: dict[bytes, Stream] = {}

    def ask(self, identity: bytes, subtree: bytes) -> bool:
        """False when too many wait. Who asks again starts again, with what is known then."""
        self.active.pop(identity, None)
        if identity not in self._waiting and len(self._waiting) >= self._max_waiting:
            return False
        self._waiting[identity] = subtree
        return True

    def more(self, identity: bytes) -> None:
        if (stream := self.active.get(identity)) is not None:
            stream.grant()

    def drop(self, identity: bytes) -> None:
        self.active.pop(identity, None)

    def ready(self, now: float) -> list[Stream]:
        """Whose turn it is: few at a time, and one new snapshot is copied for each call, so askers cannot stop the loop."""
        if self._waiting and len(self.active) < self._max_active:
            identity = next(iter(self._waiting))
            copy = self._build(self._waiting.pop(identity))
            kind = PagedStream if identity.startswith(PAGED_PEER) else PlainStream
            self.active[identity] = kind(identity, copy, self._form, now)
        turn = [one for one in self.active.values() if one.may_send and one.blocked_until <= now][:TURN]
        for stream in turn:
            self.active[stream.identity] = self.active.pop(stream.identity)
        return turn

    def tick(self, now: float) -> int:
        """Ends what is done or stands still; gives how many stood still."""
        stalled = 0
        for stream in tuple(self.active.values()):
            if stream.is_done:
                del self.active[stream.identity]
            elif now - stream.moved_at > self._stall_s:
                del self.active[stream.identity]
                stalled += 1
        return stalled

    def deadline(self, now: float) -> float | None:
        """When `ready` or `tick` has work. `now` or before it: at once."""
        moments = [now] if self._waiting and len(self.active) < self._max_active else []
        for stream in self.active.values():
            if stream.is_done:
                return now
            moments.append(stream.blocked_until if stream.may_send else stream.moved_at + self._stall_s)
        return min(moments, default=None)
