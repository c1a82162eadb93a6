"""The children of an `AsyncSupervisor` as a part of a hot upgrade: they run on, and the heir supervises them.

Called by a daemon on both sides. Rule: from `pack` to `go_on` (or `carry_on`) nobody acts for them; what happens to them meanwhile, their
ends among it, is seen afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wayhouse.runtime.async_supervisor import AsyncSupervisor
from wayhouse.runtime.succession.upgrade import Parcel, Phase

FDS_AT_ONCE = 200


class ChildrenPart:
    """The elder's side. All children must be such that survive their supervisor (`ChildSpec.survives`)."""

    phase = Phase.IN_HASTE

    def __init__(self, supervisor: AsyncSupervisor, name: str = "children") -> None:
        self.name = name
        self._supervisor = supervisor
        self._packed = False

    async def rest(self, patience_s: float) -> None: ...

    def pack(self) -> Iterator[Parcel]:
        """Raises `ConflictError` for a child that would end with this process."""
        state, fds = self._supervisor.handover()
        self._packed = True
        for begin in range(0, len(fds), FDS_AT_ONCE):
            yield {}, list(fds[begin : begin + FDS_AT_ONCE])
        yield {"state": state}, []

    def carry_on(self) -> None:
        if self._packed:
            self._packed = False
            self._supervisor.resume()

    def let_go(self) -> None:
        self._supervisor.release()


class ChildrenAdopter:
    """The heir's side: `moved` is for `AsyncSupervisor(specs, moved=...)`, which goes on with them; None when there are none."""

    def __init__(self) -> None:
        self.moved: tuple[dict[str, Any], list[int]] | None = None
        self._fds: list[int] = []

    async def adopt(self, state: dict[str, Any], fds: list[int]) -> None:
        self._fds += fds
        if "state" in state:
            self.moved = state["state"], self._fds
