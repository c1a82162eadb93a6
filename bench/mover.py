"""The compiled frame mover for the processes that a benchmark starts: built for it alone, where there is a compiler."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wayhouse.base import compiled
from wayhouse.bus.drivers.frames_compiled import PART


@contextmanager
def built() -> Iterator[str]:
    """Until the end, processes that are started find it. What is missing for that, for a line in the table; empty if nothing is."""
    with tempfile.TemporaryDirectory(prefix="bench-frames-") as folder:
        try:
            compiled.build(PART, Path(folder))
        except compiled.NoToolsError:
            yield "a C compiler and Python's headers"
            return
        before = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [folder, before]))
        try:
            yield ""
        finally:
            os.environ["PYTHONPATH"] = before or ""


def environment(*, pure: bool) -> dict[str, str]:
    """Of a process that may use it, or is not to."""
    return {**os.environ, PART.switch: "1" if pure else ""}
