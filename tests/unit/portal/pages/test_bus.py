from __future__ import annotations

import asyncio
import fcntl
from collections.abc import AsyncIterator

import pytest

from wayhouse.access.model import Role
from wayhouse.base.tasks import Tasks


@pytest.fixture
async def on_the_bus(house) -> AsyncIterator[None]:
    """The processes of the bus of the house run."""
    bus = house.gateway.rooms.bus
    with bus._lock.open("a") as held:  # its processes end when nobody holds the lock
        fcntl.flock(held, fcntl.LOCK_EX)
        async with bus, Tasks() as tasks:
            await bus.start()
            bus.go_on(tasks)
            await bus.ready()
            for name in (
                "localhost.fake.devices",
                "localhost.core.scenario",
                "titanic.list",
                "titanic.status",
            ):
                while (await bus.call("mmi.service", [name.encode()]))[-1] != b"200":
                    await asyncio.sleep(0.02)
            yield


async def test_a_bus_that_is_away_is_told(house):
    browser = await house.browser()
    page = (await browser.get("/bus")).text
    assert "is not running" in page
    assert "The broker does not answer" in page
    assert "does not answer now" in (await browser.get("/bus/keys?under=/x")).text
    assert "does not answer now" in (await browser.get("/bus/requests?id=zz")).text
    assert (await browser.get("/bus/services/none")).status_code == 404


async def test_services_keys_and_requests(house, on_the_bus):
    browser = await house.browser()
    bus = house.gateway.rooms.bus
    page = (await browser.get("/bus")).text
    for text in ("localhost.fake.devices", "localhost.core.scenario", "Ready", "Broker"):
        assert text in page, text
    page = (await browser.get("/bus/services/localhost.fake.devices")).text
    assert "MDP" in page
    await bus.publisher().send("house", "mode", "<b>home</b>")
    for _ in range(100):
        page = (await browser.get("/bus/keys?under=house")).text
        if "mode" in page:
            break
    assert "&lt;b&gt;home" in page
    assert "/bus/keys?under=/house/" in (await browser.get("/bus/keys")).text
    page = (await browser.get("/bus/requests")).text
    assert "There are none." in page
    assert "None fits." in (await browser.get("/bus/requests?q=failed")).text
    assert "Not known" in (await browser.get(f"/bus/requests?id={'0' * 32}")).text
    assert "32 hexadecimal digits" in (await browser.get("/bus/requests?id=%3Cb%3E")).text


async def test_asking_a_service_by_hand(house, on_the_bus):
    browser, user = await house.browser(), await house.user("uli", Role.USER)
    await house.device("lamp")
    place = "/bus/services/localhost.fake.devices"
    reply = await browser.post(place, data={"frames": "get\r\nlamp\r\npower"})
    assert "Reply, 2 frames" in reply.text
    assert ">false<" in reply.text
    assert "Ask it" not in (await user.get(place)).text
    assert (await user.post(place, data={"frames": "list"})).status_code == 403
    assert "Ask it" in (await browser.get("/bus/services/mmi.echo")).text


async def test_services_are_found_by_words_and_pages(house, on_the_bus):
    async def nothing(body):
        return [b"200"]

    browser, bus = await house.browser(), house.gateway.rooms.bus
    bus.serve({f"localhost.many.{number:03}": nothing for number in range(120)})
    async with asyncio.timeout(30):
        while (await bus.call("mmi.service", [b"localhost.many.119"]))[-1] != b"200":
            await asyncio.sleep(0.02)
    await asyncio.sleep(0.1)  # the broker makes its figures anew
    page = (await browser.get("/bus")).text
    assert "Page 1 of 3" in page
    assert "localhost.many.000" in page
    assert "localhost.many.119" not in page
    assert "/bus?q=&amp;page=2" in page
    assert 'hx-get="/bus/now?q=&amp;page=1"' in page
    page = (await browser.get("/bus?q=many.11&page=7")).text
    assert "localhost.many.119" in page
    assert "localhost.many.000" not in page
    assert 'value="many.11"' in page
    part = (await browser.get("/bus/now?q=many&page=2")).text
    assert "Page 2 of 3" in part
    assert 'hx-get="/bus/now?q=many&amp;page=2"' in part
    assert "<form" not in part
    assert "No service fits" in (await browser.get("/bus?q=%3Cb%3E")).text
    assert "&lt;b&gt;" in (await browser.get("/bus?q=%3Cb%3E")).text
    assert (await browser.get("/bus/services/localhost.many.119")).status_code == 200
