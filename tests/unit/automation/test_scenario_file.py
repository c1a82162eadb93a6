"""Scenarios as files: there and back, and nothing odd gets in."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.automation.condition import Above, AllOf, AtMost, Below, Equals, For, Not
from wayhouse.automation.parameter import Kind, Parameter
from wayhouse.automation.scenario import Conf, Scenario
from wayhouse.automation.scenario_file import MAX_FILE, read, shared, write_json, write_toml
from wayhouse.base.errors import BadInputError, TooLargeError

FROST = Scenario(
    name="Frost guard",
    description='Heats "a bit"',
    conf=Conf(active=True),
    entries={"out side": "/device/pi.onewire.28-0", "door": "/var/door"},
    parameters={
        "limit": Parameter(kind=Kind.NUMBER, default=3.5, min=-10, max=10),
        "mode": Parameter(kind=Kind.TEXT, choices=("eco", "full"), default="eco"),
    },
    values={"limit": 4},
    when=AllOf(
        (For(600.0, Below("out side", 3.0, 0.5)), Not(Equals("door", value=True)), Above("out side", -50.0))
    ),
    at_most=AtMost(3, 3600.0),
    schedules=("@sunset-00:30",),
    code="import x\n\nprint('hi', \"there\", '\\n')\n",
)


@pytest.mark.parametrize("write", [write_json, write_toml])
def test_there_and_back(write: object) -> None:
    assert callable(write)
    for scenario in (FROST, Scenario(name="empty"), shared(FROST)):
        assert read(write(scenario)) == scenario


def test_what_is_shared_is_nobodys() -> None:
    assert shared(FROST).values == {}
    assert not shared(FROST).conf.active


def test_toml_is_for_people() -> None:
    text = write_toml(FROST)
    assert "code = '''\nimport x\n\nprint('hi'" in text
    assert '[entries]\n"out side" = ' in text


NAMES = st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9 _.-]{0,8}", fullmatch=True)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@settings(max_examples=150, deadline=None)
@given(
    NAMES,
    TEXT,
    TEXT.map(repr),
    st.dictionaries(NAMES, st.text("ab'\"\\[]=#", min_size=1, max_size=9), max_size=3),
)
def test_any_text_comes_back(name: str, description: str, code: str, entries: dict[str, str]) -> None:
    scenario = Scenario(name=name, description=description, code=f"x = {code}", entries=entries)
    assert read(write_toml(scenario)) == scenario
    assert read(write_json(scenario)) == scenario


@pytest.mark.parametrize(
    "code", ["x = '''\na'''", "x = 'a'", "# \x7f", "# \u2028", "x = 1\r\ny = 2", "\tx" * 0, "#\t'"]
)
def test_code_that_toml_cannot_show_plainly(code: str) -> None:
    scenario = Scenario(name="a", code=code)
    assert read(write_toml(scenario)).code == code


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        'name = "a"',
        'wayhouse_scenario = 2\nname = "a"',
        'wayhouse_scenario = true\nname = "a"',
        "wayhouse_scenario = 1",
        'wayhouse_scenario = 1\nname = "a"\nmore = 1',
        'wayhouse_scenario = 1\nname = "a"\nschedules = ["never"]',
        'wayhouse_scenario = 1\nname = "a"\nentries = 1979-05-27',
        '{"a": ' * 20_000,
        "a = " + "[" * 20_000,
    ],
)
def test_other_files_are_refused(text: str) -> None:
    with pytest.raises(BadInputError):
        read(text)


def test_a_file_has_a_limit() -> None:
    with pytest.raises(TooLargeError):
        read(" " * (MAX_FILE + 1))


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(
        st.text(max_size=80),
        st.integers(0, 400).map(lambda cut: write_toml(FROST)[:cut] + write_toml(FROST)[cut + 1 :]),
    )
)
def test_no_text_harms(text: str) -> None:
    with contextlib.suppress(BadInputError, TooLargeError):
        assert read(text).name
