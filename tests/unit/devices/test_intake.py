import pytest

from wayhouse.devices import readings
from wayhouse.devices.command import Command, DataSource, ValueType
from wayhouse.devices.device import BaseDevice
from wayhouse.devices.intake import Intake
from wayhouse.devices.log import DeviceLog
from wayhouse.devices.model import DeviceChanged, DeviceNoted, DeviceNotReadyError, LogEntry, ReadingTaken
from wayhouse.devices.readings import Readings
from wayhouse.devices.record import Record
from wayhouse.devices.types.sensor import SensorTemperature


class Meter(BaseDevice):
    oid = "meter"
    own_commands = (
        Command(name="energy", info="pulses", valuetype=ValueType.INT, datasource=DataSource.COUNTER),
    )


@pytest.fixture
def intake(database, events):
    return Intake("here", Readings(database), DeviceLog(database), events)


def boiler(**more):
    device = SensorTemperature({"oid": "sensor.temperature", "name": "boiler"} | more)
    return Record("id1", "fake", "x", device)


async def test_a_value_is_kept_published_and_remembered(intake, events):
    record = boiler()
    with events.subscribe(ReadingTaken) as facts:
        assert intake.take(record, "value", 21, 1000.0) == 21.0
        assert await anext(facts) == ReadingTaken(
            "id1", "boiler", "here.fake.boiler", "value", 21.0, "°C", 1000.0
        )
    assert record.values["value"].value == 21.0
    assert [one.mean for one in intake.readings.between("id1", "value", 990, 1000, now=1000)] == [21.0]


async def test_without_log_there_is_no_history(intake):
    record = boiler(log=False)
    intake.take(record, "value", 21.0, 1000.0)
    assert intake.readings.between("id1", "value", 990, 1000, now=1000) == []


async def test_a_value_that_does_not_fit_is_not_believed(intake):
    record = boiler()
    with pytest.raises(DeviceNotReadyError):
        intake.take(record, "value", "warm", 1000.0)
    assert record.values == {}


async def test_counters_become_rates(intake):
    record = Record("id2", "fake", "y", Meter({"oid": "meter", "name": "m", "log": True}))
    for time, value in ((1000.0, 5), (1010.0, 25), (1020.0, 65)):
        intake.take(record, "energy", value, time)
    (bucket,) = intake.readings.between("id2", "energy", 960, 1020, now=1020, points=1)
    assert (bucket.count, bucket.minimum, bucket.maximum) == (2, 2.0, 4.0)
    intake.forget(record)
    intake.take(record, "energy", 0, 1021.0)
    assert record.values["energy"].value == 0


def test_without_room_for_its_history_a_value_is_not_lost(intake, monkeypatch, caplog):
    monkeypatch.setattr(readings, "MAX_SERIES", 0)
    record = boiler()
    assert intake.take(record, "value", 21.0, 1000.0) == 21.0
    assert intake.take(record, "value", 22.0, 1001.0) == 22.0
    assert caplog.text.count("no history of boiler") == 1


async def test_changes_are_told_and_noted(intake, events):
    with events.subscribe(DeviceChanged, DeviceNoted) as facts:
        intake.changed(boiler(), "added", 5.0, text="Found.", who="ann")
        fact, noted = await anext(facts), await anext(facts)
    assert (fact.kind, fact.device.name, fact.time) == ("added", "boiler", 5.0)
    assert noted == DeviceNoted("id1", "boiler", LogEntry(1, 5.0, "added", "Found.", "ann"))
    assert intake.device_log.entries("id1", limit=9) == [noted.entry]


async def test_that_a_device_is_removed_leaves_no_note(intake):
    intake.changed(boiler(), "removed", 5.0)
    assert intake.device_log.entries("id1", limit=9) == []
