import contextlib
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.devices.drivers.modbus_words import MAX_BITS, MAX_WORDS, Block, blocks, value_of, words_of
from wayhouse.devices.drivers.settings import ModbusPoint
from wayhouse.devices.model import BadValueError, DeviceNotReadyError


def point(address=0, **more):
    return ModbusPoint(name="x", address=address, **more)


@pytest.mark.parametrize(
    ("kind", "words", "value"),
    [
        ("u16", [65535], 65535),
        ("i16", [65535], -1),
        ("u32", [1, 2], 65538),
        ("i32", [65535, 65534], -2),
        ("f32", struct.unpack(">2H", struct.pack(">f", -1.5)), -1.5),
    ],
)
def test_numbers(kind, words, value):
    assert value_of(point(type=kind), list(words)) == value
    assert words_of(point(type=kind), value) == list(words)
    assert value_of(point(type=kind, word_order="little"), list(words)[::-1]) == value


def test_scale_and_offset():
    scaled = point(scale=0.1, offset=-40.0)
    assert value_of(scaled, [615]) == pytest.approx(21.5)
    assert words_of(scaled, 21.5) == [615]
    assert value_of(point(kind="coil"), [True]) is True


def test_what_does_not_fit():
    for kind, value in (("u16", -1), ("u16", 65536), ("i16", 40000), ("i32", 2**31), ("f32", 1e300)):
        with pytest.raises(BadValueError, match="does not fit"):
            words_of(point(type=kind), value)
    for nothing in (math.nan, math.inf):
        with pytest.raises(DeviceNotReadyError):
            value_of(point(type="f32"), list(struct.unpack(">2H", struct.pack(">f", nothing))))
    with pytest.raises(DeviceNotReadyError, match="fewer"):
        value_of(point(type="u32"), [1])


def test_neighbours_are_read_together():
    wanted = [
        point(4),
        point(0, type="u32"),
        point(2),
        point(6),
        point(1, kind="input"),
        point(3, kind="coil"),
    ]
    assert blocks(wanted, max_gap=0) == [
        Block("coil", 3, 1),
        Block("holding", 0, 3),
        Block("holding", 4, 1),
        Block("holding", 6, 1),
        Block("input", 1, 1),
    ]
    assert Block("holding", 0, 7) in blocks(wanted, max_gap=1)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 400),
            st.sampled_from(["coil", "discrete", "holding", "input"]),
            st.sampled_from(["u16", "u32"]),
        )
    ),
    st.integers(0, 100),
)
def test_every_point_is_in_a_block_that_may_be_asked_for(wanted, gap):
    points = [point(address, kind=kind, type=type_) for address, kind, type_ in wanted]
    found = blocks(points, max_gap=gap)
    assert len(found) <= len(points)
    for one in points:
        end = one.address + one.words
        assert any(
            b.kind == one.kind and b.address <= one.address and end <= b.address + b.count for b in found
        )
    assert all(one.count <= (MAX_BITS if one.kind in {"coil", "discrete"} else MAX_WORDS) for one in found)


@given(
    st.sampled_from(["u16", "i16", "u32", "i32", "f32"]),
    st.lists(st.integers(0, 65535), max_size=3),
    st.floats(),
    st.floats(-1e12, 1e12).filter(bool),
)
def test_nothing_breaks_it(kind, words, value, scale):
    one = point(type=kind, scale=scale)
    with contextlib.suppress(DeviceNotReadyError):
        value_of(one, words)
    with contextlib.suppress(BadValueError):
        assert all(0 <= word <= 65535 for word in words_of(one, value))
