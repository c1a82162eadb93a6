from __future__ import annotations

from wayhouse.access.model import Role


async def test_no_devices_yet(house):
    page = (await (await house.browser()).get("/devices")).text
    assert "No devices yet" in page
    assert "fake" in page


async def test_devices_by_area_with_their_values(house):
    browser = await house.browser()
    lamp = await house.device("lamp")
    await house.devices.move(lamp.id, "<Hall>")
    page = (await browser.get("/devices")).text
    for text in (
        "6 of 6 available",
        "&lt;Hall&gt;",
        "No area",
        "boiler",
        "°C",
        "sensor.wind",
        'role="switch"',
    ):
        assert text in page, text
    assert "<Hall>" not in page


async def test_searching(house):
    browser = await house.browser()
    lamp = await house.device("lamp")
    await house.devices.move(lamp.id, "Hall")
    for query, there, away in (
        ("q=LAMP", "lamp", "boiler"),
        ("area=Hall", "lamp", "boiler"),
        ("area=-", "boiler", "lamp"),
        ("driver=fake&state=running&q=sensor", "boiler", "lamp"),
        ("driver=%22%3E&area=%3Cx%3E&state=%27&page=-4", "boiler", "<x>"),
    ):
        page = (await browser.get(f"/devices/list?{query}")).text
        assert f">{there}</a>" in page, query
        assert f">{away}</a>" not in page, query
    assert "No device fits" in (await browser.get("/devices?state=failing")).text


async def test_what_moves(house):
    browser = await house.browser()
    lamp = await house.device("lamp")
    live = (await browser.get("/devices/live")).json()
    row = next(one for one in live["devices"] if one["id"] == lamp.id)
    assert (row["on"], row["seen"]) == (False, "just now")
    page = (await browser.get("/devices/list")).text
    assert f'data-stamp="{live["stamp"]}"' in page
    assert f'data-stamp="{row["stamp"]}"' in page
    await browser.post(f"/devices/{lamp.id}/command", data={"command": "power", "value": "true"})
    assert next(
        one for one in (await browser.get("/devices/live")).json()["devices"] if one["id"] == lamp.id
    )["on"]


async def test_adding_one(house):
    browser = await house.browser()
    assert "sensor.temperature" in (await browser.get("/devices/new")).text
    good = {"name": "attic", "oid": "sensor.temperature", "driver": "fake", "address": "a7"}
    reply = await browser.post("/devices/new", data=good)
    device = house.devices.get("attic")
    assert (reply.status_code, reply.headers["location"]) == (303, f"/devices/{device.id}/configure")
    assert device.address == "a7"
    for bad, status in (({"name": "a/b"}, 400), ({"oid": "none"}, 400), ({"driver": "none"}, 404), ({}, 409)):
        reply = await browser.post("/devices/new", data={**good, **bad})
        assert (reply.status_code, 'role="alert"' in reply.text) == (status, True)
    assert house.devices.log("attic")[-1].who == "paradrop"


async def test_who_may(house):
    user, guest = await house.user("uli", Role.USER), await house.user("gast", Role.GUEST)
    lamp = await house.device("lamp")
    assert (await guest.get("/devices")).status_code == 403
    page = (await user.get("/devices")).text
    assert "Add device" not in page
    for path in ("/devices/new", f"/devices/{lamp.id}/configure"):
        assert (await user.get(path)).status_code == 403
    for path in (f"/devices/{lamp.id}/remove", f"/devices/{lamp.id}/place", f"/devices/{lamp.id}/configure"):
        assert (await user.post(path, data={"sure": "yes"})).status_code == 403
    done = await user.post(f"/devices/{lamp.id}/command", data={"command": "power", "value": "true"})
    assert done.status_code == 303
    assert (await guest.post(f"/devices/{lamp.id}/command", data={"command": "power"})).status_code == 403
