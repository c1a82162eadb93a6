"""A gateway's devices on a clock that tests move."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from wayhouse.base.clock import ManualClock
from wayhouse.base.database import Database
from wayhouse.base.events import Events
from wayhouse.devices.drivers.fake import FakeDriver
from wayhouse.devices.service import Devices


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = Database(tmp_path / "state.db")
    yield found
    found.close()


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
def fake() -> FakeDriver:
    return FakeDriver()


@pytest.fixture
async def devices(database, events, clock, fake) -> Devices:
    """The fake house, looked at and polled once."""
    found = Devices(database, events, clock, [fake], hostname="here")
    await found._servers["fake"].round()
    return found
