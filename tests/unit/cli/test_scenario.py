"""`wayhouse scenario` on a gateway of its own: from a file to a life, its parameters and variables."""

# covers: cli/scenario_words.py

from __future__ import annotations

import pytest

from tests.parts.automation_gateway import house, tell
from wayhouse.base.errors import BadInputError
from wayhouse.cli.scenario_words import plain, read_file, read_pairs, step_line

__all__ = ["house", "tell"]

WARM = """wayhouse_scenario = 1
name = "too warm"
description = "Opens the window"
schedules = ["@daily"]
code = '''
log("warm")
'''

[entries]
room = "device:room"

[parameters]
limit = { kind = "number", max = 90 }
lamp = { kind = "text", default = "hall" }
only_weekdays = { kind = "switch", default = false }
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "warm.toml"
    path.write_text(WARM)
    return path


def test_the_life_of_a_scenario(tell, file):
    assert "scenario add FILE" in tell("scenario", "ls").err
    added = tell("scenario", "add", file)
    assert (added.code, added.out) == (0, "too warm is added.\n")
    assert "Set limit." in added.err
    assert "scenario set 'too warm' KEY=VALUE" in added.err
    assert "already" in tell("scenario", "add", file).err
    assert (
        tell("scenario", "set", "too warm", "limit=60", "lamp=5", "only_weekdays=on").out
        == "too warm is set.\n"
    )
    assert tell("scenario", "enable", "too warm").out == "too warm is awake.\n"
    shown = tell("scenario", "show", "too warm", "--code")
    for text in (
        "State                    watching",
        "device:room = 20",
        "Parameter limit          60",
        "Parameter lamp           5",
        'log("warm")',
    ):
        assert text in shown.out, shown.out
    detail = tell("scenario", "show", "too warm", "--json").json
    assert detail["scenario"]["values"] == {"limit": 60, "lamp": "5", "only_weekdays": True}
    listed = tell("scenario", "ls").out
    assert "too warm" in listed
    assert "watching" in listed
    assert tell("scenario", "disable", "too warm").out == "too warm sleeps.\n"
    assert tell("scenario", "rm", "too warm").code == 2  # nobody is there to ask
    assert tell("scenario", "rm", "too warm", "--yes").out == "too warm is removed.\n"
    assert tell("scenario", "ls", "--json").json == []


def test_variables(tell, file):
    tell("scenario", "add", file)
    assert "remembers nothing" in tell("scenario", "vars", "too warm").err
    set_ = tell("scenario", "vars", "too warm", "count=3", "mode=party time", "--json")
    assert set_.json == {"count": 3, "mode": "party time"}
    assert "party time" in tell("scenario", "vars", "too warm").out
    assert tell("scenario", "vars", "too warm", "--unset", "mode", "--json").json == {"count": 3}
    assert tell("scenario", "vars", "too warm", "nothing").code == 2
    assert tell("scenario", "vars", "nobody").code == 1


def test_parameters_that_do_not_fit(tell, file):
    tell("scenario", "add", file)
    for wrong, code in (
        ("limit=hot", 2),
        ("limit=91", 1),
        ("other=1", 1),
        ("only_weekdays=5", 1),
        ("limit", 2),
    ):
        assert tell("scenario", "set", "too warm", wrong).code == code, wrong


def test_words(tmp_path):
    assert [plain(text) for text in ("25", "true", '"25"', "a b", "[1]")] == [25, True, "25", "a b", "[1]"]
    assert read_pairs(["a=b=c"], "x") == {"a": "b=c"}
    with pytest.raises(BadInputError):
        read_pairs(["=b"], "x")
    for bad in (tmp_path / "nothing", tmp_path):
        with pytest.raises(BadInputError):
            read_file(str(bad))
    (tmp_path / "bad").write_bytes(b"\xff")
    with pytest.raises(BadInputError, match="UTF-8"):
        read_file(str(tmp_path / "bad"))


def test_a_step_in_one_line():
    from wayhouse.automation.runs import Step

    step = Step(number=2, at=12.5, call="command", text="lamp power True", result="True", took_s=0.3)
    assert step_line(step, 10.0) == "   2       2.5 s  command  lamp power True -> True  (0.3 s)"
