"""What drives sockets is tested with the compiled mover and with its pure twin."""

from __future__ import annotations

import pytest

from tests.parts.mover import BOTH, codec
from wayhouse.bus.drivers import connection


@pytest.fixture(params=BOTH)
def moved_by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The broker's connections use this one of the twins."""
    kind: str = request.param
    for name in ("decode", "encode"):
        monkeypatch.setattr(connection, name, getattr(codec(kind), name))
    return kind
