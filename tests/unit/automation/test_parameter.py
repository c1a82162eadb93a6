"""Parameters take what they say, and nothing else."""

from __future__ import annotations

import pytest

from wayhouse.automation.parameter import Kind, Parameter, Plain
from wayhouse.base.errors import BadInputError


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (Kind.NUMBER, [1, 2.5], ["1", True]),
        (Kind.TEXT, ["", "x"], [1, False, "x" * 5000]),
        (Kind.SWITCH, [True, False], [1, "yes"]),
        (Kind.SOURCE, ["boiler"], [3]),
    ],
)
def test_kinds(kind: Kind, good: list[Plain], bad: list[Plain]) -> None:
    parameter = Parameter(kind=kind)
    assert [parameter.check("p", value) for value in good] == good
    for value in bad:
        with pytest.raises(BadInputError, match="`p` takes a"):
            parameter.check("p", value)


def test_bounds_and_choices() -> None:
    warm = Parameter(kind=Kind.NUMBER, min=5, max=30, default=20)
    for value in (4, 31, float("nan"), float("inf"), 10**400):
        with pytest.raises(BadInputError, match="at least 5 and of at most 30"):
            warm.check("warm", value)
    with pytest.raises(BadInputError, match="finite"):
        Parameter(kind=Kind.NUMBER).check("x", float("inf"))
    with pytest.raises(BadInputError, match="one of a, b"):
        Parameter(kind=Kind.TEXT, choices=("a", "b")).check("x", "c")


def test_what_contradicts_itself_is_refused() -> None:
    with pytest.raises(BadInputError):
        Parameter(kind=Kind.NUMBER, max=3, default=4)
    with pytest.raises(BadInputError):
        Parameter(kind=Kind.TEXT, max=3)
    with pytest.raises(BadInputError):
        Parameter(kind=Kind.TEXT, choices=("a", "b"), default="c")
