"""A new version is let in when it works: strictly where it says how to know, kindly where it does not."""

from __future__ import annotations

import asyncio

import pytest

from tests.parts.chute_lab import Nobody
from wayhouse.base.clock import ManualClock
from wayhouse.chutes.engines.fake import FakeEngine
from wayhouse.chutes.health import Check, Doctor
from wayhouse.chutes.model import Health, Restart, UnhealthyError
from wayhouse.chutes.ports import ContainerSpec, ExecResult


class Ward:
    """One running container, and the doctor who looks at it."""

    def __init__(self) -> None:
        self.clock = ManualClock(0.0)
        self.engine = FakeEngine(self.clock)
        self.prober = Nobody()
        self.said: list[str] = []
        self.doctor = Doctor(self.engine, self.prober, self.clock, settle_s=1.0, web_wait_s=5.0)

    async def check(self, health: Health | None = None, **more: object) -> None:
        fields = {"ports": {8000: 20_000}, **more}
        check = Check(service="main", container="a-main", health=health, **fields)
        await self.doctor.check(check, self.said.append)

    async def run(self, restart: Restart = Restart.ALWAYS) -> None:
        await self.engine.pull("i", self.said.append)
        await self.engine.create(
            ContainerSpec(name="a-main", chute="a", service="main", image="i", change_id=1, restart=restart)
        )
        await self.engine.start("a-main")
        self.said.clear()


@pytest.fixture
async def ward() -> Ward:
    ward = Ward()
    await ward.run()
    return ward


async def fails(ward: Ward, health: Health | None = None, **more: object) -> str:
    with pytest.raises(UnhealthyError) as caught:
        await ward.check(health, **more)
    return caught.value.message


async def test_http_is_asked_on_the_web_port_of_the_machine(ward: Ward) -> None:
    await ward.check(Health(http="/health"), web=8000)
    assert ward.prober.asked == [("127.0.0.1", 20_000, "/health")]


async def test_its_own_port_goes_before_the_web_port(ward: Ward) -> None:
    await ward.check(Health(http="/", port=9000), web=8000, ports={8000: 20_000, 9000: 20_001})
    await ward.check(Health(tcp=9000), web=8000, ports={8000: 20_000, 9000: 20_001})
    assert [asked[1] for asked in ward.prober.asked] == [20_001, 20_001]


async def test_on_the_hosts_network_the_port_is_the_same(ward: Ward) -> None:
    await ward.check(Health(tcp=9000), ports={})
    assert ward.prober.asked == [("127.0.0.1", 9000, "")]


async def test_a_slow_one_is_waited_for(ward: Ward) -> None:
    ward.prober.sick[20_000] = "port 20000: connection refused"

    async def get_well() -> None:
        while ward.clock.monotonic() < 3:
            await asyncio.sleep(0)
        ward.prober.sick.clear()

    await asyncio.gather(ward.check(Health(tcp=8000, timeout_s=30)), get_well())
    assert 3 <= ward.clock.monotonic() < 5


async def test_a_sick_one_is_refused_with_what_was_seen_last(ward: Ward) -> None:
    ward.prober.sick[20_000] = "port 20000: connection refused"
    reason = await fails(ward, Health(tcp=8000, timeout_s=2.5, interval_s=0.5))
    assert reason == ("Service main did not pass its health check in 2.5 s: port 20000: connection refused.")
    assert 2.5 <= ward.clock.monotonic() <= 3.5


async def test_a_command_is_run_inside(ward: Ward) -> None:
    health = Health(command=["check", "--fast"], timeout_s=1)
    await ward.check(health)
    assert ward.engine.executed == [("a-main", ("check", "--fast"))]
    ward.engine.exec_result = ExecResult(3, "one\nno database\n")
    assert "the command ended with 3 (no database)" in await fails(ward, health)
    ward.engine.exec_result = ExecResult(1, "")
    assert "(no output)" in await fails(ward, health)


@pytest.mark.parametrize("health", [Health(tcp=8000), None])
async def test_one_that_ends_is_refused_at_once(ward: Ward, health: Health | None) -> None:
    await ward.run(Restart.NO)
    ward.prober.sick[20_000] = "closed"
    await ward.engine.crash("a-main", 7)
    reason = await fails(ward, health, web=None if health else 8000)
    assert reason == "Service main ended right after it was started (exit code 7)."


async def test_one_that_is_restarted_again_and_again_is_refused(ward: Ward) -> None:
    await ward.engine.crash("a-main", 7)
    assert "ended right after it was started" in await fails(ward)


async def test_one_that_is_gone_is_refused(ward: Ward) -> None:
    await ward.engine.remove("a-main")
    assert await fails(ward) == "Service main ended right after it was started."


async def test_a_web_page_that_never_opens_is_remarked(ward: Ward) -> None:
    ward.prober.sick[20_000] = "closed"
    await ward.check(web=8000)
    assert ward.said == ["Service main runs, but nothing answers on its web port 8000 yet."]
    assert 5 <= ward.clock.monotonic() < 6


async def test_a_web_page_that_answers_is_enough(ward: Ward) -> None:
    await ward.check(web=8000)
    assert (ward.said, ward.clock.monotonic()) == ([], 0.0)


async def test_one_without_a_page_must_stay_up_for_a_moment(ward: Ward) -> None:
    await ward.check()
    assert 1 <= ward.clock.monotonic() < 1.2
    assert ward.prober.asked == []
