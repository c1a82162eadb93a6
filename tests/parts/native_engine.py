"""The compiled part of the overlay's engine, built once for the tests of a process, where there is a compiler; nothing of it is left in the
environment."""

from __future__ import annotations

import functools
import importlib.util
import tempfile
from pathlib import Path

import pytest

from wayhouse.base import compiled
from wayhouse.overlay.engine import native_part
from wayhouse.overlay.engine.native_part import PART, Native

BOTH = ("pure", "compiled")
_folder = tempfile.TemporaryDirectory(prefix="wayhouse-engine-", ignore_cleanup_errors=True)


@functools.cache
def missing() -> str:
    """Why it cannot be built here; else it is built, and this is empty."""
    try:
        compiled.build(PART, Path(_folder.name))
    except compiled.NoToolsError as error:
        return str(error)
    return ""


def built() -> Path:
    """The folder to put on `PYTHONPATH`; skips the test where it cannot be built."""
    if missing():
        pytest.skip(missing())
    return Path(_folder.name)


@functools.cache
def native() -> Native:
    spec = importlib.util.spec_from_file_location(PART.module, built() / PART.file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    compiled.examine(PART, module, native_part.check)
    found: Native = module
    return found


def environment(kind: str) -> dict[str, str]:
    """What a process gets, so that it uses that one of `BOTH`."""
    if kind == "pure":
        return {PART.switch: "1"}
    return {PART.switch: "", "PYTHONPATH": str(built())}
