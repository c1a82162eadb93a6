from __future__ import annotations

import pytest

HTMX = {"hx-request": "true"}


@pytest.fixture
async def browser(house):
    browser = await house.browser()
    await house.install(browser, "alpha")
    return browser


async def test_all_its_pages(house, browser):
    await house.engine.print_line("alpha-main", "<script>evil()</script>")
    for path in ("", "/logs", "/configure", "/changes"):
        page = await browser.get(f"/apps/alpha{path}")
        assert page.status_code == 200, path
        assert "alpha" in page.text
        assert "<script>evil" not in page.text
    assert "&lt;script&gt;evil()" in (await browser.get("/apps/alpha/logs")).text


async def test_the_log_as_a_file(house, browser):
    await house.engine.print_line("alpha-main", "one line")
    reply = await browser.get("/apps/alpha/log.txt")
    assert reply.headers["content-type"].startswith("text/plain")
    assert reply.headers["content-disposition"] == 'attachment; filename="alpha.log.txt"'
    assert "main: one line\n" in reply.text


@pytest.mark.parametrize("verb", ["stop", "restart", "start"])
async def test_buttons_without_scripts_lead_to_the_change(house, browser, verb):
    reply = await browser.post(f"/apps/alpha/{verb}")
    change = house.gateway.ledger.get(int(reply.headers["location"].rpartition("/")[2]))
    assert change.wish.kind == f"chute.{verb}"
    await house.done(change.id)


async def test_buttons_with_htmx_give_the_row_or_the_head_again(house, browser):
    row = await browser.post("/apps/alpha/stop", headers=HTMX)
    assert '<li class="app"' in row.text
    change = house.gateway.ledger.open_changes()[0]
    assert f"/changes/{change.id}" in row.text
    await house.done(change.id)
    row = await browser.get("/apps/alpha/row", headers=HTMX)
    assert "Stopped" in row.text
    assert "/apps/alpha/start" in row.text
    head = await browser.post("/apps/alpha/start", data={"view": "page"}, headers=HTMX)
    assert 'id="app-head"' in head.text
    await house.done(house.gateway.ledger.open_changes()[0].id)
    assert "Running" in (await browser.get("/apps/alpha/head", headers=HTMX)).text


async def test_removing_asks_first(house, browser):
    reply = await browser.post("/apps/alpha/remove")
    assert reply.status_code == 200
    assert "Remove alpha?" in reply.text
    assert house.gateway.ledger.open_changes() == []
    reply = await browser.post("/apps/alpha/remove", data={"sure": "yes"})
    await house.done(int(reply.headers["location"].rpartition("/")[2]))
    assert house.gateway.chutes.find("alpha") is None
    assert (await browser.get("/apps/alpha")).status_code == 404
    assert (await browser.post("/apps/alpha/stop")).status_code == 404


async def test_its_own_numbers(browser):
    live = (await browser.get("/apps/alpha/live")).json()
    assert [app["name"] for app in live["apps"]] == ["alpha"]
    assert "machine" not in live
