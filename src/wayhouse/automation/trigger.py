"""When a condition comes true: a machine, fed with values; its waits are plain data that outlive a restart.

Fed by whoever hears of values; one machine for each scenario. Rules: it fires when the whole condition becomes true, once, and again
only after it was not; what is unknown is neither true nor false; above the rate limit it does not fire, and says so.
After a restart: `restore`, then `receive` what is known, then `tick`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import msgspec

from wayhouse.automation.condition import (
    MAX_FOR_S,
    Above,
    AllOf,
    AnyOf,
    AtMost,
    Below,
    Changed,
    Condition,
    Equals,
    For,
    Not,
    check,
    sources,
    walk,
)
from wayhouse.automation.model import MAX_INTEGER, Value

SLACK_S = 1e-6
"""Added times are not exact: what is due within this is due."""


class Fired(NamedTuple):
    """`source`: whose value it was; None when a wait was over."""

    source: str | None


class Limited(NamedTuple):
    """It came true, but has fired as often as `at_most` allows; `retry_after_s`: when it may again."""

    source: str | None
    retry_after_s: float


class TriggerState(msgspec.Struct, frozen=True):
    """All that a trigger remembers. `latched`, `held`: by the path of a condition; `held`: for how many seconds it has been true;
    `fired`: how many seconds ago, each time that counts."""

    values: dict[str, Value]
    latched: dict[str, bool]
    held: dict[str, float]
    fired: list[float]
    was_true: bool


class Trigger:
    """`now` is any clock that never jumps, the same one in all calls."""

    def __init__(self, when: Condition, at_most: AtMost | None = None) -> None:
        """Raises `BadInputError` for a condition that is too large."""
        check(when)
        self._nodes = list(walk(when))
        self._at_most = at_most
        self._values: dict[str, Value] = dict.fromkeys(sorted(sources(when)))
        self._changing = [one.source for _, one in self._nodes if isinstance(one, Changed)]
        self._latched: dict[str, bool] = {}
        self._since: dict[str, float] = {}
        self._over: set[str] = set()
        self._fired: list[float] = []
        self._was_true = False
        self._is_settled = True
        self._events: list[Fired | Limited] = []

    @property
    def sources(self) -> list[str]:
        return list(self._values)

    @property
    def nodes(self) -> list[tuple[str, Condition]]:
        """Each condition with its path, as in `TriggerState`."""
        return self._nodes

    def receive(self, source: str, value: Value, now: float) -> None:
        """`source` says `value`; a source that no condition names is passed over."""
        if source not in self._values:
            return
        if self._is_settled:
            self.tick(now)
        value = value if _says_something(value) else None
        before, self._values[source] = self._values[source], value
        has_changed = before is not None and value is not None and not _same(before, value)
        if has_changed:
            self._decide(now, source, changed=source)
        self._decide(now, source)

    def tick(self, now: float) -> None:
        """Look at the waits, in the order in which they end."""
        self._is_settled = True
        while (due := self.deadline()) <= now + SLACK_S:
            self._decide(due, None)

    def deadline(self) -> float:
        """When to `tick` next; `inf`: nothing is waited for."""
        waits = ((path, one.seconds) for path, one in self._nodes if isinstance(one, For))
        return min(
            (
                self._since[path] + long
                for path, long in waits
                if path in self._since and path not in self._over
            ),
            default=math.inf,
        )

    def events(self) -> list[Fired | Limited]:
        """What was decided since the last call, in order."""
        found, self._events = self._events, []
        return found

    @property
    def memory(self) -> object:
        """Another one whenever `state` holds something that would not be learned anew after a restart."""
        return (
            self._was_true,
            len(self._fired),
            self._fired[-1:],
            tuple(self._since.items()),
            tuple(self._latched.items()),
            tuple([self._values[name] for name in self._changing]),
        )

    def state(self, now: float) -> TriggerState:
        """What `restore` takes, in another process too."""
        return TriggerState(
            values=dict(self._values),
            latched=dict(self._latched),
            held={path: now - since for path, since in self._since.items()},
            fired=[now - at for at in self._fired],
            was_true=self._was_true,
        )

    def restore(self, state: TriggerState, now: float, away_s: float) -> None:
        """Go on from `state` of the same condition, written `away_s` ago: waits went on meanwhile. What `receive` tells until the
        next `tick` counts as having been so when they ended."""
        away_s = min(max(away_s, 0.0), MAX_FOR_S)
        waits = {path for path, one in self._nodes if isinstance(one, For)}
        self._values.update((name, value) for name, value in state.values.items() if name in self._values)
        self._latched = dict(state.latched)
        self._since = {path: now - held - away_s for path, held in state.held.items() if path in waits}
        self._over.clear()
        self._fired = [now - ago - away_s for ago in state.fired]
        self._was_true = state.was_true
        self._is_settled = False

    def _decide(self, now: float, source: str | None, changed: str | None = None) -> None:
        truths: dict[str, bool | None] = {}
        for path, one in self._nodes:
            truths[path] = self._truth(path, one, truths, now, changed)
        is_true = truths[""]
        if is_true is None:
            return
        if is_true and not self._was_true:
            self._fire(now, source)
        self._was_true = is_true

    def _truth(
        self, path: str, one: Condition, truths: dict[str, bool | None], now: float, changed: str | None
    ) -> bool | None:
        match one:
            case Above() | Below():
                return self._compare(path, one)
            case Equals():
                value = self._values[one.source]
                return None if value is None else _same(value, one.value)
            case Changed():
                return None if self._values[one.source] is None else one.source == changed
            case For():
                return self._wait(path, one.seconds, truths[_child(path, 0)], now)
            case Not():
                inner = truths[_child(path, 0)]
                return None if inner is None else not inner
            case AllOf() | AnyOf():
                decides = isinstance(one, AnyOf)
                found = [truths[_child(path, number)] for number in range(len(one.of))]
                return decides if decides in found else None if None in found else not decides

    def _compare(self, path: str, one: Above | Below) -> bool | None:
        value = self._values[one.source]
        if value is None or isinstance(value, str | bool):
            return None
        slack = one.hysteresis if self._latched.get(path) else 0.0
        is_true = value > one.value - slack if isinstance(one, Above) else value < one.value + slack
        self._latched[path] = is_true
        return is_true

    def _wait(self, path: str, seconds: float, inner: bool | None, now: float) -> bool | None:  # noqa: FBT001 - a truth
        if not inner:
            self._since.pop(path, None)
            self._over.discard(path)
            return inner
        if now - self._since.setdefault(path, now) >= seconds - SLACK_S:
            self._over.add(path)
        return path in self._over

    def _fire(self, now: float, source: str | None) -> None:
        limit = self._at_most
        if limit is not None:
            self._fired = [at for at in self._fired if now - at < limit.seconds - SLACK_S]
            if len(self._fired) >= limit.times:
                self._events.append(Limited(source, self._fired[0] + limit.seconds - now))
                return
            self._fired.append(now)
        self._events.append(Fired(source))


def _child(path: str, number: int) -> str:
    return f"{path}.{number}" if path else str(number)


def _same(one: Value, other: Value) -> bool:
    """Whether they are the same value: 1 is 1.0, but neither is `true`."""
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def _says_something(value: Value) -> bool:
    if isinstance(value, float):
        return not math.isnan(value)
    return not isinstance(value, int) or abs(value) <= MAX_INTEGER
