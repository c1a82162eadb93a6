"""The overlays of this gateway on disk, in the room's own table of the database. Called by `service.py`."""

from __future__ import annotations

from wayhouse.base import codec
from wayhouse.base.database import Connection, Database
from wayhouse.overlay.configuration import Configuration
from wayhouse.overlay.orders import Issued

SCHEMA = (
    "CREATE TABLE overlays (name TEXT PRIMARY KEY, document BLOB NOT NULL) WITHOUT ROWID;",
    "CREATE TABLE overlay_invitations (id TEXT PRIMARY KEY, overlay TEXT NOT NULL, document BLOB NOT NULL) WITHOUT ROWID;",
)


class ConfigurationStore:
    """What an `await` here has returned from is on disk."""

    def __init__(self, database: Database) -> None:
        """Raises `PermanentError` for a database of a newer version."""
        self._database = database
        database.migrate("overlay", SCHEMA)

    def load(self) -> list[Configuration]:
        """All overlays, by name. Raises `BadInputError` for a row that was changed by hand into nonsense."""
        rows = self._database.read("SELECT document FROM overlays ORDER BY name")
        return [codec.decode_json(document, Configuration, what="stored overlay") for (document,) in rows]

    async def save(self, one: Configuration) -> None:
        """Raises `UnavailableError` when the disk does not take it."""
        row = (one.name, codec.encode_json(one))
        await self._database.write(
            lambda it: it.execute("INSERT OR REPLACE INTO overlays VALUES (?, ?)", row).rowcount
        )

    async def remove(self, name: str) -> None:
        """With its invitations. Raises `UnavailableError`."""

        def work(connection: Connection) -> None:
            connection.execute("DELETE FROM overlays WHERE name = ?", (name,))
            connection.execute("DELETE FROM overlay_invitations WHERE overlay = ?", (name,))

        await self._database.write(work)

    def issued(self, overlay: str) -> list[Issued]:
        """The invitations that were made here, the newest first."""
        rows = self._database.read("SELECT document FROM overlay_invitations WHERE overlay = ?", (overlay,))
        found = [codec.decode_json(document, Issued, what="stored invitation") for (document,) in rows]
        return sorted(found, key=lambda one: (-one.made, one.id))

    async def keep(self, one: Issued) -> None:
        """Raises `UnavailableError`."""
        row = (one.id, one.overlay, codec.encode_json(one))
        await self._database.write(
            lambda it: it.execute("INSERT OR REPLACE INTO overlay_invitations VALUES (?, ?, ?)", row).rowcount
        )
