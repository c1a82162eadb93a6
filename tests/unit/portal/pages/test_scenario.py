from __future__ import annotations

import pytest

from wayhouse.access.model import Role
from wayhouse.automation.parameter import Kind, Parameter
from wayhouse.automation.scenario import Scenario
from wayhouse.portal.pages.scenario import plain


async def test_one_scenario(house, scenarios):
    browser = await house.browser()
    await house.device("boiler")
    await scenarios.add(
        Scenario(name="one", entries={"warm": "device:boiler"}, schedules=("@daily",), code="log(1)")
    )
    page = (await browser.get("/scenarios/one")).text
    for text in ("warm", "device:boiler", "@daily", "It never ran", "/scenarios/one/edit", "Set a variable"):
        assert text in page, text
    assert (await browser.get("/scenarios/none")).status_code == 404
    live = (await browser.get("/scenarios/one/live")).json()
    assert f'data-stamp="{live["stamp"]}"' in (await browser.get("/scenarios/one/now")).text


async def test_parameters_are_a_form(house, scenarios):
    browser = await house.browser()
    parameters = {
        "bound": Parameter(kind=Kind.NUMBER, max=50, description="<b>How</b> warm"),
        "loud": Parameter(kind=Kind.SWITCH, default=False),
        "mode": Parameter(kind=Kind.TEXT, default="a", choices=("a", "b")),
        "sensor": Parameter(kind=Kind.SOURCE, default="device:boiler"),
    }
    await scenarios.add(Scenario(name="one", parameters=parameters, code="log(1)"))
    page = (await browser.get("/scenarios/one")).text
    for text in ("&lt;b&gt;How", 'name="p-bound"', "As it comes: off", 'list="sources"'):
        assert text in page, text
    form = {"p-bound": "30.5", "p-loud": "true", "p-mode": "b", "p-sensor": ""}
    assert (await browser.post("/scenarios/one/parameters", data=form)).status_code == 303
    assert scenarios.get("one").values == {"bound": 30.5, "loud": True, "mode": "b"}
    page = (await browser.get("/scenarios/one")).text
    assert '<option value="true" selected>' in page
    for bad in ("51", "x", "true"):
        reply = await browser.post("/scenarios/one/parameters", data={"p-bound": bad})
        assert (reply.status_code, 'role="alert"' in reply.text) == (400, True)


async def test_variables_are_set_and_taken_away(house, scenarios):
    browser = await house.browser()
    await scenarios.add(Scenario(name="one", code="log(1)"))
    for text, value in (("3", 3), ("true", True), ("a text", "a text"), ('"7"', "7")):
        await browser.post("/scenarios/one/variables", data={"variable": "v", "value": text})
        assert scenarios.variables("one") == {"v": value}
    await browser.post("/scenarios/one/variables", data={"variable": "v", "value": ""})
    assert scenarios.variables("one") == {}
    reply = await browser.post("/scenarios/one/variables", data={"variable": "state", "value": "1"})
    assert (reply.status_code, 'role="alert"' in reply.text) == (400, True)
    assert plain("[1]") == "[1]"


async def test_a_run_and_what_it_did(house, scenarios):
    browser = await house.browser()
    code = 'log("<b>hello</b>")\nvariables["n"] = 1\n\nx = 1 / 0\n'
    await scenarios.add(Scenario(name="one", code=code))
    run = await scenarios.run("one")
    await house.over(run.id)
    page = (await browser.get(f"/scenarios/one/runs/{run.id}")).text
    for text in (
        "Failed",
        "&lt;b&gt;hello",
        "set_variable",
        "ZeroDivisionError",
        "line 4",
        "<i>4</i>x = 1 / 0",
    ):
        assert text in page, text
    assert 'hx-trigger="every 1s"' not in page
    assert f"/scenarios/one/runs/{run.id}" in (await browser.get("/scenarios/one")).text
    await scenarios.add(Scenario(name="other", code="log(1)"))
    assert (await browser.get(f"/scenarios/other/runs/{run.id}")).status_code == 404
    assert (await browser.get("/scenarios/one/runs/none")).status_code == 404


async def test_a_run_is_followed_and_stopped(house, scenarios):
    browser = await house.browser()
    await scenarios.add(Scenario(name="one", code="wait(600)"))
    run = await scenarios.run("one")
    page = (await browser.get(f"/scenarios/one/runs/{run.id}/steps")).text
    assert 'hx-trigger="every 1s"' in page
    assert "/scenarios/one/stop" in page
    assert (await browser.post("/scenarios/one/stop")).headers["location"] == "/scenarios/one"
    assert "Stopped" in (await browser.get("/scenarios/one")).text
    assert (await browser.post("/scenarios/one/stop")).status_code == 409


async def test_giving_it_away_and_removing_it(house, scenarios):
    browser = await house.browser()
    parameters = {"place": Parameter(kind=Kind.TEXT)}
    await scenarios.add(
        Scenario(name="one two", parameters=parameters, values={"place": "secret"}, code="log(1)")
    )
    reply = await browser.get("/scenarios/one%20two/export")
    assert reply.headers["content-disposition"] == 'attachment; filename="one-two.toml"'
    assert "secret" not in reply.text
    assert "Remove one two?" in (await browser.post("/scenarios/one%20two/remove", data={})).text
    await browser.post("/scenarios/one%20two/remove", data={"sure": "yes"})
    assert scenarios.list_keys() == []


@pytest.mark.parametrize("path", ["", "/now", "/live", "/export"])
async def test_a_guest_sees_nothing(house, scenarios, path):
    guest = await house.user("gast", Role.GUEST)
    await scenarios.add(Scenario(name="one", code="log(1)"))
    assert (await guest.get(f"/scenarios/one{path}")).status_code == 403
