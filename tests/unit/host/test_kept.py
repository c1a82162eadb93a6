import asyncio

from wayhouse.host.kept import Kept


class Counting:
    def __init__(self):
        self.reads = 0

    def status(self):
        self.reads += 1
        return {"reads": self.reads}


async def test_many_pages_cost_one_reading(clock):
    counting = Counting()
    cache = Kept(counting.status, clock, 0.8)
    answers = await asyncio.gather(*(cache.get() for _ in range(100)))
    assert {answer["reads"] for answer in answers} == {1}
    clock.advance(0.79)
    assert (await cache.get())["reads"] == 1
    clock.advance(0.02)
    assert (await cache.get())["reads"] == 2
    clock.advance(-1000)
    assert (await cache.get())["reads"] == 3
