import pytest

from wayhouse.devices import log as module
from wayhouse.devices.log import DeviceLog
from wayhouse.devices.recorder import Recorder


@pytest.fixture
def device_log(database):
    return DeviceLog(database)


@pytest.fixture
def keep(database, clock, device_log):
    return Recorder(database, clock, [device_log]).keep


async def test_newest_first_whether_on_disk_or_not(device_log, keep):
    device_log.add("d", 1.0, "added", "one")
    await keep()
    device_log.add("d", 2.0, "command", "two", "ann")
    device_log.add("e", 2.0, "added", "other")
    assert [(one.number, one.text, one.who) for one in device_log.entries("d", limit=9)] == [
        (2, "two", "ann"),
        (1, "one", ""),
    ]
    assert [one.text for one in device_log.entries("d", limit=1)] == ["two"]
    assert [one.text for one in device_log.entries("d", limit=9, before=2)] == ["one"]


async def test_it_is_bounded_and_counts_on(device_log, keep, database, monkeypatch):
    monkeypatch.setattr(module, "SLOTS", 5)
    for number in range(12):
        device_log.add("d", float(number), "command", str(number))
        await keep()
    assert database.read("SELECT count(*) FROM device_log") == [(5,)]
    assert [one.text for one in device_log.entries("d", limit=99)] == ["11", "10", "9", "8", "7"]
    again = DeviceLog(database)
    assert again.add("d", 99.0, "command", "x").number == 13
    assert [one.text for one in again.entries("d", limit=99)] == ["x", "11", "10", "9", "8"]


def test_long_texts_are_cut(device_log):
    entry = device_log.add("d", 1.0, "command", "x" * 9999, "y" * 9999)
    assert (len(entry.text), len(entry.who)) == (module.MAX_TEXT, module.MAX_WHO)


async def test_forgetting(device_log, keep, database):
    device_log.add("d", 1.0, "added", "one")
    await keep()
    device_log.add("d", 1.0, "command", "two")
    await device_log.forget("d")
    await keep()
    assert database.read("SELECT count(*) FROM device_log") == [(0,)]
    assert device_log.entries("d", limit=9) == []


def test_what_was_not_written_waits_again(device_log):
    device_log.add("d", 1.0, "added", "one")
    assert device_log.begin(0.0) is not None
    device_log.add("d", 2.0, "command", "two")
    device_log.end(is_kept=False)
    assert [one.text for one in device_log.entries("d", limit=9)] == ["two", "one"]


def test_memory_is_bounded(device_log, monkeypatch):
    monkeypatch.setattr(module, "MAX_WAITING", 2)
    for _ in range(5):
        device_log.add("d", 1.0, "command", "x")
    assert len(device_log._waiting) == 2
