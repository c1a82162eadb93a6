"""The history of values: as numbers, as CSV for spreadsheets, and as pictures of several together."""

from __future__ import annotations

import csv
import io
import math
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from wayhouse.access.policy import Right
from wayhouse.api import wire_devices as wire
from wayhouse.api.table import Call, Reply, Rows, endpoint
from wayhouse.base.errors import BadInputError
from wayhouse.devices.graph import MAX_SERIES_SHOWN, Graph, span_s

if TYPE_CHECKING:  # the command line reads the tables of rows, and should not load the services
    from wayhouse.devices.service import Devices

SVG = "image/svg+xml"
CSV = "text/csv"
DAY_S = 86_400.0
MOST_POINTS = 2016
_ALONE = (("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'"),)
"""For a picture that is opened by itself."""


class ReadingResource:
    def __init__(self, devices: Devices) -> None:
        self._devices = devices

    async def readings(self, call: Call) -> wire.ReadingsView | Reply:
        start, end = self._span(call)
        points = _points(call, MOST_POINTS)
        key = f"{call.path['device']}/{call.path['command']}"
        line = self._devices.graph([key], start, end, points=points).lines[0]
        device = self._devices.get(call.path["device"])
        view = wire.ReadingsView(
            device.id, device.name, line.command, line.unit, start, end,
            line.buckets[0].step_s if line.buckets else None, line.buckets,
        )  # fmt: skip
        return _as_csv(view) if CSV in call.headers.get("accept", "") else view

    async def graphs(self, call: Call) -> wire.GraphView | Reply:
        """A picture for `Accept: image/svg+xml` or `format=svg`, else the numbers."""
        keys = _keys(call)
        start, end = self._span(call)
        graph = self._devices.graph(keys, start, end, points=_points(call, 300))
        form = call.query.get("format", "")
        if form not in {"", "svg", "json"}:
            raise BadInputError("`format` is svg or json.", path="format")
        return _picture(graph) if form == "svg" or (not form and _wants_picture(call)) else _view(graph)

    async def graph(self, call: Call) -> Reply:
        """The picture at the path that RasPy's logger had."""
        end = self._devices.now()
        start = end - span_s(call.path["range"])
        return _picture(self._devices.graph([call.path["key"]], start, end))

    def _span(self, call: Call) -> tuple[float, float]:
        """`range` up to `end`, or `start` to `end`; `end` is now and a span a day long if nothing is said."""
        end = _moment(call, "end", self._devices.now())
        if "range" in call.query:
            return end - span_s(call.query["range"]), end
        return _moment(call, "start", end - DAY_S), end


def _moment(call: Call, name: str, default: float) -> float:
    text = call.query.get(name)
    if text is None:
        return default
    try:
        moment = float(text) if len(text) <= 24 else math.nan
    except ValueError:
        moment = math.nan
    if not math.isfinite(moment):
        raise BadInputError(f"`{name}` is a time in Unix seconds.", path=name)
    return moment


def _points(call: Call, default: int) -> int:
    return call.query_number("points", default, most=MOST_POINTS) or default


def _keys(call: Call) -> list[str]:
    keys = [value for name, value in parse_qsl(call.raw_query) if name == "key"]
    if not 0 < len(keys) <= MAX_SERIES_SHOWN:
        raise BadInputError(
            f"Give 1 to {MAX_SERIES_SHOWN} times `key`: a device, or device/command.", path="key"
        )
    return keys


def _wants_picture(call: Call) -> bool:
    accept = call.headers.get("accept", "")
    return SVG in accept or "image/*" in accept


def _picture(graph: Graph) -> Reply:
    from wayhouse.devices.graph_svg import graph_svg

    return Reply(graph_svg(graph).encode(), media=f"{SVG}; charset=utf-8", headers=_ALONE)


def _view(graph: Graph) -> wire.GraphView:
    lines = (wire.GraphLineView(one.key, one.name, one.command, one.unit, one.buckets) for one in graph.lines)
    return wire.GraphView(graph.start, graph.end, tuple(lines))


def _as_csv(view: wire.ReadingsView) -> Reply:
    """Only numbers, so that no cell can be taken for a formula."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("time", "step_s", "count", "minimum", "mean", "maximum"))
    writer.writerows(
        (one.time, one.step_s, one.count, one.minimum, one.mean, one.maximum) for one in view.buckets
    )
    return Reply(text.getvalue().encode(), media=f"{CSV}; charset=utf-8")


_R = ReadingResource
_SPAN = {
    "start": "Unix seconds, a day before the end if not given",
    "end": "Unix seconds, now if not given",
    "range": "In place of a start: day, week, month or year",
    "points": "At most so many",
}
READINGS = endpoint(
    "GET", "/api/v1/readings/{device}/{command}", Right.SEE_DEVICES, "History of a value; CSV for `Accept: text/csv`",
    _R.readings, reply=wire.ReadingsView, query=_SPAN,
)  # fmt: skip
GRAPHS = endpoint(
    "GET", "/api/v1/graphs", Right.SEE_DEVICES, "Histories side by side; a picture for `Accept: image/svg+xml`",
    _R.graphs, reply=wire.GraphView,
    query={"key": "A device, or device/command; may be repeated", **_SPAN, "format": "svg or json, whatever `Accept` says"},
)  # fmt: skip
GRAPH = endpoint(
    "GET", "/graph/{key}/{range}", Right.SEE_DEVICES, "A value's picture of the last day, week, month or year",
    _R.graph, reply=bytes, reply_media=SVG,
)  # fmt: skip

ROWS: Rows = (READINGS, GRAPHS, GRAPH)
