"""Publishing never waits; who is slow loses the oldest and is told how many."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.base.events import Events


class Rain(int):
    pass


class Sun(int):
    pass


async def take(subscription, count: int) -> list[object]:
    return [await anext(subscription) for _ in range(count)]


async def test_a_subscriber_hears_its_kinds_alone() -> None:
    events = Events()
    with events.subscribe(Rain) as rain, events.subscribe(Rain, Sun) as both, events.subscribe() as every:
        for event in (Rain(1), Sun(2), "other"):
            events.publish(event)
        assert await take(rain, 1) == [1]
        assert await take(both, 2) == [1, 2]
        assert await take(every, 3) == [1, 2, "other"]


async def test_a_subscriber_that_waits_is_woken() -> None:
    events = Events()
    with events.subscribe(Rain) as rain:
        waiting = asyncio.create_task(anext(rain))
        await asyncio.sleep(0)
        events.publish(Rain(1))
        assert await waiting == 1


@given(limit=st.integers(1, 10), count=st.integers(0, 40))
def test_the_oldest_are_lost_and_counted(limit: int, count: int) -> None:
    async def play() -> None:
        events = Events()
        with events.subscribe(Rain, limit=limit) as rain:
            for number in range(count):
                events.publish(Rain(number))
            assert rain.lost == max(0, count - limit)
            assert await take(rain, min(limit, count)) == list(range(count))[-limit:]

    asyncio.run(play())


async def test_a_closed_subscription_gives_what_it_has_and_ends() -> None:
    events = Events()
    rain = events.subscribe(Rain)
    events.publish(Rain(1))
    rain.close()
    rain.close()
    events.publish(Rain(2))
    assert [event async for event in rain] == [1]


async def test_closing_wakes_who_waits() -> None:
    rain = Events().subscribe(Rain)
    waiting = asyncio.create_task(anext(rain))
    await asyncio.sleep(0)
    rain.close()
    with pytest.raises(StopAsyncIteration):
        await waiting


async def test_a_subscriber_may_leave_while_events_are_given_out() -> None:
    events = Events()
    first, second = events.subscribe(Rain), events.subscribe()
    events.publish(Rain(1))
    first.close()
    events.publish(Rain(2))
    assert await take(second, 2) == [1, 2]
    second.close()
