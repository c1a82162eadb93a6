"""Tells the host room, for its telemetry, which containers work for which chute, and as which process."""

from __future__ import annotations

from collections.abc import Sequence

from wayhouse.chutes.service import Chutes
from wayhouse.host.model import ChuteAtWork


class AtWork:
    def __init__(self, chutes: Chutes) -> None:
        self._chutes = chutes

    async def chutes_at_work(self) -> Sequence[ChuteAtWork]:
        containers = await self._chutes.containers()
        return [ChuteAtWork(name=one.name, state=one.state.state, pid=one.pid) for one in containers.values()]
