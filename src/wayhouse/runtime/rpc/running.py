"""A call that runs elsewhere than in the loop, and what a conversation asks of the engine that runs it.

Called by `conversation.py` and the engines. Rule: a call is answered once, whoever is first: its method, its deadline, its end.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol

from wayhouse.runtime.exceptions import Exit
from wayhouse.runtime.rpc.messages import Call
from wayhouse.runtime.rpc.methods import Row
from wayhouse.runtime.rpc.serving import Serving
from wayhouse.runtime.rpc.streams import Generated

if TYPE_CHECKING:
    from wayhouse.runtime.rpc.conversation import Conversation


class Engine(Protocol):
    """What runs a conversation: it owns sockets, threads and tasks."""

    def defer(self, conversation: Conversation, running: Running) -> None:
        """Run a call elsewhere; then `conversation.finish`."""

    def advance(self, conversation: Conversation, stream: Generated) -> None:
        """Take the items of a stream elsewhere; then `conversation.advanced`."""

    def opened(self, conversation: Conversation) -> None: ...

    def exit(self, error: Exit) -> None:
        """A method asks for the end of the server."""

    def expire_at(self, moment: float, conversation: Conversation, key: int) -> None:
        """Call `conversation.expire(key)` at `moment` (monotonic)."""

    def stream_closed(self, stream: Generated) -> None:
        """Nobody takes its items any more."""

    def soon(self, conversation: Conversation) -> None:
        """There is more to do for this client when the others had their turn."""


class Running:
    """A call that runs elsewhere, or a stream that a task feeds. `handle` is the engine's."""

    __slots__ = ("begun", "call", "handle", "key", "over", "row", "serving")

    def __init__(self, call: Call, row: Row, key: int, serving: Serving) -> None:
        self.call = call
        self.row = row
        self.key = key
        self.serving = serving
        self.handle: Any = None
        self.over = False
        self.begun = time.perf_counter_ns()
