"""Jobs over the bus: every verb, and everything that is none."""

# covers: automation/verbs.py

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.automation.cron_service import CronManager
from wayhouse.automation.cron_verbs import CronVerbs
from wayhouse.automation.verbs import flag_of, joined, shown, value_of
from wayhouse.base.clock import ManualClock
from wayhouse.base.database import Database
from wayhouse.base.errors import BadInputError
from wayhouse.base.events import Events
from wayhouse.base.tasks import Tasks


@pytest.fixture
async def ask(tmp_path):
    database = Database(tmp_path / "a.db")
    async with Tasks() as tasks:
        verbs = CronVerbs(CronManager(database, ManualClock(1_772_366_400.0), Events(), tasks))

        async def ask(*frames):
            return await verbs.answer([one if isinstance(one, bytes) else one.encode() for one in frames])

        yield ask
    database.close()


async def test_the_life_of_a_job(ask):
    assert await ask("list_keys") == [b"200"]
    job, status = await ask("add", "tea", "@hourly", "all", "3")
    assert (json.loads(job)["limit"], json.loads(job)["catch_up"], status) == (3, "all", b"200")
    await ask("add", "milk", "@daily")
    assert await ask("list_keys") == [b"milk|tea", b"200"]
    listed = json.loads((await ask("list"))[0])
    assert listed["tea"]["next_run"] == 1_772_366_400.0 + 3600
    assert json.loads((await ask("list", "tea"))[0]) == listed["tea"]
    updated = json.loads((await ask("update", "tea", "@daily"))[0])
    assert (updated["schedule"], updated["limit"]) == ("@daily", 3)
    assert json.loads((await ask("pause", "tea"))[0])["is_paused"]
    assert json.loads((await ask("run", "tea"))[0])["last_run"] == 1_772_366_400.0
    assert not json.loads((await ask("resume", "tea"))[0])["is_paused"]
    assert await ask("delete", "tea") == [b"200"]
    assert (await ask("delete", "tea"))[-1] == b"404"


@pytest.mark.parametrize(
    ("frames", "status"),
    [
        ([], b"500"),
        (["fly"], b"501"),
        (["add", "tea"], b"400"),
        (["add", "tea", "soon"], b"400"),
        (["add", "tea", "@daily", "often"], b"400"),
        (["add", "tea", "@daily", "all", "many"], b"400"),
        (["add", "tea", "@daily", "all", "0"], b"400"),
        (["add", b"\xff", "@daily"], b"400"),
        (["update", "tea", "@daily"], b"404"),
        (["list", "tea"], b"404"),
    ],
)
async def test_what_is_wrong_ends_with_its_status(ask, frames, status):
    answer = await ask(*frames)
    assert answer[-1] == status
    if status == b"501":
        assert answer == [b"fly", b"501"]


@given(
    st.lists(
        st.one_of(st.binary(max_size=12), st.sampled_from([b"add", b"update", b"run", b"@daily"])), max_size=5
    )
)
def test_nothing_that_comes_can_raise(frames):
    async def go():
        async with Tasks() as tasks:
            return await CronVerbs(crons(tasks)).answer(frames)

    assert asyncio.run(go())[-1].isdigit()


def crons(tasks):
    return CronManager(_DATABASE, ManualClock(), Events(), tasks)


@pytest.fixture(autouse=True, scope="module")
def _database(tmp_path_factory):
    global _DATABASE
    _DATABASE = Database(tmp_path_factory.mktemp("fuzz") / "a.db")
    yield
    _DATABASE.close()


def test_values_and_flags():
    assert [value_of(text) for text in ("1", "true", '"x"', "x y", "null", "[1]")] == [
        1,
        True,
        "x",
        "x y",
        "null",
        "[1]",
    ]
    assert flag_of("ON")
    assert not flag_of("0")
    with pytest.raises(BadInputError):
        flag_of("perhaps")
    assert joined([]) == []
    assert joined(["a", "b"]) == [b"a|b"]
    assert (shown("x"), shown(1.5), shown(None)) == (b"x", b"1.5", b"null")
