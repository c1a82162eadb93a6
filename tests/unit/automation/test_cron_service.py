"""Jobs from adding to running, on a clock that moves only when told to, and over restarts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from wayhouse.automation.cron_service import CronManager
from wayhouse.automation.model import (
    BadScheduleError,
    CatchUp,
    Job,
    JobChanged,
    JobExistsError,
    JobMissed,
    JobRan,
    NoSuchJobError,
    Place,
)
from wayhouse.base.database import Database
from wayhouse.base.errors import UnavailableError
from wayhouse.base.events import Events, Subscription
from wayhouse.base.tasks import Tasks

START = 1_772_366_400.0  # 1 March 2026, 12:00 UTC


class HandClock:
    """Both clocks; whoever sleeps wakes when `move` has passed that time."""

    def __init__(self) -> None:
        self.time, self.ahead = 500.0, START - 500.0
        self._moved = asyncio.Event()

    def wall(self) -> float:
        return self.time + self.ahead

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, delay_s: float) -> None:
        end = self.time + delay_s
        while self.time < end:
            await self._moved.wait()

    def move(self, seconds: float) -> None:
        self.time += seconds
        self._moved.set()
        self._moved = asyncio.Event()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "a.db")
    yield database
    database.close()


def manager(
    database: Database, clock: HandClock, events: Events, tasks: Tasks, boot: str = "one"
) -> CronManager:
    return CronManager(database, clock, events, tasks, place=Place(), boot=boot)


async def following(heard: Subscription[Any]) -> Any:
    return await asyncio.wait_for(anext(heard), 10)


async def test_a_job_runs_and_is_remembered(database: Database) -> None:
    clock, events = HandClock(), Events()
    async with Tasks() as tasks:
        cron = manager(database, clock, events, tasks)
        cron.start()
        cron.start()
        with events.subscribe(JobRan, JobChanged) as heard:
            planned = await cron.add(Job(name="tea", schedule="*/10 * * * *"))
            assert planned.next_run == START + 600
            assert isinstance(await following(heard), JobChanged)
            await asyncio.sleep(0)
            clock.move(600.5)
            ran = await following(heard)
            assert (ran.run.due, ran.at) == (START + 600, START + 600.5)
        assert [(one.name, one.last_run, one.next_run) for one in cron.list()] == [
            ("tea", START + 600, START + 1200)
        ]
        assert list(cron.jobs) == ["tea"]
        await cron.stop()
        await cron.stop()


async def test_what_is_on_disk_is_known_before_it_starts(database: Database) -> None:
    clock, events = HandClock(), Events()
    async with Tasks() as tasks:
        await manager(database, clock, events, tasks).add(Job(name="tea", schedule="@hourly"))
        cron = manager(database, clock, events, tasks)
        cron.load()
        assert list(cron.jobs) == ["tea"]
        with pytest.raises(JobExistsError):
            await cron.add(Job(name="tea", schedule="@daily"))


async def test_jobs_survive_a_restart_and_catch_up(database: Database) -> None:
    clock, events = HandClock(), Events()
    async with Tasks() as tasks:
        cron = manager(database, clock, events, tasks)
        await cron.add(Job(name="all", schedule="@hourly", catch_up=CatchUp.ALL))
        await cron.add(Job(name="boot", schedule="@reboot"))
        await cron.add(Job(name="none", schedule="@hourly"))
    clock.move(2.5 * 3600)
    async with Tasks() as tasks:
        cron = manager(database, clock, events, tasks, boot="two")
        with events.subscribe(JobRan, JobMissed) as heard:
            cron.start()
            found = [await following(heard) for _ in range(4)]
        assert [(one.run.name, one.run.due - START) for one in found if isinstance(one, JobRan)] == [
            ("all", 3600),
            ("all", 7200),
            ("boot", 9000),
        ]
        assert found[3] == JobMissed("none", START + 3600, START + 7200)
    async with Tasks() as tasks:
        cron = manager(database, clock, events, tasks, boot="two")
        with events.subscribe(JobRan, JobMissed) as heard:
            cron.start()
            clock.move(1800)
            assert [(await following(heard)).run.name for _ in range(2)] == ["all", "none"]


async def test_pause_resume_remove(database: Database) -> None:
    clock, events = HandClock(), Events()
    async with Tasks() as tasks:
        cron = manager(database, clock, events, tasks)
        await cron.add(Job(name="tea", schedule="@hourly"))
        assert (await cron.pause("tea")).next_run is None
        clock.move(7200)
        assert (await cron.resume("tea")).next_run == START + 3 * 3600
        assert (await cron.resume("tea")).next_run == START + 3 * 3600
        await cron.remove("tea")
        assert not cron.list()
        for act in (cron.remove, cron.pause, cron.resume):
            with pytest.raises(NoSuchJobError):
                await act("tea")
    assert not manager(database, clock, events, tasks).jobs


async def test_what_cannot_be_added_leaves_nothing(database: Database, tmp_path: Path) -> None:
    clock, events = HandClock(), Events()
    async with Tasks() as tasks:
        cron = manager(database, clock, events, tasks)
        with pytest.raises(BadScheduleError):
            await cron.add(Job(name="tea", schedule="@sunset"))
        await cron.add(Job(name="tea", schedule="@hourly"))
        with pytest.raises(JobExistsError):
            await cron.add(Job(name="tea", schedule="@daily"))
        closed = Database(tmp_path / "b.db")
        other = manager(closed, clock, events, tasks)
        await other.add(Job(name="kept", schedule="@hourly"))
        closed.close()
        with pytest.raises(UnavailableError):
            await other.add(Job(name="tea", schedule="@hourly"))
        with pytest.raises(UnavailableError):
            await other.pause("kept")
        assert [(one.name, one.is_paused) for one in other.list()] == [("kept", False)]


async def test_a_job_that_can_no_longer_be_planned_is_left_out(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    clock, events = HandClock(), Events()
    async with Tasks() as tasks:
        here = CronManager(database, clock, events, tasks, place=Place("UTC", 10.0, 10.0))
        await here.add(Job(name="sun", schedule="@sunset"))
        await here.add(Job(name="tea", schedule="@hourly"))
        nowhere = manager(database, clock, events, tasks)
        nowhere.start()
        assert list(nowhere.jobs) == ["tea"]
    assert "latitude" in caplog.text


async def test_update_goes_on_or_begins_anew(database: Database) -> None:
    clock, events = HandClock(), Events()
    async with Tasks() as tasks:
        cron = manager(database, clock, events, tasks)
        await cron.add(Job(name="tea", schedule="@every 1h"))
        await cron.add(Job(name="milk", schedule="@hourly"))
        clock.move(600)
        with events.subscribe(JobChanged) as heard:
            named = await cron.update("tea", Job(name="chai", schedule="@every 1h", limit=3))
            assert named.next_run == START + 3600  # the schedule is the same: it goes on
            assert [(await following(heard)).name for _ in range(2)] == ["tea", "chai"]
        assert (
            await cron.update("chai", Job(name="chai", schedule="@every 2h"))
        ).next_run == START + 600 + 7200
        paused = await cron.update("chai", Job(name="chai", schedule="@every 2h", is_paused=True))
        assert paused.next_run is None
        assert list(cron.jobs) == ["chai", "milk"]
        with pytest.raises(JobExistsError):
            await cron.update("milk", Job(name="chai", schedule="@hourly"))
        with pytest.raises(BadScheduleError):
            await cron.update("milk", Job(name="milk", schedule="soon"))
        with pytest.raises(NoSuchJobError):
            await cron.update("tea", Job(name="tea", schedule="@hourly"))
        assert cron.get("milk").schedule == "@hourly"
    async with Tasks() as tasks:
        again = manager(database, clock, events, tasks)
        again.start()
        assert [(one.name, one.is_paused) for one in again.list()] == [("chai", True), ("milk", False)]
        await again.stop()


async def test_an_update_that_the_disk_does_not_take_changes_nothing(database: Database) -> None:
    clock, events = HandClock(), Events()
    async with Tasks() as tasks:
        cron = manager(database, clock, events, tasks)
        await cron.add(Job(name="tea", schedule="@hourly"))
        database.close()
        with pytest.raises(UnavailableError):
            await cron.update("tea", Job(name="chai", schedule="@daily"))
        assert [(one.name, one.next_run) for one in cron.list()] == [("tea", START + 3600)]


async def test_run_now_beside_its_own_times(database: Database) -> None:
    clock, events = HandClock(), Events()
    async with Tasks() as tasks:
        cron = manager(database, clock, events, tasks)
        await cron.add(Job(name="tea", schedule="@hourly"))
        clock.move(60)
        with events.subscribe(JobRan) as heard:
            view = await cron.run("tea")
            ran = await following(heard)
            assert (ran.run.name, ran.run.due, ran.run.is_catch_up) == ("tea", START + 60, False)
            assert (view.last_run, view.next_run) == (START + 60, START + 3600)
            await cron.pause("tea")
            assert (await cron.run("tea")).next_run is None
            assert (await following(heard)).run.name == "tea"
        assert cron.view("tea").is_paused
        with pytest.raises(NoSuchJobError):
            await cron.run("milk")


async def test_preview(database: Database) -> None:
    async with Tasks() as tasks:
        cron = manager(database, HandClock(), Events(), tasks)
        assert cron.preview("@hourly", 2) == [START + 3600, START + 7200]
        assert cron.preview("@reboot") == []
        assert cron.place == Place()
        with pytest.raises(BadScheduleError):
            cron.preview("@sunset")


async def test_a_run_that_is_being_noted_when_it_stops_is_given_out(database: Database) -> None:
    clock, events = HandClock(), Events()
    async with Tasks() as tasks:
        cron = manager(database, clock, events, tasks)
        cron.start()
        await cron.add(Job(name="tea", schedule="@hourly"))
        await asyncio.sleep(0)
        with events.subscribe(JobRan) as heard:
            await database.hold()
            clock.move(3600)
            while cron.view("tea").last_run is None:
                clock.move(1)  # whoever had not yet gone to sleep
                await asyncio.sleep(0)
            stopping = asyncio.ensure_future(cron.stop())
            await asyncio.sleep(0)
            database.go_on()
            await stopping
            assert (await following(heard)).run.due == START + 3600
    async with Tasks() as tasks:
        again = manager(database, clock, events, tasks)
        again.load()
        assert again.view("tea").last_run == START + 3600


async def test_many_runs_at_once_drown_nobody(database: Database) -> None:
    clock, events = HandClock(), Events()
    names = {f"job {number}" for number in range(25)}
    async with Tasks() as tasks:
        cron = manager(database, clock, events, tasks)
        for name in names:
            await cron.add(Job(name=name, schedule="* * * * *", catch_up=CatchUp.ALL, limit=100))
        clock.move(86400)
        cron = manager(database, clock, events, tasks)
        with events.subscribe(JobRan) as heard:
            cron.start()
            found = list[str]()
            async with asyncio.timeout(20):
                async for one in heard:
                    found.append(one.run.name)
                    if len(found) + heard.lost == 2500:
                        break
            assert heard.lost == 0
        assert set(found) == names
        await cron.stop()


async def test_a_row_that_makes_no_sense_is_left_out(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    clock, events = HandClock(), Events()
    async with Tasks() as tasks:
        cron = manager(database, clock, events, tasks)
        for name in ("milk", "tea"):
            await cron.add(Job(name=name, schedule="@hourly"))
        await database.write(
            lambda it: it.execute("UPDATE cron_jobs SET job = '{' WHERE name = 'milk'").rowcount
        )
        again = manager(database, clock, events, tasks)
        again.load()
        assert list(again.jobs) == ["tea"]
        assert "milk" in caplog.text
        await again.add(Job(name="milk", schedule="@daily"))
        once_more = manager(database, clock, events, tasks)
        once_more.load()
        assert list(once_more.jobs) == ["milk", "tea"]
