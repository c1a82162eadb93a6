from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.automation.scenario import Scenario
from wayhouse.portal.scenario_text import NEW_CODE, NEW_HEAD, FaultyError, apart, around, together


def test_apart_and_together_again():
    scenario = Scenario(name="one", entries={"t": "device:boiler"}, code="log(1)\n")
    head, code = apart(scenario)
    assert "code" not in head
    assert together(head.replace("\n", "\r\n"), code.replace("\n", "\r\n")) == scenario
    assert together(NEW_HEAD, NEW_CODE).name == "New scenario"


def test_a_whole_file_may_be_pasted_into_the_head():
    assert together('wayhouse_scenario = 1\nname = "x"\ncode = "log(2)"\n', " \n").code == "log(2)"


@pytest.mark.parametrize(
    ("head", "code", "part", "line"),
    [
        ("wayhouse_scenario = 1\nname = \n", "", "head", 2),
        ('name = "x"\n', "", "head", None),
        ('wayhouse_scenario = 1\nname = "x"\nother = 3\n', "", "head", 3),
        ('wayhouse_scenario = 1\n\nname = "!"\n', "", "head", 3),
        ('wayhouse_scenario = 1\nname = "x"\n[entries]\na = ""\n', "", "head", 4),
        ('wayhouse_scenario = 1\nname = "x"\n', "a = 1\nb = (\n", "code", 2),
        ('wayhouse_scenario = 1\nname = "x"\n', "\0", "code", None),
        ('wayhouse_scenario = 1\nname = "x"\n', "#" * 300_000, "code", None),
    ],
)
def test_a_fault_is_found_where_it_is(head, code, part, line):
    with pytest.raises(FaultyError) as caught:
        together(head, code)
    fault = caught.value.fault
    assert (fault.part, fault.line) == (part, line), fault.message
    assert fault.message == caught.value.message


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=60), st.text(max_size=60))
def test_any_text_is_a_scenario_or_a_fault(head, code):
    for start in ("", 'wayhouse_scenario = 1\nname = "x"\n'):
        try:
            found = together(start + head, code)
        except FaultyError as error:
            found = error.fault
        assert isinstance(found, Scenario) or found.line is None or found.line >= 1


def test_the_lines_around_one():
    code = "a\nb\nc\nd\ne\n"
    assert around(code, 1) == [(1, "a"), (2, "b"), (3, "c")]
    assert around(code, 5, 1) == [(4, "d"), (5, "e")]
    assert around(code, 6) == around(code, None) == around("", 1) == around(code, 0) == []
