"""Jobs on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from wayhouse.automation.cron_store import CronStore
from wayhouse.automation.model import CatchUp, Job, Record
from wayhouse.base.database import Database


async def test_jobs_are_there_after_a_restart(tmp_path: Path) -> None:
    database = Database(tmp_path / "a.db")
    store = CronStore(database)
    one = Job(name="one", schedule="@daily", catch_up=CatchUp.ALL, limit=3)
    two = Job(name="two", schedule="@reboot", is_paused=True)
    await store.save(one, Record(since=1.0))
    await store.save(two, Record(since=2.0, boot="b"))
    await store.note({"one": Record(since=5.0, last=5.0), "gone": Record(since=9.0)})
    database.close()

    database = Database(tmp_path / "a.db")
    store = CronStore(database)
    assert store.load() == [(one, Record(since=5.0, last=5.0)), (two, Record(since=2.0, boot="b"))]
    await store.remove("one")
    assert [job.name for job, _ in store.load()] == ["two"]
    database.close()


async def test_a_row_that_makes_no_sense_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database(tmp_path / "a.db")
    store = CronStore(database)
    one = Job(name="one", schedule="@daily")
    await store.save(one, Record(since=1.0))
    await database.write(lambda it: it.execute("INSERT INTO cron_jobs VALUES ('x', '{}', '{}')").rowcount)
    assert store.load() == [(one, Record(since=1.0))]
    assert "job x is left out: stored job" in caplog.text
    database.close()


async def test_what_an_older_version_kept_is_read(tmp_path: Path) -> None:
    database = Database(tmp_path / "a.db")
    store = CronStore(database)
    rows = ('{"name":"one","schedule":"@daily"}', '{"since":5.0,"last":5.0,"boot":"b"}')
    await database.write(lambda it: it.execute("INSERT INTO cron_jobs VALUES ('one', ?, ?)", rows).rowcount)
    record = Record(since=5.0, last=5.0, boot="b")
    assert store.load() == [(Job(name="one", schedule="@daily"), record)]
    await store.note({"one": Record(since=60.0, boot="b", before=(5.0,))})
    assert store.load()[0][1].before == (5.0,)
    database.close()
