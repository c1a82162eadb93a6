import time

import pytest


@pytest.fixture
def past(house):
    """Two hours of the boiler."""
    boiler, now = house.devices.get("boiler").id, time.time()
    readings = house.devices._intake.readings

    async def fill():
        for minute in range(120):
            readings.add(boiler, "value", now - 7200 + minute * 60, 40.0 + minute / 4)

    house.do(fill())
    return house


def test_as_a_table(device, past):
    lines = device("history", "boiler", "--points", 500).out.splitlines()
    assert lines[0].split() == ["TIME", "LOWEST", "MEAN", "HIGHEST", "VALUES"]
    assert 5 < len(lines) <= 501
    assert "°C" in lines[1]
    found = device("history", "boiler", "value", "--range", "week", "--json").json
    assert (found["unit"], found["buckets"][0]["count"] > 0) == ("°C", True)


def test_as_a_chart(device, past):
    head, *lines = device("history", "boiler", "--graph", "--points", 1500).out.splitlines()
    assert head.startswith("boiler value, ")
    assert len(lines) == 10
    assert "°C" in lines[0]
    assert "█" in lines[-1]


def test_where_there_is_none(device, past):
    told = device("history", "hall")
    assert told.out == ""
    assert "--set log=true" in told.err
    assert "no readings" in device("history", "hall", "--graph").err


def test_the_log(device):
    device("set", "lamp", "power", "on")
    device("move", "lamp", "attic")
    lines = device("log", "lamp").out.splitlines()
    assert lines[0].split() == ["TIME", "WHAT", "WHO", "TEXT"]
    assert "power = true" in lines[-2]
    assert "attic" in lines[-1]
    assert [one["kind"] for one in device("log", "lamp", "--tail", 2, "--json").json] == ["command", "moved"]
