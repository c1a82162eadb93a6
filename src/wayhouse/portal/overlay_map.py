"""The map of an overlay: this gateway in the middle, its peers around it, a line for each link. An SVG without scripts or styles of its own.

Made on the server by `pages/overlay.py`; colours and dashes come from the style sheet by class. Rules: whatever names peers have, the picture is well-formed
XML; names stand upright and never on each other; above `MOST` peers there is no map, since nobody could read it. The table beside it says the same, so
the map is one picture to a screen reader and out of the way of the Tab key.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

import msgspec

from wayhouse.portal.overlay_rows import PeerRow, summary

MOST = 60
_GAP = 12


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """How much room there is: `width` of the picture, `ring` from the middle to the peers at its height, `step` between names, `longest` in
    letters. `is_roomy`: names have a second line beneath them."""

    width: int
    ring: int
    step: int
    longest: int
    is_roomy: bool


ROOMY = Frame(width=480, ring=98, step=46, longest=16, is_roomy=True)
DENSE = Frame(width=640, ring=138, step=25, longest=13, is_roomy=False)
MOST_ROOMY = 24


def draw(own: str, peers: Sequence[PeerRow]) -> str:
    """Nothing for more than `MOST` peers. `own` is this gateway's name."""
    if len(peers) > MOST:
        return ""
    frame = ROOMY if len(peers) <= MOST_ROOMY else DENSE
    height = max(160, math.ceil(len(peers) / 2) * frame.step + 40)
    middle = (frame.width / 2, height / 2)
    placed = list(zip(_places(len(peers), frame, height), peers, strict=True))
    lines = "".join(_line(middle, place, peer) for place, peer in placed)
    nodes = "".join(_node(place, peer, frame) for place, peer in placed)
    label = f"{_plain(own)} and its peers: {summary(peers)}. The table lists them."
    return (
        f'<svg class="map{"" if frame.is_roomy else " dense"}" viewBox="0 0 {frame.width} {height}" role="img" '
        f"aria-label={_quoted(label)}>{lines}{_own(middle, own)}{nodes}</svg>"
    )


def _places(count: int, frame: Frame, height: float) -> list[tuple[float, float]]:
    """Clockwise from the top right: both sides of an ellipse, at even heights, so that names have room."""
    right = math.ceil(count / 2)
    down = [(row - (right - 1) / 2) * frame.step for row in range(right)]
    left = count - right
    up = [((left - 1) / 2 - row) * frame.step for row in range(left)]
    x, y = frame.width / 2, height / 2
    return [
        *((x + frame.ring * _bulge(away / y), y + away) for away in down),
        *((x - frame.ring * _bulge(away / y), y + away) for away in up),
    ]


def _bulge(share: float) -> float:
    """The rim of a circle, but never too near to its axis: lines stay apart from names."""
    return max(0.45, math.sqrt(max(0.0, 1 - share * share)))


def _line(middle: tuple[float, float], place: tuple[float, float], peer: PeerRow) -> str:
    (x1, y1), (x2, y2) = middle, place
    return f'<line class="way {_kind(peer)}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _own(middle: tuple[float, float], own: str) -> str:
    x, y = middle
    name = escape(_short(own, 9))
    return (
        f'<g class="own"><circle cx="{x:.1f}" cy="{y:.1f}" r="30"/>'
        f'<text x="{x:.1f}" y="{y + 4:.1f}" text-anchor="middle">{name}</text></g>'
    )


def _node(place: tuple[float, float], peer: PeerRow, frame: Frame) -> str:
    x, y = place
    is_right = x > frame.width / 2
    edge, anchor = (x + _GAP, "start") if is_right else (x - _GAP, "end")
    facts = " · ".join(part for part in (peer.rtt, peer.rate) if part) or peer.word
    name = escape(_short(peer.label, frame.longest))
    if frame.is_roomy:
        text = (
            f'<text x="{edge:.1f}" y="{y - 1:.1f}" text-anchor="{anchor}">{name}</text>'
            f'<text class="facts" x="{edge:.1f}" y="{y + 14:.1f}" text-anchor="{anchor}">{escape(facts)}</text>'
        )
    else:
        small = f'<tspan class="facts" dx="6">{escape(peer.rtt or peer.word)}</tspan>'
        text = f'<text x="{edge:.1f}" y="{y + 4:.1f}" text-anchor="{anchor}">{name}{small}</text>'
    title = " · ".join(part for part in (peer.label, peer.word, peer.rtt, peer.rate, peer.view.why) if part)
    return (
        f'<a class="node {_kind(peer)}" href={_quoted(peer.path)} tabindex="-1"><title>{escape(_plain(title))}</title>'
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="7"/>{text}</a>'
    )


def _kind(peer: PeerRow) -> str:
    """The class of a line and its end."""
    if peer.is_online:
        return "relayed" if peer.view.is_relayed else "direct"
    return {"busy": "trying", "failing": "refused"}.get(peer.look, "away")


def _short(text: str, most: int) -> str:
    text = _plain(text)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _plain(text: str) -> str:
    """Without control characters, halves of pairs and what turns the writing round: XML has no room for them, or people are misled."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def _quoted(text: str) -> str:
    return quoteattr(_plain(text))
