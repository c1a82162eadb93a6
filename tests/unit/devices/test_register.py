import json

import pytest

from wayhouse.devices.device import BaseDevice
from wayhouse.devices.model import TypeTakenError, UnknownTypeError
from wayhouse.devices.register import DeviceRegister, standard_register
from wayhouse.devices.types.media import MediaCamera
from wayhouse.devices.types.sensor import SensorTemperature, SensorWind


def test_the_types_that_ship():
    assert standard_register().oids() == [
        "button",
        "clock",
        "dimmer",
        "media.camera",
        "media.tv",
        "number",
        "sensor.binary",
        "sensor.energy",
        "sensor.humidity",
        "sensor.light",
        "sensor.number",
        "sensor.power",
        "sensor.pressure",
        "sensor.temperature",
        "sensor.text",
        "sensor.wind",
        "switch",
    ]


def test_a_device_from_its_json():
    given = {"oid": "sensor.temperature", "name": "boiler", "unit": "C"}
    device = standard_register().new(json=json.dumps(given))
    assert type(device) is SensorTemperature
    assert json.loads(device.json) == given


@pytest.mark.parametrize("oid", ["sensor", "nothing", "", None, 7, ["sensor.wind"]])
def test_unknown_types_are_assertion_errors_as_well(oid):
    with pytest.raises(AssertionError) as caught:
        standard_register().new(json={"oid": oid, "name": "x"})
    assert isinstance(caught.value, UnknownTypeError)


def test_check():
    register = standard_register()
    assert register.check(json='{"oid": "switch", "name": "lamp"}')
    assert not register.check(json='{"oid": "switch"}')
    assert not register.check(json="{")
    assert not register.check(json='{"oid": "x", "name": "y"}')


def test_own_types_given_as_class_or_prototype():
    class Smoke(BaseDevice):
        oid = "sensor.smoke"

    register = DeviceRegister()
    register.register(Smoke)
    register.register(SensorWind(json={"oid": "sensor.wind", "name": "prototype"}))
    assert type(register.new(json={"oid": "sensor.smoke", "name": "x"})) is Smoke
    assert register.oids() == ["sensor.smoke", "sensor.wind"]
    with pytest.raises(TypeTakenError) as caught:
        register.register(Smoke)
    assert isinstance(caught.value, AssertionError)


def test_registers_share_nothing():
    first = standard_register()
    with pytest.raises(TypeTakenError):
        first.register(MediaCamera)
    assert DeviceRegister().oids() == []


def test_templates_are_plain_json():
    assert (
        json.loads(json.dumps(standard_register().templates()))["dimmer"]["commands"]["level"]["unit"] == "%"
    )
