"""Looking at all jobs each time, as it was done before, comes to the same as looking at those that are due."""

from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.automation.cron import BACK_S, Cron, Now
from wayhouse.automation.model import CatchUp, Job, JobExistsError, NoSuchJobError, Place
from wayhouse.automation.timetable import Timetable

START = 1_772_366_400.0
NAMES = st.sampled_from("abcdef")
LINES = st.sampled_from(
    [
        "@hourly",
        "*/7 * * * *",
        "30 2 * * *",
        "@every 11m",
        "@every 7m",
        "@reboot",
        "0 0 29 2 *",
        "0 */3 * * *",
    ]
)
ACTS = st.one_of(
    st.tuples(st.just("add"), NAMES, LINES, st.sampled_from(list(CatchUp))),
    st.tuples(st.just("replace"), NAMES, NAMES, LINES),
    st.tuples(st.sampled_from(["remove", "pause", "resume", "ask"]), NAMES),
    st.tuples(st.just("pass"), st.floats(0, 40_000)),
    st.tuples(st.just("jump"), st.sampled_from([0.0005, 5.0, -5.0, 4000.0, -BACK_S - 100, 90_000.0])),
)


class Linear(Cron):
    """Looks at every job."""

    def deadline(self) -> float:
        return min((entry.due for entry in self._entries.values()), default=math.inf)

    def _to_look_at(self, ahead: float, now: Now) -> list:
        chosen = super()._to_look_at(ahead, now)
        if len(chosen) < len(self._entries):
            assert chosen == [entry for entry in self._entries.values() if entry.due <= now.monotonic]
        return chosen


def do(cron: Cron, act: tuple, now: Now) -> None:
    match act:
        case ("add", name, line, catch_up):
            cron.add(Job(name=name, schedule=line, catch_up=catch_up, limit=3), now)
        case ("replace", name, other, line):
            cron.replace(name, Job(name=other, schedule=line), now)
        case ("remove" | "pause" as verb, name):
            getattr(cron, verb)(name)
        case ("resume" | "ask" as verb, name):
            getattr(cron, verb)(name, now)


@settings(max_examples=150, deadline=None)
@given(st.lists(ACTS, max_size=40))
def test_whatever_happens_all_is_as_if_every_job_were_looked_at(acts: list[tuple]) -> None:
    crons = [Cron(Place("Europe/Berlin"), "boot"), Linear(Place("Europe/Berlin"), "boot")]
    now = Now(1000.0, START)
    for act in [*acts, ("pass", 90_000.0)]:
        seconds = act[1] if act[0] == "pass" else 0.0
        end = now.monotonic + seconds
        if act[0] == "jump":
            now = Now(now.monotonic, now.wall + act[1])
        for cron in crons:
            with contextlib.suppress(JobExistsError, NoSuchJobError):
                do(cron, act, now)
        for _ in range(400):
            assert crons[0].deadline() == crons[1].deadline()
            step = min(max(crons[0].deadline(), now.monotonic), end) - now.monotonic
            now = Now(now.monotonic + step, now.wall + step)
            for cron in crons:
                cron.tick(now)
            assert crons[0].events() == crons[1].events()
            if now.monotonic >= end and crons[0].deadline() > end:
                break
        assert crons[0].unsaved() == crons[1].unsaved()
        assert crons[0].jobs == crons[1].jobs
    assert [crons[0].next_run(job.name) for job in crons[0].jobs] == [
        crons[1].next_run(job.name) for job in crons[1].jobs
    ]


def test_a_job_that_changes_for_ever_takes_no_memory() -> None:
    cron, now = Cron(Place()), Now(0.0, START)
    cron.add(Job(name="yearly", schedule="0 0 1 1 *"), now)
    for _ in range(2000):
        cron.pause("yearly")
        cron.resume("yearly", now)
    assert len(cron._timetable._heap) < 100
    assert cron.deadline() < math.inf


def test_a_job_that_cannot_be_planned_keeps_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    cron, now = Cron(Place()), Now(0.0, START)
    cron.tick(now)
    cron.add(Job(name="hourly", schedule="@hourly"), now)
    later = Now(cron.deadline(), START + cron.deadline())
    with monkeypatch.context() as patch:
        patch.setattr("wayhouse.automation.cron.next_after", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            cron.tick(later)
    assert cron.deadline() == later.monotonic
    cron.tick(later)
    assert len(cron.events()) == 1


class Thing:
    def __init__(self, due: float, number: int = 0) -> None:
        self.due, self.number = due, number


def test_a_timetable_tells_only_what_still_holds() -> None:
    things = {
        name: Thing(due, number) for number, (name, due) in enumerate({"a": 3.0, "b": 1.0, "c": 2.0}.items())
    }
    table = Timetable(lambda one: one in things.values())
    for one in things.values():
        table.line_up(one)
    things["b"].due = 9.0
    table.line_up(things["b"])
    assert table.first() == 2.0
    assert table.due(3.0) == [things["a"], things["c"]]
    assert table.first() == 9.0
    things["b"].due = math.inf
    assert table.first() == math.inf
    assert table.due(100.0) == []
