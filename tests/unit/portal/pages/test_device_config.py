from __future__ import annotations


async def test_renaming_and_moving(house):
    browser = await house.browser()
    lamp = await house.device("lamp")
    reply = await browser.post(f"/devices/{lamp.id}/place", data={"name": "light", "area": " Hall "})
    assert reply.status_code == 303
    after = house.devices.get("light")
    assert (after.id, after.area) == (lamp.id, "Hall")
    assert "renamed or moved" in (await browser.get(reply.headers["location"])).text
    for name in ("", "a/b", "tv"):
        reply = await browser.post(f"/devices/{lamp.id}/place", data={"name": name, "area": "Hall"})
        assert (reply.status_code in {400, 409}, 'role="alert"' in reply.text) == (True, True)
    assert house.devices.get(lamp.id).name == "light"


async def test_the_config_as_a_form(house):
    browser = await house.browser()
    boiler = await house.device("boiler")
    page = (await browser.get(f"/devices/{boiler.id}/configure")).text
    for text in ('name="poll"', 'name="log"', 'name="cycle_s"', 'name="unit"'):
        assert text in page, text
    assert 'name="oid"' not in page
    form = {"poll": "30", "unit": "°F", "min": "1", "max": "2", "cycle_s": "60"}
    reply = await browser.post(f"/devices/{boiler.id}/configure", data=form)
    assert reply.status_code == 303
    config = house.devices.get("boiler").config
    assert (config["poll"], config["log"], config["unit"], config["oid"], config["name"]) == (
        30,
        False,
        "°F",
        "sensor.temperature",
        "boiler",
    )


async def test_faults_are_told_beside_their_fields(house):
    browser = await house.browser()
    boiler = await house.device("boiler")
    form = {"poll": "soon", "unit": "<b>", "min": "1", "max": "2", "cycle_s": "60"}
    reply = await browser.post(f"/devices/{boiler.id}/configure", data=form)
    assert reply.status_code == 400
    for text in ('value="soon"', "Enter a whole number.", 'aria-invalid="true"', "&lt;b&gt;"):
        assert text in reply.text, text
    assert house.devices.get("boiler").config == boiler.config


async def test_removing_asks_first(house):
    browser = await house.browser()
    lamp = await house.device("lamp")
    asked = await browser.post(f"/devices/{lamp.id}/remove", data={})
    assert "Remove lamp?" in asked.text
    assert house.devices.get("lamp")
    reply = await browser.post(f"/devices/{lamp.id}/remove", data={"sure": "yes"})
    assert reply.headers["location"] == "/devices"
    assert (await browser.get(f"/devices/{lamp.id}")).status_code == 404
