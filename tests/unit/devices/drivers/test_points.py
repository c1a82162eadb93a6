import pytest

from wayhouse.base.errors import BadInputError
from wayhouse.devices.drivers.points import command_of, require_complete
from wayhouse.devices.register import standard_register


def named(oid, command=""):
    return command_of(standard_register(), oid, {"name": "x"}, command, what="x").name


def test_the_main_command_of_a_type_is_its_own():
    assert [named(oid) for oid in ("switch", "dimmer", "sensor.binary", "number", "button")] == [
        "power",
        "level",
        "value",
        "value",
        "press",
    ]
    assert named("sensor.wind", "direction") == "direction"


@pytest.mark.parametrize(("oid", "command"), [("nothing", ""), ("switch", "value"), ("switch", "config")])
def test_what_is_not_there(oid, command):
    with pytest.raises(BadInputError, match="devices: x"):
        named(oid, command)


def test_all_values_of_a_device_need_a_point():
    register = standard_register()
    require_complete(register, "sensor.wind", ["", "direction"], what="roof")
    with pytest.raises(BadInputError, match="direction too"):
        require_complete(register, "sensor.wind", [""], what="roof")
    with pytest.raises(BadInputError, match="power twice"):
        require_complete(register, "switch", ["", "power"], what="lamp")
