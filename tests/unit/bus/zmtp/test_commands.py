import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.bus.model import MalformedError
from wayhouse.bus.zmtp import commands

names = st.binary(min_size=1, max_size=255).map(bytes.lower)


@given(names, st.binary(max_size=600))
def test_a_command_comes_back(name, data):
    assert commands.parse(commands.build(name, data)) == (name, data)


def test_a_frame_has_a_short_size_or_a_long_one():
    assert commands.frame(b"x" * 255) == b"\x04\xff" + b"x" * 255
    assert commands.frame(b"x" * 256) == b"\x06" + bytes(6) + b"\x01\x00" + b"x" * 256
    assert commands.frame(b"ab", 0) == b"\x00\x02ab"


@given(st.dictionaries(names, st.binary(max_size=300), max_size=20))
def test_properties_come_back(properties):
    assert commands.parse_properties(commands.build_properties(properties)) == properties


@given(st.binary(max_size=100))
def test_any_bytes_are_understood_or_malformed(data):
    for parse in (commands.parse, commands.parse_properties):
        try:
            parse(data)
        except MalformedError:
            continue


@pytest.mark.parametrize("data", [b"", b"\0", b"\5READ", b"\1"])
def test_what_is_no_command_is_told(data):
    with pytest.raises(MalformedError):
        commands.parse(data)


@pytest.mark.parametrize("data", [b"\0\0\0\0\0", b"\1a", b"\1a\0\0\0\2x", b"\5abc"])
def test_what_are_no_properties_is_told(data):
    with pytest.raises(MalformedError):
        commands.parse_properties(data)


def test_the_case_of_a_property_does_not_matter():
    assert commands.parse_properties(b"\x0bSocket-TYPE\0\0\0\3REQ") == {b"socket-type": b"REQ"}
