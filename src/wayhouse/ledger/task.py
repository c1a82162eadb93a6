"""What a room gives to the ledger: planners, which turn a wish into tasks, and tasks, which do and undo.

A task is plain data (a frozen struct with a tag), so that it can be stored before it runs and found again after a
crash. `do` and `undo` must be *idempotent and tolerant of half-done work*: after kill -9 the ledger undoes the
interrupted task and does it again, and an undo may meet nothing to undo.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

import msgspec

from wayhouse.ledger.model import Change


class Say(Protocol):
    """Writes one line to the progress stream of the running change."""

    def __call__(self, message: str, /) -> None: ...


class Task(msgspec.Struct, frozen=True, tag_field="task", kw_only=True):
    """Base of all tasks. Subclasses carry JSON-able fields and set `tag="room.verb"` in their class line.

    `tools` is what the room handed to `Ledger.register` for the kind of change: its ports to the outside.
    A `best_effort` task comes after the point of no return: its failure is reported and does not undo the change.
    """

    best_effort: ClassVar[bool] = False

    @property
    def title(self) -> str:
        """What the stream says when the task starts ("Building hello-main")."""
        return type(self).__name__

    async def do(self, tools: Any, say: Say) -> None:
        raise TypeError(f"{type(self).__name__} does nothing: give it a `do`")

    async def undo(self, tools: Any, say: Say) -> None:
        """Default: nothing to undo."""


class Planner(Protocol):
    """Turns a change into tasks when it *runs*, from what is true at that moment; raises a `WayhouseError` to refuse."""

    async def plan(self, change: Change, say: Say) -> Sequence[Task]: ...

    def resume(self, change: Change, tasks: Sequence[Task]) -> None:
        """Told the stored plan of a change that an earlier process began, before its tasks go on."""
        ...

    async def settle(self, change: Change) -> None:
        """Called once when the change is over, however it ended (drop upload files, for example). Must tolerate repeats."""
        ...

    def verdict(self, change: Change) -> str:
        """The last line of the stream, from the final state ("Completed create operation on chute x: success")."""
        ...
