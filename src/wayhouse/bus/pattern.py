"""Regular expressions whose search takes time in proportion to the text, whatever the expression.

Called by `mmi.discovery`, whose pattern comes from anyone: `re` backtracks, so one request could stop the broker for hours. Rule: the
syntax is that of `re`; what needs backtracking (references, look-around, word boundaries) is refused, and so is what grows too large.

The parse tree of `re` becomes a program of a nondeterministic automaton; sets of its places, made as texts need them and kept, are
the states of a deterministic one.
"""

from __future__ import annotations

import functools
import re
import warnings
from collections.abc import Callable, Iterable
from re import _parser  # type: ignore[attr-defined]  # its tree; the public names for it are deprecated
from typing import Any

from wayhouse.bus.model import MalformedError

MAX_PATTERN = 256
MAX_PROGRAM = 2000
MAX_WORK = 100_000
"""Places visited while states are made, for all texts together."""

Accepts = Callable[[str], bool]
Step = tuple[str, Any]
"""('char', accepts) | ('split', (place, place)) | ('begin' | 'end' | 'match', None); all but split and match go on behind."""

_CLASSES: dict[str, str] = {
    "CATEGORY_DIGIT": r"\d",
    "CATEGORY_NOT_DIGIT": r"\D",
    "CATEGORY_SPACE": r"\s",
    "CATEGORY_NOT_SPACE": r"\S",
    "CATEGORY_WORD": r"\w",
    "CATEGORY_NOT_WORD": r"\W",
}
_PLACES = {"AT_BEGINNING": "begin", "AT_BEGINNING_STRING": "begin", "AT_END": "end", "AT_END_STRING": "end"}


class Pattern:
    """Raises `MalformedError` for what is no expression, or one that is refused; `search` too, for what grows too large."""

    def __init__(self, text: str) -> None:
        if len(text) > MAX_PATTERN:
            raise _refused(f"has more than {MAX_PATTERN} characters")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of what may mean something else one day
                tree = _parser.parse(text)
        except (re.error, RecursionError, OverflowError) as error:
            raise _refused(f"is not understood: {error}") from error
        self._fold = bool(tree.state.flags & re.IGNORECASE)
        self._program: list[Step] = []
        self._sequence(tree)
        self._emit("match")
        self._work = 0
        self._states: dict[frozenset[int], dict[str, frozenset[int]]] = {}
        self._begin = self._closure([0], {"begin"})
        self._again = self._closure([0], set())

    def search(self, text: str) -> bool:
        """Whether the expression matches anywhere in `text`."""
        places = self._begin
        match = len(self._program) - 1
        for character in text:
            if match in places:
                return True
            moves = self._states.setdefault(places, {})
            after = moves.get(character)
            if after is None:
                after = moves[character] = self._move(places, character)
            places = after
        where = {"end"} if text else {"begin", "end"}
        return match in places or match in self._closure(places, where)

    def _move(self, places: frozenset[int], character: str) -> frozenset[int]:
        program = self._program
        steps = ((place, *program[place]) for place in places)
        following = [place + 1 for place, kind, accepts in steps if kind == "char" and accepts(character)]
        self._spend(len(places))
        return self._closure(following, set()) | self._again

    def _closure(self, places: Iterable[int], where: set[str]) -> frozenset[int]:
        """All places that are reached without a character. Those that wait for the end stay, to be looked at there."""
        seen: set[int] = set()
        todo = list(places)
        while todo:
            place = todo.pop()
            if place in seen:
                continue
            seen.add(place)
            kind, value = self._program[place]
            if kind == "split":
                todo += value
            elif kind in where:
                todo.append(place + 1)
        self._spend(len(seen))
        return frozenset(seen)

    def _spend(self, work: int) -> None:
        self._work += work
        if self._work > MAX_WORK:
            raise _refused("takes too long; ask for something simpler")

    # The program.

    def _emit(self, kind: str, value: Any = None) -> int:
        if len(self._program) >= MAX_PROGRAM:
            raise _refused("repeats too much")
        self._program.append((kind, value))
        return len(self._program) - 1

    def _sequence(self, tree: Any) -> None:
        for operation, value in tree:
            self._one(str(operation), value)

    def _one(self, operation: str, value: Any) -> None:
        if operation in {"MAX_REPEAT", "MIN_REPEAT"}:
            self._repeat(*value)
        elif operation == "SUBPATTERN":
            if value[1] or value[2]:
                raise _refused("sets flags inside")
            self._sequence(value[3])
        elif operation == "BRANCH":
            self._branch(value[1])
        elif operation == "AT" and str(value) in _PLACES:
            self._emit(_PLACES[str(value)])
        else:
            self._emit("char", self._accepts(operation, value))

    def _repeat(self, low: int, high: int, tree: Any) -> None:
        for _ in range(low):
            self._sequence(tree)
            if low > MAX_PROGRAM:
                raise _refused("repeats too much")
        if high is _parser.MAXREPEAT:
            split = self._emit("split")
            self._sequence(tree)
            back = self._emit("split")
            self._program[back] = ("split", (split,))
            self._program[split] = ("split", (split + 1, len(self._program)))
            return
        if high - low > MAX_PROGRAM:
            raise _refused("repeats too much")
        splits = []
        for _ in range(high - low):
            splits.append(self._emit("split"))
            self._sequence(tree)
        for split in splits:
            self._program[split] = ("split", (split + 1, len(self._program)))

    def _branch(self, trees: list[Any]) -> None:
        ends = []
        for tree in trees[:-1]:
            split = self._emit("split")
            self._sequence(tree)
            ends.append(self._emit("split"))
            self._program[split] = ("split", (split + 1, len(self._program)))
        self._sequence(trees[-1])
        for end in ends:
            self._program[end] = ("split", (len(self._program),))

    def _accepts(self, operation: str, value: Any) -> Accepts:
        accepts = _accepts(operation, value)
        if not self._fold:
            return accepts
        return lambda character: accepts(character.lower()) or accepts(character.upper())


def _accepts(operation: str, value: Any) -> Accepts:
    """Which characters one place takes."""
    if operation == "LITERAL":
        return functools.partial(str.__eq__, chr(value))
    if operation == "NOT_LITERAL":
        return functools.partial(str.__ne__, chr(value))
    if operation == "ANY":
        return lambda character: character != "\n"
    if operation == "RANGE":
        low, high = value
        return lambda character: low <= ord(character) <= high
    if operation == "CATEGORY" and str(value) in _CLASSES:
        return lambda character, find=re.compile(_CLASSES[str(value)]).match: find(character) is not None  # type: ignore[misc]
    if operation == "IN":
        return _one_of(value)
    raise _refused(f"uses {operation.lower().replace('_', ' ')}, which is not offered here")


def _one_of(items: list[Any]) -> Accepts:
    negate = bool(items) and str(items[0][0]) == "NEGATE"
    inside = [_accepts(str(operation), value) for operation, value in items[negate:]]
    return lambda character: negate != any(accepts(character) for accepts in inside)


def _refused(why: str) -> MalformedError:
    return MalformedError(f"This regular expression {why}.")
