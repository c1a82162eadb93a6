from __future__ import annotations

from wayhouse.api.http import SESSION_COOKIE

PASSWORD = "correct-horse-battery"


async def test_a_link_is_used_up_by_its_button_alone(house):
    browser = house.stranger()
    for _ in range(3):
        page = await browser.get(f"/sign-in?code={house.link_code}")
        assert page.status_code == 200
        assert house.link_code in page.text
    reply = await browser.post("/sign-in", data={"code": house.link_code})
    assert (reply.status_code, reply.headers["location"]) == (303, "/")
    assert (await browser.get("/")).status_code == 200
    again = await house.stranger().post("/sign-in", data={"code": house.link_code})
    assert again.status_code == 401
    assert "used already" in again.text


async def test_the_cookie_is_kept_from_scripts_and_other_sites(house):
    reply = await house.stranger().post("/sign-in", data={"username": "paradrop", "password": PASSWORD})
    cookie = reply.headers["set-cookie"]
    assert cookie.startswith(f"{SESSION_COOKIE}=")
    for part in ("HttpOnly", "SameSite=Strict", "Path=/"):
        assert part in cookie
    assert "Secure" not in cookie
    safe = house.stranger(origin="https://gateway.test")
    reply = await safe.post(
        "https://gateway.test/sign-in", data={"username": "paradrop", "password": PASSWORD}
    )
    assert "Secure" in reply.headers["set-cookie"]


async def test_a_wrong_password_is_told_kindly_and_a_lockout_says_how_long(house):
    browser = house.stranger()
    wrong = {"username": "<b>paradrop", "password": "nope"}
    reply = await browser.post("/sign-in", data=wrong)
    assert reply.status_code == 401
    assert "www-authenticate" not in reply.headers
    assert "The user name or the password is wrong." in reply.text
    assert "&lt;b&gt;paradrop" in reply.text
    assert "nope" not in reply.text
    for _ in range(6):
        reply = await browser.post("/sign-in", data=wrong)
    assert reply.status_code == 429
    assert "Try again in" in reply.text
    assert int(reply.headers["retry-after"]) > 0


async def test_after_signing_in_one_is_where_one_wanted(house):
    data = {"username": "paradrop", "password": PASSWORD}
    reply = await house.stranger().post("/sign-in", data={**data, "next": "/changes?before=3"})
    assert reply.headers["location"] == "/changes?before=3"
    reply = await house.stranger().post("/sign-in", data={**data, "next": "//evil.test"})
    assert reply.headers["location"] == "/"
    browser = await house.browser()
    assert (await browser.get("/sign-in?next=/system")).headers["location"] == "/system"


async def test_signing_out_ends_the_session(house):
    browser = await house.browser()
    token = browser.cookies[SESSION_COOKIE]
    reply = await browser.post("/sign-out")
    assert reply.headers["location"] == "/sign-in"
    assert "Max-Age=0" in reply.headers["set-cookie"]
    stolen = house.stranger(cookie=f"{SESSION_COOKIE}={token}")
    assert (await stolen.get("/")).status_code == 303


async def test_the_theme_is_remembered_without_a_user(house):
    browser = house.stranger()
    reply = await browser.post("/theme", data={"theme": "dark", "next": "/sign-in"})
    assert reply.headers["location"] == "/sign-in"
    assert 'data-theme="dark"' in (await browser.get("/sign-in")).text
    await browser.post("/theme", data={"theme": "nonsense"})
    assert 'data-theme="auto"' in (await browser.get("/sign-in")).text
