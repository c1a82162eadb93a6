"""What drives sockets is tested with the compiled mover and with its pure twin."""

from __future__ import annotations

import pytest

from tests.parts.mover import BOTH, twin
from wayhouse.bus.drivers import zeromq


@pytest.fixture(params=BOTH)
def moved_by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The broker's socket uses this one of the twins."""
    kind: str = request.param
    for name in ("receive_many", "send_many", "is_readable"):
        monkeypatch.setattr(zeromq, name, getattr(twin(kind), name))
    first, together = zeromq.SIZES[kind]
    monkeypatch.setattr(zeromq, "FIRST", first)
    monkeypatch.setattr(zeromq, "TOGETHER", together)
    return kind
