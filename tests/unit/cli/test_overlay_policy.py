from __future__ import annotations

import pytest

from tests.parts.automation_gateway import tell
from tests.parts.overlay_lab import KITCHEN, SHED, house, overlay

__all__ = ["house", "overlay", "tell"]


def test_for_all_and_for_one(overlay, house):
    assert overlay("policy").out.split() == ["PEER", "POLICY", "all", "auto"]
    assert overlay("policy", "relay").out == "Links of home: relay.\n"
    assert overlay("policy", "kitchen", "direct").out == "The link to kitchen: direct.\n"
    assert overlay("policy", SHED, "off", "--json").json["peer_policies"] == {KITCHEN: "direct", SHED: "off"}
    assert overlay("policy").out.split()[2:] == [
        "all", "others", "relay", "kitchen", "direct", "cc030000", "off",
    ]  # fmt: skip
    assert overlay("policy", "--json").json["policy"] == "relay"
    one = house.home.links.wish("home")
    assert (one.policy.value, one.peer_policies[SHED].value) == ("relay", "off")


def test_one_that_is_away_is_known_all_the_same(overlay, house, tell):
    overlay("policy", "kitchen", "off")
    house.home.links.peers.clear()
    assert tell("overlay", "policy", "kitchen", "usual").code == 1
    assert overlay("policy", KITCHEN[:8], "usual").out == f"The link to {KITCHEN[:8]}: as all.\n"
    assert house.home.links.wish("home").peer_policies == {}


@pytest.mark.parametrize("words", [("usual",), ("kitchen",), ("kitchen", "fast"), ("a", "b", "off")])
def test_wrong_usage(tell, overlay, words):
    refused = tell("overlay", "policy", *words)
    assert refused.code == 2
    assert "auto, direct, relay, off" in refused.err
