import subprocess
import sys

import pytest

from wayhouse.base import codec
from wayhouse.base.errors import BadInputError
from wayhouse.devices.drivers import choose
from wayhouse.devices.drivers.settings import DeviceSettings


@pytest.fixture
def names(clock, tmp_path, monkeypatch):
    monkeypatch.setattr(choose, "ONEWIRE", tmp_path / "w1")

    def chosen(**section):
        settings = codec.convert(section, DeviceSettings)
        drivers = choose.drivers_of(settings, clock=clock, pictures=tmp_path / "pictures", host="here")
        found = [one.name for one in drivers]
        for one in drivers:
            one.close()
        return found

    return chosen


def test_only_what_is_asked_for(names, tmp_path):
    assert names() == []
    assert names(fake=True) == ["fake"]
    assert names(mqtt={"host": "x"}) == ["mqtt"]
    assert names(mqtt={"host": "x", "discover": False}) == []
    assert names(modbus={"hosts": [{"host": "x"}]}) == ["modbus"]
    assert names(gpio={"pins": [{"name": "a", "pin": "1", "kind": "switch"}]}) == ["gpio"]
    assert names(cameras=[{"name": "a", "url": "http://x"}]) == ["camera"]


def test_one_wire_where_there_is_a_bus(names, tmp_path):
    assert names(onewire=str(tmp_path / "elsewhere")) == ["onewire"]
    (tmp_path / "w1").mkdir()
    assert names() == ["onewire"]
    assert names(onewire="") == []


def test_points_that_do_not_fit_are_refused_at_the_start(names):
    with pytest.raises(BadInputError):
        names(modbus={"hosts": [{"host": "x", "points": [{"name": "a", "address": 0, "oid": "no"}]}]})


def test_libraries_are_not_loaded_for_drivers_that_are_not_there():
    code = (
        "import sys; from pathlib import Path; from wayhouse.base.clock import SystemClock; "
        "from wayhouse.devices.drivers import choose, mqtt, mqtt_bridge, modbus, gpio, camera; "
        "from wayhouse.devices.drivers.settings import DeviceSettings; "
        "choose.drivers_of(DeviceSettings(fake=True), clock=SystemClock(), pictures=Path('p')); "
        "print([one for one in ('paho', 'pymodbus', 'gpiozero', 'aiohttp') if one in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "[]\n"
