from __future__ import annotations

from wayhouse.devices.command import Command, ValueType
from wayhouse.portal.controls import controls


async def test_each_kind_of_command_has_its_control(house):
    tv, hall, boiler = [await house.device(name) for name in ("tv", "hall", "boiler")]
    found = {one.command: one for one in controls(tv, house.devices.commands(tv.id))}
    assert {name: one.kind for name, one in found.items()} == {
        "power": "switch",
        "volume.level": "slider",
        "volume.mute": "switch",
        "volume.up": "button",
        "volume.down": "button",
        "channel.number": "number",
        "channel.up": "button",
        "channel.down": "button",
    }
    assert (found["volume.level"].group, found["volume.level"].title) == ("volume", "Volume: level")
    assert found["volume.level"].id == "c-volume-level"
    level = controls(hall, house.devices.commands(hall.id))[0]
    assert (level.low, level.high, level.step, level.unit, level.text) == (0, 100, "1", "%", "0 %")
    value = controls(boiler, house.devices.commands(boiler.id))[0]
    assert (value.kind, value.has_history, value.text.endswith(" °C")) == ("value", True, True)


async def test_other_types_of_values(house):
    boiler = await house.device("boiler")
    commands = {
        "mode": Command(name="mode", info="m", valuetype=ValueType.STR, choices=("a", "b")),
        "note": Command(name="note", info="n", valuetype=ValueType.STR),
        "all": Command(name="all", info="l", valuetype=ValueType.LIST),
        "wide": Command(name="wide", info="w", valuetype=ValueType.REAL, minimum=0, maximum=1e6),
        "own": Command(name="own", info="o", valuetype=ValueType.BOOL, is_live=False),
    }
    found = controls(boiler, commands)
    assert [(one.command, one.kind) for one in found] == [
        ("mode", "choice"),
        ("note", "text"),
        ("all", "json"),
        ("wide", "number"),
    ]
    assert (found[1].field, found[1].text, found[1].time) == ("", "–", None)  # noqa: RUF001 - as shown


async def test_a_clock_shows_a_time(house):
    rtc = await house.device("rtc")
    assert controls(rtc, house.devices.commands(rtc.id))[0].text.endswith(" UTC")
