"""Sharing by the page, on the overlays of a whole gateway with the fake house; what peers give is played."""

from __future__ import annotations

import pytest

from tests.parts.overlay_lab import KITCHEN
from wayhouse.overlay.orders import Tuning
from wayhouse.overlay.shares import May, Share
from wayhouse.overlay.views import Received, ReceivedDevice

PLACE = "/overlay/home/sharing"
GIVE = {"what": "device:*", "to": "any", "may": "read"}


def shares(in_overlay) -> list[Share]:
    return list(in_overlay.overlays.setup("home").shares)


async def test_a_device_an_app_and_a_service_are_given_and_taken_back(in_overlay):
    browser, house = in_overlay.admin, in_overlay.house
    lamp = await house.device("lamp")
    await house.install(await house.browser(), "hello")
    page = (await browser.get(PLACE)).text
    assert "Nothing is shared." in page
    for choice in (f'value="device:{lamp.id}"', 'value="device:*"', 'value="app:hello"', 'value="tag:home"'):
        assert choice in page, choice
    for form in (
        {"what": f"device:{lamp.id}", "to": KITCHEN, "may": "command", "port": "99"},
        {"what": "app:hello", "to": "any", "tag": "family", "may": "command"},
        {"what": "device:*", "service": "kitchen.greeter", "to": "any"},
    ):
        reply = await browser.post(PLACE, data=form)
        assert reply.headers["location"] == f"{PLACE}?done=given", reply.text
    assert shares(in_overlay) == [
        Share(what=f"device:{lamp.id}", to=KITCHEN, may=May.COMMAND),
        Share(what="app:hello", to="tag:family", port=80),
        Share(what="service:kitchen.greeter", to="any"),
    ]
    page = (await browser.get(f"{PLACE}?done=given")).text
    for words in (
        f'<a href="/devices/{lamp.id}">lamp</a>',
        "The peer kitchen (aa010000)",
        "Also command it",
        '<a href="/apps/hello">hello</a>',
        "Peers tagged family",
        "kitchen.greeter",
        "It is shared.",
    ):
        assert words in page, words
    gone = {"what": "app:hello", "to": "tag:family"}
    reply = await browser.post(f"{PLACE}/remove", data=gone)
    assert reply.headers["location"] == f"{PLACE}?done=taken"
    assert len(shares(in_overlay)) == 2
    assert (await browser.post(f"{PLACE}/remove", data=gone)).status_code == 404


async def test_who_gives_more_gives_it_instead(in_overlay):
    await in_overlay.admin.post(PLACE, data=GIVE)
    await in_overlay.admin.post(PLACE, data={**GIVE, "may": "command"})
    await in_overlay.admin.post(PLACE, data=GIVE)
    assert shares(in_overlay) == [Share(what="device:*", to="any")]


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({**GIVE, "what": "lamp"}, "device:NAME"),
        ({**GIVE, "may": "everything"}, "no choice"),
        ({"what": "app:hello", "to": "any", "port": "5525"}, "take another"),
        ({"what": "app:hello", "to": "any", "port": "x"}, "from 1 to 65535"),
        ({**GIVE, "to": "everybody"}, "tag:name"),
        ({}, "device:NAME"),
    ],
)
async def test_nonsense_is_told_and_changes_nothing(in_overlay, form, told):
    reply = await in_overlay.admin.post(PLACE, data=form)
    assert reply.status_code == 400
    assert told in reply.text
    assert shares(in_overlay) == []


async def test_networks_are_offered_and_withdrawn(in_overlay):
    browser, form = in_overlay.admin, {"network": "192.168.77.0/24"}
    assert (await browser.post(f"{PLACE}/networks", data={"network": "x"})).status_code == 400
    reply = await browser.post(f"{PLACE}/networks", data=form)
    assert reply.headers["location"] == f"{PLACE}?done=networks"
    assert "Offer 192.168.77.0/24 no more" in (await browser.get(PLACE)).text
    await browser.post(f"{PLACE}/networks", data={**form, "do": "withdraw"})
    assert in_overlay.overlays.setup("home").offered_subnets == ()
    used = {"uid": KITCHEN, "network": "192.168.7.0/24", "do": "accept", "view": "sharing"}
    reply = await browser.post("/overlay/home/networks", data=used)
    assert reply.headers["location"] == f"{PLACE}?done=networks"


async def test_what_peers_give_is_shown_and_nothing_else(in_overlay):
    browser = in_overlay.admin
    assert "shares anything with this gateway" in (await browser.get(PLACE)).text
    lamp = ReceivedDevice(name="<lamp>", may="command", id="abc", is_available=True)
    boiler = ReceivedDevice(name="boiler", may="read", reason="It is unplugged.")
    in_overlay.lab.received["home"] = (
        Received(
            uid=KITCHEN, name="kitchen", address="10.213.0.7", devices=(lamp, boiler), services=("peers.kitchen.home.greeter",),
            apps={8080: "hello"},
        ),
    )  # fmt: skip
    part = (await browser.get(f"{PLACE}/now")).text
    assert part.lstrip().startswith('<div class="stack" id="received-now"')
    for words in (
        'href="/devices/abc">&lt;lamp&gt;</a>',
        "Also command it",
        "It is unplugged.",
        "http://kitchen.home:8080/",
        "peers.kitchen.home.greeter",
        "192.168.7.0/24",
    ):
        assert words in part, words


async def test_only_who_may_change_overlays_sees_it_and_only_from_the_page_itself(in_overlay):
    await in_overlay.overlays.tune("home", Tuning(shares=(Share(what="device:*", to="any"),)))
    for path in (PLACE, f"{PLACE}/now"):
        assert (await in_overlay.user.get(path)).status_code == 403
    for path in (PLACE, f"{PLACE}/remove", f"{PLACE}/networks"):
        assert (await in_overlay.user.post(path, data=GIVE)).status_code == 403
        foreign = {"origin": "http://elsewhere.test", "sec-fetch-site": "cross-site"}
        reply = await in_overlay.admin.post(path, data={**GIVE, "to": "tag:x"}, headers=foreign)
        assert reply.status_code == 403
    assert len(shares(in_overlay)) == 1
    assert (await in_overlay.admin.get("/overlay/nowhere/sharing")).status_code == 404
