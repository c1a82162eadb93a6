from __future__ import annotations

import io

from tests.parts.automation_gateway import tell
from tests.parts.overlay_lab import AWAY, DIRECT, RELAYED, house, later, overlay
from wayhouse.cli import overlay_peers
from wayhouse.cli.screen import Screen
from wayhouse.overlay.views import OverlayState, OverlayView

__all__ = ["house", "overlay", "tell"]
STATE = OverlayState(
    overlay=OverlayView(name="home", kind="group", uid="", ip4="10.213.0.1", dns_name="attic.home", peers=3, online=2, relayed=1),
    links=(DIRECT, RELAYED, AWAY),
)  # fmt: skip


def test_each_has_its_reason_under_it():
    told = overlay_peers.lines(STATE)
    assert told[0].split() == ["NAME", "ADDRESS", "STATUS", "PATH", "RTT", "IN", "OUT", "SINCE"]
    assert told[1].split() == [
        "kitchen", "10.213.0.7", "online", "direct", "1.2", "ms", "2.0", "KiB/s", "100", "B/s", "1", "h", "2", "min",
    ]  # fmt: skip
    assert told[2].startswith("barn ")
    assert "relayed" in told[2]
    assert told[3] == f"  {RELAYED.why}"
    assert told[4].split()[:2] == ["cc030000", "offline"]
    assert told[5:] == [f"  {AWAY.why}"]
    assert (
        len({line.index(word) for line, word in zip(told[:3], ("STATUS", "online", "online"), strict=True)})
        == 1
    )


def test_a_peer_that_was_only_seen():
    seen = later(AWAY, seen_age_s=61.0, ip6="fd50::9")
    told = overlay_peers.lines(later(STATE, links=(seen,)))
    assert told[1].split() == [
        "cc030000",
        "fd50::9",
        "offline",
        "0",
        "B/s",
        "0",
        "B/s",
        "seen",
        "1",
        "min",
        "1",
        "s",
        "ago",
    ]


def test_nobody():
    assert overlay_peers.lines(OverlayState(overlay=STATE.overlay)) == ["No other gateway has been seen yet."]
    troubled = later(STATE.overlay, problem="It is being set up.")
    assert overlay_peers.lines(OverlayState(overlay=troubled)) == ["It is being set up."]


def test_the_commands(overlay, house):
    assert overlay("peers").out.count("\n") == 6
    assert [one["name"] for one in overlay("peers", "--json").json] == ["kitchen", "barn", ""]
    assert len(overlay("links", "--json").json) == 3
    told = overlay("links", "barn").out
    assert "online, relayed (online)" in told
    assert "relay 203.0.113.10:50000 to relay 203.0.113.10:50001" in told
    assert "failed" in told
    assert "symmetric" in told
    every = overlay("links").out
    assert "1 min 1 s ago" in every
    assert every.count("Uid") == 3
    house.home.links.peers.clear()
    assert "No other gateway has been seen yet." in overlay("peers").err
    assert "overlay show -o home" in overlay("links").err
    assert overlay("peers", "--json").json == []


def test_live(overlay, house, monkeypatch):
    """It ends when the overlay is left."""

    def leave_after(looks):
        for count, look in enumerate(looks, 1):
            yield look
            if count == 1:
                house.loop.call_soon_threadsafe(house.home.told, "home", RELAYED)
            if count == 2:
                house.do(house.home.overlays.leave("home"))

    states = overlay_peers._states
    monkeypatch.setattr(overlay_peers, "_states", lambda *which: leave_after(states(*which)))
    first, second = overlay("peers", "-f", "--json").json_lines
    assert [len(one["links"]) for one in (first, second)] == [3, 1]


def test_live_without_a_terminal(overlay, monkeypatch):
    monkeypatch.setattr(overlay_peers, "_states", lambda *_: iter([STATE, STATE]))
    assert overlay("peers", "--follow").out.count("kitchen") == 2


def test_live_on_a_terminal(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    class Session:
        screen = Screen(out=Terminal(), err=Terminal(), env={"TERM": "xterm"})

    monkeypatch.setattr(overlay_peers, "_states", lambda *_: iter([STATE]))
    overlay_peers._follow(Session(), "home")
    drawn = Session.screen.out.getvalue()
    assert "home: 2 of 3 online, 1 relayed" in drawn
    assert "kitchen" in drawn
