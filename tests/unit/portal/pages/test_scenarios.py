from __future__ import annotations

from wayhouse.access.model import Role
from wayhouse.automation.scenario import Scenario

PART = {"hx-request": "true"}


async def test_scenarios_with_their_states(house, scenarios):
    browser = await house.browser()
    assert "No scenarios yet" in (await browser.get("/scenarios")).text
    await scenarios.add(Scenario(name="one b", description="<i>first</i>", code="log(1)"))
    page = (await browser.get("/scenarios")).text
    for text in ("one b", "&lt;i&gt;first", "Switched off", "Never ran"):
        assert text in page, text
    assert "<i>first" not in page


async def test_switching_and_running_from_the_list(house, scenarios):
    browser = await house.browser()
    await scenarios.add(Scenario(name="a b", code="log(1)"))
    row = {"view": "row"}
    reply = await browser.post("/scenarios/a%20b/enable", data={**row, "active": "true"}, headers=PART)
    assert "Watching" in reply.text
    assert scenarios.view("a b").is_active
    reply = await browser.post("/scenarios/a%20b/run", data=row, headers=PART)
    assert 'class="scenario"' in reply.text
    await house.over(scenarios.runs("a b")[0].id)
    assert "Done" in (await browser.get("/scenarios/a%20b/row")).text
    reply = await browser.post("/scenarios/a%20b/enable", data={"view": "page", "active": "false"})
    assert reply.headers["location"] == "/scenarios/a%20b"
    reply = await browser.post("/scenarios/a%20b/run")
    assert reply.headers["location"].startswith("/scenarios/a%20b/runs/")
    await house.over(reply.headers["location"].rpartition("/")[2])


async def test_what_moves(house, scenarios):
    browser = await house.browser()
    await scenarios.add(Scenario(name="one", code="log(1)"))
    live = (await browser.get("/scenarios-live")).json()
    page = (await browser.get("/scenarios")).text
    assert f'data-stamp="{live["stamp"]}"' in page
    assert f'data-stamp="{live["scenarios"][0]["stamp"]}"' in page
    await scenarios.enable("one", active=True)
    after = (await browser.get("/scenarios-live")).json()
    assert after["stamp"] == live["stamp"]
    assert after["scenarios"] != live["scenarios"]


async def test_importing(house, scenarios):
    browser = await house.browser()
    assert "Import" in (await browser.get("/scenarios-import")).text
    text = 'wayhouse_scenario = 1\r\nname = "given"\r\n[conf]\r\nactive = true\r\n'
    reply = await browser.post("/scenarios-import", data={"text": text})
    assert reply.headers["location"] == "/scenarios/given"
    assert not scenarios.view("given").is_active
    reply = await browser.post("/scenarios-import", data={"text": text})
    assert (reply.status_code, "name = &#34;given&#34;" in reply.text) == (409, True)
    assert (await browser.post("/scenarios-import", data={"text": text, "replace": "yes"})).status_code == 303
    reply = await browser.post("/scenarios-import", data={"text": "</textarea><b>"})
    assert (reply.status_code, "</textarea><b>" in reply.text) == (400, False)


async def test_users_look_on(house, scenarios):
    user = await house.user("uli", Role.USER)
    await scenarios.add(Scenario(name="one", code="log(1)"))
    page = (await user.get("/scenarios")).text
    assert "one" in page
    assert "/scenarios/one/run" not in page
    for path in ("/scenarios-new", "/scenarios-import", "/scenarios/one/edit"):
        assert (await user.get(path)).status_code == 403, path
    for path in ("enable", "run", "stop", "remove", "edit", "parameters", "variables"):
        assert (await user.post(f"/scenarios/one/{path}", data={"sure": "yes"})).status_code == 403, path
    for path in ("/scenarios-new", "/scenarios-import", "/scenarios-check"):
        assert (await user.post(path)).status_code == 403, path
