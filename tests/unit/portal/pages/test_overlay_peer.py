from __future__ import annotations

from tests.parts.overlay_lab import AWAY, BARN, DIRECT, KITCHEN, RELAYED, SHED, later
from wayhouse.overlay.model import PathPolicy
from wayhouse.portal.pages.overlay_peer import PAIRS

PEERS = "/overlay/home/peers"


async def test_a_direct_peer_and_one_that_is_relayed(in_overlay):
    page = (await in_overlay.user.get(f"{PEERS}/kitchen")).text
    for words in (
        "kitchen.home", "host 192.168.1.2:40000", "1 ms", "1 min 1 s ago", "1 h 2 min", "4 KB received", KITCHEN, "AA:BB", "192.168.7.0/24",
        "The local network",
    ):  # fmt: skip
        assert words in page, words
    page = (await in_overlay.user.get(f"{PEERS}/{BARN}")).text
    for words in (RELAYED.why, "198.51.100.2:40001", "No answer", "srflx", "often only a relay helps"):
        assert words in page, words
    assert f"{PEERS}/{BARN}/policy" not in page
    part = (await in_overlay.user.get(f"{PEERS}/{SHED}/now")).text
    assert part.lstrip().startswith('<div class="stack" id="peer-now"')
    assert AWAY.why in part
    assert "No path was tried yet" in part


async def test_one_that_is_not_there_and_many_pairs(in_overlay):
    assert (await in_overlay.user.get(f"{PEERS}/nobody")).status_code == 404
    assert (await in_overlay.user.get("/overlay/nowhere/peers/kitchen")).status_code == 404
    in_overlay.lab.told("home", later(RELAYED, pairs=RELAYED.pairs * (PAIRS + 1)))
    page = (await in_overlay.user.get(f"{PEERS}/barn")).text
    assert page.count("198.51.100.2:40001") == PAIRS
    assert f"There were {PAIRS + 1} in all" in page


async def test_hostile_words_stay_text(in_overlay):
    in_overlay.lab.told(
        "home", later(DIRECT, name="<i>", via="<i>", why="<i>", local="<i>", nat="<i>", fingerprint="<i>")
    )
    assert "<i>" not in (await in_overlay.user.get(f"{PEERS}/{KITCHEN}/now")).text


async def test_how_to_link_is_chosen(in_overlay):
    browser = in_overlay.admin
    reply = await browser.post(f"{PEERS}/kitchen/policy", data={"policy": "relay"})
    assert reply.headers["location"] == f"{PEERS}/{KITCHEN}?done=policy"
    assert in_overlay.overlays.setup("home").peer_policies == {KITCHEN: PathPolicy.RELAY}
    assert '<option value="relay" selected>' in (await browser.get(f"{PEERS}/kitchen")).text
    await browser.post(f"{PEERS}/kitchen/policy", data={"policy": ""})
    assert in_overlay.overlays.setup("home").peer_policies == {}
    reply = await browser.post(f"{PEERS}/kitchen/policy", data={"policy": "sometimes"})
    assert reply.status_code == 400
    assert "is no choice" in reply.text


async def test_forgetting_asks_first(in_overlay):
    browser = in_overlay.admin
    assert "Forget kitchen?" in (await browser.post(f"{PEERS}/kitchen/forget")).text
    assert not in_overlay.links.forgotten
    reply = await browser.post(f"{PEERS}/kitchen/forget", data={"sure": "yes"})
    assert reply.headers["location"] == "/overlay/home?done=forgotten"
    assert in_overlay.links.forgotten == [("home", KITCHEN)]


async def test_a_member_is_taken_back_where_the_group_was_founded(in_overlay):
    browser = in_overlay.admin
    assert "Take back kitchen?" in (await browser.post(f"{PEERS}/kitchen/revoke")).text
    assert in_overlay.links.wish("home").revoked is None
    reply = await browser.post(f"{PEERS}/kitchen/revoke", data={"sure": "yes"})
    assert reply.headers["location"] == "/overlay/home?done=revoked"
    assert in_overlay.links.wish("home").revoked is not None
    assert (await in_overlay.user.post(f"{PEERS}/kitchen/revoke", data={"sure": "yes"})).status_code == 403


async def test_elsewhere_it_cannot_be_taken_back(in_overlay):
    from wayhouse.overlay.orders import Inviting, Joining

    code = (await in_overlay.overlays.invite("home", Inviting())).code
    await in_overlay.overlays.leave("home")
    await in_overlay.overlays.join(Joining(code=code))
    page = (await in_overlay.admin.get(f"{PEERS}/kitchen")).text
    assert f"{PEERS}/{KITCHEN}/forget" in page
    assert f"{PEERS}/{KITCHEN}/revoke" not in page
    reply = await in_overlay.admin.post(f"{PEERS}/kitchen/revoke", data={"sure": "yes"})
    assert reply.status_code == 403
    assert "ask there" in reply.text
