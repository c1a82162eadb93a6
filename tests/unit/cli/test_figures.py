import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.cli.figures import count, moment, seconds_of, size, span


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1536, "1.5 KiB"),
        (200 * 2**20, "200 MiB"),
        (3 * 2**40, "3.0 TiB"),
        (2**70, "1048576 PiB"),
    ],
)
def test_sizes(value, text):
    assert size(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(-1, "0.0 s"), (0.26, "0.3 s"), (59, "59 s"), (60, "1 min"), (3725, "1 h 2 min"), (90061, "1 d 1 h")],
)
def test_spans(value, text):
    assert span(value) == text


def test_moments(monkeypatch):
    assert moment(None) == ""
    assert moment(1e30) == ""
    assert moment(float("nan")) == ""
    assert len(moment(1_700_000_000)) == len("2023-11-14 22:13:20")


def test_counts():
    assert (count(1, "app"), count(0, "app")) == ("1 app", "0 apps")


@given(st.floats())
def test_no_moment_breaks_it(value):
    moment(value)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("1.5h", 5400),
        ("7d", 604_800),
        ("2w", 1_209_600),
        ("", None),
        ("d", None),
        ("-1d", None),
        ("²d", None),
    ],
)
def test_spans_are_read(text, seconds):
    assert seconds_of(text) == seconds


@given(st.text())
def test_any_text_is_a_span_or_none(text):
    assert (seconds_of(text) or 0.0) >= 0.0
