"""Jobs and what was run of them on disk, in the room's own table of the database. Called by `cron_service`."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from wayhouse.automation.model import Job, Record
from wayhouse.base import codec
from wayhouse.base.database import Connection, Database
from wayhouse.base.errors import WayhouseError

log = logging.getLogger(__name__)
SCHEMA = (
    "CREATE TABLE cron_jobs (name TEXT PRIMARY KEY, job BLOB NOT NULL, record BLOB NOT NULL) WITHOUT ROWID;",
)


class CronStore:
    """What an `await` here has returned from is on disk."""

    def __init__(self, database: Database) -> None:
        """Raises `PermanentError` for a database of a newer version."""
        self._database = database
        database.migrate("automation.cron", SCHEMA)

    def load(self) -> list[tuple[Job, Record]]:
        """All jobs, by name. A row that makes no sense, such as one of a newer version, is left out, with a line in the log."""
        found = list[tuple[Job, Record]]()
        for name, job, record in self._database.read("SELECT name, job, record FROM cron_jobs ORDER BY name"):
            try:
                found.append(
                    (
                        codec.decode_json(job, Job, what="stored job"),
                        codec.decode_json(record, Record, what="stored record"),
                    )
                )
            except WayhouseError as error:
                log.error("job %s is left out: %s", name, error)  # noqa: TRY400 - said well enough
        return found

    async def save(self, job: Job, record: Record) -> None:
        """Add a job or replace the one of its name. Raises `UnavailableError` when the disk does not take it."""
        row = (job.name, codec.encode_json(job), codec.encode_json(record))
        await self._database.write(
            lambda it: it.execute("INSERT OR REPLACE INTO cron_jobs VALUES (?, ?, ?)", row).rowcount
        )

    async def replace(self, name: str, job: Job, record: Record) -> None:
        """`job` in place of the one called `name`, in one step. Raises `UnavailableError`."""
        row = (job.name, codec.encode_json(job), codec.encode_json(record))

        def work(connection: Connection) -> None:
            connection.execute("DELETE FROM cron_jobs WHERE name = ?", (name,))
            connection.execute("INSERT OR REPLACE INTO cron_jobs VALUES (?, ?, ?)", row)

        await self._database.write(work)

    async def note(self, records: Mapping[str, Record]) -> None:
        """What was run, of all jobs that were due, in one step; a job that is gone stays gone. Raises `UnavailableError`."""
        rows = [(codec.encode_json(record), name) for name, record in records.items()]

        def work(connection: Connection) -> None:
            connection.executemany("UPDATE cron_jobs SET record = ? WHERE name = ?", rows)

        await self._database.write(work)

    async def remove(self, name: str) -> None:
        """Raises `UnavailableError`."""
        await self._database.write(
            lambda it: it.execute("DELETE FROM cron_jobs WHERE name = ?", (name,)).rowcount
        )
