"""The stream of a device's log."""

import asyncio
import json

import pytest

from tests.parts.asgi import RefusedError
from wayhouse.devices.log import SLOTS

WHERE = "/ws/devices/lamp/log"


async def switch(home, *names):
    for name in names:
        await home.devices.command("lamp", "power", value=True, who=name)


async def received(socket, count):
    return [json.loads(await asyncio.wait_for(socket.receive(), 5)) for _ in range(count)]


async def test_the_last_entries_and_what_comes_until_it_is_removed(home):
    await switch(home, "ann", "bob")
    async with home.websocket(f"{WHERE}?tail=1") as socket:
        assert [one["who"] for one in await received(socket, 1)] == ["bob"]
        await home.devices.command("hall", "level", 5, who="eve")
        await switch(home, "cat")
        (entry,) = await received(socket, 1)
        assert (entry["who"], entry["kind"]) == ("cat", "command")
        await home.devices.rename("lamp", "light", who="dan")
        assert [one["kind"] for one in await received(socket, 1)] == ["renamed"]
        await home.devices.delete("light")
        assert await socket.all() == []


async def test_who_comes_back_gets_what_came_meanwhile_and_nothing_twice(home):
    headers = {"accept": "text/event-stream"}
    await switch(home, "ann")
    newest = home.devices.log("lamp", limit=1)[0].number
    await switch(home, *map(str, range(20)))
    async with home.websocket(f"{WHERE}?tail=1&resume={newest}") as socket:
        found = await received(socket, 20)
        await switch(home, "last")
        found += await received(socket, 1)
    assert [one["who"] for one in found] == [*map(str, range(20)), "last"]
    assert [one["number"] for one in found] == [*range(newest + 1, newest + 22)]
    async with home.exchange("GET", f"{WHERE}?tail=0", headers=headers) as events:
        await events.begin()
        assert await anext(events.parts()) == f"id: {newest + 21}\n\n".encode()


async def test_a_cursor_of_what_was_lost_in_a_crash_hides_nothing(home):
    await switch(home, "ann")
    async with home.websocket(f"{WHERE}?resume=9999") as socket:
        await switch(home, "bob")
        assert [one["who"] for one in await received(socket, 1)] == ["bob"]


async def test_who_is_slow_gets_what_the_log_still_has_in_order(home):
    async with home.websocket(f"{WHERE}?tail=0") as socket:
        await asyncio.sleep(0)
        await switch(home, *map(str, range(3000)))
        numbers = []
        while not numbers or numbers[-1] < home.devices.log("lamp", limit=1)[0].number:
            numbers += [one["number"] for one in await received(socket, 1)]
    assert numbers == sorted(set(numbers))
    assert len(numbers) >= SLOTS


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/ws/devices/nobody/log", 404),
        (f"{WHERE}?tail=501", 400),
        (f"{WHERE}?resume=x", 400),
        (f"{WHERE}?resume=-1", 400),
        (f"{WHERE}?resume={'9' * 30}", 400),
        (f"{WHERE}?resume=%C2%B2", 400),
    ],
)
async def test_what_is_refused_before_the_upgrade(home, target, status):
    with pytest.raises(RefusedError) as refused:
        async with home.websocket(target):
            pass
    assert refused.value.answer.status == status
