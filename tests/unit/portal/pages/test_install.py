from __future__ import annotations

from wayhouse.access.model import Role


async def test_the_example_is_two_clicks_away(house):
    browser = await house.browser()
    assert "Install the example" in (await browser.get("/install")).text
    reply = await browser.post("/install/example")
    await house.done(int(reply.headers["location"].rpartition("/")[2]))
    assert house.gateway.chutes.find("hello") is not None
    assert "Install the example" not in (await browser.get("/install")).text


async def test_a_faulty_order_is_told_beside_the_form(house):
    browser = await house.browser()
    reply = await browser.post("/install", data={"name": "app", "url": " ", "user": "me", "secret": "hush"})
    assert reply.status_code == 400
    assert "download.url" in reply.text
    assert 'value="me"' in reply.text
    assert "hush" not in reply.text
    reply = await browser.post("/install", data={"name": "", "url": "https://x.test/y.git"})
    assert reply.status_code == 400
    assert "https://x.test/y.git" in reply.text


async def test_an_address_becomes_a_change(house):
    browser = await house.browser()
    data = {"name": "app", "url": "http://192.0.2.1:9/app.tar", "checkout": "main"}
    reply = await browser.post("/install", data=data)
    assert reply.status_code == 303
    change = house.gateway.ledger.get(int(reply.headers["location"].rpartition("/")[2]))
    assert (change.wish.kind, change.wish.name) == ("chute.create", "app")


async def test_who_may_not_install_is_told_so(house):
    user = await house.user("lena", Role.USER)
    page = (await user.get("/install")).text
    assert "Ask an administrator" in page
    assert "data-drop" not in page
    reply = await user.post("/install", data={"name": "app", "url": "http://192.0.2.1:9/app.tar"})
    assert reply.status_code == 403
    trusted = await house.user("tom", Role.TRUSTED)
    assert "data-drop" in (await trusted.get("/install")).text


async def test_nobody_takes_over_an_app_of_another(house):
    await house.install(await house.browser(), "hello")
    trusted = await house.user("tom", Role.TRUSTED)
    assert (await trusted.post("/install/example")).status_code == 403
