"""For all tests: the order in which they run."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

FIRST = Path(__file__).parent / "unit" / "runtime"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What forks comes first: it must not fork beside the threads that later tests keep for a whole session."""
    items.sort(key=lambda item: not item.path.is_relative_to(FIRST))


def pytest_configure() -> None:
    """Whoever runs the tests in the background has signals ignored, which every process below would inherit."""
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
