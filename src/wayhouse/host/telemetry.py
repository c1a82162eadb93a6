"""The telemetry report: what chutes, networks and the system use. The endpoint and a controller read the same."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

from wayhouse.base.clock import Clock
from wayhouse.host.model import ChuteAtWork, Telemetry
from wayhouse.host.ports import ChutesAtWork


class UsageReader(Protocol):
    def interfaces(self) -> list[dict[str, Any]]: ...

    def system(self) -> dict[str, Any]: ...

    def process(self, pid: int) -> dict[str, Any] | None: ...


async def report(reader: UsageReader, chutes: ChutesAtWork, clock: Clock) -> Telemetry:
    """`{"time": Unix seconds, "chutes": [...], "network": [...], "system": {...}}`."""
    at_work = await chutes.chutes_at_work()
    return {"time": clock.wall(), **await asyncio.to_thread(_read, reader, at_work)}


def _read(reader: UsageReader, at_work: Sequence[ChuteAtWork]) -> dict[str, Any]:
    interfaces = reader.interfaces()
    by_name = {interface["name"]: interface for interface in interfaces}
    return {
        "chutes": [
            {
                "name": chute.name,
                "state": chute.state,
                "process": reader.process(chute.pid) if chute.pid else None,
                "network": [
                    by_name[name] | {"type": kind}
                    for name, kind in chute.interfaces.items()
                    if name in by_name
                ],
            }
            for chute in at_work
        ],
        "network": interfaces,
        "system": reader.system(),
    }
