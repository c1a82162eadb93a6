"""Command lines without secrets."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.runtime.sight.command_line import MAX_LINE, redacted, shown


@pytest.mark.parametrize(
    ("words", "seen"),
    [
        (["python3", "-u", "main.py"], "python3 -u main.py"),
        (["x", "--password", "S3C", "-v"], "x --password <redacted> -v"),
        (["x", "--password=S3C", "y"], "x --password=<redacted> y"),
        (["x", "--use-token", "--password", "S3C"], "x --use-token <redacted> <redacted>"),
        (["env", "API_KEY=S3C", "x"], "env API_KEY=<redacted> x"),
        (["curl", "-H", "Authorization: Bearer S3C"], "curl -H Authorization:<redacted>"),
        (["sh", "-c", "A=1 exec x --x 'Bearer S3C' y"], "sh -c A=1 exec x --x 'Bearer <redacted> y"),
        (["git", "clone", "https://me:S3C@host/x"], "git clone https://me:<redacted>@host/x"),
        (["x", '{"user": "me", "secret": "S3C"}'], 'x {"user": "me", "secret":<redacted>'),
        (["x", "http://h/?a=1&token=S3C&b=2"], "x http://h/?a=1&token=<redacted>"),
        (["x", "a\nb\033[31m"], "x a b [31m"),
        (["x", "", "y"], "x '' y"),
    ],
)
def test_what_is_shown(words: list[str], seen: str) -> None:
    text = shown("\0".join(words).encode() + b"\0")
    assert text == seen
    assert "S3C" not in text


def test_no_command_line() -> None:
    assert shown(b"") == ""


@settings(max_examples=200)
@given(st.binary(max_size=6000))
def test_any_bytes_are_one_short_line(raw: bytes) -> None:
    text = shown(raw)
    assert len(text) <= MAX_LINE + 1
    assert text.isprintable()


@settings(max_examples=200)
@given(st.lists(st.text(max_size=40), max_size=6))
def test_the_value_of_a_secret_option_never_shows(words: list[str]) -> None:
    assert "S3CR3T" not in " ".join(redacted([*words, "--db-password", "S3CR3T"]))
    assert "S3CR3T" not in " ".join(redacted([*words, "--auth=S3CR3T"]))


def test_a_long_line_is_no_work() -> None:
    shown(b"a" * 100_000)
    shown(b"a." * 50_000 + b"=")
    shown(b"a " * 50_000 + b":")
