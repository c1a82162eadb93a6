"""Streams from a server to its client: a method that yields, or a subscription to topics, under the client's credit.

Called by `conversation.py`. Rules: an item is sent only while there is credit (bytes that the client is ready to take; the
last item may overdraw it) and while little waits to be sent, so a slow reader costs nobody memory. A subscription keeps the
newest messages and counts what it dropped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from wayhouse.runtime.rpc.messages import Call

DONE = object()
NOTHING = object()
MAX_WAITING = 256
"""Messages that a subscription keeps for a slow reader."""


class Stream:
    """A stream under way: `credit` in bytes, `busy` while a thread or task works for it."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.id = call.id
        self.credit = call.stream
        self.busy = False
        self.closed = False

    def take(self) -> Any:
        """The next item, `NOTHING` for now, or `DONE`. Raises what the method raises."""
        return NOTHING

    def close(self) -> None:
        self.closed = True


class Generated(Stream):
    """The items of a method that yields. `threaded` ones are taken by a thread of the pool."""

    def __init__(self, call: Call, items: Iterator[Any], *, threaded: bool) -> None:
        super().__init__(call)
        self.items = items
        self.threaded = threaded

    def take(self) -> Any:
        return next(self.items, DONE)

    def close(self) -> None:
        super().close()
        if not self.busy and hasattr(self.items, "close"):
            self.items.close()


class Subscription(Stream):
    """Messages of topics, as objects `{"topic", "data", "lost"}`; `lost` counts those dropped before this one."""

    def __init__(self, call: Call, topics: frozenset[str]) -> None:
        super().__init__(call)
        self.topics = topics
        self.waiting: deque[tuple[str, Any]] = deque()
        self.lost = 0

    def offer(self, topic: str, data: Any) -> None:
        self.waiting.append((topic, data))
        if len(self.waiting) > MAX_WAITING:
            self.waiting.popleft()
            self.lost += 1

    def take(self) -> Any:
        if not self.waiting:
            return NOTHING
        topic, data = self.waiting.popleft()
        lost, self.lost = self.lost, 0
        return {"topic": topic, "data": data, "lost": lost}

    def snapshot(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "credit": self.credit,
            "topics": sorted(self.topics),
            "waiting": [list(one) for one in self.waiting],
            "lost": self.lost,
        }

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Subscription:
        call = Call("SUBSCRIBE", None, id=state["id"], stream=state["credit"])
        found = cls(call, frozenset(state["topics"]))
        found.waiting.extend((topic, data) for topic, data in state["waiting"])
        found.lost = state["lost"]
        return found
