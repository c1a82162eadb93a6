"""What each app uses, measured when somebody looks and at most once a second however many look.

The engine tells CPU seconds since the container started; the share of a core is the difference of two looks.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable

import msgspec

from wayhouse.base.clock import Clock
from wayhouse.chutes.model import container_name
from wayhouse.chutes.service import Chutes

FRESH_S = 1.0
STALE_S = 30.0
MAX_REMEMBERED = 2000


class Load(msgspec.Struct, frozen=True):
    """`cpu` in per cent of one core, `memory` in bytes; None where nothing is known."""

    cpu: float | None = None
    memory: int | None = None


class _Sample(msgspec.Struct, frozen=True):
    at: float
    cpu_s: float
    load: Load


class Meters:
    def __init__(self, chutes: Chutes, clock: Clock) -> None:
        self._chutes = chutes
        self._clock = clock
        self._samples: OrderedDict[str, _Sample] = OrderedDict()
        self._one_at_a_time = asyncio.Lock()

    def last(self, chute: str) -> Load:
        """What was measured last, without asking; nothing if that is long ago."""
        sample = self._samples.get(chute)
        if sample is None or self._clock.monotonic() - sample.at > STALE_S:
            return Load()
        return sample.load

    async def read(self, names: Iterable[str]) -> None:
        """Measure the chutes of these names; those measured just now are left out."""
        async with self._one_at_a_time:
            now = self._clock.monotonic()
            chutes = {
                name: chute.spec.services
                for name in names
                if self._is_due(name, now) and (chute := self._chutes.find(name)) is not None
            }
            if not chutes:
                return
            containers = [container_name(name, service) for name in chutes for service in chutes[name]]
            usage = await self._chutes.usage(containers)
            now = self._clock.monotonic()
            for name, services in chutes.items():
                used = [usage[key] for one in services if (key := container_name(name, one)) in usage]
                cpu_s = sum(one.cpu_s for one in used)
                memory = sum(one.memory_bytes for one in used) if used else None
                self._remember(name, now, cpu_s, memory)

    def _is_due(self, name: str, now: float) -> bool:
        sample = self._samples.get(name)
        return sample is None or now - sample.at >= FRESH_S

    def _remember(self, name: str, now: float, cpu_s: float, memory: int | None) -> None:
        before = self._samples.pop(name, None)
        cpu = None
        is_same_run = before is not None and before.load.memory is not None and cpu_s >= before.cpu_s
        if is_same_run and before is not None and memory is not None and now > before.at:
            cpu = 100 * (cpu_s - before.cpu_s) / (now - before.at)
        self._samples[name] = _Sample(now, cpu_s, Load(cpu, memory))
        while len(self._samples) > MAX_REMEMBERED:
            self._samples.popitem(last=False)
