from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.cli.chart import ASCII, BLOCKS, chart, columns

VALUES = st.lists(st.none() | st.floats(-1e300, 1e300), max_size=60)


def test_it_rises_with_the_values():
    assert chart([0.0, 1.0, None, 2.0], height=2, unit="W") == [
        "2 W ┤   █",
        "0 W ┤▁█ █",
    ]


def test_where_only_ascii_can_be_written():
    assert "".join(chart([0.0, 1.0], height=2, blocks=ASCII)).isascii()


def test_columns_are_means():
    points = [(0.0, 1.0), (1.0, 3.0), (90.0, 7.0), (100.0, 9.0)]
    assert columns(points, 0.0, 100.0, 10) == [2.0, *[None] * 8, 8.0]


@given(VALUES, st.integers(2, 12), st.sampled_from([BLOCKS, ASCII]))
@settings(max_examples=80, deadline=None)
def test_any_values_fit(values, height, blocks):
    lines = chart(values, height=height, blocks=blocks)
    assert len(lines) in {0, height}
    assert len({line[: line.index("┤" if blocks is BLOCKS else "|")] != "" for line in lines}) <= 1
