"""The frame around all pages: policy, rights, origin, errors, the way to the sign-in page."""

from __future__ import annotations

import re

import pytest

from wayhouse.access.model import Role


async def test_every_answer_carries_the_strict_policy(house):
    browser = await house.browser()
    for path in ("/", "/install", "/changes", "/system", "/api", "/account", "/users", "/audit", "/devices", "/devices/new", "/scenarios", "/scenarios-new", "/scenarios-import",
        "/jobs", "/bus", "/bus/keys", "/bus/requests", "/nowhere",
    ):  # fmt: skip
        reply = await browser.get(path)
        policy = reply.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["x-frame-options"] == "DENY"
        assert reply.headers["referrer-policy"] == "same-origin"
        assert reply.headers["cache-control"] == "no-store"
        assert " style=" not in reply.text
        assert not re.search(r"<script(?![^>]*\bsrc=)|\son[a-z]+=|<style|javascript:", reply.text)


async def test_nobody_is_sent_to_sign_in_and_back(house):
    reply = await house.stranger().get("/changes?before=4")
    assert reply.status_code == 303
    assert reply.headers["location"] == "/sign-in?next=%2Fchanges%3Fbefore%3D4"


async def test_a_fragment_for_nobody_leads_the_whole_page_to_sign_in(house):
    reply = await house.stranger(**{"hx-request": "true"}).get("/list")
    assert (reply.status_code, reply.headers["hx-redirect"]) == (401, "/sign-in")
    assert "www-authenticate" not in reply.headers


async def test_a_link_from_elsewhere_comes_again_from_here(house):
    """The session cookie is strict: the first request after a link from another site comes without it."""
    reply = await house.stranger(**{"sec-fetch-site": "cross-site"}).get("/apps/x")
    assert reply.status_code == 200
    assert 'http-equiv="refresh"' in reply.text


@pytest.mark.parametrize(
    "path",
    [
        "/install",
        "/install/example",
        "/apps/x/stop",
        "/apps/x/remove",
        "/account/password",
        "/account/tokens",
        "/users",
        "/users/paradrop/remove",
        "/devices/x/command",
        "/scenarios-new",
        "/scenarios/x/run",
        "/jobs",
        "/bus/services/x",
        "/sign-in",
        "/sign-out",
    ],
)
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://gateway.test:20001"},
        {"origin": "null"},
        {"sec-fetch-site": "same-site"},
        {"origin": "http://evil.test", "sec-fetch-site": "cross-site"},
    ],
)
async def test_no_other_page_can_act(house, path, headers):
    browser = await house.browser()
    reply = await browser.post(path, data={"sure": "yes"}, headers=headers)
    assert reply.status_code == 403
    assert "another page" in reply.text


async def test_unknown_pages_and_methods(house):
    browser = await house.browser()
    reply = await browser.get("/nowhere/at/all")
    assert reply.status_code == 404
    assert "There is no page" in reply.text
    assert 'aria-label="Main"' in reply.text
    assert (await browser.delete("/install")).status_code == 405
    assert (await browser.get("/apps/none")).status_code == 404
    assert (await browser.get("/changes/99999")).status_code == 404
    assert (await browser.get("/changes/x")).status_code == 400


async def test_errors_are_notices_for_htmx(house):
    browser = await house.browser()
    reply = await browser.post("/apps/none/stop", headers={"hx-request": "true"})
    assert reply.status_code == 404
    assert "<html" not in reply.text
    assert 'class="notice bad"' in reply.text


async def test_head_and_bad_forms(house):
    browser = await house.browser()
    reply = await browser.head("/")
    assert (reply.status_code, reply.content) == (200, b"")
    reply = await browser.post("/theme", content=b"{}", headers={"content-type": "application/json"})
    assert reply.status_code == 415
    reply = await browser.post(
        "/theme", content=b"a=%ff", headers={"content-type": "application/x-www-form-urlencoded"}
    )
    assert reply.status_code == 400
    reply = await browser.post(
        "/theme",
        content=b"a=" + b"x" * 2_000_000,
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    assert reply.status_code == 413


async def test_roles_decide(house):
    admin, guest = await house.browser(), await house.user("gast", Role.GUEST)
    await house.install(admin, "theirs")
    page = (await guest.get("/")).text
    assert "theirs" in page
    assert "/apps/theirs/stop" not in page
    assert 'href="/changes"' not in page
    for path in (
        "/apps/theirs",
        "/changes",
        "/users",
        "/audit",
        "/ssh-keys",
        "/system/log",
        "/system/settings",
    ):
        assert (await guest.get(path)).status_code == 403, path
    for path in ("/apps/theirs/stop", "/apps/theirs/remove", "/install/example", "/users", "/account/tokens"):
        assert (await guest.post(path, data={"sure": "yes"})).status_code == 403, path
    assert (await guest.get("/system")).status_code == 200
    assert house.gateway.chutes.find("theirs").desired == "running"


async def test_a_change_from_the_page_is_in_the_audit_log(house):
    browser = await house.browser()
    await house.install(browser, "seen")
    await browser.post("/apps/seen/stop")
    await house.written()
    entry = house.gateway.access.audit.entries(limit=1)[0]
    assert (entry.who, entry.action, entry.target, entry.outcome, entry.client) == (
        "paradrop@localhost",
        "POST /apps/{name}/stop",
        "/apps/seen/stop",
        "ok",
        "192.0.2.7",
    )


async def test_a_defect_is_told_without_detail(house, monkeypatch, caplog):
    browser = await house.browser()

    async def broken() -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(house.gateway.chutes, "containers", broken)
    reply = await browser.get("/")
    assert reply.status_code == 500
    assert "secret detail" not in reply.text
    assert "secret detail" in caplog.text
