import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.devices.command import Command, DataSource, ValueType
from wayhouse.devices.model import BadValueError, CommandNotAllowedError


def command(kind=ValueType.REAL, **more):
    return Command(name="c", info="a command", valuetype=kind, **more)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (ValueType.LIST, [1, "a"]),
        (ValueType.BOOL, True),
        (ValueType.BYTE, 255),
        (ValueType.INT, -7),
        (ValueType.REAL, 1.5),
        (ValueType.STR, ""),
        (ValueType.SCH, "0 7 * * *"),
        (ValueType.DICT, {"a": [1]}),
    ],
)
def test_values_of_each_type(kind, value):
    assert command(kind).check(value) == value


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (ValueType.LIST, "a"),
        (ValueType.BOOL, 1),
        (ValueType.BYTE, 256),
        (ValueType.BYTE, -1),
        (ValueType.BYTE, True),
        (ValueType.INT, 1.5),
        (ValueType.INT, 2**70),
        (ValueType.REAL, math.nan),
        (ValueType.REAL, math.inf),
        (ValueType.REAL, "1"),
        (ValueType.STR, 1),
        (ValueType.STR, "x" * 70_000),
        (ValueType.DICT, {1: 2}),
        (ValueType.DICT, {"a": object()}),
        (ValueType.LIST, None),
    ],
)
def test_values_that_are_refused(kind, value):
    with pytest.raises(BadValueError):
        command(kind).check(value)


def test_whole_numbers_are_real_ones_too():
    assert isinstance(command().check(3), float)


def test_bounds_and_choices():
    level = command(ValueType.BYTE, maximum=100)
    assert level.check(100) == 100
    with pytest.raises(BadValueError, match="0 to 100"):
        level.check(101)
    with pytest.raises(BadValueError, match="one of on, off"):
        command(ValueType.STR, choices=("on", "off")).check("half")


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (ValueType.STR, "7", "7"),
        (ValueType.INT, "7", 7),
        (ValueType.REAL, "7", 7.0),
        (ValueType.BOOL, "true", True),
        (ValueType.DICT, '{"a":1}', {"a": 1}),
    ],
)
def test_values_from_text(kind, text, value):
    assert command(kind).from_text(text) == value


@given(st.sampled_from(list(ValueType)), st.text(max_size=50))
def test_no_text_breaks_it(kind, text):
    described = command(kind)
    with contextlib.suppress(BadValueError):
        described.check(described.from_text(text))


def test_read_and_write_flags():
    with pytest.raises(CommandNotAllowedError) as caught:
        command(readonly=True).require_writable()
    assert caught.value.status == 405
    with pytest.raises(CommandNotAllowedError):
        command(writeonly=True).require_readable()
    command().require_readable()
    command().require_writable()


def test_description():
    assert command(ValueType.BYTE, unit="%", datasource=DataSource.GAUGE, maximum=100).description() == {
        "info": "a command",
        "valuetype": "Byte",
        "unit": "%",
        "readonly": False,
        "writeonly": False,
        "idempotent": True,
        "datasource": "GAUGE",
        "schema": {"type": "integer", "minimum": 0, "maximum": 100},
    }
    shown = command(ValueType.STR, choices=("a",)).description()["schema"]
    assert shown == {"type": "string", "enum": ["a"]}
