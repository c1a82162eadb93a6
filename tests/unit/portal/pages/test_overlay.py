from __future__ import annotations

from tests.parts.overlay_lab import AWAY, BARN, DIRECT, KITCHEN, RELAYED, later

NETWORK = "192.168.7.0/24"


async def test_the_map_and_the_table(in_overlay):
    page = (await in_overlay.user.get("/overlay/home")).text
    for words in (
        '<svg class="map"',
        "way direct",
        "way relayed",
        "kitchen",
        "1 ms",
        RELAYED.why,
        AWAY.why,
        "Away",
    ):
        assert words in page, words
    assert f'href="/overlay/home/peers/{KITCHEN}"' in page
    assert 'hx-get="/overlay/home/now"' in page
    assert "The local network" in page
    assert "/overlay/home/setup" not in page
    part = (await in_overlay.user.get("/overlay/home/now")).text
    assert part.lstrip().startswith('<div class="stack" id="overlay-now"')
    assert "<svg" in part


async def test_above_sixty_peers_there_is_a_table_only(in_overlay):
    in_overlay.lab.told(
        "home", *(later(DIRECT, uid=f"{number:040x}", name=f"p{number}") for number in range(61))
    )
    page = (await in_overlay.user.get("/overlay/home")).text
    assert '<svg class="map"' not in page
    assert "too many for a map" in page
    assert page.count('scope="row"><a id="peer-') == 61


async def test_nobody_yet_and_one_that_is_not_there(in_overlay):
    in_overlay.lab.told("home")
    page = (await in_overlay.admin.get("/overlay/home")).text
    assert "No peer was heard yet" in page
    assert '<svg class="map"' not in page
    reply = await in_overlay.user.get("/overlay/nowhere")
    assert reply.status_code == 404
    assert "There is no overlay" in reply.text


async def test_hostile_names_stay_text(in_overlay):
    in_overlay.lab.told("home", later(DIRECT, name="</svg><script>x", tags=('"><i>',), why="<b>"))
    page = (await in_overlay.user.get("/overlay/home")).text
    assert "<script>x" not in page
    assert "<b>" not in page.partition("<table")[2].partition("</table")[0]
    assert "&lt;/svg&gt;" in page


async def test_a_network_behind_a_peer_is_used_and_left(in_overlay):
    browser, form = in_overlay.admin, {"uid": KITCHEN, "network": NETWORK}
    page = (await browser.get("/overlay/home")).text
    assert "Offered" in page
    assert "/overlay/home/networks" not in (await in_overlay.user.get("/overlay/home")).text
    reply = await browser.post("/overlay/home/networks", data={**form, "do": "accept", "view": "peer"})
    assert reply.headers["location"] == f"/overlay/home/peers/{KITCHEN}?done=networks"
    assert in_overlay.overlays.setup("home").accepted_subnets == {KITCHEN: (NETWORK,)}
    assert "Stop using" in (await browser.get("/overlay/home?done=networks")).text
    reply = await browser.post("/overlay/home/networks", data={**form, "do": "withdraw"})
    assert reply.headers["location"] == "/overlay/home?done=networks"
    assert in_overlay.overlays.setup("home").accepted_subnets == {}


async def test_a_network_that_nobody_offers(in_overlay):
    browser = in_overlay.admin
    for fields, words in (
        ({"uid": BARN, "network": NETWORK, "do": "accept"}, "does not offer"),
        ({"uid": KITCHEN, "network": "<b>", "do": "accept"}, "is no network"),
        ({"uid": KITCHEN, "network": NETWORK, "do": "withdraw"}, "was not accepted"),
        ({}, "is no network"),
    ):
        reply = await browser.post("/overlay/home/networks", data=fields)
        assert reply.status_code in {400, 404}
        assert words in reply.text, words
        assert "<b>" not in reply.text.partition('role="alert"')[2].partition("</div>")[0]


async def test_one_whose_peer_is_not_heard_can_be_left_still(in_overlay):
    browser = in_overlay.admin
    await browser.post("/overlay/home/networks", data={"uid": KITCHEN, "network": NETWORK, "do": "accept"})
    in_overlay.lab.told("home", RELAYED)
    page = (await browser.get("/overlay/home")).text
    assert "Not offered any more" in page or "Used" in page
    reply = await browser.post(
        "/overlay/home/networks", data={"uid": KITCHEN, "network": NETWORK, "view": "peer"}
    )
    assert reply.headers["location"] == "/overlay/home?done=networks"
    assert in_overlay.overlays.setup("home").accepted_subnets == {}


async def test_leaving_asks_first(in_overlay):
    browser = in_overlay.admin
    reply = await browser.post("/overlay/home/leave")
    assert "Leave home?" in reply.text
    assert 'name="sure" value="yes"' in reply.text
    assert in_overlay.overlays.list()
    reply = await browser.post("/overlay/home/leave", data={"sure": "yes"})
    assert reply.headers["location"] == "/overlay?done=left"
    assert not in_overlay.overlays.list()
    assert "is left" in (await browser.get("/overlay?done=left")).text
    assert (await browser.post("/overlay/home/leave", data={"sure": "yes"})).status_code == 404
