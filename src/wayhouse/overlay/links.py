"""What the service needs of the process that carries overlays out. The real one is `drivers/link_child.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from wayhouse.overlay.configuration import Configuration
from wayhouse.overlay.netcheck import NetReport
from wayhouse.overlay.views import OverlayState


class Links(Protocol):
    def carry_out(self, wanted: Sequence[Configuration]) -> None:
        """These overlays, and no others. Never waits."""
        ...

    def states(self) -> Mapping[str, OverlayState]:
        """By name, as last told; those that are not told of yet are missing."""
        ...

    def problem(self) -> str:
        """Why nothing is told; empty if it is being set up."""
        ...

    async def netcheck(self, name: str) -> NetReport:
        """Raises `UnavailableError`."""
        ...

    async def forget(self, name: str, uid: str) -> None:
        """Raises `UnavailableError`."""
        ...
