import pytest

from wayhouse.devices.command import Command, DataSource, ValueType
from wayhouse.devices.device import BaseDevice
from wayhouse.devices.intake import Intake
from wayhouse.devices.model import DeviceChanged, DeviceNotReadyError, ReadingTaken
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
    return Intake("here", Readings(database), events)


def boiler(**more):
    device = SensorTemperature({"oid": "sensor.temperature", "name": "boiler"} | more)
    return Record("id1", "fake", "x", device)


async def test_a_value_is_kept_published_and_remembered(intake, events):
    record = boiler()
    with events.subscribe(ReadingTaken) as facts:
        assert await intake.take(record, "value", 21, 1000.0) == 21.0
        assert await anext(facts) == ReadingTaken(
            "id1", "boiler", "here.fake.boiler", "value", 21.0, "°C", 1000.0
        )
    assert record.values["value"].value == 21.0
    assert [one.mean for one in intake.readings.between("id1", "value", 990, 1000, now=1000)] == [21.0]


async def test_without_log_there_is_no_history(intake):
    record = boiler(log=False)
    await intake.take(record, "value", 21.0, 1000.0)
    assert intake.readings.between("id1", "value", 990, 1000, now=1000) == []


async def test_a_value_that_does_not_fit_is_not_believed(intake):
    record = boiler()
    with pytest.raises(DeviceNotReadyError):
        await intake.take(record, "value", "warm", 1000.0)
    assert record.values == {}


async def test_counters_become_rates(intake):
    record = Record("id2", "fake", "y", Meter({"oid": "meter", "name": "m", "log": True}))
    for time, value in ((1000.0, 5), (1010.0, 25), (1020.0, 65)):
        await intake.take(record, "energy", value, time)
    (bucket,) = intake.readings.between("id2", "energy", 960, 1020, now=1020, points=1)
    assert (bucket.count, bucket.minimum, bucket.maximum) == (2, 2.0, 4.0)
    intake.forget(record)
    await intake.take(record, "energy", 0, 1021.0)
    assert record.values["energy"].value == 0


async def test_a_full_disk_does_not_lose_the_value(intake, database, caplog):
    record = boiler()
    database.close()
    assert await intake.take(record, "value", 21.0, 1000.0) == 21.0
    assert "no history of boiler" in caplog.text


async def test_changes_are_told(intake, events):
    with events.subscribe(DeviceChanged) as facts:
        intake.changed(boiler(), "added", 5.0)
        fact = await anext(facts)
    assert (fact.kind, fact.device.name, fact.time) == ("added", "boiler", 5.0)
