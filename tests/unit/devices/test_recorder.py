import asyncio
import subprocess
import sys

import pytest

from wayhouse.base.database import Database
from wayhouse.base.tasks import Tasks
from wayhouse.devices.log import DeviceLog
from wayhouse.devices.readings import Readings
from wayhouse.devices.recorder import Recorder


@pytest.fixture
def books(database):
    return Readings(database), DeviceLog(database)


@pytest.fixture
def recorder(database, clock, books):
    return Recorder(database, clock, books)


def fill(books):
    readings, log = books
    readings.add("d", "value", 1000.0, 1.0)
    log.add("d", 1000.0, "added", "Found.")


def rows(database):
    return [
        database.read(f"SELECT count(*) FROM {table}")[0][0] for table in ("reading_journal", "device_log")
    ]


async def test_all_books_in_one_go(recorder, database, books):
    await recorder.keep()
    fill(books)
    await recorder.keep()
    await recorder.keep()
    assert rows(database) == [1, 1]


async def test_it_runs_by_itself(recorder, database, books):
    fill(books)
    async with Tasks() as tasks:
        tasks.spawn(recorder.run(), name="recorder")
        while rows(database) != [1, 1]:
            await asyncio.sleep(0.001)


async def test_at_the_end_everything_goes_to_disk(recorder, database, books):
    fill(books)
    recorder.close()
    await database.write(lambda _: None)
    assert rows(database) == [1, 1]
    recorder.close()


async def test_a_commit_that_is_left_behind_is_not_done_twice(recorder, database, books):
    fill(books)
    async with Tasks() as tasks:
        tasks.spawn(recorder.keep(), name="keep")
        await asyncio.sleep(0)
    recorder.close()
    await database.write(lambda _: None)
    assert rows(database) == [1, 1]


async def test_a_disk_that_takes_nothing_is_said_once(recorder, database, books, caplog):
    fill(books)
    database.close()
    await recorder.keep()
    await recorder.keep()
    assert caplog.text.count("no history can be kept") == 1
    assert books[0].begin(None) is not None  # it waits still


VICTIM = """
import asyncio, sys
from pathlib import Path
from wayhouse.base.clock import SystemClock
from wayhouse.base.database import Database
from wayhouse.devices.readings import Readings
from wayhouse.devices.recorder import Recorder

async def main():
    database = Database(Path(sys.argv[1]))
    readings = Readings(database)
    recorder = Recorder(database, SystemClock(), [readings])
    number = 0
    while True:
        for number in range(number, number + 50):
            readings.add("d", "value", 1000.0, float(number))
        number += 1
        await recorder.keep()
        print(number, flush=True)

asyncio.run(main())
"""


def test_what_is_acknowledged_outlives_a_kill(tmp_path):
    file = tmp_path / "state.db"
    command = [sys.executable, "-c", VICTIM, str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as victim:
        told = [int(victim.stdout.readline()) for _ in range(5)]
        victim.kill()
        told += [int(line) for line in victim.stdout.read().split()]
    database = Database(file)
    try:
        (bucket,) = Readings(database).between("d", "value", 1000, 1000, now=1000)
    finally:
        database.close()
    assert bucket.count >= told[-1]
    assert (bucket.minimum, bucket.maximum) == (0.0, bucket.count - 1.0)
