from __future__ import annotations

from collections.abc import Mapping

from wayhouse.base.clock import ManualClock
from wayhouse.chutes.ports import Usage
from wayhouse.portal.usage import Load, Meters


async def test_the_share_of_a_core_is_the_difference_of_two_looks(house, monkeypatch):
    browser = await house.browser()
    await house.install(browser, "app")
    clock, cpu_s, asked = ManualClock(), 1.0, 0

    async def usage(names: list[str]) -> Mapping[str, Usage]:
        nonlocal asked
        asked += 1
        return {name: Usage(cpu_s, 4096, 1) for name in names}

    monkeypatch.setattr(house.gateway.chutes, "usage", usage)
    meters = Meters(house.gateway.chutes, clock)
    assert meters.last("app") == Load()
    await meters.read(["app", "nothing"])
    assert meters.last("app") == Load(None, 4096)
    await meters.read(["app"])
    assert asked == 1
    clock.advance(2.0)
    cpu_s = 1.5
    await meters.read(["app"])
    assert meters.last("app") == Load(25.0, 4096)
    clock.advance(2.0)
    cpu_s = 0.1  # restarted
    await meters.read(["app"])
    assert meters.last("app") == Load(None, 4096)
    clock.advance(100.0)
    assert meters.last("app") == Load()
