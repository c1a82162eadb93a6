"""A scenario that exists is sound."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from wayhouse.automation.condition import Above
from wayhouse.automation.parameter import Kind, Parameter
from wayhouse.automation.scenario import MAX_CODE, Conf, Scenario, check_code
from wayhouse.base.errors import BadInputError, TooLargeError


def test_a_thermostat() -> None:
    scenario = Scenario(
        name="Thermostat",
        conf=Conf(active=True, startup=True),
        entries={"room": "/device/pi.onewire.room"},
        parameters={"warm": Parameter(kind=Kind.NUMBER, default=20), "heater": Parameter(kind=Kind.SOURCE)},
        when=Above("room", 20.0, 0.5),
        schedules=("@sunset-00:30", "0 7 * * *"),
        code="while running():\n    heat(heater)\n",
    )
    assert not scenario.is_ready
    with pytest.raises(BadInputError, match="`heater`"):
        scenario.settings()


def test_settings() -> None:
    parameters = {"warm": Parameter(kind=Kind.NUMBER, default=20), "name": Parameter(kind=Kind.TEXT)}
    scenario = Scenario(name="a", parameters=parameters, values={"name": "x"})
    assert scenario.is_ready
    assert scenario.settings() == {"warm": 20, "name": "x"}


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "../x"},
        {"when": Above("room", 1.0)},
        {"entries": {"a/b": "x"}},
        {"entries": {"a": ""}},
        {"entries": {"a": "x\ny"}},
        {"schedules": ("sometimes",)},
        {"parameters": {"not a name": Parameter(kind=Kind.TEXT)}},
        {"values": {"unknown": 1}},
        {"parameters": {"x": Parameter(kind=Kind.TEXT)}, "values": {"x": 1}},
        {"code": "if"},
    ],
)
def test_what_is_unsound_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(BadInputError):
        Scenario(**{"name": "a", **fields})


def test_what_is_too_large_is_refused() -> None:
    for fields in (
        {"entries": {f"e{n}": "x" for n in range(101)}},
        {"description": "x" * 5000},
        {"code": " " * (MAX_CODE + 1)},
    ):
        with pytest.raises(TooLargeError):
            Scenario(name="a", **fields)  # type: ignore[arg-type]


def test_faults_in_code_name_their_line() -> None:
    with pytest.raises(BadInputError, match="line 2"):
        check_code("x = 1\nx = = 2\n")


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60))
@example("(" * 5000)
@example("-" * 100_000 + "1")
@example("a" + ".b" * 50_000)
@example("a" + "+b" * 50_000)
@example("x\0")
@example("'\\d'")
@example("\ud800")
def test_no_code_harms(code: str) -> None:
    with contextlib.suppress(BadInputError, TooLargeError):
        check_code(code)
