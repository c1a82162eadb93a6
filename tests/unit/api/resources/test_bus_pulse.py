"""One overview for all who look on."""

import asyncio

from wayhouse.api.resources.bus_pulse import Pulse


class Made:
    def __init__(self):
        self.count = 0

    async def make(self):
        self.count += 1
        await asyncio.sleep(0)
        return self.count


async def test_all_who_wait_get_the_same_and_each_gets_the_next():
    made = Made()
    pulse = Pulse(made.make, 0.01)
    assert await asyncio.gather(*(pulse.after(0) for _ in range(5))) == [(1, "1")] * 5
    assert await asyncio.gather(*(pulse.after(1) for _ in range(5))) == [(2, "2")] * 5
    assert await pulse.after(2) == (3, "3")
    assert made.count == 3


async def test_who_comes_late_gets_what_is_not_old_at_once():
    made = Made()
    pulse = Pulse(made.make, 3600)
    assert await pulse.after(0) == (1, "1")
    assert await pulse.after(0) == (1, "1")
    assert made.count == 1


async def test_nothing_is_made_while_nobody_looks():
    made = Made()
    pulse = Pulse(made.make, 0.01)
    await pulse.after(0)
    await asyncio.sleep(0.05)
    assert made.count == 1
    assert await pulse.after(0) == (2, "2")


async def test_one_that_leaves_holds_up_nobody():
    made = Made()
    pulse = Pulse(made.make, 0.05)
    await pulse.after(0)
    leaving, staying = (asyncio.ensure_future(pulse.after(1)) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying == (2, "2")
