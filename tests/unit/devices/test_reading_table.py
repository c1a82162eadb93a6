import pytest

from wayhouse.devices.buckets import Archive, Folds
from wayhouse.devices.reading_table import SCHEMA, ReadingTable

SMALL = (Archive(10, 6),)


@pytest.fixture
def table(database):
    return ReadingTable(database, SMALL)


async def test_the_journal_and_what_becomes_of_it(table, database):
    await database.write(lambda connection: table.add_series(connection, [(("d", "value"), 7)]))
    last = await database.write(lambda connection: table.append(connection, [(7, 5.0, 1.0), (7, 6.0, 2.0)]))
    assert table.series() == {("d", "value"): 7}
    assert table.journal() == [(1, 7, 5.0, 1.0), (2, 7, 6.0, 2.0)]
    folds = Folds(SMALL)
    for _, series, time, number in table.journal():
        folds.add(series, time, number)
    await database.write(lambda connection: table.roll_up(connection, folds, last))
    assert (table.journal(), table.rollups()) == ([], 1)
    rollups, sums = table.between(7, 10, 0, 9)
    assert (rollups, sums[0].count, sums[0].total) == (1, 2, 3.0)
    assert table.between(7, 10, 5, 9) == (1, {})


async def test_a_row_that_came_later_stays_in_the_journal(table, database):
    await database.write(lambda connection: table.add_series(connection, [(("d", "value"), 1)]))
    last = await database.write(lambda connection: table.append(connection, [(1, 5.0, 1.0)]))
    await database.write(lambda connection: table.append(connection, [(1, 6.0, 2.0)]))
    await database.write(lambda connection: table.roll_up(connection, Folds(SMALL), last))
    assert [one[3] for one in table.journal()] == [2.0]


async def test_a_forgotten_device_leaves_nothing(table, database):
    await database.write(lambda connection: table.add_series(connection, [(("d", "value"), 1)]))
    await database.write(lambda connection: table.append(connection, [(1, 5.0, 1.0)]))
    await database.write(lambda connection: table.forget(connection, "d"))
    assert (table.series(), table.journal()) == ({}, [])


async def test_a_database_of_the_first_schema_is_brought_up_to_date(database):
    database.migrate("readings", SCHEMA[:1])
    assert ReadingTable(database, SMALL).rollups() == 0
