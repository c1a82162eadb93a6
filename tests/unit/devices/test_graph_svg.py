import datetime
import math
import xml.etree.ElementTree as ET

from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.devices.buckets import Bucket
from wayhouse.devices.graph import SPANS, Graph, Line
from wayhouse.devices.graph_svg import _nice_ticks, graph_svg

SVG = "{http://www.w3.org/2000/svg}"
START = 1_700_000_000.0


def line(name, unit, values, step=60, **more):
    buckets = tuple(
        Bucket(START + at * step, step, 1, low, (low + high) / 2, high) for at, low, high in values
    )
    return Line(name, name, more.get("command", "value"), unit, buckets)


def drawn(*lines, span=3600.0, **more):
    return ET.fromstring(graph_svg(Graph(START, START + span, lines), zone=datetime.UTC, **more))


def test_each_value_is_a_line_with_a_band_and_units_have_their_panels():
    picture = drawn(
        line("boiler", "°C", [(0, 1, 2), (1, 2, 3)]),
        line("roof", "m/s", [(0, 5, 6), (1, 7, 8)]),
        line("attic", "°C", [(0, 5, 6), (1, 7, 8)]),
    )
    assert len(picture.findall(f".//{SVG}polyline")) == len(picture.findall(f".//{SVG}polygon")) == 3
    assert len(picture.findall(f"{SVG}g")) == 2
    texts = [one.text for one in picture.iter(f"{SVG}text")]
    assert {"boiler", "roof", "attic", "°C", "m/s", "22:23"} <= set(texts)


def test_it_says_in_words_what_it_shows():
    picture = drawn(line("boiler", "°C", [(0, 1, 2), (1, 2, 4)]))
    assert picture.get("role") == "img"
    assert picture.find(f"{SVG}title").text == picture.get("aria-label") == "boiler"
    assert picture.find(f"{SVG}desc").text == "boiler: lowest 1, highest 4, last 3 °C"
    assert drawn(title="House").find(f"{SVG}title").text == "House"


def test_a_pause_is_a_gap_and_a_lone_value_a_dot():
    picture = drawn(line("x", "", [(0, 1, 1), (1, 1, 1), (2, 1, 1), (20, 1, 1)]))
    assert len(picture.findall(f".//{SVG}polyline")) == 1
    assert len(picture.findall(f".//{SVG}circle")) == 1


def test_without_readings_there_is_an_empty_graph():
    assert "no readings" in drawn(line("x", "", [])).find(f"{SVG}desc").text
    assert drawn().findall(f".//{SVG}polyline") == []


def test_names_cannot_become_markup():
    picture = drawn(line('<script>"&', "<b>", [(0, 1, 1)], command="<i>"))
    assert not [one for one in picture.iter() if one.tag in {f"{SVG}script", "script", f"{SVG}b"}]


def test_every_span_has_times():
    for span in SPANS.values():
        texts = [one.text for one in drawn(line("x", "", [(0, 1, 1)]), span=span).iter(f"{SVG}text")]
        assert all(texts)


NUMBERS = st.floats(-1e300, 1e300)


@given(st.lists(st.tuples(st.integers(0, 500), NUMBERS, NUMBERS), max_size=20), st.text(max_size=10))
@settings(max_examples=60, deadline=None)
def test_any_numbers_and_names_make_a_picture(values, name):
    rising = [(at, min(a, b), max(a, b)) for at, a, b in sorted(values)]
    picture = drawn(line(name, name, rising))
    places = " ".join(one.get("points", "0") for one in picture.iter()).replace(",", " ")
    assert all(math.isfinite(float(one)) for one in places.split())


@given(NUMBERS, NUMBERS)
@settings(max_examples=200, deadline=None)
def test_ticks_are_few_and_contain_the_values(a, b):
    low, high = min(a, b), max(a, b)
    ticks = _nice_ticks([Bucket(0, 60, 1, low, low, high)])
    assert 2 <= len(ticks) <= 9
    assert ticks[0] < ticks[-1]
    slack = abs(ticks[-1] - ticks[0]) * 1e-9
    assert ticks[0] <= low + slack
    assert ticks[-1] >= high - slack
