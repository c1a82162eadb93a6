import pytest

from wayhouse.devices.model import BadValueError, CommandNotAllowedError
from wayhouse.devices.register import standard_register
from wayhouse.devices.types.sensor import SensorDevice, SensorTemperature, SensorWind


def test_a_sensor_is_polled_and_remembered_unless_told_otherwise():
    sensor = SensorTemperature({"oid": "sensor.temperature", "name": "x"})
    assert (sensor.known.poll, sensor.known.log) == (60, True)
    assert sensor.command("value").unit == "°C"
    assert issubclass(SensorTemperature, SensorDevice)


def test_wind_has_a_direction():
    wind = SensorWind({"oid": "sensor.wind", "name": "x"})
    assert wind.command("direction").check(360) == 360
    with pytest.raises(BadValueError):
        wind.command("value").check(-1)
    with pytest.raises(CommandNotAllowedError):
        wind.command("value").require_writable()


def test_other_measures():
    register = standard_register()
    units = {
        "sensor.humidity": "%",
        "sensor.power": "W",
        "sensor.energy": "kWh",
        "sensor.pressure": "hPa",
        "sensor.light": "lx",
        "sensor.number": "",
    }
    for oid, unit in units.items():
        value = register.new({"oid": oid, "name": "x"}).command("value")
        assert (value.unit, value.check(50), value.readonly) == (unit, 50.0, True)
    with pytest.raises(BadValueError):
        register.new({"oid": "sensor.humidity", "name": "x"}).command("value").check(101)
    assert register.new({"oid": "sensor.binary", "name": "x"}).command("value").check(value=True) is True
    assert register.new({"oid": "sensor.text", "name": "x"}).command("value").check("dry") == "dry"
