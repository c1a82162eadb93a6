from __future__ import annotations

import pytest

from tests.parts.overlay_lab import AWAY, DIRECT, RELAYED, later
from wayhouse.overlay.link import LinkState
from wayhouse.overlay.model import LinkStatus, PathPolicy
from wayhouse.overlay.netcheck import Dependence
from wayhouse.overlay.views import OverlayView
from wayhouse.portal.overlay_rows import (
    FILTERS,
    MAPPINGS,
    NATS,
    POLICIES,
    STATES,
    home_line,
    milliseconds,
    peer_row,
    peer_rows,
    rate,
    row_of,
    summary,
)

UP = OverlayView(name="home", kind="group", uid="ab" * 20, interface="wh-home", is_up=True)


def test_every_state_and_policy_has_its_words():
    assert set(STATES) == {one.value for one in LinkState}
    assert set(POLICIES) == set(PathPolicy)
    assert set(MAPPINGS) == set(FILTERS) == set(Dependence)
    assert set(NATS) == {"none", "cone", "symmetric", "blocked", "unknown"}


@pytest.mark.parametrize(
    ("link", "look", "word"),
    [
        (DIRECT, "running", "Direct"),
        (RELAYED, "partly", "Relayed"),
        (AWAY, "stopped", "Away"),
        (later(AWAY, policy=PathPolicy.OFF), "stopped", "Switched off"),
        (later(AWAY, status=LinkStatus.UNKNOWN, state="checking"), "busy", "Connecting"),
        (later(AWAY, state="refused"), "failing", "Refused"),
        (later(AWAY, status=LinkStatus.UNKNOWN, state="?"), "stopped", "Not known"),
    ],
)
def test_how_a_link_is(link, look, word):
    row = peer_row("home", link)
    assert (row.look, row.word) == (look, word)


def test_a_peer_has_a_name_or_the_beginning_of_its_uid_and_keeps_its_place():
    rows = peer_rows("my home", [AWAY, DIRECT, RELAYED])
    assert [row.label for row in rows] == ["barn", "kitchen", "cc030000"]
    assert rows[0].path == f"/overlay/my%20home/peers/{RELAYED.uid}"
    assert (rows[1].rtt, rows[1].sends, rows[1].gets, rows[1].rate) == ("1 ms", "100 B/s", "2 KB/s", "2 KB/s")
    assert (rows[2].rtt, rows[2].rate) == ("", "")
    assert summary(rows) == "1 direct, 1 relayed, 1 not connected"
    assert summary([]) == "nobody yet"


@pytest.mark.parametrize(
    ("view", "look", "word", "is_trouble"),
    [
        ({}, "running", "Up", False),
        ({"problem": "x"}, "partly", "Up, with trouble", True),
        ({"is_up": False}, "failing", "Down", True),
        ({"is_up": False, "interface": "", "problem": "It is being set up."}, "busy", "Being set up", False),
    ],
)
def test_how_an_overlay_is(view, look, word, is_trouble):
    row = row_of(later(UP, **view))
    assert (row.look, row.word, row.has_trouble, row.kind) == (look, word, is_trouble, "Group")


def test_numbers_as_text():
    assert [milliseconds(one) for one in (None, 0.0, 0.0004, 0.001, 0.25)] == [
        "",
        "under 1 ms",
        "under 1 ms",
        "1 ms",
        "250 ms",
    ]
    assert [rate(one) for one in (0.0, 0.4, 1.0, 2048.0)] == ["idle", "idle", "1 B/s", "2 KB/s"]


def test_the_line_of_the_first_page():
    assert home_line([]) == ""
    assert home_line([UP]) == "1 overlay, no peers yet"
    assert home_line([later(UP, peers=1, online=1)]) == "1 overlay, 1 of 1 peer connected"
    busy = later(UP, peers=3, online=2, relayed=1)
    assert home_line([busy, busy]) == "2 overlays, 4 of 6 peers connected, 2 by a relay"
