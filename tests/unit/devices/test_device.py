import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.devices.device import BaseDevice, decode
from wayhouse.devices.model import (
    BadDeviceError,
    CommandNotAllowedError,
    DeviceFieldMissingError,
    NoSuchCommandError,
    UnknownTypeError,
)
from wayhouse.devices.types.media import MediaTV
from wayhouse.devices.types.sensor import SensorTemperature

BOILER = {"oid": "sensor.temperature", "name": "boiler", "unit": "F", "shelf": [1, 2]}


@pytest.fixture
def boiler():
    return SensorTemperature(json=json.dumps(BOILER))


def test_json_gives_back_exactly_what_was_given(boiler):
    assert json.loads(boiler.json) == boiler.config == BOILER
    assert SensorTemperature.new(json=boiler.json).config == BOILER


def test_the_name_is_in_the_config_too(boiler):
    boiler.name = "kettle"
    assert (boiler.name, boiler.config["name"]) == ("kettle", "kettle")
    assert boiler.fullname("here.onewire") == "here.onewire.kettle"


def test_a_bad_name_changes_nothing(boiler):
    with pytest.raises(BadDeviceError):
        boiler.name = "a|b"
    assert boiler.name == boiler.config["name"] == "boiler"


def test_the_config_shares_nothing_with_what_was_given():
    given_ = dict(BOILER, shelf=[1])
    device = SensorTemperature(json=given_)
    given_["shelf"].append(2)
    assert device.config["shelf"] == [1]


@pytest.mark.parametrize("missing", ["oid", "name"])
def test_missing_fields_are_key_errors_as_well(missing):
    with pytest.raises(KeyError) as caught:
        BaseDevice(json={key: "base" for key in ("oid", "name") if key != missing})
    assert isinstance(caught.value, DeviceFieldMissingError)
    assert missing in str(caught.value)


def test_another_type_is_refused():
    with pytest.raises(UnknownTypeError):
        SensorTemperature(json={"oid": "sensor.wind", "name": "x"})


@pytest.mark.parametrize("more", [{"poll": -2}, {"poll": "1"}, {"log": 1}, {"unit": 3}, {"area": "x" * 65}])
def test_check_says_what_the_constructor_would(more):
    assert SensorTemperature.check(BOILER)
    assert not SensorTemperature.check(BOILER | more)
    with pytest.raises(BadDeviceError, match=next(iter(more))):
        SensorTemperature(json=BOILER | more)


@given(st.one_of(st.text(), st.binary(), st.dictionaries(st.text(), st.integers() | st.text() | st.floats())))
def test_no_input_breaks_it(given_):
    with contextlib.suppress(BadDeviceError):
        BaseDevice(given_)


def test_deep_and_long_input():
    with pytest.raises(BadDeviceError):
        decode("[" * 100_000)
    with pytest.raises(BadDeviceError):
        decode({"oid": "base", "name": "x", "free": "y" * 70_000})
    with pytest.raises(BadDeviceError):
        decode({"oid": "base", "name": object()})


def test_templates_are_inherited_as_the_oids_say(boiler):
    assert list(boiler.templates) == ["base", "sensor", "sensor.temperature"]
    assert "unit" in boiler.templates["sensor"]["config"]["properties"]
    assert "unit" not in boiler.templates["base"]["config"]["properties"]
    whole = boiler.template
    assert whole["config"]["required"] == ["oid", "name"]
    assert set(whole["config"]["properties"]) == {"oid", "name", "poll", "log", "area", "unit"}
    assert whole["config"]["properties"]["poll"]["default"] == 60
    assert set(whole["commands"]) == {"commands", "config", "poll", "log", "reset", "value"}
    assert whole["commands"]["value"]["unit"] == "°C"


def test_a_type_does_not_change_its_sisters(boiler):
    boiler.template["commands"].clear()
    assert "value" in boiler.template["commands"]


def test_subdevices_in_the_template():
    inside = MediaTV.type_template()["subdevices"]
    assert set(inside) == {"volume", "channel"}
    assert "level" in inside["volume"]["commands"]


def test_own_commands(boiler):
    assert boiler.read("commands") == "commands|config|poll|log|reset|value"
    assert boiler.read("config") == BOILER
    assert (boiler.read("poll"), boiler.read("log")) == (60, True)
    boiler.write("poll", 5)
    boiler.write("log", value=False)
    assert (boiler.read("poll"), boiler.config["log"]) == (5, False)
    boiler.write("config", {"name": "other"})
    assert boiler.config == {"oid": "sensor.temperature", "name": "other"}


def test_the_unit_of_the_config_goes_before(boiler):
    assert boiler.command("value").unit == "F"


def test_what_commands_refuse(boiler):
    with pytest.raises(DeviceFieldMissingError):
        boiler.write("config", {"area": "x"})
    with pytest.raises(CommandNotAllowedError):
        boiler.write("commands", [])
    with pytest.raises(CommandNotAllowedError):
        boiler.read("reset")
    with pytest.raises(NoSuchCommandError, match="value"):
        boiler.command("nothing")
    with pytest.raises(CommandNotAllowedError):
        boiler.write("poll", -1)
    with pytest.raises(CommandNotAllowedError):
        BaseDevice({"oid": "base", "name": "x"}).write("poll", 5)


def test_commands_of_subdevices():
    tv = MediaTV({"oid": "media.tv", "name": "tv"})
    assert {"power", "volume.level", "volume.mute", "channel.number", "channel.up"} <= set(tv.all_commands())
    assert tv.command("volume.level").unit == "%"
