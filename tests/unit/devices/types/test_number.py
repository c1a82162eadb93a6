import pytest

from wayhouse.devices.model import BadDeviceError, BadValueError
from wayhouse.devices.types.number import NumberDevice


def test_bounds_and_unit_are_in_the_config():
    value = NumberDevice({"oid": "number", "name": "x", "minimum": 5, "maximum": 30, "unit": "°C"}).command(
        "value"
    )
    assert (value.check(21), value.unit, value.idempotent) == (21.0, "°C", True)
    for bad in (4, 31):
        with pytest.raises(BadValueError):
            value.check(bad)
    assert NumberDevice({"oid": "number", "name": "x"}).command("value").check(-1e9) == -1e9
    with pytest.raises(BadDeviceError):
        NumberDevice({"oid": "number", "name": "x", "minimum": "low"})
