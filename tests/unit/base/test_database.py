"""What `write` returned is on disk, whoever else writes, whatever fails, and however the process ends."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.base.database import MAX_BATCH, Connection, Database
from wayhouse.base.errors import PermanentError, UnavailableError

TABLE = ("CREATE TABLE notes (number INTEGER PRIMARY KEY, text TEXT NOT NULL)",)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = Database(tmp_path / "deep" / "state.db")
    found.migrate("notes", TABLE)
    yield found
    found.close()


def put(number: int, text: str | None = "x"):
    def work(connection: Connection) -> int:
        connection.execute("INSERT INTO notes VALUES (?, ?)", (number, text))
        return number

    return work


def numbers(database: Database) -> list[int]:
    return [row[0] for row in database.read("SELECT number FROM notes ORDER BY number")]


async def test_a_write_answers_with_what_the_work_returned(database: Database) -> None:
    assert await database.write(put(7)) == 7
    assert numbers(database) == [7]


async def test_a_failing_write_undoes_itself_alone(database: Database) -> None:
    def half(connection: Connection) -> None:
        put(100)(connection)
        raise LookupError("changed my mind")

    results = await asyncio.gather(
        database.write(put(1)),
        database.write(half),
        database.write(put(1)),
        database.write(put(2, None)),
        database.write(lambda connection: connection.execute("INSERT INTO nowhere VALUES (?)", (1, 2))),
        database.write(put(3)),
        return_exceptions=True,
    )
    kinds = [type(one) for one in results]
    assert kinds[0] is int
    assert kinds[1] is LookupError
    assert kinds[2:4] == [sqlite3.IntegrityError] * 2
    assert isinstance(results[4], sqlite3.Error)
    assert results[5] == 3
    assert numbers(database) == [1, 3]


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=40))
@settings(max_examples=15, deadline=None)
def test_many_writers_each_all_or_nothing(tmp_path_factory: pytest.TempPathFactory, writes) -> None:
    """Group commit looks from outside as if everybody had written alone, in order."""

    async def play() -> None:
        database = Database(tmp_path_factory.mktemp("group") / "state.db")
        database.migrate("notes", TABLE)
        expected: list[int] = []
        outcomes = []

        def work_of(number: int, fails: bool):
            def work(connection: Connection) -> None:
                connection.execute("INSERT INTO notes VALUES (?, 'x')", (number,))
                if fails:
                    raise ValueError

            return work

        for number, fails in writes:
            if fails or number in expected:
                outcomes.append(False)
            else:
                outcomes.append(True)
                expected.append(number)
        results = await asyncio.gather(
            *(database.write(work_of(*one)) for one in writes), return_exceptions=True
        )
        assert [result is None for result in results] == outcomes
        assert numbers(database) == sorted(expected)
        database.close()

    asyncio.run(play())


async def test_more_writes_than_one_batch(database: Database) -> None:
    await asyncio.gather(*(database.write(put(number)) for number in range(3 * MAX_BATCH)))
    assert len(numbers(database)) == 3 * MAX_BATCH


async def test_writes_without_an_answer_keep_their_order(database: Database) -> None:
    for number in range(10):
        database.write_soon(put(number))
    database.write_soon(put(0))
    await database.write(put(10))
    assert numbers(database) == list(range(11))


async def test_a_caller_that_goes_away_disturbs_nobody(database: Database) -> None:
    gate = threading.Event()
    slow = asyncio.create_task(database.write(lambda _: gate.wait(5)))
    await asyncio.sleep(0)
    second = asyncio.create_task(database.write(put(1)))
    await asyncio.sleep(0)
    second.cancel()
    gate.set()
    await slow
    await database.write(put(2))
    assert numbers(database) == [1, 2]


async def test_close_writes_what_waits_and_then_refuses(tmp_path: Path) -> None:
    database = Database(tmp_path / "state.db")
    database.migrate("notes", TABLE)
    for number in range(1000):
        database.write_soon(put(number))
    database.close()
    with pytest.raises(UnavailableError, match="stopping"):
        await database.write(put(1000))
    again = Database(tmp_path / "state.db")
    assert len(numbers(again)) == 1000
    again.close()


CHILD = """
import asyncio, pathlib, sys
from wayhouse.base.database import Database
database = Database(pathlib.Path(sys.argv[1]))
database.migrate("notes", ["CREATE TABLE notes (number INTEGER PRIMARY KEY, text TEXT NOT NULL)"])
async def one(number):
    await database.write(lambda c: c.execute("INSERT INTO notes VALUES (?, 'x')", (number,)) and None)
    print(number, flush=True)
async def main():
    for start in range(0, 1_000_000, 5):
        await asyncio.gather(*(one(number) for number in range(start, start + 5)))
asyncio.run(main())
"""


def test_what_was_answered_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path)], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    assert child.stdout is not None
    answered = [int(child.stdout.readline()) for _ in range(60)]
    child.send_signal(signal.SIGKILL)
    answered += [int(line) for line in child.stdout.read().splitlines()]
    child.wait(10)
    database = Database(path)
    assert set(answered) <= set(numbers(database))
    assert database.read("PRAGMA integrity_check") == [("ok",)]
    database.close()


async def test_a_full_disk_is_told_and_gets_better(database: Database) -> None:
    """`max_page_count` makes SQLite fail in the way of a full disk, which ends the transaction under our feet."""
    await database.write(put(1))
    await database.write(lambda connection: connection.execute("PRAGMA max_page_count=8").fetchall())
    results = await asyncio.gather(
        *(database.write(put(number, "y" * 20_000)) for number in range(10, 13)), return_exceptions=True
    )
    assert all(isinstance(one, UnavailableError) for one in results), results
    assert "disk is full" in str(results[0])
    assert "Free space" in str(results[0])
    await database.write(lambda connection: connection.execute("PRAGMA max_page_count=100000").fetchall())
    assert await database.write(put(2, "y" * 20_000)) == 2
    assert numbers(database) == [1, 2]


async def test_a_disk_that_takes_no_writes_is_unavailable(database: Database) -> None:
    database._writer.execute("PRAGMA query_only=ON")
    with pytest.raises(UnavailableError, match="readonly"):
        await database.write(put(1))
    database._writer.execute("PRAGMA query_only=OFF")
    await database.write(put(1))
    assert numbers(database) == [1]


async def test_reads_do_not_wait_for_the_writer(database: Database) -> None:
    gate = threading.Event()

    def slow(connection: Connection) -> None:
        put(1)(connection)
        gate.wait(5)

    writing = asyncio.create_task(database.write(slow))
    await asyncio.sleep(0)
    assert numbers(database) == []
    gate.set()
    await writing
    assert numbers(database) == [1]


def test_each_step_of_a_schema_runs_once(tmp_path: Path) -> None:
    database = Database(tmp_path / "state.db")
    database.migrate("a", TABLE)
    database.migrate("a", [*TABLE, "ALTER TABLE notes ADD COLUMN more TEXT"])
    database.migrate("b", ["CREATE TABLE b (x)"])
    database.close()
    database = Database(tmp_path / "state.db")
    database.migrate("a", [*TABLE, "ALTER TABLE notes ADD COLUMN more TEXT"])
    with pytest.raises(PermanentError, match="newer version"):
        database.migrate("a", TABLE)
    database.close()


async def test_a_step_that_fails_leaves_nothing_and_blocks_nobody(database: Database) -> None:
    with pytest.raises(PermanentError, match="step 1"):
        database.migrate("bad", ["CREATE TABLE half (x); CREATE NONSENSE"])
    await database.write(put(1))
    database.migrate("bad", ["CREATE TABLE half (x)"])


async def test_a_schema_may_grow_while_others_write(database: Database) -> None:
    writes = [asyncio.create_task(database.write(put(number))) for number in range(50)]
    await asyncio.sleep(0)
    for number in range(10):
        database.migrate(f"room{number}", [f"CREATE TABLE t{number} (x)"])
    await asyncio.gather(*writes)
    assert len(numbers(database)) == 50


def test_only_the_owner_reads_the_files(database: Database, tmp_path: Path) -> None:
    database.read("SELECT 1")
    for path in (tmp_path / "deep").iterdir():
        if not path.name.endswith("-shm"):  # holds page numbers, no content
            assert path.stat().st_mode & 0o077 == 0, path


def test_a_damaged_file_is_refused_with_advice(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"not a database, but long enough to be taken for one" * 50)
    with pytest.raises(PermanentError, match="backup"):
        Database(tmp_path / "state.db")


async def test_while_held_another_process_may_write(database: Database) -> None:
    await database.write(put(1))
    await database.hold()
    database.write_soon(put(2))
    other = Database(database.path)
    await other.write(put(3))
    assert numbers(database) == [1, 3]
    other.close()
    database.go_on()
    await database.write(put(4))
    assert numbers(database) == [1, 2, 3, 4]


@pytest.mark.parametrize("confirmed", [False, True])
async def test_a_trial_leaves_nothing_unless_it_is_confirmed(database: Database, confirmed: bool) -> None:
    await database.write(put(1))
    await database.hold()
    steps = (
        *TABLE,
        "ALTER TABLE notes ADD COLUMN more TEXT DEFAULT ';'; CREATE INDEX by_text ON notes(text);",
    )
    trial = Database(database.path, on_trial=True)
    trial.migrate("notes", steps)
    with pytest.raises(PermanentError, match="step 1"):
        trial.migrate("bad", ["CREATE TABLE half (x); CREATE NONSENSE"])
    assert trial.read("SELECT more FROM notes") == [(";",)]
    trial.write_soon(put_more(2))
    if confirmed:
        trial.confirm()
        assert await trial.write(put_more(3)) is None
    trial.close()
    database.go_on()
    if confirmed:
        assert numbers(database) == [1, 2, 3]
        assert database.read("SELECT room FROM schema_steps ORDER BY room") == [("notes",)]
    else:
        await database.write(put(4))
        assert numbers(database) == [1, 4]


def put_more(number: int):
    def work(connection: Connection) -> None:
        connection.execute("INSERT INTO notes VALUES (?, 'x', 'm')", (number,))

    return work
