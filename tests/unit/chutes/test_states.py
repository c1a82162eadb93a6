"""One picture for all readers, and never one from before what a reader has seen."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from wayhouse.base.clock import ManualClock
from wayhouse.chutes.engines.fake import FakeEngine
from wayhouse.chutes.model import EngineError
from wayhouse.chutes.ports import Container, ContainerSpec
from wayhouse.chutes.states import FRESH_S, States


class Counting(FakeEngine):
    """Takes `takes_s` to list, and waits for `gate` in between."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.clock = clock
        self.takes_s = 0.0
        self.asked = 0
        self.broken = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def containers(self) -> Sequence[Container]:
        self.asked += 1
        if self.broken:
            raise EngineError("no engine")
        found = await super().containers()
        self.clock.advance(self.takes_s)
        await self.gate.wait()
        return found

    async def add(self, name: str) -> None:
        await self.pull("i", lambda _: None)
        await self.create(ContainerSpec(name=name, chute="a", service="main", image="i", change_id=1))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def engine(clock: ManualClock) -> Counting:
    return Counting(clock)


async def test_readers_at_one_time_ask_once(clock: ManualClock, engine: Counting) -> None:
    await engine.add("a-main")
    states = States(engine, clock)
    pictures = await asyncio.gather(*(states.current() for _ in range(100)))
    assert engine.asked == 1
    assert all(list(one) == ["a-main"] for one in pictures)


async def test_a_picture_is_good_for_a_moment(clock: ManualClock, engine: Counting) -> None:
    states = States(engine, clock)
    await states.current()
    await engine.add("a-main")
    clock.advance(FRESH_S / 2)
    assert list(await states.current()) == []
    clock.advance(FRESH_S)
    assert list(await states.current()) == ["a-main"]
    assert states.generation == 1, "the first picture was as empty as none"


async def test_an_engine_that_is_slow_is_asked_less_often(clock: ManualClock, engine: Counting) -> None:
    engine.takes_s = 2.0
    states = States(engine, clock)
    await states.current()
    clock.advance(39)
    await states.current()
    assert engine.asked == 1
    clock.advance(2)
    await states.current()
    assert engine.asked == 2


async def test_an_expired_picture_is_not_shown_again(clock: ManualClock, engine: Counting) -> None:
    states = States(engine, clock)
    await states.current()
    await engine.add("a-main")
    states.expire()
    assert list(await states.current()) == ["a-main"]


async def test_a_picture_that_expires_while_it_is_taken_is_not_kept(
    clock: ManualClock, engine: Counting
) -> None:
    states = States(engine, clock)
    engine.gate.clear()
    early = asyncio.create_task(states.current())
    while not engine.asked:
        await asyncio.sleep(0)
    await engine.add("a-main")
    states.expire()
    late = asyncio.create_task(states.current())
    engine.gate.set()
    await early
    assert list(await late) == ["a-main"]


async def test_an_engine_that_fails_is_asked_again(clock: ManualClock, engine: Counting) -> None:
    states = States(engine, clock)
    engine.broken = True
    with pytest.raises(EngineError):
        await states.current()
    engine.broken = False
    assert list(await states.current()) == []
