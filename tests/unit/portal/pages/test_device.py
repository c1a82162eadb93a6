from __future__ import annotations

import pytest

from wayhouse.portal.pages.device import media_of

PART = {"hx-request": "true"}


async def test_one_device(house):
    browser = await house.browser()
    tv = await house.device("tv")
    page = (await browser.get(f"/devices/{tv.id}")).text
    for text in ("Volume", 'type="range"', 'type="number"', 'aria-label="volume Up"', "localhost.fake.tv"):
        assert text in page, text
    assert (await browser.get("/devices/none")).status_code == 404
    rtc = await house.device("rtc")
    assert "history.js" not in (await browser.get(f"/devices/{rtc.id}")).text
    boiler = await house.device("boiler")
    page = (await browser.get(f"/devices/{boiler.id}")).text
    for text in ("/vendor/uplot.min.js", 'data-range="year"', "readings.csv?command=value"):
        assert text in page, text


async def test_commands_give_the_control_or_the_row_again(house):
    browser = await house.browser()
    hall = await house.device("hall")
    place = f"/devices/{hall.id}/command"
    reply = await browser.post(place, data={"command": "level", "value": "40"}, headers=PART)
    assert (reply.status_code, 'value="40"' in reply.text, "<html" in reply.text) == (200, True, False)
    lamp = await house.device("lamp")
    order = {"command": "power", "value": "true", "view": "row"}
    reply = await browser.post(f"/devices/{lamp.id}/command", data=order, headers=PART)
    assert 'class="device"' in reply.text
    assert 'aria-checked="true"' in reply.text
    assert (await browser.post(place, data={"command": "level", "value": "7"})).status_code == 303
    assert house.devices.last(hall.id, "level").value == 7
    assert [one.who for one in house.devices.log(hall.id) if one.kind == "command"] == ["paradrop"] * 2


@pytest.mark.parametrize(
    ("command", "value", "status"),
    [
        ("level", "101", 400),
        ("level", "x", 400),
        ("none", "1", 404),
        ("config", "{}", 404),
        ("log", "true", 404),
    ],
)
async def test_what_cannot_be_commanded_here(house, command, value, status):
    """The config is changed by those who may change devices, and elsewhere."""
    browser = await house.browser()
    hall = await house.device("hall")
    order = {"command": command, "value": value}
    reply = await browser.post(f"/devices/{hall.id}/command", data=order, headers=PART)
    assert (reply.status_code, 'class="notice bad"' in reply.text) == (status, True)


async def test_what_moves(house):
    browser = await house.browser()
    lamp = await house.device("lamp")
    live = (await browser.get(f"/devices/{lamp.id}/live")).json()
    assert live["controls"]["power"] == {"text": "off", "value": False, "time": "just now"}
    assert f'data-stamp="{live["stamp"]}"' in (await browser.get(f"/devices/{lamp.id}/head")).text
    await house.devices.move(lamp.id, "Hall")
    assert (await browser.get(f"/devices/{lamp.id}/live")).json()["stamp"] != live["stamp"]
    assert "lamp" in (await browser.get(f"/devices/{lamp.id}/row")).text


async def test_history(house):
    browser = await house.browser()
    boiler = await house.device("boiler")
    for name in ("day", "week", "month", "year", "other"):
        table = (await browser.get(f"/devices/{boiler.id}/readings?command=value&range={name}")).json()
        assert (len(table["time"]), table["unit"]) == (1, "°C"), name
        assert table["lowest"] == table["mean"][0]
    reply = await browser.get(f"/devices/{boiler.id}/readings.csv?command=value&range=day")
    assert reply.headers["content-disposition"] == 'attachment; filename="boiler-value.csv"'
    assert reply.text.count("\n") == 2
    assert (await browser.get(f"/devices/{boiler.id}/readings?command=none")).status_code == 404


async def test_the_log(house):
    browser = await house.browser()
    lamp = await house.device("lamp")
    await browser.post(f"/devices/{lamp.id}/command", data={"command": "power", "value": "true"})
    page = (await browser.get(f"/devices/{lamp.id}/log")).text
    assert "power" in page
    assert "paradrop" in page
    assert "Nothing has happened yet" in (await browser.get(f"/devices/{lamp.id}/log?before=1")).text
    assert (await browser.get(f"/devices/{lamp.id}/log?before=x")).status_code == 200


async def test_pictures_are_pictures(house):
    browser = await house.browser()
    lamp = await house.device("lamp")
    assert (await browser.get(f"/devices/{lamp.id}/picture")).status_code == 404
    assert media_of(b"\xff\xd8\xff\xe0...") == "image/jpeg"
    assert media_of(b"RIFF....WEBPVP8 ") == "image/webp"
    assert media_of(b"<svg onload=alert(1)>") is None
    assert media_of(b"") is None


async def test_why_a_device_is_away_stays_text(house):
    browser = await house.browser()
    lamp = await house.device("lamp")
    house.devices._roster.find("lamp")[0].health.failed("<b>gone</b>", is_gone=True)
    for path in (f"/devices/{lamp.id}", f"/devices/{lamp.id}/row", f"/devices/{lamp.id}/head"):
        page = (await browser.get(path)).text
        assert "&lt;b&gt;gone" in page
        assert "<b>gone" not in page
