"""The compiled frame mover, built once for the tests of a process, where there is a compiler; nothing of it is left in the environment."""

from __future__ import annotations

import functools
import importlib.util
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from wayhouse.base import compiled
from wayhouse.bus.drivers import frames_compiled, frames_pure, zmtp_pure
from wayhouse.bus.drivers.frames_compiled import PART

BOTH = ("pure", "compiled")
_folder = tempfile.TemporaryDirectory(prefix="wayhouse-mover-", ignore_cleanup_errors=True)


@functools.cache
def built() -> Path:
    """The folder to put on `PYTHONPATH`; skips the test where it cannot be built."""
    try:
        return compiled.build(PART, Path(_folder.name)).parent
    except compiled.NoToolsError as error:
        pytest.skip(str(error))


@functools.cache
def _compiled() -> Any:
    spec = importlib.util.spec_from_file_location(PART.module, built() / PART.file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    compiled.examine(PART, module, frames_compiled.check)
    return module


def twin(kind: str) -> ModuleType:
    """One of `BOTH`: what has `receive_many`, `send_many` and `is_readable`."""
    return frames_pure if kind == "pure" else _compiled()


def codec(kind: str) -> ModuleType:
    """One of `BOTH`: what has `decode` and `encode`."""
    return zmtp_pure if kind == "pure" else _compiled()


def environment(kind: str) -> dict[str, str]:
    """What a process gets, so that it uses that one of `BOTH`."""
    if kind == "pure":
        return {PART.switch: "1"}
    return {PART.switch: "", "PYTHONPATH": str(built())}
