"""Dry runs against what was recorded: when it would have run, what it would have done, and that nothing is done.

# covers: automation/history.py
# covers: automation/rehearsed_calls.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.parts.scenario_lab import Lab
from wayhouse.automation.condition import Above, AtMost, For
from wayhouse.automation.runs import NoSuchScenarioError, Outcome, Rehearsal
from wayhouse.automation.scenario import Scenario
from wayhouse.base.errors import BadInputError

NOON = 1_772_366_400.0
T = {"t": "device:t"}


async def rehearse(
    folder: Path, recorded: dict[str, list[tuple[float, Any]]], hours: float = 1, **fields: Any
) -> Rehearsal:
    async with Lab(folder) as lab:
        lab.house.recorded = {
            source: [(NOON + at, value) for at, value in found] for source, found in recorded.items()
        }
        found = await lab.manager.rehearse(Scenario(name="one", **fields), NOON, NOON + hours * 3600)
        assert lab.house.done == []
        assert lab.manager.runs() == []
        assert not any(key.startswith("/x") for key in lab.house.keys)
        return found


async def test_when_and_what(tmp_path: Path) -> None:
    code = "command('lamp', 'on', value('t'))\nwait(60)\nprint(now().timestamp(), value('t'))\ncommand('lamp', 'off')\npublish('/x', 1)"
    recorded = {"device:t": [(0, 5), (100, 25), (130, 26), (500, 5), (600, 30)]}
    found = await rehearse(tmp_path, recorded, entries=T, when=Above("t", 20), code=code)
    assert [(one.at - NOON, one.ended - NOON, one.cause, one.outcome) for one in found.firings] == [
        (100, 160, "entry t", Outcome.DONE),
        (600, 660, "entry t", Outcome.DONE),
    ]
    steps = [
        (step.at - NOON, step.call, step.text)
        for step in found.firings[0].steps
        if step.call in {"command", "print"}
    ]
    assert steps == [
        (100, "command", '"lamp", "on", 25'),
        (160, "print", f"{NOON + 160} 26"),
        (160, "command", '"lamp", "off", None'),
    ]
    assert (found.silent, found.is_cut, found.limited, found.coalesced) == ([], False, 0, 0)


async def test_waits_schedules_and_silence(tmp_path: Path) -> None:
    entries = {"t": "device:t", "quiet": "device:q"}
    recorded = {"device:t": [(0, 30), (400, 10)]}
    when = For(300.0, Above("t", 20))
    found = await rehearse(tmp_path, recorded, entries=entries, when=when, schedules=("30 12 * * *",))
    assert [(one.at - NOON, one.cause) for one in found.firings] == [
        (300, "wait"),
        (1800, "schedule 30 12 * * *"),
    ]
    assert found.silent == ["quiet"]


async def test_one_at_a_time_and_at_most(tmp_path: Path) -> None:
    recorded = {"device:t": [(float(at), at) for at in range(0, 100, 10)]}
    found = await rehearse(tmp_path, recorded, entries=T, code="wait(35)")
    assert [one.at - NOON for one in found.firings] == [10, 45, 80, 115]
    assert found.coalesced > 0
    found = await rehearse(tmp_path, recorded, entries=T, at_most=AtMost(times=2, seconds=1000))
    assert (len(found.firings), found.limited) == (2, 7)


async def test_values_variables_and_waits_as_of_then(tmp_path: Path) -> None:
    code = """
variables['n'] = variables.get('n', 0) + 1
print(variables['n'], sorted(variables), readings('t', 0, now()))
print(wait_for('t', above=8, timeout=100), wait_for('t', equals=99, timeout=10), wait_for('t', changed=True, timeout=5))
wait_until('12:05')
print(add_cron('a', '@daily'), remove_cron('a'), start('other'), command('a', 'b'))
del variables['n']
try: value('nothing')
except CallError as error: print(error.code)
try: publish('/device/x', 1)
except CallError as error: print(error.code)
"""
    found = await rehearse(
        tmp_path,
        {"device:t": [(0, 1), (10, 2), (20, 9)]},
        entries=T,
        code=code,
        at_most=AtMost(times=1, seconds=1e6),
    )
    (one,) = found.firings
    assert (one.error, one.ended - NOON) == ("", 300)
    assert [step.text for step in one.steps if step.call == "print"] == [
        f"1 ['n'] [({NOON}, 1), ({NOON + 10}, 2)]",
        "True False False",
        "None True None None",
        "bad-input",
        "forbidden",
    ]


async def test_failures_and_ends(tmp_path: Path) -> None:
    found = await rehearse(tmp_path, {}, code="x = 1\nx / 0", schedules=("30 12 * * *",))
    assert (found.firings[0].outcome, found.firings[0].line) == (Outcome.FAILED, 2)
    for code in ("wait(10000)", "while True: print(1)", "wait_for('t', above=100)"):
        found = await rehearse(
            tmp_path, {"device:t": [(0, 1)]}, entries=T, code=code, schedules=("30 12 * * *",)
        )
        assert found.firings[0].outcome is Outcome.LIMITED


async def test_computing_is_limited(tmp_path: Path) -> None:
    async with Lab(tmp_path, cpu_s=0.3) as lab:
        scenario = Scenario(name="one", code="while True: pass", schedules=("30 12 * * *",))
        found = await lab.manager.rehearse(scenario, NOON, NOON + 3600)
        assert found.firings[0].outcome is Outcome.LIMITED


async def test_too_many_firings_are_cut(tmp_path: Path) -> None:
    found = await rehearse(tmp_path, {}, schedules=("* * * * *",), hours=2)
    assert found.is_cut
    assert 0 < len(found.firings) <= 100


async def test_what_cannot_be_rehearsed(tmp_path: Path) -> None:
    async with Lab(tmp_path) as lab:
        for start, end in ((5, 5), (-1, 5), (0, 1e10), (float("nan"), 5), (0, float("inf"))):
            with pytest.raises(BadInputError):
                await lab.manager.rehearse(Scenario(name="one"), start, end)
        with pytest.raises(NoSuchScenarioError):
            await lab.manager.rehearse("one", 0, 5)
        await lab.add("print(variables['n'])", schedules=("* * * * *",))
        await lab.manager.set_variable("one", "n", 3)
        found = await lab.manager.rehearse("one", NOON, NOON + 60)
        assert found.firings[0].steps[1].text == "3"
