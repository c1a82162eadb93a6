import io
import json
import sys
import threading
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


class Output(io.StringIO):
    """Tells when a text has been written."""

    def __init__(self, *awaited):
        super().__init__()
        self.seen = {text: threading.Event() for text in awaited}

    def write(self, text):
        for awaited, event in self.seen.items():
            if awaited in text:
                event.set()
        return super().write(text)


@pytest.mark.parametrize("words", [("-f",), ("--follow", "--json")])
def test_following_the_log_shows_what_comes_and_ends_with_the_device(device, house, monkeypatch, words):
    device("set", "lamp", "power", "on")
    house.do(house.devices.command("lamp", "power", value=True, who="ann"))
    output = Output("ann", "bob")

    def go_on():
        assert output.seen["ann"].wait(20)
        house.do(house.devices.command("lamp", "power", value=False, who="bob"))
        assert output.seen["bob"].wait(20)
        house.do(house.devices.delete("lamp"))

    thread = threading.Thread(target=go_on)
    thread.start()
    monkeypatch.setattr(sys, "stdout", output)
    result = device("log", *words, "lamp", "--tail", 1)
    thread.join()
    assert result.code == 0
    lines = output.getvalue().splitlines()
    assert len(lines) == 2
    if "--json" in words:
        assert [json.loads(line)["who"] for line in lines] == ["ann", "bob"]
    else:
        assert "command: power = true (ann)" in lines[0]
