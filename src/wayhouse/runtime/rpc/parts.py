"""What a call or an answer carries beside JSON: raw bytes (`Attachment`) and open descriptors (`Descriptor`).

Called by methods and clients, which wrap what shall travel this way, and by the machines of `wire.py`. Both may stand for a
whole result or item, or directly in an argument list, a result list or a result object, not deeper. Rule: who receives a
descriptor owns it, and a forgotten one is closed.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any, Protocol

MAX_PARTS = 64
"""The most attachments of one message."""
MAX_DESCRIPTORS = 64
"""The most descriptors of one message; the kernel takes 253."""

Place = int | str | None
"""Where a part belongs: an index, a key, or None for the whole value."""


class HasFileno(Protocol):
    def fileno(self) -> int: ...


class Attachment:
    """Bytes that travel as they are. The receiver gets a read-only `memoryview`; over wire v0 they become text."""

    __slots__ = ("data",)

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self.data = data

    def view(self) -> memoryview:
        """The bytes, one by one."""
        view = memoryview(self.data)
        return view if view.format == "B" and view.ndim == 1 else view.cast("B")

    def __len__(self) -> int:
        return memoryview(self.data).nbytes


class Descriptor:
    """An open file, pipe or socket. Made of a number or of a thing with `fileno()` it lends; a received one it owns."""

    __slots__ = ("_fd", "_owned")

    def __init__(self, thing: int | HasFileno, *, owned: bool = False) -> None:
        self._fd = thing if isinstance(thing, int) else thing.fileno()
        self._owned = owned

    def fileno(self) -> int:
        if self._fd < 0:
            raise ValueError("the descriptor is closed")
        return self._fd

    def detach(self) -> int:
        """The number, which is the caller's to close from now on."""
        fd, self._fd = self.fileno(), -1
        return fd

    def copy(self) -> int:
        """A duplicate for the way through a socket."""
        return os.dup(self.fileno())

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if self._owned and fd >= 0:
            with contextlib.suppress(OSError):
                os.close(fd)

    def __del__(self) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Descriptor({self._fd})"


PARTS = frozenset({Attachment, Descriptor})


class Taken:
    """The parts taken out of a message: attachments with their places, descriptors with theirs."""

    __slots__ = ("attachments", "descriptors", "fd_places", "places")

    def __init__(self) -> None:
        self.attachments: list[memoryview] = []
        self.places: list[tuple[Place, int]] = []
        self.descriptors: list[Descriptor] = []
        self.fd_places: list[Place] = []

    def take(self, value: Any, place: Place) -> bool:
        """Whether `value` is a part; then it is taken."""
        kind = type(value)
        if kind is Attachment:
            view = value.view()
            self.attachments.append(view)
            self.places.append((place, len(view)))
        elif kind is Descriptor:
            self.descriptors.append(value)
            self.fd_places.append(place)
        else:
            return False
        return True

    def from_list(self, values: list[Any] | tuple[Any, ...]) -> list[Any]:
        return [None if self.take(value, index) else value for index, value in enumerate(values)]

    def from_dict(self, values: dict[str, Any]) -> dict[str, Any]:
        return {key: None if self.take(value, key) else value for key, value in values.items()}

    def from_value(self, value: Any) -> Any:
        if self.take(value, None):
            return None
        if isinstance(value, list | tuple) and not PARTS.isdisjoint(map(type, value)):
            return self.from_list(value)
        if isinstance(value, dict) and not PARTS.isdisjoint(map(type, value.values())):
            return self.from_dict(value)
        return value


def put_back(value: Any, place: Place, part: Any) -> Any:
    """`value` with `part` at its place. Raises `LookupError` or `TypeError` for a place that is not there."""
    if place is None:
        return part
    if isinstance(place, int) and place < 0:
        raise LookupError(place)
    if value[place] is not None:
        raise LookupError(place)
    value[place] = part
    return value
