"""What the host needs from outside, as Protocols."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from wayhouse.host.model import ChuteAtWork
from wayhouse.ledger.task import Say


class ChutesAtWork(Protocol):
    async def chutes_at_work(self) -> Sequence[ChuteAtWork]:
        """The chutes' services as the engine sees them now."""
        ...


class NoChutes:
    """A host without chutes."""

    async def chutes_at_work(self) -> Sequence[ChuteAtWork]:
        return ()


class PowerSwitch(Protocol):
    """Both calls are idempotent: a second schedule replaces the first, cancelling nothing is no error."""

    async def schedule(self, *, restart: bool, say: Say) -> None:
        """Restart or halt in one minute. Raises `PowerError`."""
        ...

    async def cancel(self, say: Say) -> None: ...
