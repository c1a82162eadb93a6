from __future__ import annotations

from tests.parts.automation_gateway import tell
from tests.parts.overlay_lab import AWAY, DIRECT, KITCHEN, RELAYED, house, later, overlay

__all__ = ["house", "overlay", "tell"]


def test_offered(overlay, tell, house):
    house.home.links.peers.clear()
    assert "Offer one" in overlay("subnets", "ls").err
    offered = overlay("subnets", "offer", "192.168.9.0/24")
    assert "is offered" in offered.out
    assert "overlay rules add --from any --network 192.168.9.0/24 -o home" in offered.err
    overlay("rules", "add", "--from", "any", "--network", "192.168.9.0/24")
    assert overlay("subnets", "offer", "192.168.9.0/24").err == ""
    assert house.home.links.wish("home").offered_subnets == ("192.168.9.0/24",)
    assert "this gateway  offered" in overlay("subnets", "ls").out
    assert overlay("subnets", "ls", "--json").json == {"offered": ["192.168.9.0/24"], "subnets": []}
    assert overlay("subnets", "withdraw", "192.168.9.0/24").out == "192.168.9.0/24 is offered no more.\n"
    refused = tell("overlay", "subnets", "withdraw", "192.168.9.0/24")
    assert (refused.code, "is not offered here" in refused.err) == (1, True)
    assert tell("overlay", "subnets", "offer", "192.168.9.1/24").code == 2
    assert tell("overlay", "subnets", "offer", "10.213.0.0/28").code == 1


def test_accepted(overlay, tell, house):
    assert "it is not accepted here" in overlay("subnets", "ls").out
    told = overlay("subnets", "accept", "kitchen").out
    assert told == "192.168.7.0/24 is reached through kitchen.\n"
    assert house.home.links.wish("home").accepted_subnets == {KITCHEN: ("192.168.7.0/24",)}
    assert overlay("subnets", "ls", "--json").json["subnets"][0]["standing"] == "active"
    assert "kitchen  active" in overlay("subnets", "ls").out
    refused = overlay("subnets", "refuse", "kitchen", "192.168.7.0/24", "--json").json
    assert refused["accepted_subnets"] == {}
    assert tell("overlay", "subnets", "refuse", "kitchen", "192.168.7.0/24").code == 1


def test_which_one_must_be_clear(overlay, tell, house):
    assert tell("overlay", "subnets", "accept", "barn").code == 2
    many = later(DIRECT, offered_subnets=("192.168.7.0/24", "192.168.8.0/24"))
    rival = later(RELAYED, offered_subnets=("192.168.0.0/16",))
    house.home.links.peers["home"] = (many, rival, AWAY)
    refused = tell("overlay", "subnets", "accept", "kitchen")
    assert (refused.code, "192.168.7.0/24, 192.168.8.0/24" in refused.err) == (2, True)
    overlay("subnets", "accept", "kitchen", "192.168.8.0/24")
    assert "overlaps" in tell("overlay", "subnets", "accept", "barn").err
    assert tell("overlay", "subnets", "accept", "kitchen", "192.168.6.0/24").code == 1


def test_of_one_that_is_away(overlay, house):
    overlay("subnets", "accept", "kitchen")
    house.home.links.peers.clear()
    overlay("subnets", "refuse", KITCHEN[:8], "192.168.7.0/24")
    assert house.home.links.wish("home").accepted_subnets == {}
