"""The words that come out of supervision: actions for the driver, and facts for whoever listens.

Made by `supervision.py` and, where noted, by the driver.
"""

from __future__ import annotations

import msgspec


class Start(msgspec.Struct, frozen=True):
    """Start it; answer with `started` or `start_failed`."""

    name: str
    incarnation: int


class Signal(msgspec.Struct, frozen=True):
    """To the main process."""

    name: str
    number: int


class Kill(msgspec.Struct, frozen=True):
    """SIGKILL to the main process and what came before it."""

    name: str


class Forget(msgspec.Struct, frozen=True):
    """It will not be started again by itself: close what is kept for its next incarnation."""

    name: str


Action = Start | Signal | Kill | Forget


class Fact(msgspec.Struct, frozen=True):
    name: str


class ChildUp(Fact, frozen=True):
    pid: int
    incarnation: int


class ChildNotStarted(Fact, frozen=True):
    reason: str


class ChildReady(Fact, frozen=True):
    pass


class ChildLate(Fact, frozen=True):
    """Not ready in time."""


class ChildHung(Fact, frozen=True):
    """The watchdog heard nothing in time, or was triggered."""


class ChildReloading(Fact, frozen=True):
    pass


class ChildReloaded(Fact, frozen=True):
    pass


class ChildLeaving(Fact, frozen=True):
    """It said STOPPING=1 by itself."""


class ChildStatus(Fact, frozen=True):
    text: str


class ChildMoved(Fact, frozen=True):
    """Process `pid` is the child from now on."""

    pid: int


class ChildExited(Fact, frozen=True):
    """`status`: the exit code, minus the signal, or None when only its own parent could know. `expected`: it was asked to."""

    pid: int
    status: int | None
    expected: bool


class ChildBackingOff(Fact, frozen=True):
    """It will be started again in `delay_s`, unless others have to stop first."""

    delay_s: float


class LimitsMissing(Fact, frozen=True):
    """From the driver: these limits are not in force, and why."""

    kinds: tuple[str, ...]
    reason: str


class DescriptorsRefused(Fact, frozen=True):
    """From the driver: the bank, or what may be open in this process, is full."""

    count: int
    reason: str


class MessageRefused(Fact, frozen=True):
    """From the driver: a notification that is not from the child or cannot be understood."""

    reason: str


class OrphanReaped(msgspec.Struct, frozen=True):
    """From the driver: a process that was left to us has ended."""

    pid: int
    status: int


class GaveUp(msgspec.Struct, frozen=True):
    """`name` cannot be kept running; everything stops. `status` is that of its last end."""

    name: str
    reason: str
    status: int | None


class AllStopped(msgspec.Struct, frozen=True):
    """The last thing that a supervisor says."""

    failed: bool
