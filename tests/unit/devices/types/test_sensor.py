import pytest

from wayhouse.devices.model import BadValueError, CommandNotAllowedError
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
