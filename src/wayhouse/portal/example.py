"""The one example that an empty gateway offers."""

from __future__ import annotations

import functools
from pathlib import Path

from wayhouse.chutes import examples

NAME = "hello"


@functools.cache
def folder() -> Path | None:
    """None: this install has no example."""
    return examples.folders().get(NAME)
