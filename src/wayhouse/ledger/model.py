"""The words of the ledger: a change, its state, its progress lines, its errors."""

from __future__ import annotations

import enum

import msgspec

from wayhouse.base.errors import ConflictError, NotFoundError


class Actor(msgspec.Struct, frozen=True):
    """Who asked for a change, as the API shows it (contract section 2.2)."""

    name: str
    domain: str = "localhost"
    role: str = "admin"


INTERNAL = Actor("__paradrop__", "localhost", "owner")
"""The daemon itself."""


class State(enum.StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    UNDOING = "undoing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        return self in {State.SUCCEEDED, State.FAILED, State.CANCELLED}


class TaskState(enum.StrEnum):
    PENDING = "pending"
    DOING = "doing"
    DONE = "done"
    UNDOING = "undoing"
    UNDONE = "undone"


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for. `kind` names the planner ("chute.install"), `resource` what it touches ("chute/hello"):
    changes of one resource run in order, others at the same time. `data` is the planner's own JSON."""

    kind: str
    resource: str
    name: str
    version: str | int | float | None = None
    data: msgspec.Raw = msgspec.Raw(b"{}")


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One change, as stored. Times are Unix seconds; `reason` says why it failed or was cancelled."""

    id: int
    wish: Wish
    actor: Actor
    state: State
    created: float
    started: float | None = None
    ended: float | None = None
    reason: str | None = None


class Line(msgspec.Struct, frozen=True):
    """One line of a change's progress stream (contract section 4). `time` is Unix seconds."""

    time: float
    message: str


class ChangeMoved(msgspec.Struct, frozen=True):
    """Event: a change entered a new state."""

    change: Change


class NoSuchChangeError(NotFoundError):
    code = "no-such-change"
    title = "No such change"


class NotCancellableError(ConflictError):
    code = "change-not-cancellable"
    title = "This change has already started or ended"
