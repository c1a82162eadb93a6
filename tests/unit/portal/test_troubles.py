from __future__ import annotations

from wayhouse.access.model import Role


async def test_a_device_that_is_away_is_on_the_first_page(house):
    browser = await house.browser()
    await house.device("lamp")
    assert "Away" not in (await browser.get("/")).text
    for record in house.devices._roster.all():
        record.health.failed("The <cable> is out.", is_gone=True)
    page = (await browser.get("/")).text
    for text in (
        "lamp",
        "Away",
        "The &lt;cable&gt; is out.",
        "1 more devices are away",
        "/devices?state=failing",
    ):
        assert text in page, text
    assert "Away" in (await browser.get("/troubles")).text


async def test_a_scenario_that_failed_is_there_with_its_run(house, scenarios):
    browser = await house.browser()
    head = 'wayhouse_scenario = 1\nname = "bad"\n'
    await browser.post("/scenarios-new", data={"head": head, "code": "1 / 0", "do": "save"})
    run = await scenarios.run("bad")
    await house.over(run.id)
    page = (await browser.get("/troubles")).text
    assert f"/scenarios/bad/runs/{run.id}" in page
    assert "ZeroDivisionError" in page


async def test_a_guest_sees_none_of_it(house):
    guest = await house.user("gast", Role.GUEST)
    await house.device("lamp")
    page = (await guest.get("/")).text
    assert "troubles" not in page
    assert 'href="/devices"' not in page
    assert (await guest.get("/troubles")).status_code == 403
