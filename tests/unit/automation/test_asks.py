"""What the code can ask for, as text, as a digest, and read from anything that may come over the wire."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from wayhouse.automation.asks import (
    Ask,
    Command,
    SetVariable,
    ValueOf,
    WaitFor,
    WaitSeconds,
    entry_of,
    shorten,
    show,
)
from wayhouse.base.errors import BadInputError


def test_texts_are_short_and_in_the_words_of_the_code() -> None:
    assert Command("lamp", "on", True).text() == '"lamp", "on", True'
    assert Command("lamp", "on").call == "command"
    assert WaitFor("t", timeout=5, above=3).text() == '"t", above=3, timeout=5'
    assert len(SetVariable("x", "y" * 10_000).text()) <= 500
    assert show('a\n"b') == '"a\\n\\"b"'
    assert shorten("x" * 501).endswith("…")


def test_digests_tell_calls_apart() -> None:
    found = {
        one.digest()
        for one in (
            ValueOf("a"),
            ValueOf("b"),
            Command("a", "b"),
            Command("a", "b", 1),
            Command("a", "b", 1.5),
        )
    }
    assert len(found) == 5
    assert ValueOf("a").digest() == ValueOf("a").digest()


@pytest.mark.parametrize(
    ("ask", "value", "before", "is_met"),
    [
        (WaitFor("t", above=5), 6, None, True),
        (WaitFor("t", above=5), 5, None, False),
        (WaitFor("t", above=0), True, None, False),
        (WaitFor("t", above=0), "6", None, False),
        (WaitFor("t", below=5), 4.5, None, True),
        (WaitFor("t", equals=1), True, None, False),
        (WaitFor("t", equals=1), 1.0, None, True),
        (WaitFor("t", equals=False), False, None, True),
        (WaitFor("t", changed=True), 2, 1, True),
        (WaitFor("t", changed=True), 2, None, False),
        (WaitFor("t", changed=True), None, 1, False),
    ],
)  # fmt: skip
def test_when_a_wait_is_met(ask: WaitFor, value: object, before: object, is_met: bool) -> None:
    assert ask.is_met(value, before) is is_met  # type: ignore[arg-type]


def test_bounds() -> None:
    for seconds in (-1.0, 1e12, float("nan")):
        with pytest.raises(ValueError, match="366 days"):
            WaitSeconds(seconds)
    assert entry_of({"a": "device:a"}, "a") == "device:a"
    with pytest.raises(BadInputError, match="Entries are: a"):
        entry_of({"a": "device:a"}, "b")


@settings(max_examples=200)
@given(
    some.dictionaries(
        some.sampled_from(["call", "entry", "device", "command", "value", "seconds", "time", "key"]),
        some.one_of(
            some.sampled_from(["value", "command", "wait", "publish"]),
            some.integers(),
            some.floats(),
            some.none(),
        ),
    )
)
def test_anything_is_read_or_refused(message: dict[str, object]) -> None:
    try:
        ask = msgspec.json.decode(msgspec.json.encode(message), type=Ask)
    except msgspec.ValidationError:
        return
    assert len(ask.text()) <= 500
    assert len(ask.digest()) == 16
