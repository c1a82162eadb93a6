# covers: cli/overlay_words.py
"""`wayhouse overlay` on a gateway with overlays alone, and which overlay a command means."""

from __future__ import annotations

import pytest

from tests.parts.automation_gateway import tell
from tests.parts.overlay_lab import AWAY, DIRECT, KITCHEN, RELAYED, SUBNET, house, overlay

__all__ = ["house", "overlay", "tell"]


def test_none_yet(tell):
    listed = tell("overlay", "ls")
    assert (listed.code, listed.out) == (0, "")
    assert "overlay create NAME" in listed.err
    assert tell("overlay", "ls", "--json").json == []
    for verb in ("show", "peers", "links", "netcheck", "invite", "invitations", "policy", "set"):
        refused = tell("overlay", verb)
        assert (refused.code, "is in no overlay" in refused.err) == (1, True), verb


def test_the_list(overlay, house):
    words = overlay("ls").out.split()
    assert words[:7] == ["NAME", "KIND", "ADDRESS", "NAME", "HERE", "STATE", "PEERS"]
    assert words[7:9] == ["home", "group"]
    assert "attic.home" in words
    assert "2 of 3 online, 1 relayed" in overlay("ls").out
    assert overlay("ls", "--json").json[0]["relayed"] == 1
    house.home.links.trouble = "The process of the links was lost."
    told = overlay("ls")
    assert "down" in told.out
    assert "home: The process of the links was lost." in told.err


def test_one_of_them(overlay, house):
    overlay("set", "--account", "us@example.org", "--password-file", "-", stdin=b"secret\n")
    told = overlay("show").out
    assert "home (group, founded here)" in told
    assert "the local network: up" in told
    assert "xmpp:us@example.org: The server cannot be reached." in told
    assert "192.168.7.0/24 behind kitchen: offered" in told
    assert [one["uid"] for one in overlay("show", "--json").json["links"]] == [
        link.uid for link in (DIRECT, RELAYED, AWAY)
    ]
    house.home.links.trouble = "It is tired."
    assert "It is tired." in overlay("show").out


def test_of_several_one_must_be_named(overlay, tell):
    assert overlay("show", "-o", "home").out == overlay("show").out
    assert tell("overlay", "create", "work", "--subnet", "10.214.0.0/24").code == 0
    refused = tell("overlay", "show")
    assert refused.code == 2
    assert "home, work: say which with --overlay NAME" in refused.err
    assert "work (group" in overlay("show", "--overlay", "work").out
    assert tell("overlay", "show", "-o", "play").code == 1
    taken = tell("overlay", "create", "third", "--subnet", SUBNET)
    assert (taken.code, "overlaps" in taken.err) == (1, True)


def test_a_peer_is_known_by_many_words(overlay, tell):
    for word in ("kitchen", DIRECT.ip4, DIRECT.ip6, KITCHEN, KITCHEN[:6]):
        assert overlay("links", word, "--json").json["uid"] == KITCHEN
    refused = tell("overlay", "links", "cellar")
    assert refused.code == 1
    assert "Known are: barn, cc030000, kitchen." in refused.err


def test_what_is_between(overlay, tell, house):
    told = overlay("netcheck").out
    assert "cone (ports: endpoint-independent; filter: address-and-port-dependent)" in told
    assert "12.5 ms" in told
    assert "It does not answer." in told
    assert "peers are reached directly" in told
    assert overlay("netcheck", "--json").json["nat"] == "cone"
    house.home.links.trouble = "The links are being set up."
    refused = tell("overlay", "netcheck")
    assert (refused.code, refused.err) == (1, "wayhouse: The links are being set up.\n")


def test_without_a_terminal_nothing_is_lost_by_chance(overlay, tell):
    for words in (("leave",), ("revoke", "barn"), ("forget", "barn")):
        refused = tell("overlay", *words)
        assert refused.code == 2, words
        assert "--yes" in refused.err


@pytest.mark.parametrize(
    ("typed", "suggested"),
    [
        ("wayhouse overlay show -o ", ["home"]),
        ("wayhouse overlay links k", ["kitchen"]),
        ("wayhouse overlay links -o home b", ["barn"]),
        ("wayhouse overlay links -o work ", []),
    ],
)
def test_the_shell_gets_the_names(overlay, tell, monkeypatch, typed, suggested):
    monkeypatch.setenv("_WAYHOUSE_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", typed)
    monkeypatch.setenv("COMP_CWORD", str(len(typed.split()) - (not typed.endswith(" "))))
    assert tell().out.split() == suggested
