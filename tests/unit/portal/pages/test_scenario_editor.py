from __future__ import annotations

from wayhouse.automation.scenario import Scenario

HEAD = 'wayhouse_scenario = 1\nname = "one"\n'


async def test_writing_one(house, scenarios):
    browser = await house.browser()
    page = (await browser.get("/scenarios-new")).text
    for text in ("wayhouse_scenario = 1", "/scenarios-check", "command(device, command, value)"):
        assert text in page, text
    reply = await browser.post("/scenarios-new", data={"head": HEAD, "code": "log(1)\r\n", "do": "save"})
    assert reply.headers["location"] == "/scenarios/one"
    assert scenarios.get("one").code == "log(1)\n"
    reply = await browser.post("/scenarios-new", data={"head": HEAD, "code": "log(1)", "do": "save"})
    assert (reply.status_code, "already" in reply.text) == (409, True)


async def test_changing_and_renaming_it(house, scenarios):
    browser = await house.browser()
    await scenarios.add(Scenario(name="one", code="log('</textarea>')\n"))
    page = (await browser.get("/scenarios/one/edit")).text
    assert "&lt;/textarea&gt;" in page
    head = HEAD.replace("one", "two")
    reply = await browser.post("/scenarios/one/edit", data={"head": head, "code": "log(2)", "do": "save"})
    assert reply.headers["location"] == "/scenarios/two"
    assert scenarios.list_keys() == ["two"]
    assert (await browser.post("/scenarios/one/edit", data={"head": HEAD})).status_code == 404


async def test_saved_and_run_at_once(house, scenarios):
    browser = await house.browser()
    reply = await browser.post("/scenarios-new", data={"head": HEAD, "code": "log(1)", "do": "run"})
    place = reply.headers["location"]
    assert place.startswith("/scenarios/one/runs/")
    await house.over(place.rpartition("/")[2])


async def test_faults_are_shown_with_their_line(house, scenarios):
    browser = await house.browser()
    given = {"head": HEAD, "code": "a = 1\n<b>\n", "do": "save"}
    reply = await browser.post("/scenarios-new", data=given)
    assert reply.status_code == 400
    for text in ('data-fault="2"', "&lt;b&gt;", "not Python"):
        assert text in reply.text, text
    assert scenarios.list_keys() == []
    fault = (await browser.post("/scenarios-check", data=given)).json()["fault"]
    assert (fault["part"], fault["line"]) == ("code", 2)
    assert (await browser.post("/scenarios-check", data={**given, "code": ""})).json() == {"fault": None}
    assert (await browser.post("/scenarios-check", data={})).json()["fault"]["part"] == "head"


async def test_rehearsing_what_is_typed(house, scenarios):
    browser = await house.browser()
    await house.device("lamp")
    head = HEAD + 'schedules = ["@hourly"]\n'
    given = {"head": head, "code": 'command("lamp", "power", True)', "do": "rehearse", "span": "day"}
    reply = await browser.post("/scenarios-new", data=given)
    assert reply.status_code == 200
    for text in ("Rehearsal over the last day", "24 times", "At its time, @hourly", "&#34;lamp&#34;"):
        assert text in reply.text, text
    assert scenarios.list_keys() == []
    assert house.devices.last("lamp", "power").value is False
