import pytest

from wayhouse.base.errors import BadInputError
from wayhouse.devices.buckets import ARCHIVES
from wayhouse.devices.graph import SPANS, Line, span_s


def test_the_spans_are_what_the_archives_keep():
    assert [span_s(name) for name in SPANS] == [one.span_s for one in ARCHIVES]
    with pytest.raises(BadInputError):
        span_s("decade")


def test_a_title_names_what_is_not_the_main_value():
    assert Line("x", "boiler", "value", "°C", ()).title == "boiler"
    assert Line("x", "roof", "direction", "°", ()).title == "roof direction"
