from __future__ import annotations

import msgspec

from wayhouse.portal.device_rows import Standing, Wanted, in_order, row_of, standing_of


async def test_a_row_shows_what_matters(house):
    tv, roof, lamp = [await house.device(name) for name in ("tv", "roof", "lamp")]
    row = row_of(roof, house.devices.commands(roof.id))
    assert [name for name, _ in row.values] == ["value", "direction"]
    assert (row.toggle, row.standing, row.label) == (None, Standing.HERE, "Available")
    row = row_of(tv, house.devices.commands(tv.id))
    assert (row.toggle, row.is_on) == ("power", False)
    assert [name for name, _ in row.values] == ["volume.level", "volume.mute", "channel.number"]
    before = row_of(lamp, house.devices.commands(lamp.id))
    await house.devices.command(lamp.id, "power", True)
    after = row_of(house.devices.get("lamp"), house.devices.commands(lamp.id))
    assert (before.is_on, after.is_on, before.stamp == after.stamp) == (False, True, True)
    moved = row_of(await house.devices.move(lamp.id, "Hall"), house.devices.commands(lamp.id))
    assert moved.stamp != before.stamp


async def test_standing_and_order(house):
    one = await house.device("lamp")
    change = msgspec.structs.replace
    assert standing_of(change(one, is_available=False)) is Standing.AWAY
    assert standing_of(change(one, is_available=False, last_seen=None)) is Standing.NEW
    many = [change(one, name=name, area=area) for name, area in (("z", ""), ("b", "Hall"), ("A", "hall"))]
    assert [found.name for found in in_order(many)] == ["A", "b", "z"]


async def test_what_is_wanted(house):
    one = msgspec.structs.replace(await house.device("lamp"), area="Hall")
    assert Wanted().fits(one)
    assert Wanted("LAMP sw", "Hall", "fake", "running").fits(one)
    for wanted in (Wanted("other"), Wanted(area="-"), Wanted(driver="x"), Wanted(state="failing")):
        assert not wanted.fits(one)
    assert Wanted(area="-").fits(msgspec.structs.replace(one, area=""))
