"""A graph as an SVG picture, made on the gateway: it needs no script, and a browser or an `<img>` can show it.

Values of the same unit share a panel; a band shows minimum to maximum, a line the mean. Pure: data in, text out. The
colours work on light and dark pages; names are escaped, so a picture can be put into a page as it is.
"""

from __future__ import annotations

import datetime
import html
import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import median

from wayhouse.devices.buckets import Bucket
from wayhouse.devices.graph import Graph, Line

WIDTH, PANEL, LEFT, RIGHT, TOP, BOTTOM = 720, 200, 64, 12, 28, 24
COLOURS = ("#2b7bba", "#d1602a", "#3a9a57", "#9254b8", "#b8860b", "#c43d6b", "#4aa3a3", "#7a7a7a")
TICKS = 5
GAP = 3.5
"""A line is broken where the next value comes later than this many times the usual distance."""
STYLE = (
    "text{font:11px system-ui,sans-serif;fill:#7a7a7a}"
    ".grid{stroke:#8885;stroke-width:1}.mean{fill:none;stroke-width:1.5;stroke-linejoin:round}.band{fill-opacity:.18}"
)
_FORMATS = ((2 * 86_400, "%H:%M"), (10 * 86_400, "%a %d"), (60 * 86_400, "%d %b"), (math.inf, "%b %Y"))


def graph_svg(graph: Graph, *, title: str = "", zone: datetime.tzinfo | None = None) -> str:
    """`zone` is where the times on the axis are read; None: the gateway's own."""
    panels = _by_unit(graph.lines)
    height = max(1, len(panels)) * PANEL
    name = _escape(title or ", ".join(line.title for line in graph.lines) or "Graph")
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" aria-label="{name}"><title>{name}</title><desc>{_escape(_in_words(graph))}</desc>'
        f"<style>{STYLE}</style>"
    )
    colour = {id(line): COLOURS[at % len(COLOURS)] for at, line in enumerate(graph.lines)}
    parts = (
        f'<g transform="translate(0 {at * PANEL})">{_panel(graph, unit, lines, [colour[id(one)] for one in lines], zone)}</g>'
        for at, (unit, lines) in enumerate(panels.items())
    )
    return f"{head}{''.join(parts)}</svg>"


def _by_unit(lines: Iterable[Line]) -> dict[str, list[Line]]:
    found: dict[str, list[Line]] = {}
    for line in lines:
        found.setdefault(line.unit, []).append(line)
    return found


def _panel(
    graph: Graph, unit: str, lines: Sequence[Line], colours: Sequence[str], zone: datetime.tzinfo | None
) -> str:
    ticks = _nice_ticks([bucket for line in lines for bucket in line.buckets])
    axes = _Axes(graph.start, graph.end, ticks[0], ticks[-1])
    curves = (_curve(axes, line.buckets, colour) for line, colour in zip(lines, colours, strict=True))
    return _grid(axes, ticks, unit) + _times(axes, zone) + "".join(curves) + _legend(lines, colours)


class _Axes:
    """From values to places in a panel."""

    def __init__(self, start: float, end: float, low: float, high: float) -> None:
        self.start, self.end = start, max(end, start + 1.0)
        self.low, self.high = low, high

    def x(self, time: float) -> str:
        share = (time - self.start) / (self.end - self.start)
        return f"{LEFT + min(max(share, 0.0), 1.0) * (WIDTH - LEFT - RIGHT):.1f}"

    def y(self, number: float) -> str:
        share = (number / 2 - self.low / 2) / (
            self.high / 2 - self.low / 2
        )  # halves: 1e300 must not overflow
        return f"{PANEL - BOTTOM - share * (PANEL - TOP - BOTTOM):.1f}"


def _curve(axes: _Axes, buckets: Sequence[Bucket], colour: str) -> str:
    return "".join(_piece(axes, piece, colour) for piece in _pieces(buckets))


def _piece(axes: _Axes, buckets: Sequence[Bucket], colour: str) -> str:
    places = [(axes.x(one.time + one.step_s / 2), one) for one in buckets]
    mean = " ".join(f"{x},{axes.y(one.mean)}" for x, one in places)
    if len(places) == 1:
        x, one = places[0]
        return f'<circle cx="{x}" cy="{axes.y(one.mean)}" r="2" fill="{colour}"/>'
    above = [f"{x},{axes.y(one.maximum)}" for x, one in places]
    below = [f"{x},{axes.y(one.minimum)}" for x, one in reversed(places)]
    band = f'<polygon class="band" points="{" ".join(above + below)}" fill="{colour}"/>'
    return f'{band}<polyline class="mean" points="{mean}" stroke="{colour}"/>'


def _pieces(buckets: Sequence[Bucket]) -> list[list[Bucket]]:
    """Apart where there was nothing for long."""
    distances = [after.time - before.time for before, after in pairwise(buckets)]
    usual = median(distances) if distances else 0.0
    found: list[list[Bucket]] = []
    for at, bucket in enumerate(buckets):
        if at == 0 or distances[at - 1] > GAP * usual:
            found.append([])
        found[-1].append(bucket)
    return found


def _grid(axes: _Axes, ticks: Sequence[float], unit: str) -> str:
    lines = (
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{axes.y(tick)}" y2="{axes.y(tick)}"/>'
        f'<text x="{LEFT - 6}" y="{axes.y(tick)}" text-anchor="end" dominant-baseline="middle">{tick:.4g}</text>'
        for tick in ticks
    )
    named = f'<text x="{LEFT - 6}" y="{TOP - 14}" text-anchor="end">{_escape(unit)}</text>' if unit else ""
    return "".join(lines) + named


def _times(axes: _Axes, zone: datetime.tzinfo | None) -> str:
    length = axes.end - axes.start
    form = next(form for limit, form in _FORMATS if length <= limit)
    moments = (axes.start + length * part / 6 for part in range(1, 6))
    return "".join(
        f'<text x="{axes.x(moment)}" y="{PANEL - 8}" text-anchor="middle">{_shown(moment, form, zone)}</text>'
        for moment in moments
    )


def _legend(lines: Sequence[Line], colours: Sequence[str]) -> str:
    room = (WIDTH - LEFT - RIGHT) // max(1, len(lines))
    return "".join(
        f'<rect x="{LEFT + at * room}" y="8" width="10" height="10" fill="{colour}"/>'
        f'<text x="{LEFT + at * room + 14}" y="17">{_escape(line.title[: max(3, room // 7)])}</text>'
        for at, (line, colour) in enumerate(zip(lines, colours, strict=True))
    )


def _nice_ticks(buckets: Sequence[Bucket]) -> list[float]:
    """About `TICKS` round numbers, rising, that contain all values."""
    low = min((one.minimum for one in buckets), default=0.0)
    high = max((one.maximum for one in buckets), default=1.0)
    if high <= low:
        wide = max(abs(low) * 0.05, 0.5)
        low, high = low - wide, high + wide
    rough = high / TICKS - low / TICKS
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * one for one in (1.0, 2.0, 5.0, 10.0) if size * one >= rough)
    first = math.floor(low / step)
    return [step * (first + at) for at in range(math.ceil(high / step) - first + 1)]


def _in_words(graph: Graph) -> str:
    """For those who cannot see it."""
    told = (
        f"{line.title}: lowest {min(one.minimum for one in line.buckets):.4g}, "
        f"highest {max(one.maximum for one in line.buckets):.4g}, last {line.buckets[-1].mean:.4g} {line.unit}".strip()
        for line in graph.lines
        if line.buckets
    )
    return "; ".join(told) or "There are no readings in this time."


def _shown(moment: float, form: str, zone: datetime.tzinfo | None) -> str:
    try:
        return _escape(datetime.datetime.fromtimestamp(moment, datetime.UTC).astimezone(zone).strftime(form))
    except (ValueError, OverflowError, OSError):
        return ""


def _escape(text: str) -> str:
    """XML knows no control characters, not even escaped ones."""
    return html.escape("".join(char if char.isprintable() else "?" for char in text))
