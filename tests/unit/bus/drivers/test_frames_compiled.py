"""What the mover must be able to do before it is used; how it is built and found is tested with `base.compiled`."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from tests.parts.mover import built, codec, environment, twin
from wayhouse.bus.drivers.frames_compiled import check

USED = "from wayhouse.bus.drivers import frames; print(frames.IS_COMPILED, frames.receive_many)"


@pytest.mark.parametrize(("kind", "used"), [("compiled", "True"), ("pure", "False")])
def test_a_process_uses_what_it_finds_unless_it_is_told_not_to(kind: str, used: str) -> None:
    variables = {"PYTHONPATH": str(built()), **environment(kind)}
    told = subprocess.run(
        [sys.executable, "-c", USED], env=variables, capture_output=True, text=True, timeout=60, check=True
    )
    assert (told.stdout.split()[0], told.stderr) == (used, "")


def mover(**others: Any) -> Any:
    """The twins as one module, with something else in the place of some functions."""
    pure, bytes_ = twin("pure"), codec("pure")
    return SimpleNamespace(
        connect=lambda *_: None,
        receive_many=others.get("receive_many", pure.receive_many),
        send_many=others.get("send_many", pure.send_many),
        is_readable=others.get("is_readable", pure.is_readable),
        decode=others.get("decode", bytes_.decode),
        encode=others.get("encode", bytes_.encode),
    )


def test_what_works_is_taken() -> None:
    check(mover())


@pytest.mark.parametrize(
    "others",
    [
        {"receive_many": lambda *_: True},
        {"is_readable": lambda _: False},
        {"encode": lambda message, _: b"\0\1x"},
        {"decode": lambda data, *_: (len(data), 2)},
    ],
)
def test_what_moves_nothing_or_something_else_is_not(others: dict[str, Any]) -> None:
    with pytest.raises(ImportError, match="as they are"):
        check(mover(**others))
