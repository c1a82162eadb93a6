"""Jobs on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from wayhouse.automation.cron_store import CronStore
from wayhouse.automation.model import CatchUp, Job, Record
from wayhouse.base.database import Database
from wayhouse.base.errors import BadInputError


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


async def test_a_row_changed_by_hand(tmp_path: Path) -> None:
    database = Database(tmp_path / "a.db")
    store = CronStore(database)
    await database.write(lambda it: it.execute("INSERT INTO cron_jobs VALUES ('x', '{}', '{}')").rowcount)
    with pytest.raises(BadInputError, match="stored job"):
        store.load()
    database.close()
