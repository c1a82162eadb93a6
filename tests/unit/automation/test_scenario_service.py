"""Scenarios from adding to deleting, run in real processes on a real database.

# covers: automation/running.py
# covers: automation/standing.py
# covers: automation/ports.py
# covers: automation/runs.py
"""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import msgspec
import pytest

from tests.parts.scenario_lab import House, Lab
from wayhouse.automation import scenario_service
from wayhouse.automation.condition import Above, AtMost, For
from wayhouse.automation.model import Job, Place
from wayhouse.automation.parameter import Kind, Parameter
from wayhouse.automation.runs import (
    NoSuchRunError,
    NoSuchScenarioError,
    NotReadyError,
    Outcome,
    RunChanged,
    ScenarioChanged,
    ScenarioExistsError,
    ScenarioSettings,
    State,
    StepTaken,
)
from wayhouse.automation.scenario import Conf, Scenario
from wayhouse.base.database import Database
from wayhouse.base.errors import BadInputError, ConflictError, UnavailableError

T = {"t": "device:t"}


async def test_it_runs_when_an_entry_changes(tmp_path: Path) -> None:
    async with Lab(tmp_path) as lab:
        lab.say("device:t", 20)
        await lab.add("print(cause, value('t'))", entries=T)
        lab.say("device:t", 20)
        lab.say("device:t", 21)
        run = await lab.ended()
        assert (run.outcome, run.cause, run.error, run.line) == (Outcome.DONE, "entry t", "", None)
        assert lab.printed(run) == ["entry t 21"]
        assert lab.house.keys["/scenario/one/state"] == b'"watching"'


async def test_one_run_at_a_time_and_one_more_for_what_fired_meanwhile(tmp_path: Path) -> None:
    async with Lab(tmp_path) as lab:
        lab.say("device:t", 0)
        await lab.add(
            "n = value('t'); command('lamp', 'set', n); wait_for('t', above=10, timeout=20)", entries=T
        )
        lab.say("device:t", 1)
        await lab.waiting()
        lab.say("device:t", 2)
        lab.say("device:t", 3)
        lab.say("device:t", 11)
        run = await lab.ended(count=2)
        assert run.outcome is Outcome.DONE
        assert lab.house.done == [("lamp", "set", 1), ("lamp", "set", 11)]
        first = lab.manager.runs("one")[1]
        told = [step.text for step in lab.manager.trace(first.id).steps if step.call == "gateway"]
        assert told
        assert "runs once more" in told[0]


async def test_a_failure_has_its_line(tmp_path: Path) -> None:
    async with Lab(tmp_path) as lab:
        await lab.add("def inner():\n    return 1 / 0\n\ninner()\n")
        run = await lab.manager.run("one")
        run = await lab.ended()
        assert (run.outcome, run.line) == (Outcome.FAILED, 2)
        assert run.error == "ZeroDivisionError: division by zero"


async def test_variables_are_kept_told_and_watched(tmp_path: Path) -> None:
    async with Lab(tmp_path) as lab:
        await lab.add("variables['n'] = variables.get('n', 0) + 1\nif 'x' in variables: del variables['x']")
        await lab.add("print(value('n'))", "two", entries={"n": "scenario:one/n"})
        await lab.manager.set_variable("one", "n", 5)
        await lab.manager.set_variable("one", "x", "text")
        await lab.manager.run("one")
        await lab.ended()
        assert lab.manager.variables("one") == {"n": 6}
        assert lab.house.keys["/scenario/one/n"] == b"6"
        assert lab.house.keys["/scenario/one/x"] == b""
        assert lab.printed(await lab.ended("two")) == ["6"]
        for bad in ("state", "", "a/b"):
            with pytest.raises(BadInputError):
                await lab.manager.set_variable("one", bad, 1)
        with pytest.raises(BadInputError):
            await lab.manager.set_variable("one", "long", "x" * 5000)


async def test_a_hundred_variables_at_most(tmp_path: Path) -> None:
    async with Lab(tmp_path) as lab:
        await lab.add("for n in range(101): variables[f'v{n}'] = n")
        await lab.manager.run("one")
        run = await lab.ended()
        assert run.outcome is Outcome.FAILED
        assert "at most 100 variables" in run.error
        assert len(lab.manager.variables("one")) == 100


async def test_verbs(tmp_path: Path) -> None:
    async with Lab(tmp_path) as lab:
        await lab.add("", description="a")
        with pytest.raises(ScenarioExistsError):
            await lab.add("")
        await lab.add("pass", "two")
        assert lab.manager.list_keys() == ["one", "two"]
        assert [view.name for view in lab.manager.list()] == ["one", "two"]
        assert lab.manager.scenarios["two"].code == "pass"
        with pytest.raises(ScenarioExistsError):
            await lab.manager.update("one", Scenario(name="two"))
        await lab.manager.set_variable("one", "n", 1)
        view = await lab.manager.update("one", Scenario(name="three", description="b"))
        assert (view.name, view.description, view.state, view.variables) == (
            "three",
            "b",
            State.ASLEEP,
            {"n": 1},
        )
        assert lab.house.keys["/scenario/one/n"] == b""
        assert lab.house.keys["/scenario/three/n"] == b"1"
        for verb in (lab.manager.get, lab.manager.view, lab.manager.variables, lab.manager.runs):
            with pytest.raises(NoSuchScenarioError):
                verb("one")
        with pytest.raises(NoSuchScenarioError):
            await lab.manager.delete("one")
        with pytest.raises(NoSuchRunError):
            lab.manager.trace("none")
        await lab.manager.delete("three")
        assert lab.manager.list_keys() == ["two"]
        assert lab.house.keys["/scenario/three/state"] == b""


async def test_asleep_unready_broken(tmp_path: Path) -> None:
    async with Lab(tmp_path) as lab:
        await lab.manager.add(Scenario(name="one", code="print(settings.bound, settings['bound'])",
                                       parameters={"bound": Parameter(kind=Kind.NUMBER)}))  # fmt: skip
        assert lab.manager.view("one").state is State.ASLEEP
        view = await lab.manager.enable("one", active=True)
        assert (view.state, view.reason) == (State.UNREADY, "Set bound.")
        with pytest.raises(NotReadyError):
            await lab.manager.run("one")
        with pytest.raises(BadInputError):
            await lab.manager.configure("one", {"bound": "x"})
        view = await lab.manager.configure("one", {"bound": 3})
        assert view.state is State.WATCHING
        await lab.manager.run("one")
        assert lab.printed(await lab.ended()) == ["3 3"]
        await lab.add("", "bad", entries={"x": "nonsense"})
        assert lab.manager.view("bad").state is State.BROKEN
        assert "is no source" in lab.manager.view("bad").reason
        await lab.add("", "sun", schedules=("@sunset",))
        assert lab.manager.view("sun").state is State.BROKEN
        await lab.add("", "variable", entries={"x": "scenario:nothing"})
        assert lab.manager.view("variable").state is State.BROKEN


async def test_it_can_be_stopped_and_tidies_up(tmp_path: Path) -> None:
    async with Lab(tmp_path) as lab:
        code = "try:\n    wait(1000)\nfinally:\n    print(bool(stopping), should_stop())\n    command('pump', 'off')"
        await lab.add(code)
        with pytest.raises(ConflictError):
            await lab.manager.stop_run("one")
        begun = await lab.manager.run("one")
        await lab.waiting()
        run = await lab.manager.stop_run("one")
        assert (run.id, run.outcome, run.error) == (begun.id, Outcome.STOPPED, "")
        assert lab.house.done == [("pump", "off", None)]
        assert lab.printed(run) == ["True True"]


async def test_a_loop_that_looks_at_stopping_ends(tmp_path: Path) -> None:
    async with Lab(tmp_path) as lab:
        await lab.add("print('on')\nwhile not stopping: pass\nprint('off')")
        await lab.manager.run("one")
        await lab.until(lambda: lab.printed(lab.manager.runs("one")[0]))
        run = await lab.manager.stop_run("one")
        assert run.outcome is Outcome.STOPPED
        assert lab.printed(run) == ["on", "off"]


async def test_whoever_does_not_stop_is_ended(tmp_path: Path) -> None:
    async with Lab(tmp_path, stop_grace_s=0.2) as lab:
        await lab.add("print('on')\nwhile True:\n    try:\n        wait(100)\n    except BaseException: pass")
        await lab.manager.run("one")
        await lab.waiting()
        pid = lab.pid()
        assert pid is not None
        assert (await lab.manager.stop_run("one")).outcome is Outcome.STOPPED
        with pytest.raises(ProcessLookupError):
            os.killpg(pid, 0)


async def test_computing_too_long(tmp_path: Path) -> None:
    async with Lab(tmp_path, cpu_s=0.3) as lab:
        await lab.add("while True: pass")
        await lab.manager.run("one")
        run = await lab.ended()
        assert run.outcome is Outcome.LIMITED
        assert "computed" in run.error


async def test_needing_too_much_memory(tmp_path: Path) -> None:
    async with Lab(tmp_path, memory_bytes=100 * 2**20) as lab:
        await lab.add("x = 1\ny = bytearray(200 * 2**20)")
        await lab.manager.run("one")
        run = await lab.ended()
        assert (run.outcome, run.line) == (Outcome.LIMITED, 2)


async def test_at_most_is_told_once(tmp_path: Path) -> None:
    async with Lab(tmp_path) as lab:
        lab.say("device:t", 0)
        await lab.add("", entries=T, at_most=AtMost(times=1, seconds=1000))
        for number in range(1, 6):
            lab.say("device:t", number)
            await asyncio.sleep(0.02)
        await lab.ended(count=2)
        assert sorted(run.outcome for run in lab.manager.runs("one")) == ["done", "limited"]


async def test_startup_and_what_it_starts(tmp_path: Path) -> None:
    async with Lab(tmp_path) as lab:
        await lab.add("command('lamp', 'on')", "two")
        await lab.add("start('two')\nstart('nothing')", startup=True)
        run = await lab.ended()
        assert run.cause == "startup"
        assert "no scenario `nothing`" in run.error
        assert (await lab.ended("two")).cause == "scenario one"
        assert lab.house.done == [("lamp", "on", None)]
    async with Lab(tmp_path) as lab:
        await lab.ended(count=2)


async def test_an_upgrade_is_no_startup(tmp_path: Path) -> None:
    async with Lab(tmp_path) as lab:
        await lab.add("pass", startup=True)
        await lab.ended()
        await lab.manager.stop()
        lab.manager.start(is_upgrade=True)
        await asyncio.sleep(0.1)
        assert len(lab.manager.runs("one")) == 1


async def test_what_is_on_disk_is_known_before_it_starts(tmp_path: Path) -> None:
    async with Lab(tmp_path) as lab:
        lab.say("device:t", 0)
        await lab.add("wait_for('t', above=10)", entries=T, startup=True)
        await lab.add("other", name="two")
        await lab.waiting()
        await lab.manager.stop()
        assert lab.manager.list_keys() == ["one", "two"]  # at rest, for whoever looks
        lab.manager.load()
        assert [one.state for one in lab.manager.list()] == [State.RUNNING, State.WATCHING]
        adding = lab.tasks.spawn(fails_as_taken(lab), name="adding")
        await asyncio.sleep(0.05)
        assert not adding.done()
        lab.manager.start()
        await adding
        assert lab.manager.get("two").code == "other"
        await lab.waiting()
        lab.say("device:t", 11)
        await lab.until(lambda: all(run.outcome is Outcome.DONE for run in lab.manager.runs()))
        assert [run.cause for run in lab.manager.runs()].count("startup") == 1


async def fails_as_taken(lab: Lab) -> None:
    with pytest.raises(ScenarioExistsError):
        await lab.add("mine", name="two")


async def test_changes_that_wait_too_long_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenario_service, "UP_WAIT_S", 0.02)
    async with Lab(tmp_path) as lab:
        await lab.add("", name="one")
        await lab.manager.stop()
        for change in (lab.add("", name="two"), lab.manager.delete("one"), lab.manager.run("one")):
            with pytest.raises(UnavailableError, match="Try again in a moment"):
                await change
        lab.manager.start()
        await lab.manager.delete("one")


async def test_schedules(tmp_path: Path) -> None:
    async with Lab(tmp_path) as lab:
        await lab.add("", schedules=("@every 1s",))
        assert lab.manager.view("one").next_run is not None
        assert (await lab.ended()).cause == "schedule @every 1s"


async def test_a_wait_shows_and_survives_the_manager(tmp_path: Path) -> None:
    when = For(seconds=1.5, of=Above("t", 10))
    async with Lab(tmp_path) as lab:
        lab.say("device:t", 0)
        await lab.add("print('yes')", entries=T, when=when)
        lab.say("device:t", 11)
        (wait,) = lab.manager.view("one").waits
        assert wait.text == "t above 10 for 1.5 s"
        await asyncio.sleep(0.1)
        house = lab.house
    await asyncio.sleep(0.5)
    async with Lab(tmp_path, house) as lab:
        (again,) = lab.manager.view("one").waits
        assert again.until == pytest.approx(wait.until, abs=0.1)
        assert (await lab.ended()).cause == "wait"


async def test_the_next_manager_carries_on(tmp_path: Path) -> None:
    house = House()
    async with Lab(tmp_path, house) as lab:
        await lab.add(
            "print(now(), cause)\ncommand('lamp', 'on')\nwait(1)\ncommand('lamp', 'off')\nprint('end')"
        )
        begun = await lab.manager.run("one")
        await lab.waiting()
        (wait,) = lab.manager.view("one").waits
    async with Lab(tmp_path, house) as lab:
        await lab.waiting()
        assert lab.manager.view("one").waits == [wait]
        run = await lab.ended()
        assert (run.id, run.outcome) == (begun.id, Outcome.DONE)
        assert house.done == [("lamp", "on", None), ("lamp", "off", None)]
        assert len(set(house.closed)) == 2
        assert [text.split()[-1] for text in lab.printed(run)] == ["asked", "end"]


async def test_a_killed_process_is_carried_on(tmp_path: Path) -> None:
    async with Lab(tmp_path) as lab:
        code = "import random\nn = random.random()\nfor x in range(3): command('lamp', 'set', n + x)\nwait(0.5)\nprint(n)"
        await lab.add(code)
        await lab.manager.run("one")
        await lab.waiting()
        os.kill(lab.pid() or 0, signal.SIGKILL)
        run = await lab.ended()
        assert run.outcome is Outcome.DONE
        assert len(lab.house.done) == 3
        assert lab.printed(run) == [str(lab.house.done[0][2])]


async def test_who_dies_always_is_given_up(tmp_path: Path) -> None:
    async with Lab(tmp_path) as lab:
        await lab.add("command('lamp', 'on')\nimport ctypes\nctypes.string_at(0)")
        await lab.manager.run("one")
        run = await lab.ended()
        assert run.outcome is Outcome.LOST
        assert "SIGSEGV" in run.error
        assert len(lab.house.done) == 1


async def test_a_run_that_differs_when_repeated_fails(tmp_path: Path) -> None:
    async with Lab(tmp_path) as lab:
        await lab.add("import time\ncommand('lamp', 'set', time.time())\nwait(100)")
        await lab.manager.run("one")
        await lab.waiting()
        house = lab.house
    async with Lab(tmp_path, house) as lab:
        run = await lab.ended()
        assert run.outcome is Outcome.FAILED
        assert "as step 1, where it had asked" in run.error
        assert len(house.done) == 1


async def test_a_stop_that_was_asked_for_holds_over_a_crash(tmp_path: Path) -> None:
    async with Lab(tmp_path) as lab:
        await lab.add("wait(1000)")
        await lab.manager.run("one")
        await lab.waiting()
        await lab.manager._store.mark_stopping(lab.manager.runs("one")[0].id)
    async with Lab(tmp_path) as lab:
        assert (await lab.ended()).outcome is Outcome.STOPPED


async def test_whoever_waits_gives_its_process_up(tmp_path: Path) -> None:
    async with Lab(tmp_path, processes=1) as lab:
        lab.say("device:t", 0)
        await lab.add("print(1)\nwait_for('t', above=5)\nprint(2)", when=Above("t", 1000), entries=T)
        await lab.add("print('quick')", "two")
        await lab.manager.run("one")
        await lab.waiting()
        await lab.manager.run("two")
        assert lab.printed(await lab.ended("two")) == ["quick"]
        assert lab.pid() is None
        assert lab.manager.view("one").waits
        lab.say("device:t", 6)
        run = await lab.ended()
        assert run.outcome is Outcome.DONE
        assert lab.printed(run) == ["1", "2"]


async def test_one_that_gave_its_process_up_tidies_up(tmp_path: Path) -> None:
    async with Lab(tmp_path, processes=1) as lab:
        await lab.add("try: wait(1000)\nfinally: command('lamp', 'off')")
        await lab.add("", "two")
        await lab.manager.run("one")
        await lab.waiting()
        await lab.manager.run("two")
        await lab.ended("two")
        assert (await lab.manager.stop_run("one")).outcome is Outcome.STOPPED
        assert lab.house.done == [("lamp", "off", None)]


async def test_only_so_many_processes(tmp_path: Path) -> None:
    async with Lab(tmp_path, processes=2) as lab:
        for number in range(6):
            await lab.add("wait(0.1)", f"s{number}")
        for number in range(6):
            await lab.manager.run(f"s{number}")
        most = 0
        while any(view.state is State.RUNNING for view in lab.manager.list()):
            most = max(most, sum(lab.pid(name) is not None for name in lab.manager.list_keys()))
            await asyncio.sleep(0.002)
        assert most == 2
        assert {run.outcome for run in lab.manager.runs()} == {Outcome.DONE}


async def test_what_is_not_begun_is_stopped_at_once(tmp_path: Path) -> None:
    async with Lab(tmp_path, processes=1) as lab:
        await lab.add("while not stopping: pass")
        await lab.add("", "two")
        await lab.manager.run("one")
        await lab.until(lab.pid)
        await lab.manager.run("two")
        assert (await lab.manager.stop_run("two")).outcome is Outcome.STOPPED
        await lab.manager.stop_run("one")


async def test_changes_stop_it(tmp_path: Path) -> None:
    async with Lab(tmp_path) as lab:
        await lab.add("wait(1000)", startup=True)
        await lab.waiting()
        view = await lab.manager.enable("one", active=False)
        assert (view.state, view.last_run and view.last_run.outcome) == (State.ASLEEP, Outcome.STOPPED)
        await lab.manager.enable("one", active=True)
        await lab.waiting()
        await lab.manager.update("one", msgspec.structs.replace(lab.manager.get("one"), code="print('new')"))
        assert lab.printed(await lab.ended(count=3)) == ["new"]
        await lab.manager.delete("one")
        assert lab.manager.runs() == []


async def test_a_stop_that_comes_too_late_does_no_harm(tmp_path: Path) -> None:
    async with Lab(tmp_path) as lab:
        await lab.add("wait(0.05)")
        await lab.manager.run("one")
        run = lab.manager._standings["one"].run
        assert run is not None
        await lab.ended()
        run.stop()
        run.watch_over()
        assert run.pid is None


async def test_many_at_once(tmp_path: Path) -> None:
    async with Lab(tmp_path, processes=4) as lab:
        lab.say("device:t", 0)
        for number in range(30):
            await lab.add(f"command('lamp', 'set', {number})", f"s{number}", entries=T)
        lab.say("device:t", 1)
        for number in range(30):
            assert (await lab.ended(f"s{number}")).outcome is Outcome.DONE
        assert sorted(value for _, _, value in lab.house.done) == list(range(30))


async def test_a_disk_that_takes_nothing(tmp_path: Path) -> None:
    async with Lab(tmp_path) as lab:
        await lab.add("try: command('lamp', 'on')\nexcept CallError: print('hidden')", entries=T)
        lab.say("device:t", 0)
        await lab.manager.run("one")
        await lab.ended()

        def fails(_: object) -> None:
            raise UnavailableError("The disk is full.")

        write = lab.manager._store._database.write
        lab.manager._store._database.write = fails  # type: ignore[method-assign, assignment]
        with pytest.raises(UnavailableError):
            await lab.manager.run("one")
        with pytest.raises(UnavailableError):
            await lab.manager.set_variable("one", "n", 1)
        with pytest.raises(UnavailableError):
            await lab.manager.enable("one", active=False)
        lab.say("device:t", 5)
        await asyncio.sleep(0.05)
        assert lab.manager.view("one").state is State.WATCHING
        lab.manager._store._database.write = write  # type: ignore[method-assign]
        lab.manager.receive("device:t", 5)
        lab.manager._running._wake.set()
        await lab.ended(count=2)
        assert len(lab.house.done) == 2


async def test_events(tmp_path: Path) -> None:
    async with Lab(tmp_path) as lab:
        await lab.add("value('t')", entries=T)
        run = await lab.manager.run("one")
        await lab.ended()
        heard = list(lab.heard._queue)
        runs = [one.run.outcome for one in heard if isinstance(one, RunChanged)]
        assert runs == [Outcome.RUNNING, Outcome.DONE]
        steps = [(one.run_id, one.step.call) for one in heard if isinstance(one, StepTaken)]
        assert steps == [(run.id, "value")]
        states = [one.view.state for one in heard if isinstance(one, ScenarioChanged) and one.view]
        assert states[-2:] == [State.RUNNING, State.WATCHING]


async def test_a_job_is_an_event(tmp_path: Path) -> None:
    async with Lab(tmp_path) as lab:
        await lab.add("print(cause)", entries={"tick": "cron:tick"})
        lab.manager.receive("cron:tick", 5.0)
        assert lab.printed(await lab.ended()) == ["entry tick"]
        lab.manager.receive("cron:tick", 5.0)
        await lab.ended(count=2)


class Jobs:
    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}

    async def add(self, job: Job) -> object:
        from wayhouse.automation.model import JobExistsError

        if job.name in self.jobs:
            raise JobExistsError("There is one.")
        self.jobs[job.name] = job
        return job

    async def remove(self, name: str) -> None:
        from wayhouse.automation.model import NoSuchJobError

        if name not in self.jobs:
            raise NoSuchJobError("None.")
        del self.jobs[name]


async def test_jobs(tmp_path: Path) -> None:
    jobs = Jobs()
    async with Lab(tmp_path, crons=jobs) as lab:
        code = "add_cron('tea', '@daily')\nadd_cron('tea', '@daily')\nprint(remove_cron('tea'), remove_cron('tea'))\n"
        await lab.add(code + "add_cron('x', '@daily')\nadd_cron('x', '@hourly')")
        await lab.manager.run("one")
        run = await lab.ended()
        assert lab.printed(run) == ["True False"]
        assert (run.error, run.line) == ("CallError: There is one.", 5)
        assert list(jobs.jobs) == ["x"]


async def test_errors_that_the_code_can_catch(tmp_path: Path) -> None:
    async with Lab(tmp_path) as lab:
        code = """
for act in (lambda: value('x'), lambda: value(3), lambda: command('nowhere', 'on'), lambda: command('defect', 'on'),
            lambda: publish('/device/x', 1), lambda: publish('', 1), lambda: publish('/x', 1, ttl=-1), lambda: publish('/x', 'x' * 70000),
            lambda: wait(-1), lambda: wait_until('nonsense'), lambda: wait_until('@sunset'), lambda: add_cron('a', '@daily'),
            lambda: variables.__setitem__('state', 1), lambda: start('x')):
    try:
        act()
        print('no error')
    except CallError as error:
        print(error.code)
for act in (lambda: command('lamp', 'on', object()), lambda: wait('x'), lambda: wait_for('x'), lambda: wait_for('x', above=1, below=2),
            lambda: variables.__setitem__('a', None), lambda: command('lamp', 'on', 2**70)):
    try:
        act()
        print('no error')
    except TypeError as error:
        print('type')
"""
        await lab.add(code)
        await lab.manager.run("one")
        run = await lab.ended()
        codes = ["bad-input", "bad-input", "not-found", "outside-failed", "forbidden", *["bad-input"] * 5]
        expected = [*codes, "bad-schedule", "forbidden", "bad-input", "no-such-scenario", *["type"] * 6]
        assert (run.error, lab.printed(run)) == ("", expected)


async def test_looking_and_waiting(tmp_path: Path) -> None:
    async with Lab(tmp_path) as lab:
        lab.house.recorded["device:t"] = [(5.0, 1), (6.0, 2)]
        code = """
from datetime import timedelta
begin = now()
wait_until(begin + timedelta(seconds=0.2))
print((now() - begin).total_seconds() >= 0.2, begin.tzinfo is not None)
wait_until((now() + timedelta(seconds=2)).strftime('%H:%M:%S'))
print(readings('t', 5, 5.5), readings('t', begin - timedelta(days=1), begin))
print(wait_for('t', above=5, timeout=0.05), wait_for('t', below=5), wait_for('t', equals=3))
publish('/x', [1, {'a': None}], ttl=60)
publish('/y', None)
print(sorted(variables), len(variables), name)
import sys
sys.stderr.write('half ')
print('line', end='')
"""
        lab.say("device:t", 3)
        await lab.add(code, entries=T, when=Above("t", 1000))
        await lab.manager.run("one")
        run = await lab.ended()
        assert run.error == ""
        expected = ["True True", "[(5.0, 1)] []", "False True True", "[] 0 one", "half line"]
        assert lab.printed(run) == expected
        assert lab.house.keys["/x"] == b'[1,{"a":null}]'


async def test_wait_for_a_change(tmp_path: Path) -> None:
    async with Lab(tmp_path) as lab:
        lab.say("device:t", 3)
        await lab.add("print(wait_for('t', changed=True))", entries=T, when=Above("t", 1000))
        await lab.manager.run("one")
        await lab.waiting()
        house = lab.house
    house.values["device:t"] = 4
    async with Lab(tmp_path, house) as lab:
        assert lab.printed(await lab.ended()) == ["True"]


async def test_many_steps_are_cut_and_begun_anew(tmp_path: Path) -> None:
    async with Lab(tmp_path) as lab:
        await lab.add(
            "for n in range(2300): value('t')\nprint('loop')\nwait(1000)",
            entries=T,
            startup=True,
            when=Above("t", 1),
        )
        await lab.waiting()
        first = lab.manager.runs("one")[0]
        trace = lab.manager.trace(first.id)
        assert trace.is_cut
        assert len(trace.steps) <= 2000
        await asyncio.sleep(1.5)
    async with Lab(tmp_path) as lab:
        await lab.until(lambda: len(lab.manager.runs("one")) == 2)
        assert [run.outcome for run in lab.manager.runs("one")] == [Outcome.RUNNING, Outcome.LOST]
        assert lab.manager.runs("one")[0].cause == "startup"
        await lab.waiting()


async def test_talking_without_end_is_bounded(tmp_path: Path) -> None:
    async with Lab(tmp_path) as lab:
        await lab.add("for n in range(1800): print(n)\nwait(0.1)")
        await lab.manager.run("one")
        run = await lab.ended()
        trace = lab.manager.trace(run.id)
        assert run.outcome is Outcome.DONE
        assert trace.is_cut
        assert len(trace.steps) < 800
        assert trace.steps[-2].text == "1799"


async def test_nonsense_on_the_wire_ends_the_run(tmp_path: Path) -> None:
    async with Lab(tmp_path) as lab:
        await lab.add(
            "import os\nfor fd in range(3, 4096):\n    try: os.write(fd, b'nonsense\\n')\n    except OSError: pass\nwhile True: pass"
        )
        await lab.manager.run("one")
        run = await lab.ended()
        assert (run.outcome, run.error) == (Outcome.FAILED, "The code sent something that is no call.")


def test_settings_are_checked() -> None:
    for bad in ({"processes": 0}, {"memory_bytes": 1}, {"cpu_s": 0}, {"stop_grace_s": -1}):
        with pytest.raises(BadInputError):
            ScenarioSettings(**bad)
    assert Place().zone == "UTC"
    assert Conf().active is False


async def test_what_fired_just_before_a_stop_runs_afterwards(tmp_path: Path) -> None:
    house = House()
    async with Lab(tmp_path, house) as lab:
        for name, fields in {
            "when": {"when": Above("t", 10)},
            "changes": {},
            "job": {},
        }.items():
            entries = {"t": "cron:tea"} if name == "job" else T
            await lab.add("print(cause)", name, entries=entries, **fields)
        lab.say("device:t", 0)
        await asyncio.sleep(0.05)
        lab.say("device:t", 20)
        lab.say("cron:tea", 1.0)
    async with Lab(tmp_path, house) as lab:
        for name, cause in {"when": "entry t", "changes": "entry t", "job": "entry t"}.items():
            run = await lab.ended(name)
            assert (run.outcome, lab.printed(run)) == (Outcome.DONE, [cause])
        await asyncio.sleep(0.05)
        assert [len(lab.manager.runs(name)) for name in ("when", "changes", "job")] == [1, 1, 1]


async def test_a_trigger_that_cannot_be_read_is_forgotten_and_not_its_scenario(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with Lab(tmp_path) as lab:
        await lab.add("print(value('t'))", entries=T)
        await lab.manager.set_variable("one", "n", 1)
    database = Database(tmp_path / "scenarios.db")
    await database.write(
        lambda it: it.execute("UPDATE scenarios SET watch = '{\"trigger\": 7}' WHERE name = 'one'").rowcount
    )
    database.close()
    async with Lab(tmp_path) as lab:
        assert lab.manager.variables("one") == {"n": 1}
        lab.say("device:t", 1)
        lab.say("device:t", 2)
        assert lab.printed(await lab.ended()) == ["2"]
    assert "one" in caplog.text
