from __future__ import annotations

import re

from wayhouse.access.model import Role

PASSWORD = "correct-horse-battery"
NEW = "another-long-password"


async def test_the_password_changes_and_this_browser_stays(house):
    browser, other = await house.browser(), await house.browser()
    data = {"present": "wrong", "password": NEW, "again": NEW}
    reply = await browser.post("/account/password", data=data)
    assert reply.status_code == 400
    assert "password is wrong" in reply.text
    reply = await browser.post("/account/password", data={**data, "present": PASSWORD, "again": "x"})
    assert "differ" in reply.text
    reply = await browser.post("/account/password", data={"present": PASSWORD, "password": "x", "again": "x"})
    assert reply.status_code == 400
    reply = await browser.post("/account/password", data={**data, "present": PASSWORD})
    assert reply.status_code == 303
    assert (await browser.get("/account?done=password")).status_code == 200
    assert (await other.get("/account")).status_code == 303
    assert NEW not in reply.text


async def test_a_token_is_shown_once_and_works(house):
    browser = await house.browser()
    reply = await browser.post("/account/tokens", data={"name": "laptop", "role": "user", "days": "7"})
    secret = re.search(r"wht_[\w-]+", reply.text).group()
    page = (await browser.get("/account")).text
    assert "laptop" in page
    assert secret not in page
    script = house.stranger(authorization=f"Bearer {secret}")
    assert (await script.get("/api/v1/auth/me")).json()["role"] == "user"
    token = house.gateway.access.api_tokens.all_of("paradrop")[0]
    assert (await browser.post(f"/account/tokens/{token.id}/revoke")).status_code == 303
    assert (await script.get("/api/v1/auth/me")).status_code == 401
    assert (await browser.post(f"/account/tokens/{token.id}/revoke")).status_code == 404


async def test_bad_tokens_are_refused(house):
    browser = await house.browser()
    for data in (
        {"name": "", "days": "7"},
        {"name": "x", "days": "nan"},
        {"name": "x", "role": "king", "days": ""},
    ):
        assert (await browser.post("/account/tokens", data=data)).status_code == 400
    assert (await browser.post("/account/tokens", data={"name": "x", "role": "owner"})).status_code == 403


async def test_users_end_only_their_own_tokens(house):
    admin, user = await house.browser(), await house.user("lena", Role.USER)
    await admin.post("/account/tokens", data={"name": "theirs", "days": ""})
    token = house.gateway.access.api_tokens.all_of("paradrop")[0]
    assert "theirs" not in (await user.get("/account")).text
    assert (await user.post(f"/account/tokens/{token.id}/revoke")).status_code == 404


async def test_a_link_for_another_device(house):
    browser = await house.browser()
    page = (await browser.post("/account/link")).text
    code = re.search(r"/sign-in\?code=([\w-]+)", page).group(1)
    assert (await house.stranger().post("/sign-in", data={"code": code})).status_code == 303


async def test_a_guest_may_look_only(house):
    guest = await house.user("gast", Role.GUEST)
    assert "does not allow" in (await guest.get("/account")).text
    assert (await guest.post("/account/link")).status_code == 403
