"""Which call is being served here and now: for methods that ask, and for clients whose own calls must end with it.

Called by the server around every call, by `RemoteControl` for the time that is left, and by methods through
`current_call`. Rule: a deadline travels; whatever is called on behalf of a call gets no more time than the call has.
"""

from __future__ import annotations

import time
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wayhouse.runtime.rpc.conversation import Conversation
    from wayhouse.runtime.rpc.messages import Call


class Serving:
    """The call under way. `deadline` is on the monotonic clock, 0.0 without one; `cancelled` may be set meanwhile."""

    __slots__ = ("call", "cancelled", "conversation", "deadline")

    def __init__(self) -> None:
        self.conversation: Conversation | None = None
        self.call: Call | None = None
        self.deadline = 0.0
        self.cancelled = False

    def remaining(self) -> float | None:
        """Seconds until the caller gives up, not below 0; None when it waits for ever."""
        if self.call is None or not self.deadline:
            return None
        return max(0.0, self.deadline - time.monotonic())

    @property
    def wanted(self) -> bool:
        """Whether somebody still waits for the answer; long methods look now and then."""
        return not self.cancelled and self.remaining() != 0.0


serving: ContextVar[Serving | None] = ContextVar("wayhouse_serving", default=None)


def current_call() -> Serving | None:
    """The call that is being served by this thread or task, if any."""
    found = serving.get()
    return found if found is not None and found.call is not None else None


def time_left(timeout_s: float | None) -> float | None:
    """`timeout_s`, or what is left of the call being served if that is less."""
    found = serving.get()
    left = found.remaining() if found is not None else None
    if left is None:
        return timeout_s
    return left if timeout_s is None else min(timeout_s, left)
