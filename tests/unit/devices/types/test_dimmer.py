import pytest

from wayhouse.devices.model import BadValueError
from wayhouse.devices.types.dimmer import DimmerDevice


def test_a_level_in_per_cent():
    level = DimmerDevice({"oid": "dimmer", "name": "hall"}).command("level")
    assert (level.check(0), level.check(100), level.unit) == (0, 100, "%")
    with pytest.raises(BadValueError):
        level.check(101)
