"""The client's end of a stream: an iterator that gives credit back as its items are taken.

Called by `RemoteControl.stream` and `subscribe`. Rule: never more is on its way or queued here than was granted, so a slow reader
holds the server's method up, not its memory.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import msgspec

from wayhouse.runtime.exceptions import ConnectionClosed, ConnectionTimeout, exception_factory
from wayhouse.runtime.rpc.messages import Answer
from wayhouse.runtime.rpc.wire import End, Item

if TYPE_CHECKING:
    from wayhouse.runtime.remote import RemoteControl


class Notification(msgspec.Struct, frozen=True):
    """One message of a topic; `lost` is how many were dropped before it because this side was slow."""

    topic: str
    data: Any
    lost: int = 0

    @classmethod
    def of(cls, value: Any) -> Notification:
        return msgspec.convert(value, cls)


class RemoteStream:
    """Iterate, or use in a `with` block; `close` tells the server to stop. Each item has the remote's timeout."""

    def __init__(self, remote: RemoteControl, number: int, window: int) -> None:
        self._remote = remote
        self.number = number
        self._window = window
        self._owed = 0
        self._convert: Callable[[Any], Any] | None = None
        self._over = False

    def converting(self, convert: Callable[[Any], Any]) -> Self:
        """The same, with each item passed through `convert`."""
        self._convert = convert
        return self

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        if self._over:
            raise StopIteration
        event = self._remote.take_item(self.number)
        if isinstance(event, Item):
            self._pay(event.cost)
            return event.value if self._convert is None else self._convert(event.value)
        self._over = True
        self._remote.end_stream(self.number)
        if isinstance(event, Answer) and event.exception is not msgspec.UNSET:
            raise exception_factory(event.exception)
        if isinstance(event, Answer):
            raise TypeError("the method is no stream: call it as usual")
        assert isinstance(event, End)  # noqa: S101 - nothing else has a stream's number
        raise StopIteration

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self.close()

    def close(self) -> None:
        """Stop early; what is on its way is dropped."""
        if not self._over:
            self._over = True
            with contextlib.suppress(ConnectionClosed, ConnectionTimeout):
                self._remote.end_stream(self.number, cancel=True)

    def _pay(self, cost: int) -> None:
        self._owed += cost
        if self._owed >= self._window // 2:
            self._remote.grant(self.number, self._owed)
            self._owed = 0
