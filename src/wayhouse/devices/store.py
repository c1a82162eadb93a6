"""The table of devices: what must outlive a restart, that is ids, places, names and configs."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from wayhouse.base import codec
from wayhouse.base.database import Connection, Database
from wayhouse.base.errors import BadInputError
from wayhouse.devices.model import BadDeviceError
from wayhouse.devices.record import Record
from wayhouse.devices.register import DeviceRegister

SCHEMA = (
    """
    CREATE TABLE devices (
        id TEXT PRIMARY KEY, driver TEXT NOT NULL, address TEXT NOT NULL, config BLOB NOT NULL,
        former_names BLOB NOT NULL, last_seen REAL, UNIQUE (driver, address)) WITHOUT ROWID;
    """,
)
log = logging.getLogger(__name__)


class DeviceStore:
    def __init__(self, database: Database) -> None:
        self._database = database
        database.migrate("devices", SCHEMA)

    async def save(self, record: Record) -> None:
        """Insert or replace; on disk when it returns."""
        row = (
            record.id,
            record.driver,
            record.address,
            codec.encode_json(record.device.config),
            codec.encode_json(record.former_names),
            record.health.last_seen,
        )

        def work(connection: Connection) -> None:
            connection.execute("INSERT OR REPLACE INTO devices VALUES (?, ?, ?, ?, ?, ?)", row)

        await self._database.write(work)

    async def delete(self, device_id: str) -> None:
        await self._database.write(
            lambda connection: connection.execute("DELETE FROM devices WHERE id = ?", (device_id,))
        )

    def load(self, register: DeviceRegister) -> Iterator[Record]:
        """All devices by id; one whose type is not known here is left alone in the table, and said in the log."""
        rows = self._database.read(
            "SELECT id, driver, address, config, former_names, last_seen FROM devices ORDER BY id"
        )
        for device_id, driver, address, config, former, last_seen in rows:
            try:
                device = register.new(config)
                names = codec.decode_json(former, tuple[str, ...], what="former names")
            except (BadDeviceError, BadInputError) as error:
                log.warning("the device %s is left out: %s", device_id, error)
                continue
            record = Record(device_id, driver, address, device, names)
            record.health.last_seen = last_seen
            yield record
