# covers: cli/device_words.py
import pytest

from wayhouse.base.errors import BadInputError
from wayhouse.cli.device_words import plain, value_of


def test_the_list(device):
    shown = device("ls").out
    assert shown.splitlines()[0].split() == ["NAME", "TYPE", "AREA", "DRIVER", "STATE", "VALUE", "SEEN"]
    assert "boiler" in shown
    assert "°C" in shown
    assert {one["name"] for one in device("ls", "--json").json} == {
        "boiler",
        "hall",
        "lamp",
        "roof",
        "rtc",
        "tv",
    }
    assert "No devices" in device("ls", "--area", "nowhere").err


def test_one_device(device, cli):
    shown = device("show", "tv").out
    assert "tv-volume" in shown
    assert "volume.level" in shown
    assert device("show", "tv", "--json").json["oid"] == "media.tv"
    missing = cli("device", "show", "nobody")
    assert (missing.code, missing.err.count("\n")) == (1, 1)


def test_values_are_told_and_read(device, cli):
    assert device("set", "lamp", "power", "on").out == "lamp: power is on.\n"
    assert device("get", "lamp", "power").out == "on\n"
    assert device("set", "tv-volume", "level", "20").out == "tv-volume: level is 20 %.\n"
    assert device("get", "tv-volume", "level", "--fresh").out == "20 %\n"
    assert device("get", "tv", "volume.level", "--json").json["value"] == 20
    assert "°C" in device("get", "boiler").out
    assert device("get", "lamp").out == "on\n"
    assert cli("device", "set", "lamp", "power", "maybe").code == 2
    assert cli("device", "set", "hall", "level", "900").code == 1
    assert device("set", "hall", "level", "7", "--json").json["value"] == 7


def test_types_and_drivers(device):
    shown = device("types").out
    assert "dimmer" in shown
    assert "volume, channel" in shown
    assert "config" in device("types", "--json").json["switch"]
    assert device("drivers").out.splitlines()[1].split()[:3] == ["fake", "ok", "6"]
    assert device("drivers", "--json").json[0]["is_well"] is True


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [("on", "Bool", True), ("No", "Bool", False), ("1", "Str", "1"), ("1", "Int", 1), ("[1]", "List", [1])],
)
def test_what_people_write(text, kind, value):
    assert value_of(text, kind) == value


@pytest.mark.parametrize(("text", "kind"), [("maybe", "Bool"), ("x", "Int"), ("", "Dict")])
def test_what_nobody_should_write(text, kind):
    with pytest.raises(BadInputError):
        value_of(text, kind)


def test_how_values_are_shown():
    shown = [plain(True), plain(21.456, "°C"), plain(12345.67), plain([1, 2]), plain("x" * 99)]
    assert shown[:4] == ["on", "21.46 °C", "12345.7", "[1,2]"]
    assert len(shown[4]) == 61
