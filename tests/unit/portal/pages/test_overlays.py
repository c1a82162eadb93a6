# covers: portal/overlay_area.py

from __future__ import annotations

import pytest

from tests.parts.overlay_lab import SUBNET
from wayhouse.access.model import Role
from wayhouse.overlay.orders import Inviting
from wayhouse.overlay.views import OverlayState, OverlayView

SECRET = "a-password-that-is-secret"


async def test_the_list_and_what_moves(in_overlay):
    page = (await in_overlay.user.get("/overlay")).text
    for words in ("home", "Group", "Up", "2 of 3 connected", "1 by a relay", 'hx-get="/overlay-now"'):
        assert words in page, words
    assert 'aria-current="page">Overlay</a>' in page
    assert "/overlay-create" not in page
    assert "/overlay-create" in (await in_overlay.admin.get("/overlay")).text
    part = (await in_overlay.user.get("/overlay-now")).text
    assert part.startswith("<div id=")
    assert "home" in part


async def test_a_gateway_in_none_is_invited_to_make_one(in_overlay):
    await in_overlay.overlays.leave("home")
    page = (await in_overlay.admin.get("/overlay")).text
    assert "No overlay yet" in page
    assert "every" not in page
    assert "Create an overlay" not in (await in_overlay.user.get("/overlay")).text


async def test_trouble_is_told_in_words(in_overlay):
    in_overlay.links.trouble = "The <process> was lost."
    page = (await in_overlay.user.get("/overlay")).text
    assert "The &lt;process&gt; was lost." in page
    assert "Being set up" in page


async def test_rights(in_overlay):
    for place in ("/overlay-create", "/overlay-join", "/overlay/home/invitations", "/overlay/home/rules"):
        assert (await in_overlay.user.get(place)).status_code == 403, place
        assert (await in_overlay.user.post(place)).status_code == 403, place
    for place in ("/overlay/home/setup", "/overlay/home/netcheck"):
        assert (await in_overlay.user.get(place)).status_code == 403, place
    for place in (
        "setup/accounts",
        "setup/relays",
        "leave",
        "networks",
        "rules/remove",
        "invitations/x/revoke",
    ):
        assert (await in_overlay.user.post(f"/overlay/home/{place}")).status_code == 403, place
    guest = await in_overlay.parts.sign_in(in_overlay.stranger(), "gast", Role.GUEST)
    for place in ("/overlay", "/overlay-now", "/overlay-line", "/overlay/home", "/overlay/home/now"):
        assert (await guest.get(place)).status_code == 403, place
    assert (await in_overlay.stranger().get("/overlay")).status_code == 303
    reply = await in_overlay.admin.post(
        "/overlay-create", data={"name": "x"}, headers={"origin": "http://evil.test"}
    )
    assert reply.status_code == 403


async def test_one_is_created(in_overlay):
    await in_overlay.overlays.leave("home")
    browser = in_overlay.admin
    assert "checked" in (await browser.get("/overlay-create")).text
    reply = await browser.post(
        "/overlay-create",
        data={
            "name": "work", "subnet": SUBNET, "is_on_lan": "on", "jid": "us@example.org", "password": SECRET, "stun": "stun.example.org",
        },
    )  # fmt: skip
    assert (reply.status_code, reply.headers["location"]) == (303, "/overlay/work?done=created")
    assert "founded" in (await browser.get("/overlay/work?done=created")).text
    wish = in_overlay.links.wish("work")
    assert (wish.accounts[0].password, wish.stun, wish.is_on_lan) == (
        SECRET,
        (("stun.example.org", 3478),),
        True,
    )


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": "No Name"}, "lower-case letters"),
        ({"name": "work", "subnet": "no"}, "is no subnet"),
        ({"name": "work", "jid": "nobody"}, "write it as name@server"),
        ({"name": "home", "subnet": SUBNET}, "Leave it first"),
    ],
)
async def test_what_cannot_be_created_is_told_and_kept_but_for_passwords(in_overlay, fields, words):
    reply = await in_overlay.admin.post(
        "/overlay-create", data={**fields, "password": SECRET, "turn_password": SECRET}
    )
    assert reply.status_code in {400, 409}
    assert words in reply.text
    assert SECRET not in reply.text
    assert f'value="{fields["name"]}"' in reply.text
    assert "checked" not in reply.text


async def test_joining_by_a_code_that_is_kept_nowhere(in_overlay, caplog):
    caplog.set_level("DEBUG")
    code = (await in_overlay.overlays.invite("home", Inviting())).code
    browser = in_overlay.admin
    form = (await browser.get("/overlay-join")).text
    assert 'name="code" rows="4" required maxlength="20000"' in form
    assert 'autocomplete="off"></textarea>' in form
    reply = await browser.post("/overlay-join", data={"code": code, "dns_name": "attic"})
    assert reply.status_code == 409  # it is in this overlay already
    assert "Leave it first" in reply.text
    assert code not in reply.text
    assert 'value="attic"' in reply.text
    await in_overlay.overlays.leave("home")
    reply = await browser.post("/overlay-join", data={"code": f"\n {code}", "dns_name": "attic"})
    assert (reply.status_code, reply.headers["location"]) == (303, "/overlay/home?done=joined")
    assert (await browser.get("/overlay/home")).headers["cache-control"] == "no-store"
    await in_overlay.house.written()
    entries = in_overlay.house.gateway.access.audit.entries(limit=10)
    assert [entry.outcome for entry in entries if entry.action == "POST /overlay-join"] == ["ok", "ok"]
    assert code[20:60] not in caplog.text + repr(entries)


@pytest.mark.parametrize("code", ["", "hello", "wayhouse1:AAAA", "wayhouse1:" + "A" * 17_000])
async def test_a_code_that_is_none(in_overlay, code):
    reply = await in_overlay.admin.post("/overlay-join", data={"code": code})
    assert reply.status_code == 400
    assert "it is a secret, so it was not kept" in reply.text
    assert "AAAA" not in reply.text


async def test_the_first_page_has_a_line(in_overlay):
    page = (await in_overlay.user.get("/")).text
    assert "1 overlay, 2 of 3 peers connected, 1 by a relay" in page
    part = (await in_overlay.user.get("/overlay-line")).text
    assert part.startswith('<div id="overlay-line"')
    state = OverlayState(
        overlay=OverlayView(
            name="home", kind="group", uid="ab" * 20, interface="wh-home", problem="No <way>."
        )
    )
    in_overlay.links.states = lambda: {"home": state}
    part = (await in_overlay.user.get("/overlay-line")).text
    assert "No &lt;way&gt;." in part
    assert "failing" in part
    guest = await in_overlay.parts.sign_in(in_overlay.stranger(), "gast", Role.GUEST)
    assert "overlay-line" not in (await guest.get("/")).text
    await in_overlay.overlays.leave("home")
    assert "overlay-line" not in (await in_overlay.user.get("/")).text
    assert "hidden" in (await in_overlay.user.get("/overlay-line")).text
