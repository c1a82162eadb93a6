import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.devices import names
from wayhouse.devices.model import BadDeviceError


@pytest.mark.parametrize("name", ["boiler", "28-000005e2fdc3", "Küche oben", "a", "x" * 64])
def test_good_names(name):
    assert names.check(name) == name


@pytest.mark.parametrize(
    "name", ["", " a", "a ", "a.b", "a|b", "a/b", "a\nb", "a\0", "x" * 65, None, 7, ["a"]]
)
def test_bad_names(name):
    with pytest.raises(BadDeviceError):
        names.check(name)


@given(st.text(max_size=80))
def test_a_name_never_holds_a_separator(name):
    with contextlib.suppress(BadDeviceError):
        assert not set(names.check(name)) & set("./|\n\0")


def test_full_names():
    assert names.fullname("here.fake", "tv") == "here.fake.tv"
    assert names.fullname("here.fake", "tv", "volume") == "here.fake.tv.volume"
    assert names.fullname("", "tv") == "tv"


def test_references():
    assert names.split("tv-volume") == ("tv", "volume")
    assert names.split("28-00-volume") == ("28-00", "volume")
    assert names.split("tv") == ("tv", "")
