"""Who may have a process, and who gives one up."""

from __future__ import annotations

import asyncio

from wayhouse.automation.slots import Slots
from wayhouse.base.tasks import Tasks


async def _step() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_in_order_and_never_too_many() -> None:
    slots, got = Slots(2), list[int]()

    async def one(number: int) -> None:
        await slots.acquire()
        got.append(number)

    async with Tasks() as tasks:
        waiting = [tasks.spawn(one(number), name="x") for number in range(5)]
        await _step()
        assert got == [0, 1]
        waiting[2].cancel()
        await _step()
        slots.release()
        await _step()
        assert got == [0, 1, 3]
        slots.release()
        slots.release()
        slots.release()
        await _step()
        assert got == [0, 1, 3, 4]


async def test_who_idles_gives_up_when_asked() -> None:
    slots, gone = Slots(1), list[str]()

    def give_up() -> None:
        gone.append("first")
        slots.release()

    await slots.acquire()
    slots.idle("first", give_up)
    assert gone == []
    await slots.acquire()
    assert gone == ["first"]
    async with Tasks() as tasks:
        third = tasks.spawn(slots.acquire(), name="third")
        await _step()
        slots.busy("second")
        assert not third.done()
        slots.idle("second", slots.release)
        await _step()
        assert third.done()


async def test_a_turn_that_was_given_and_not_taken_goes_to_the_next() -> None:
    slots = Slots(1)
    await slots.acquire()
    async with Tasks() as tasks:
        first = tasks.spawn(slots.acquire(), name="first")
        second = tasks.spawn(slots.acquire(), name="second")
        await _step()
        slots.release()
        first.cancel()
        await _step()
        assert second.done()
        assert not second.cancelled()
