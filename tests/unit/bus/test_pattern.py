import contextlib
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.bus.model import MalformedError
from wayhouse.bus.pattern import MAX_PATTERN, Pattern

TEXTS = [
    "localhost.fake.devices",
    "localhost.fake.devices.",
    "aaaab",
    "aab",
    "b",
    "xz",
    "",
    "abcd",
    "ABc",
    "42",
    "cdab",
]


@pytest.mark.parametrize(
    "expression",
    [
        r".*\.devices\..*",
        r".*\.devices$",
        "^a",
        "(a+)+$",
        "a{2,4}b",
        "x|y|ab",
        "[^a-c]",
        r"\d+",
        r"\W",
        "",
        "(?i)ABC",
        "a*?b",
        "a?b",
        "(ab|cd)*$",
        "^$",
        "^(?:a|b)+?$",
        r"[\d_]",
        "a{3}",
        "(a*)*b",
        "[^\n]",
        "(|a)b",
        r"\Aa",
        r"b\Z",
        "(?P<n>a)",
    ],
)
def test_it_finds_what_re_finds(expression):
    for text in TEXTS:
        assert Pattern(expression).search(text) == bool(re.search(expression, text)), text


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of `re`, about sets
@given(st.text("ab|()*+?.[]^$\\d{},1", max_size=12), st.text("ab1", max_size=8))
@settings(max_examples=400, deadline=None)
def test_it_agrees_with_re_or_refuses(expression, text):
    try:
        found = Pattern(expression).search(text)
    except MalformedError:
        return
    assert found == bool(re.search(expression, text))


@given(st.text(max_size=30), st.text(max_size=10))
@settings(max_examples=200, deadline=None)
def test_no_text_does_more_than_be_refused(expression, text):
    with contextlib.suppress(MalformedError):
        Pattern(expression).search(text)


def test_what_takes_hours_with_re_takes_no_time():
    assert not Pattern("(a+)+$").search("a" * 250 + "!")
    assert Pattern("(a|a)*b").search("a" * 250 + "b")


@pytest.mark.parametrize(
    "expression",
    [
        "(",
        "[",
        "*",
        "a{999999}",
        "((((a{100}){100}){100}){100})",
        r"(a)\1",
        "(?=a)",
        r"\bx",
        "(" * 250,
        "a{4294967294}",
        "(?s:a)",
        "(((((.?){20}){20})){20})",
        "a" * (MAX_PATTERN + 1),
        "(a{0,65535}){0,65535}",
    ],
)
def test_what_is_too_much_is_refused(expression):
    with pytest.raises(MalformedError):
        Pattern(expression)


def test_the_work_for_all_texts_together_is_bounded():
    pattern = Pattern("(.?){60}x(.?){60}y")
    with pytest.raises(MalformedError):
        all(not pattern.search(chr(0x4E00 + number) * 200) for number in range(1000))
