from __future__ import annotations

import itertools
import re
from xml.etree import ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.parts.overlay_lab import AWAY, DIRECT, RELAYED, later
from wayhouse.overlay.views import LinkView
from wayhouse.portal.overlay_map import DENSE, MOST, MOST_ROOMY, ROOMY, draw
from wayhouse.portal.overlay_rows import PeerRow, peer_rows


def rows(*links: LinkView) -> list[PeerRow]:
    return peer_rows("home", links)


def many(count: int) -> list[PeerRow]:
    return rows(*(later(DIRECT, uid=f"{number:040x}", name=f"peer-{number:02}") for number in range(count)))


def test_each_link_has_its_line_and_its_end():
    svg = draw("attic", rows(DIRECT, RELAYED, AWAY))
    tree = ElementTree.fromstring(svg)
    assert sorted(line.get("class") for line in tree.iter("line")) == [
        "way away",
        "way direct",
        "way relayed",
    ]
    assert {end.get("href") for end in tree.iter("a")} == {
        f"/overlay/home/peers/{one.uid}" for one in (DIRECT, RELAYED, AWAY)
    }
    text = " ".join(tree.itertext())
    for words in ("attic", "kitchen", "1 ms", "2 KB/s", "barn", "50 ms", RELAYED.why, "cc030000", "Away"):
        assert words in text, words
    assert "1 direct, 1 relayed, 1 not connected" in tree.get("aria-label", "")


def test_what_is_under_way_and_what_was_refused_look_different():
    svg = draw(
        "attic", rows(later(AWAY, state="checking"), later(RELAYED, state="refused", status=AWAY.status))
    )
    assert "way trying" in svg
    assert "way refused" in svg


def test_it_has_no_style_and_no_script_of_its_own_and_is_out_of_the_way_of_the_tab_key():
    svg = draw("attic", many(5))
    assert not re.search(r"style=|<script|<style|\bon\w+=", svg)
    assert svg.count('tabindex="-1"') == 5
    assert 'role="img"' in svg


def test_names_have_room_up_to_the_most_and_then_there_is_no_map():
    for count in (1, 2, 3, 7, 24, 25, 59, MOST):
        tree = ElementTree.fromstring(draw("attic", many(count)))
        height = float(tree.get("viewBox", "").split()[3])
        ends = [(float(one.get("cx", "")), float(one.get("cy", ""))) for one in tree.findall("a/circle")]
        assert len(ends) == count
        frame = ROOMY if count <= MOST_ROOMY else DENSE
        for side in (True, False):
            heights = sorted(y for x, y in ends if (x > frame.width / 2) is side)
            assert all(after - before >= 24 for before, after in itertools.pairwise(heights))
            assert all(14 <= y <= height - 14 for y in heights)
    assert draw("attic", many(MOST + 1)) == ""


def test_long_names_are_cut_but_told():
    name = "a" * 60
    svg = draw(name, rows(later(DIRECT, name=name)))
    assert f">{'a' * (ROOMY.longest - 1)}…<" in svg
    assert name in ElementTree.fromstring(svg).find("a/title").text  # type: ignore[operator, union-attr]


@settings(max_examples=150, deadline=None)
@given(
    st.text(max_size=40),
    st.lists(st.tuples(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40)), max_size=8),
)
def test_no_name_breaks_it(own, names):
    links = [later(DIRECT, uid=uid, name=name, why=why, is_relayed=bool(why)) for uid, name, why in names]
    svg = draw(own, rows(*links))
    tree = ElementTree.fromstring(svg)
    assert len(tree.findall("a")) == len(links)
    assert {one.tag for one in tree.iter()} <= {"svg", "line", "g", "circle", "text", "tspan", "a", "title"}
    assert all(one.get("href", "").startswith("/overlay/home/peers/") for one in tree.iter("a"))
    svg.encode()
