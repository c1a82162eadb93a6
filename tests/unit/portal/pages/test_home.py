from __future__ import annotations

from wayhouse.access.model import Role


async def test_an_empty_gateway_invites(house):
    page = (await (await house.browser()).get("/")).text
    assert "No apps yet" in page
    assert 'action="/install/example"' in page


async def test_apps_are_shown_with_what_can_be_done(house):
    browser = await house.browser()
    await house.install(browser, "alpha", "The first one.")
    page = (await browser.get("/")).text
    for text in (
        "alpha",
        "The first one.",
        "Running",
        "/apps/alpha/stop",
        "/apps/alpha/restart",
        "1 of 1 running",
    ):
        assert text in page
    assert "/apps/alpha/start" not in page
    assert "Nothing really runs" in page


async def test_hostile_descriptions_stay_text(house):
    browser = await house.browser()
    await house.install(browser, "evil", "'<script>alert(1)</script><img src=x onerror=y>'")
    page = (await browser.get("/")).text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


async def test_what_moves(house):
    browser = await house.browser()
    await house.install(browser, "alpha")
    live = (await browser.get("/live")).json()
    assert [app["name"] for app in live["apps"]] == ["alpha"]
    assert live["apps"][0]["memory"] == 1_000_000
    assert live["busy"] is False
    assert live["machine"]["memory"]["total"] > 0
    page = (await browser.get("/list")).text
    assert f'data-stamp="{live["stamp"]}"' in page
    assert f'data-stamp="{live["apps"][0]["stamp"]}"' in page
    await house.done((await browser.post("/api/v1/chutes/alpha/stop")).json()["change_id"])
    after = (await browser.get("/live")).json()
    assert after["apps"][0]["stamp"] != live["apps"][0]["stamp"]
    assert after["stamp"] == live["stamp"]


async def test_searching_and_paging(house):
    browser = await house.browser()
    for name in ("alpha", "beta", "gamma"):
        await house.install(browser, name, f"Number {name}.")
    page = (await browser.get("/?q=NUMBER+bet")).text
    assert "/apps/beta" in page
    assert "/apps/alpha" not in page
    assert "No app fits" in (await browser.get("/?q=nothing")).text
    assert "No app fits" in (await browser.get("/?state=stopped")).text
    assert "/apps/gamma" in (await browser.get("/list?state=running&page=99")).text
    assert (await browser.get("/?page=-1&state=%22%3E&q=%3Cb%3E")).status_code == 200


async def test_an_app_that_arrives_is_announced(house):
    browser = await house.browser()
    order = {"config": {"name": "later", "download": {"url": "http://192.0.2.1:9/app.tar"}}}
    reply = await browser.post("/api/v1/chutes/", json=order)
    page = (await browser.get("/")).text
    assert "later" in page
    assert f"/changes/{reply.json()['change_id']}" in page
    assert (await browser.get("/live")).json()["busy"] is True


async def test_a_guest_sees_no_changes(house):
    admin, guest = await house.browser(), await house.user("gast", Role.GUEST)
    await house.install(admin, "alpha")
    page = (await guest.get("/")).text
    assert "Recent changes" not in page
