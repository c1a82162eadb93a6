"""Two sides of the engine, with and without a relay between them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.overlay.engine.pairs import Pair


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = Pair()
    yield made
    made.close()


@pytest.fixture
def relayed() -> Iterator[Pair]:
    made = Pair(channel=0x4001)
    yield made
    made.close()
