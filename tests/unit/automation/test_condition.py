"""Conditions are sound once made."""

from __future__ import annotations

import pytest

from wayhouse.automation.condition import (
    Above,
    AllOf,
    AnyOf,
    AtMost,
    Changed,
    Condition,
    Equals,
    For,
    Not,
    check,
    sources,
    walk,
)
from wayhouse.base import codec
from wayhouse.base.errors import BadInputError


@pytest.mark.parametrize(
    "text",
    [
        '{"is": "above", "source": "t", "value": 1e999}',
        '{"is": "above", "source": "t", "value": 1, "hysteresis": -1}',
        '{"is": "for", "seconds": 0, "of": {"is": "equals", "source": "t", "value": 1}}',
        '{"is": "for", "seconds": 5, "of": {"is": "changed", "source": "t"}}',
        '{"is": "all", "of": []}',
        '{"is": "any", "of": []}',
        '{"is": "maybe"}',
        '{"is": "not"}',
        '{"is": "changed", "source": "t", "more": 1}',
    ],
)
def test_what_cannot_come_true_is_refused(text: str) -> None:
    with pytest.raises(BadInputError):
        codec.decode_json(text, Condition)


def test_there_and_back() -> None:
    tree = AnyOf((AllOf((Above("t", 5.0, 0.5), Equals("d", "open"))), For(60.0, Not(Changed("m")))))
    assert codec.decode_json(codec.encode_json(tree), Condition) == tree
    assert sources(tree) == {"t", "d", "m"}
    assert [path for path, _ in walk(tree)] == ["0.0", "0.1", "0", "1.0.0", "1.0", "1", ""]


def test_no_tree_is_too_large() -> None:
    check(AllOf((Changed("t"),) * 63))
    deep: Condition = Changed("t")
    for _ in range(8):
        deep = Not(deep)
    for tree in (AllOf((Changed("t"),) * 64), deep):
        with pytest.raises(BadInputError, match="two scenarios"):
            check(tree)
    with pytest.raises(BadInputError):
        codec.decode_json('{"is":"not","of":' * 100_000, Condition)


@pytest.mark.parametrize("limit", [(0, 1.0), (1001, 1.0), (1, 0.0), (1, float("nan"))])
def test_the_rate_limit(limit: tuple[int, float]) -> None:
    with pytest.raises(BadInputError):
        AtMost(*limit)
