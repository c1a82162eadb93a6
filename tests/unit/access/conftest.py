"""A whole `Access` on a fresh database, with a clock that stands still and hashes that cost little."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from wayhouse.access.model import AccessSettings
from wayhouse.access.service import Access
from wayhouse.base.clock import ManualClock
from wayhouse.base.database import Database

CHEAP = AccessSettings(argon2_memory_kib=8, argon2_time=1)


class TwoChutes:
    """The chutes' tokens as the chutes room would know them."""

    def chute_of(self, token: str) -> str | None:
        return {"aaaa": "hello", "bbbb": "wiki"}.get(token)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def settings() -> AccessSettings:
    return CHEAP


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "state.db")
    yield database
    database.close()


@pytest.fixture
def access(database: Database, tmp_path: Path, settings: AccessSettings, clock: ManualClock) -> Access:
    (tmp_path / "home").mkdir()
    return Access(
        database,
        tmp_path / "keys",
        settings,
        clock,
        TwoChutes(),
        node_id=lambda: "node-1",
        homes=tmp_path / "home",
        root_home=tmp_path / "root",
    )


@pytest.fixture
def flush(database: Database):
    """Wait until everything written so far can be read."""

    async def wait() -> None:
        await database.write(lambda connection: None)

    return wait
