"""The page is in Prometheus' text format, whatever the labels hold."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.base.metrics import Metrics

SAMPLE = re.compile(
    r"[a-zA-Z_:][a-zA-Z0-9_:]*"
    r'(\{[a-zA-Z_][a-zA-Z0-9_]*="(\\[\\n"]|[^\\\n"])*"(,[a-zA-Z_][a-zA-Z0-9_]*="(\\[\\n"]|[^\\\n"])*")*\})?'
    r" (-?[0-9.]+(e[+-]?[0-9]+)?|[+-]Inf|NaN)"
)
COMMENT = re.compile(r"# (HELP|TYPE) [a-zA-Z_:][a-zA-Z0-9_:]* .+")


def check(page: str) -> list[str]:
    assert page.endswith("\n")
    lines = page[:-1].split("\n")
    for line in lines:
        assert (COMMENT if line.startswith("#") else SAMPLE).fullmatch(line), line
    return [line for line in lines if not line.startswith("#")]


def test_a_counter_counts_for_each_set_of_labels() -> None:
    metrics = Metrics()
    counter = metrics.counter("wayhouse_requests_total", "Requests answered.")
    counter.inc(path="/a", method="GET")
    counter.inc(2, method="GET", path="/a")
    counter.inc(path="/b", method="PUT")
    assert counter.value(path="/a", method="GET") == 3
    assert counter.value(path="/c") == 0
    assert check(metrics.render()) == [
        'wayhouse_requests_total{method="GET",path="/a"} 3',
        'wayhouse_requests_total{method="PUT",path="/b"} 1',
    ]


def test_a_gauge_is_read_when_asked() -> None:
    values = [1.0]
    metrics = Metrics()
    metrics.gauge("wayhouse_chutes", "Installed chutes.", lambda: [({}, values[0])])
    assert check(metrics.render()) == ["wayhouse_chutes 1"]
    values[0] = 2.5
    assert check(metrics.render()) == ["wayhouse_chutes 2.5"]


@given(st.lists(st.floats(0, 100), max_size=30))
def test_a_histogram_adds_up(values: list[float]) -> None:
    metrics = Metrics()
    histogram = metrics.histogram("wayhouse_seconds", "Time.")
    for value in values:
        histogram.observe(value, path="/")
    samples = {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in check(metrics.render())}
    if not values:
        assert samples == {}
        return
    for bound in (0.001, 0.1, 1.0, 10.0):
        name = f'wayhouse_seconds_bucket{{path="/",le="{bound:g}"}}'
        assert samples[name] == sum(value <= bound for value in values)
    assert samples['wayhouse_seconds_bucket{path="/",le="+Inf"}'] == len(values)
    assert samples['wayhouse_seconds_count{path="/"}'] == len(values)
    assert math.isclose(samples['wayhouse_seconds_sum{path="/"}'], sum(values))


@given(st.text(), st.floats(allow_nan=True, allow_infinity=True))
def test_any_label_and_value_can_be_read(label: str, value: float) -> None:
    metrics = Metrics()
    metrics.gauge("g", "A gauge.", lambda: [({"chute": label}, value)])
    [line] = check(metrics.render())
    read = float(line.rpartition(" ")[2])
    assert read == value or math.isnan(value)


def test_help_stays_on_its_line() -> None:
    metrics = Metrics()
    metrics.counter("c", "Two\nlines and a \\.")
    assert "# HELP c Two\\nlines and a \\\\." in metrics.render().splitlines()


def test_a_name_is_registered_once() -> None:
    metrics = Metrics()
    metrics.counter("c", "C.")
    with pytest.raises(ValueError, match="twice"):
        metrics.histogram("c", "C.")


def test_a_counter_that_is_kept_elsewhere():
    metrics = Metrics()
    metrics.reading_counter("wayhouse_read_total", "Read.", lambda: [({"kind": "a"}, 3.0)])
    assert "# TYPE wayhouse_read_total counter" in metrics.render()
    assert 'wayhouse_read_total{kind="a"} 3' in metrics.render()
