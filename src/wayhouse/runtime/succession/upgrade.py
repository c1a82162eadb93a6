"""The words of a hot upgrade, and what a part of a daemon does in it. No I/O.

The *elder* is the process that serves, the *heir* the one that shall. They agree in steps, each with a time limit:

    elder                                   heir
    PREPARE  program, state version   ->    it has loaded its code
                                      <-    PREPARED
    (its slow parts come to rest)
    RESTED   what the heir builds on  ->    it builds itself beside the elder
                                      <-    ASSEMBLED
    pieces of all other parts         ->    it adopts them, and changes nothing
    MOVED    digest                   ->    it serves a call of its own
                                      <-    ADOPTED  the same digest
    COMMIT                            ->
                                      <-    SERVING
    lets go                                 goes on

Until SERVING comes, the elder can carry on as if nothing had happened, since the heir does nothing that can be seen before it
has sent it. An heir whose elder is dead and whose state is whole commits by itself. Used by `elder.py` and `heir.py`.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterable
from typing import Any, Protocol, TypeVar

import msgspec

from wayhouse.base.errors import ConflictError
from wayhouse.runtime.succession.passage import FDS_AT_ONCE

STATE_VERSION = 1
"""Of all that is handed over; an heir that knows another one refuses."""

Parcel = tuple[dict[str, Any], list[int]]
"""A thing that moves: plain data, and descriptors that the elder keeps until it lets go."""

PARCELS_AT_ONCE = 64

M = TypeVar("M", bound=msgspec.Struct)


class UpgradeFailedError(ConflictError):
    """The upgrade did not take place; everything is as before."""

    code = "upgrade-failed"
    title = "The upgrade was taken back"


class Phase(enum.IntEnum):
    """When a part moves. The later, the shorter its pause."""

    GROUND = 0
    """With RESTED: the heir builds on it (locks, listening sockets)."""
    AT_LEISURE = 1
    """At rest while the heir builds itself, moved afterwards (HTTP)."""
    IN_HASTE = 2
    """Serves until the heir is built, moved at the very end (RPC)."""


class Part(Protocol):
    """One kind of thing of the elder that moves."""

    name: str
    phase: Phase

    async def rest(self, patience_s: float) -> None:
        """Begin nothing new and bring what is under way to an end. Raises `WayhouseError`: the upgrade is put off."""
        ...

    def pack(self) -> Iterable[Parcel]:
        """What moves; nothing changes by it."""
        ...

    def carry_on(self) -> None:
        """As if nothing had happened; also called when `rest` failed."""
        ...

    def let_go(self) -> None:
        """The heir has it: close without a word to anybody."""
        ...


class Adopter(Protocol):
    """The same thing in the heir."""

    async def adopt(self, state: dict[str, Any], fds: list[int]) -> None:
        """Take it, and do nothing with it yet. Owns `fds`. Raises `ValueError` for a state that is not understood."""
        ...


class Prepare(msgspec.Struct, tag=True, frozen=True):
    program: str
    state: int
    parts: list[str]
    pid: int


class Prepared(msgspec.Struct, tag=True, frozen=True):
    program: str
    state: int


class Piece(msgspec.Struct, tag=True, frozen=True):
    """Some parcels of one part; `counts` says how many of the message's descriptors are each one's."""

    part: str
    states: list[dict[str, Any]]
    counts: list[int]


class Rested(msgspec.Struct, tag=True, frozen=True):
    """All of the ground was sent, and the data on disk is the heir's to read."""


class Assembled(msgspec.Struct, tag=True, frozen=True):
    pass


class Moved(msgspec.Struct, tag=True, frozen=True):
    digest: str


class Adopted(msgspec.Struct, tag=True, frozen=True):
    digest: str


class Commit(msgspec.Struct, tag=True, frozen=True):
    pass


class Serving(msgspec.Struct, tag=True, frozen=True):
    pass


class Refused(msgspec.Struct, tag=True, frozen=True):
    """Either side: it will not be, and why."""

    reason: str


Message = Prepare | Prepared | Piece | Rested | Assembled | Moved | Adopted | Commit | Serving | Refused
_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)


class Limits(msgspec.Struct, frozen=True):
    """Seconds for each step."""

    prepare: float = 30.0
    rest: float = 10.0
    assemble: float = 30.0
    move: float = 10.0
    quiet: float = 5.0
    commit: float = 5.0


def encode(message: Message) -> bytes:
    return msgspec.msgpack.encode(message)


def decode(body: bytes) -> Message:
    """Raises `UpgradeFailedError` for what is no message."""
    try:
        return _decoder.decode(body)
    except msgspec.MsgspecError as error:
        raise UpgradeFailedError(f"A message of the upgrade is not understood: {error}.") from error


def demand(message: Message, kind: type[M]) -> M:
    """`message`, if it is the one whose turn it is. Raises `UpgradeFailedError`."""
    if isinstance(message, Refused):
        raise UpgradeFailedError(message.reason)
    if not isinstance(message, kind):
        raise UpgradeFailedError(f"{type(message).__name__} came where {kind.__name__} was due.")
    return message


def pieces(part: str, parcels: Iterable[Parcel]) -> Iterable[tuple[Piece, list[int]]]:
    """Messages of at most `PARCELS_AT_ONCE` parcels and as many descriptors as fit. Raises `UpgradeFailedError`."""
    states: list[dict[str, Any]] = []
    counts: list[int] = []
    fds: list[int] = []
    for state, its in parcels:
        if len(its) > FDS_AT_ONCE:
            raise UpgradeFailedError(f"A {part} has {len(its)} descriptors, {FDS_AT_ONCE} can move.")
        if len(states) == PARCELS_AT_ONCE or len(fds) + len(its) > FDS_AT_ONCE:
            yield Piece(part, states, counts), fds
            states, counts, fds = [], [], []
        states.append(state)
        counts.append(len(its))
        fds += its
    if states:
        yield Piece(part, states, counts), fds


def parcels_of(piece: Piece, fds: list[int]) -> list[Parcel]:
    """The parcels again. Raises `UpgradeFailedError` when the numbers do not agree."""
    if (
        len(piece.states) != len(piece.counts)
        or sum(piece.counts) != len(fds)
        or min(piece.counts, default=0) < 0
    ):
        raise UpgradeFailedError("A piece of the upgrade is not whole.")
    rest = iter(fds)
    return [
        (state, [next(rest) for _ in range(count)])
        for state, count in zip(piece.states, piece.counts, strict=True)
    ]


class Digest:
    """Over all pieces in their order: what was adopted is what was sent."""

    def __init__(self) -> None:
        self._sum = hashlib.sha256()

    def add(self, body: bytes, fds: int) -> None:
        self._sum.update(b"%d:%d:" % (len(body), fds))
        self._sum.update(body)

    def __str__(self) -> str:
        return self._sum.copy().hexdigest()
