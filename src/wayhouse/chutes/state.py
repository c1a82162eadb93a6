"""What is installed: in memory for readers, on disk before anyone is told.

Only the tasks `Save` and `Forget` write here, so the store changes exactly when a change says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from wayhouse.base import codec
from wayhouse.base.database import Connection, Database
from wayhouse.base.events import Events
from wayhouse.chutes.model import Chute, ChuteChanged, NoSuchChuteError

SCHEMA = ("CREATE TABLE chutes (name TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;",)


class ChuteStore:
    def __init__(self, database: Database, events: Events) -> None:
        self._database = database
        self._events = events
        database.migrate("chutes", SCHEMA)
        rows = database.read("SELECT body FROM chutes ORDER BY name")
        loaded = [msgspec.json.decode(body, type=Chute) for (body,) in rows]
        self._chutes = {chute.name: chute for chute in loaded}
        self._by_token = {chute.token: chute.name for chute in loaded}
        self.generation = 0

    @property
    def all(self) -> Mapping[str, Chute]:
        """Every installed chute by name."""
        return MappingProxyType(self._chutes)

    def find(self, name: str) -> Chute | None:
        return self._chutes.get(name)

    def get(self, name: str) -> Chute:
        chute = self._chutes.get(name)
        if chute is None:
            raise NoSuchChuteError(f"No chute found with id: {name}", chute=name)
        return chute

    def chute_of(self, token: str) -> str | None:
        """The chute that `token` belongs to (what the access room asks)."""
        return self._by_token.get(token)

    async def save(self, chute: Chute) -> None:
        body = codec.encode_json(chute)

        def work(connection: Connection) -> None:
            connection.execute("INSERT OR REPLACE INTO chutes VALUES (?, ?)", (chute.name, body))

        await self._database.write(work)
        self._put(chute.name, chute)

    async def forget(self, name: str) -> None:
        def work(connection: Connection) -> None:
            connection.execute("DELETE FROM chutes WHERE name = ?", (name,))

        await self._database.write(work)
        self._put(name, None)

    def _put(self, name: str, chute: Chute | None) -> None:
        before = self._chutes.get(name)
        if before is not None:
            self._by_token.pop(before.token, None)
        if chute is None:
            self._chutes.pop(name, None)
        else:
            self._chutes[name] = chute
            self._by_token[chute.token] = name
        self.generation += 1
        self._events.publish(ChuteChanged(name, chute))
