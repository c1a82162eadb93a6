"""For all tests: the order in which they run."""

from __future__ import annotations

from pathlib import Path

import pytest

FIRST = Path(__file__).parent / "unit" / "runtime"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What forks comes first: it must not fork beside the threads that later tests keep for a whole session."""
    items.sort(key=lambda item: not item.path.is_relative_to(FIRST))
