from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.portal import values


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "°C", "–"),  # noqa: RUF001 - an en dash is what is shown
        ("", "", "–"),  # noqa: RUF001 - an en dash is what is shown
        (True, "W", "on"),
        (False, "", "off"),
        (21.456, "°C", "21.46 °C"),
        (1013.25, "hPa", "1013 hPa"),
        (0.00217, "", "0.00217"),
        (-3.0, "", "-3"),
        (7, "%", "7 %"),
        (1e300, "", "1e+300"),
        ("two\nlines", "", "two lines"),
        ({"a": [1]}, "", '{"a":[1]}'),
    ],
)
def test_values_for_people(value, unit, text):
    assert values.shown(value, unit) == text


def test_a_field_gets_what_it_can_give_back():
    assert [values.editable(one) for one in (None, "a", True, 1.5, [1])] == ["", "a", "true", "1.5", "[1]"]
    assert values.moment_of(0) == "1970-01-01 00:00:00 UTC"
    assert values.moment_of("x") == values.NOT_KNOWN


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=200)
@given(JSON)
def test_anything_has_a_text_of_one_line(value):
    text = values.shown(value)
    assert 0 < len(text) <= 330
    assert "\n" not in text
