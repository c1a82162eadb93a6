import asyncio

from wayhouse.devices.told import Fact, Gone, Look, Mailbox


async def test_what_is_told_comes_in_order():
    box = Mailbox()
    box.told("a", "value", 1)
    box.gone("b", "asleep")
    assert [await box.next(), await box.next()] == [Fact("a", "value", 1), Gone("b", "asleep")]
    waiting = asyncio.create_task(box.next())
    await asyncio.sleep(0)
    assert not waiting.done()
    box.told("a", "value", 2)
    assert await waiting == Fact("a", "value", 2)


async def test_one_wish_to_look_is_enough():
    box = Mailbox()
    for _ in range(3):
        box.look()
    box.told("a", "value", 1)
    assert [await box.next(), await box.next()] == [Look(), Fact("a", "value", 1)]


async def test_a_flood_loses_the_oldest():
    box = Mailbox(limit=2)
    for number in range(5):
        box.told("a", "value", number)
    assert (await box.next()).value == 3
    assert box.lost == 3
