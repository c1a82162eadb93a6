from __future__ import annotations

import re

from wayhouse.overlay.configuration import Configuration
from wayhouse.overlay.orders import Inviting, Joining

PLACE = "/overlay/home/invitations"


async def test_an_invitation_is_shown_once_and_lets_in(in_overlay):
    browser = in_overlay.admin
    assert "No invitation was made yet" in (await browser.get(PLACE)).text
    reply = await browser.post(PLACE, data={"tags": "family, guests", "days": "7", "note": "<aunt>"})
    assert reply.status_code == 200
    found = re.search(r"<code class=\"invitation\">(wayhouse1:[^<]+)</code>", reply.text)
    assert found is not None
    assert "data-copy" in reply.text
    page = (await browser.get(PLACE)).text
    assert found[1] not in page
    for words in ("family", "guests", "&lt;aunt&gt;", "for 7 d", "Take back"):
        assert words in page, words
    await in_overlay.overlays.leave("home")
    assert (await in_overlay.overlays.join(Joining(code=found[1]))).name == "home"


async def test_one_that_is_taken_back_asks_first(in_overlay):
    browser = in_overlay.admin
    id_ = (await in_overlay.overlays.invite("home", Inviting())).invitation.id
    assert "for ever" in (await browser.get(PLACE)).text
    assert "Take back the invitation?" in (await browser.post(f"{PLACE}/{id_}/revoke")).text
    reply = await browser.post(f"{PLACE}/{id_}/revoke", data={"sure": "yes"})
    assert reply.headers["location"] == f"{PLACE}?done=revoked"
    page = (await browser.get(f"{PLACE}?done=revoked")).text
    assert "Taken back" in page
    assert in_overlay.overlays.invitations("home")[0].is_revoked
    reply = await browser.post(f"{PLACE}/none/revoke", data={"sure": "yes"})
    assert reply.status_code == 404
    assert "was made here" in reply.text


async def test_one_that_has_ended(in_overlay):
    await in_overlay.overlays.invite("home", Inviting(valid_s=60.0))
    in_overlay.lab.clock.advance(61.0)
    page = (await (await in_overlay.parts.sign_in(in_overlay.stranger())).get(PLACE)).text
    assert "Ended" in page


async def test_what_is_no_tag_and_no_time(in_overlay):
    for fields in ({"tags": "<b>", "days": "7"}, {"days": "12"}):
        reply = await in_overlay.admin.post(PLACE, data={**fields, "note": "kept"})
        assert reply.status_code == 400
        assert 'role="alert"' in reply.text
        assert 'value="kept"' in reply.text
        assert "<b>" not in reply.text.partition('role="alert"')[2].partition("</div>")[0]


async def test_elsewhere_it_is_said_who_can_invite(in_overlay):
    code = (await in_overlay.overlays.invite("home", Inviting())).code
    await in_overlay.overlays.leave("home")
    await in_overlay.overlays.join(Joining(code=code))
    page = (await in_overlay.admin.get(PLACE)).text
    assert "Only the gateway that founded" in page
    assert "<button>Invite" not in page
    reply = await in_overlay.admin.post(PLACE, data={"days": "7"})
    assert reply.status_code == 403
    assert "ask there" in reply.text


async def test_friends_are_not_invited_but_told_where_to_meet(in_overlay):
    friends = Configuration(name="pals", kind="social", uid="ab" * 20, dns_name="attic", ip4="172.31.0.100")
    await in_overlay.overlays._replace(friends)
    browser, place = in_overlay.admin, "/overlay/pals/invitations"
    assert "it lets nobody in" in (await browser.get(place)).text
    page = (await browser.post(place, data={"days": ""})).text
    assert '<code class="invitation">wayhouse1:' in page
    assert "Friends" in (await browser.get("/overlay")).text
    assert not in_overlay.overlays.invitations("pals")
