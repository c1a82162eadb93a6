"""Two sides of the engine, with and without a relay between them; each test runs with the pure twin and with the compiled part."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from tests.parts.native_engine import BOTH, native
from tests.unit.overlay.engine.pairs import Pair
from wayhouse.overlay.engine.native_part import Native


@pytest.fixture(params=BOTH)
def mover(request: pytest.FixtureRequest) -> Native | None:
    """None for the pure twin."""
    return native() if request.param == "compiled" else None


@pytest.fixture
def made(mover: Native | None) -> Iterator[Callable[[int | None], Pair]]:
    """Makes a pair, which goes through a relay if there is a channel."""
    with contextlib.ExitStack() as stack:

        def make(channel: int | None) -> Pair:
            pair = Pair(channel, mover)
            stack.callback(pair.close)
            return pair

        yield make


@pytest.fixture
def pair(made: Callable[[int | None], Pair]) -> Pair:
    return made(None)


@pytest.fixture
def relayed(made: Callable[[int | None], Pair]) -> Pair:
    return made(0x4001)
