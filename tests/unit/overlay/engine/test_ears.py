"""What reaches the event loop, and how much of it."""

from __future__ import annotations

import asyncio

from wayhouse.overlay.engine.ears import MOST_WAITING, Ears, Meter


async def test_in_order_and_bounded() -> None:
    heard: list[bytes] = []
    ears = Ears(asyncio.get_running_loop(), lambda data, _: heard.append(data))
    for number in range(MOST_WAITING + 5):
        ears(number.to_bytes(2, "big"), ("h", 1))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert heard == [number.to_bytes(2, "big") for number in range(MOST_WAITING)]
    assert ears.dropped == 5
    ears(b"more", ("h", 1))
    ears.is_open = False
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(heard) == MOST_WAITING


def test_a_closed_loop_is_no_error() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    Ears(loop, lambda data, address: None)(b"x", ("h", 1))


def test_meter() -> None:
    now = 5.0
    meter = Meter(2, lambda: now)
    assert [meter.allows() for _ in range(4)] == [True, True, False, False]
    now = 6.5
    assert meter.allows()
