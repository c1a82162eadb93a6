from __future__ import annotations

from wayhouse.access.model import Role


async def test_a_change_that_is_over_is_in_the_page(house):
    browser = await house.browser()
    change = await house.install(browser, "alpha")
    page = (await browser.get(f"/changes/{change}")).text
    assert "Install alpha" in page
    assert "Keeping the bundle" in page
    assert "Completed create operation on chute alpha: success" in page
    assert 'data-over="yes"' in page
    assert "/apps/alpha" in page


async def test_a_failure_says_why(house):
    browser = await house.browser()
    house.engine.fail_next("build", "No <space> left.")
    change = await house.install(browser, "alpha")
    page = (await browser.get(f"/changes/{change}")).text
    assert "It did not work" in page
    assert "No &lt;space&gt; left." in page
    assert "No &lt;space&gt; left." in (await browser.get("/changes")).text
    assert "Failed" in (await browser.get(f"/changes/{change}/head")).text


async def test_what_waits_can_be_taken_back(house):
    browser = await house.browser()
    await house.install(browser, "alpha")
    user = await house.user("lena", Role.USER)
    await browser.post("/apps/alpha/restart")
    waiting = int((await browser.post("/apps/alpha/stop")).headers["location"].rpartition("/")[2])
    assert f"/changes/{waiting}/cancel" in (await browser.get("/changes")).text
    assert f"/changes/{waiting}/cancel" not in (await user.get("/changes")).text
    assert (await user.post(f"/changes/{waiting}/cancel")).status_code == 403
    assert (await browser.post(f"/changes/{waiting}/cancel")).status_code == 303
    page = (await browser.get(f"/changes/{waiting}")).text
    assert "Cancelled by paradrop." in page
    assert (await browser.post(f"/changes/{waiting}/cancel")).status_code == 409


async def test_history_goes_back(house):
    browser = await house.browser()
    await house.install(browser, "alpha")
    for verb in ("stop", "start") * 26:
        await house.done((await browser.post(f"/api/v1/chutes/alpha/{verb}")).json()["change_id"])
    page = (await browser.get("/changes")).text
    assert "/changes?before=4" in page
    older = (await browser.get("/changes?before=4")).text
    assert "Install" in older
    assert 'rel="next"' not in older
    assert (await browser.get("/changes?before=x")).status_code == 400
