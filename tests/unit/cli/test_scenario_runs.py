"""Runs from the command line: begin, follow, stop, look back, rehearse."""

from __future__ import annotations

import re
import time

import pytest

from tests.parts.automation_gateway import house, tell
from wayhouse.automation.condition import Above
from wayhouse.automation.scenario import Scenario
from wayhouse.base.errors import BadInputError
from wayhouse.cli.scenario_runs import moment_of

__all__ = ["house", "tell"]


@pytest.fixture
def known(house):
    """Adds a scenario."""

    def add(name, code, **more):
        house.do(house.home.scenarios.add(Scenario(name=name, code=code, **more)))

    return add


def test_run_and_follow(tell, known):
    known("a", "command('lamp', 'power', True)\nlog('done')\n")
    followed = tell("scenario", "run", "a", "--follow")
    assert followed.code == 0, followed
    assert re.search(r"^   1 +[0-9.]+ s  command  .*lamp.*True", followed.out, re.MULTILINE), followed.out
    assert followed.out.rstrip().endswith("done")
    (run,) = tell("scenario", "runs", "a", "--json").json
    assert run["outcome"] == "done"
    assert tell("scenario", "runs").out.count(run["id"]) == 1
    for which in ([], ["a"], [run["id"]]):
        shown = tell("scenario", "trace", *which)
        assert "lamp" in shown.out
        assert f"Run {run['id']} of a (asked): done" in shown.out
    assert tell("scenario", "trace", "a", "--json").json["run"] == run
    assert tell("scenario", "trace", "a", "--follow", "--json").json_lines[-1]["run"] == run


def test_a_run_that_fails(tell, known):
    known("bad", "x = 1\nx / 0\n")
    failed = tell("scenario", "run", "bad", "--follow")
    assert failed.code == 1
    assert "failed: line 2: " in failed.err
    assert "line 2" in tell("scenario", "runs").out


def test_begin_and_stop(tell, known):
    known("long", "wait(60)")
    begun = tell("scenario", "run", "long")
    assert "is under way" in begun.out
    assert "--follow" in begun.err
    assert tell("scenario", "stop", "long").out.rstrip().endswith("stopped")
    assert tell("scenario", "stop", "long").code == 1


def test_nothing_has_run(tell, known):
    known("a", "")
    assert "No runs yet" in tell("scenario", "runs").err
    assert "Nothing has run yet" in tell("scenario", "trace").err
    assert "a has not run yet" in tell("scenario", "trace", "a").err
    assert tell("scenario", "trace", "nobody").code == 1


def test_rehearse(tell, known, house, tmp_path):
    now = time.time()
    house.home.house.past["device:room"] = [(now - 3000, 20.0), (now - 2000, 30.0), (now - 1000, 20.0)]
    scenario = {"entries": {"room": "device:room", "sky": "device:sky"}, "when": Above("room", 25.0)}
    known("a", "command('lamp', 'power', True)", **scenario)
    shown = tell("scenario", "rehearse", "a", "--since", "2h")
    assert shown.code == 0, shown
    assert "a would have run 1 time from" in shown.out
    assert "lamp" in shown.out
    assert house.home.house.done == []
    assert len(tell("scenario", "rehearse", "a", "--since", "30m", "--json").json["firings"]) <= 1
    file = tmp_path / "b.toml"
    file.write_text("wayhouse_scenario = 1\nname = 'b'\n")
    assert "b would have run 0 times" in tell("scenario", "rehearse", "--file", file).out
    assert tell("scenario", "rehearse").code == 2
    assert tell("scenario", "rehearse", "a", "--since", "yesterday").code == 2


def test_times(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    assert moment_of("2026-03-01T12:00") == 1_772_366_400.0
    assert moment_of("2026-03-01T12:00+01:00") == 1_772_362_800.0
    assert abs(moment_of("1.5h") - (time.time() - 5400)) < 5
    for bad in ("", "h", "12", "1x", "9" * 20 + "d", "2026-13-01", "٣h"):
        with pytest.raises(BadInputError):
            moment_of(bad)
    monkeypatch.undo()
    time.tzset()
