from __future__ import annotations

import pytest

from tests.parts.automation_gateway import tell
from tests.parts.overlay_lab import BARN, KITCHEN, house, overlay
from wayhouse.cli import overlay_rules, overlay_shares, overlay_subnets

__all__ = ["house", "overlay", "tell"]


def test_the_life_of_rules(overlay, house, tell):
    assert "peers reach nothing here" in overlay("rules", "ls").err
    added = overlay(
        "rules", "add", "--from", "tag:home", "--proto", "tcp", "--port", "22", "--port", "8000-8010"
    )
    assert added.out == "Rule 1 is added: accept tcp at 22, 8000-8010 from tag:home to this gateway.\n"
    behind = overlay("rules", "add", "--from", "any", "--network", "192.168.7.0/24", "--note", "printer")
    assert behind.out == "Rule 2 is added: accept everything from any to 192.168.7.0/24.\n"
    dropped = overlay(
        "rules", "add", "--from", "kitchen", "--to", "barn", "--drop", "--at", "1", "--json"
    ).json
    assert [one["action"] for one in dropped["rules"]] == ["drop", "accept", "accept"]
    assert (dropped["rules"][0]["from"], dropped["rules"][0]["to"]) == (KITCHEN, BARN)
    table = overlay("rules", "ls")
    lines = table.out.splitlines()
    assert lines[1].split()[:5] == ["1", "drop", "kitchen", "barn", "any"]
    assert "the gateway itself" in lines[2]
    assert lines[3].endswith("printer")
    assert "echo (ping) always pass" in table.err
    assert overlay("rules", "rm", "2").out.startswith("Rule 2 is removed: accept tcp at 22")
    assert len(overlay("rules", "ls", "--json").json) == 2
    assert len(house.home.links.wish("home").rules) == 2
    refused = tell("overlay", "rules", "rm", "3")
    assert (refused.code, "There is no rule 3" in refused.err) == (1, True)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "--from"),
        (("--from", ""), "Say who"),
        (("--from", "any", "--port", "0"), "1 to 65535"),
        (("--from", "any", "--proto", "icmp", "--port", "1"), "ICMP"),
        (("--from", "any", "--proto", "gre"), "--proto"),
        (("--from", "any", "--network", "x"), "192.168.7.0/24"),
        (("--from", "tag:a b"), "nobody"),
        (("--from", "self"), "nobody"),
        (("--from", "any", "--at", "0"), "--at"),
    ],
)
def test_wrong_usage(overlay, tell, house, words, says):
    refused = tell("overlay", "rules", "add", *words)
    assert refused.code == 2
    assert says in refused.err
    assert house.home.links.wish("home").rules == ()


def test_somebody_who_is_not_known(overlay, tell):
    assert tell("overlay", "rules", "add", "--from", "cellar").code == 1


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (overlay_rules, ("rules", "add", "--from", "any")),
        (overlay_rules, ("rules", "rm", "1")),
        (overlay_shares, ("share", "service:a.b", "--to", "any")),
        (overlay_shares, ("unshare", "service:c.d")),
        (overlay_subnets, ("subnets", "offer", "192.168.77.0/24")),
        (overlay_subnets, ("subnets", "accept", "kitchen")),
    ],
)
def test_what_somebody_else_changes_in_between_is_not_lost(overlay, tell, house, monkeypatch, module, words):
    overlay("rules", "add", "--from", "any", "--port", "1")
    overlay("share", "service:c.d", "--to", "any")
    real = module.setup_of

    def read_too_early(session, name):
        seen = real(session, name)
        overlay("set", "--on-demand")
        return seen

    before = house.home.overlays.setup("home")
    monkeypatch.setattr(module, "setup_of", read_too_early)
    result = tell("overlay", *words)
    assert result.code == 1
    assert "has changed meanwhile" in result.err
    now = house.home.overlays.setup("home")
    assert (now.rules, now.shares, now.offered_subnets, now.accepted_subnets) == (
        before.rules,
        before.shares,
        before.offered_subnets,
        before.accepted_subnets,
    )
