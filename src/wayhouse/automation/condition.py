"""Conditions on values, as people write them: `above`, `below`, `equals`, `changed`, `for`, `all`, `any`, `not`.

Part of a scenario's file; decided by `trigger`. Rule: a tree of at most `MAX_NODES` conditions, `MAX_DEPTH` deep; what could never
come true is refused when it is made.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec

from wayhouse.automation.model import MAX_INTEGER
from wayhouse.base.errors import BadInputError

MAX_NODES = 64
MAX_DEPTH = 8
MAX_FOR_S = 366 * 86400.0


class _Node(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="is", omit_defaults=True):
    pass


class Above(_Node, frozen=True, tag="above"):
    """From when the number of `source` is above `value` until it is not above `value` - `hysteresis`."""

    source: str
    value: float
    hysteresis: float = 0.0

    def __post_init__(self) -> None:
        _check_bound(self.value, self.hysteresis)


class Below(_Node, frozen=True, tag="below"):
    """From when the number of `source` is below `value` until it is not below `value` + `hysteresis`."""

    source: str
    value: float
    hysteresis: float = 0.0

    def __post_init__(self) -> None:
        _check_bound(self.value, self.hysteresis)


class Equals(_Node, frozen=True, tag="equals"):
    source: str
    value: bool | int | float | str

    def __post_init__(self) -> None:
        if isinstance(self.value, int) and abs(self.value) > MAX_INTEGER:
            raise BadInputError("`equals` takes a number of at most 64 bits.", path="value")


class Changed(_Node, frozen=True, tag="changed"):
    """True for the one moment when the value of `source` becomes another; its first value is no change."""

    source: str


class For(_Node, frozen=True, tag="for"):
    """True when `of` has been true for so many seconds without a break."""

    seconds: float
    of: Condition

    def __post_init__(self) -> None:
        if not 0 < self.seconds <= MAX_FOR_S:
            raise BadInputError("`for` takes more than 0 seconds and at most 366 days.", path="seconds")
        if isinstance(self.of, Changed):
            raise BadInputError(
                "A change is over at once: `for` takes `not` `changed`, or another condition.", path="of"
            )


class AllOf(_Node, frozen=True, tag="all"):
    of: tuple[Condition, ...]

    def __post_init__(self) -> None:
        _check_some(self.of)


class AnyOf(_Node, frozen=True, tag="any"):
    of: tuple[Condition, ...]

    def __post_init__(self) -> None:
        _check_some(self.of)


class Not(_Node, frozen=True, tag="not"):
    of: Condition


Condition = Above | Below | Equals | Changed | For | AllOf | AnyOf | Not


class AtMost(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rate limit: `times` in any `seconds`."""

    times: int
    seconds: float

    def __post_init__(self) -> None:
        if not 1 <= self.times <= 1000 or not 0 < self.seconds <= MAX_FOR_S:
            raise BadInputError(
                "`at_most` takes 1 to 1000 times in more than 0 seconds and at most 366 days."
            )


def walk(condition: Condition, path: str = "") -> Iterator[tuple[str, Condition]]:
    """Every condition of the tree with its path in it, such as `0.1`; the inner ones first."""
    for number, child in enumerate(children(condition)):
        yield from walk(child, f"{path}.{number}" if path else str(number))
    yield path, condition


def children(condition: Condition) -> tuple[Condition, ...]:
    if isinstance(condition, AllOf | AnyOf):
        return condition.of
    return (condition.of,) if isinstance(condition, For | Not) else ()


def sources(condition: Condition) -> set[str]:
    """The names of the sources that it looks at."""
    return {one.source for _, one in walk(condition) if isinstance(one, Above | Below | Equals | Changed)}


def check(condition: Condition) -> None:
    """Raises `BadInputError` for a tree that is too large."""
    layer, seen, depth = [condition], 0, 0
    while layer:
        seen, depth = seen + len(layer), depth + 1
        if seen > MAX_NODES or depth > MAX_DEPTH:
            raise BadInputError(
                f"A trigger has at most {MAX_NODES} conditions, {MAX_DEPTH} deep. Make two scenarios of it.",
                path="when",
            )
        layer = [child for one in layer for child in children(one)]


def _check_bound(value: float, hysteresis: float) -> None:
    if not math.isfinite(value):
        raise BadInputError("A bound is a finite number.", path="value")
    if not 0 <= hysteresis < math.inf:
        raise BadInputError("Hysteresis is a finite number, 0 or more.", path="hysteresis")


def _check_some(found: tuple[Condition, ...]) -> None:
    if not found:
        raise BadInputError("`all` and `any` need at least one condition.", path="of")
