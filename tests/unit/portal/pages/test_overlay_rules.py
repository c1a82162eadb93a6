from __future__ import annotations

import re

from tests.parts.overlay_lab import KITCHEN
from wayhouse.overlay.orders import Inviting

PLACE = "/overlay/home/rules"
ADDED = {"from": "tag:family", "action": "accept", "protocol": "tcp", "ports": "22", "note": "<ssh>"}


async def test_rules_are_sentences_in_order(in_overlay):
    browser = in_overlay.admin
    await in_overlay.overlays.invite("home", Inviting(tags=("guests",)))
    page = (await browser.get(PLACE)).text
    assert "There is no rule" in page
    for words in ("Peers tagged home", "Peers tagged guests", "The peer kitchen (aa010000)"):
        assert words in page, words
    reply = await browser.post(PLACE, data=ADDED)
    assert reply.headers["location"] == f"{PLACE}?done=added"
    drop = {"from": KITCHEN, "action": "drop", "protocol": "any", "place": "first"}
    await browser.post(PLACE, data=drop)
    page = (await browser.get(f"{PLACE}?done=added")).text
    first = page.index("The peer kitchen (aa010000) may not reach everything on this gateway.")
    assert first < page.index("Peers tagged family may reach TCP 22 on this gateway.")
    assert "&lt;ssh&gt;" in page
    assert [rule.action for rule in in_overlay.links.wish("home").rules] == ["drop", "accept"]


async def test_what_is_no_rule_is_told_and_kept(in_overlay):
    reply = await in_overlay.admin.post(PLACE, data={**ADDED, "ports": "http"})
    assert reply.status_code == 400
    assert "is no port" in reply.text
    assert 'value="http"' in reply.text
    assert '<option value="tcp" selected>' in reply.text


async def test_the_rule_that_was_seen_is_removed_and_no_other(in_overlay):
    browser = in_overlay.admin
    await browser.post(PLACE, data=ADDED)
    await browser.post(PLACE, data={**ADDED, "from": "any"})
    found = re.search(r'name="stamp" value="([0-9a-f]+)"', (await browser.get(PLACE)).text)
    assert found is not None
    seen = found[1]
    for fields, status in (
        ({"rule": "2", "stamp": seen}, 400),
        ({"rule": "-1", "stamp": seen}, 400),
        ({"rule": "0", "stamp": "0"}, 409),
        ({}, 409),
    ):
        assert (await browser.post(f"{PLACE}/remove", data=fields)).status_code == status
    reply = await browser.post(f"{PLACE}/remove", data={"rule": "0", "stamp": seen})
    assert reply.headers["location"] == f"{PLACE}?done=removed"
    assert [rule.source for rule in in_overlay.overlays.setup("home").rules] == ["any"]
    reply = await browser.post(f"{PLACE}/remove", data={"rule": "0", "stamp": seen})
    assert reply.status_code == 409
    assert "were changed meanwhile" in reply.text
