from __future__ import annotations

import pytest

from tests.parts.automation_gateway import tell
from tests.parts.overlay_lab import BARN, DIRECT, KITCHEN, SHED, house, overlay

__all__ = ["house", "overlay", "tell"]


def test_the_code_alone_is_the_answer(overlay):
    made = overlay("invite", "--valid", "7d", "--tag", "phone", "--tag", "guest", "--note", "for Ana")
    assert made.out.startswith("wayhouse1:")
    assert len(made.out.splitlines()) == 1
    assert "not shown again" in made.err
    assert "is a member until 2023-11-21" in made.err
    (listed,) = overlay("invitations", "--json").json
    assert f"overlay revoke {listed['id']} -o home" in made.err
    assert (listed["tags"], listed["note"]) == (["phone", "guest"], "for Ana")
    assert listed["expires"] - listed["made"] == 7 * 86_400
    table = overlay("invitations").out
    assert "open" in table
    assert "for Ana" in table
    assert made.out.strip() not in table


def test_for_ever_and_for_programs(overlay):
    assert "Make one:" in overlay("invitations").err
    made = overlay("invite", "--json").json
    assert made["code"].startswith("wayhouse1:")
    assert made["invitation"]["expires"] == 0
    assert "never" in overlay("invitations").out


@pytest.mark.parametrize("valid", ["soon", "7", "0d", "-1d", ""])
def test_spans_that_are_none(tell, overlay, valid):
    refused = tell("overlay", "invite", f"--valid={valid}")
    assert refused.code == 2
    assert "12h, 7d" in refused.err


def test_an_invitation_is_taken_back(overlay, house):
    one = overlay("invite", "--json").json["invitation"]["id"]
    assert "with all who joined by it" in overlay("revoke", one, "--yes").out
    assert "revoked" in overlay("invitations").out
    assert house.home.links.wish("home").revoked is not None


def test_a_member_is_sent_away(overlay, tell, house):
    assert "sent away" in overlay("revoke", "barn", "-y").out
    first = house.home.links.wish("home").revoked
    assert overlay("revoke", SHED, "-y", "--json").json == {"success": True}
    assert house.home.links.wish("home").revoked != first
    assert tell("overlay", "revoke", "cellar", "-y").code == 1


def test_only_the_founder_can(overlay, tell):
    code = overlay("invite").out
    overlay("leave", "-y")
    assert tell("overlay", "join", "-", stdin=code.encode()).code == 0
    for words in (("invite",), ("revoke", BARN, "-y")):
        refused = tell("overlay", *words)
        assert refused.code == 4, words
        assert "founded" in refused.err


def test_a_certificate_is_forgotten(overlay, house):
    assert overlay("forget", "kitchen", "--yes").out == "kitchen is trusted anew.\n"
    assert overlay("forget", DIRECT.ip4, "--yes", "--json").json == {"success": True}
    assert house.home.links.forgotten == [("home", KITCHEN)] * 2
