"""A process's command line as people may see it: one line, shortened, without what is named or shaped like a secret. Pure."""

from __future__ import annotations

import re

from wayhouse.runtime import trace

MAX_BYTES = 4096
"""More of a command line is not looked at."""
MAX_WORD = 120
MAX_LINE = 400
_OPTION = re.compile(r"-{1,2}[A-Za-z][\w.-]*\Z")
_NAME = re.compile(r"(?<![\w.-])([\w.-]++)[\"']?\s*+[=:]")
_LOGIN = re.compile(r"(\w+://[^/\s:@]*:)[^/\s@]+@")
_BEARER = re.compile(r"\b(bearer|basic|token)\s+\S+", re.IGNORECASE)


def shown(raw: bytes) -> str:
    """/proc/PID/cmdline in, words with spaces between them out; "" for a process without one (a kernel thread)."""
    words = (
        [word.decode("utf-8", "replace") for word in raw[:MAX_BYTES].rstrip(b"\0").split(b"\0")]
        if raw
        else []
    )
    return _cut(" ".join(_cut(_plain(word), MAX_WORD) for word in redacted(words)), MAX_LINE)


def redacted(words: list[str]) -> list[str]:
    """The same words; values of options and variables that are named like secrets are hidden, wherever they stand."""
    found: list[str] = []
    hide_next = False
    for word in words:
        is_option = _OPTION.match(word) is not None
        found.append(trace.HIDDEN if hide_next else _hide(word))
        hide_next = is_option and trace.is_secret_name(word)
    return found


def _hide(word: str) -> str:
    """All that follows the first secret's name: a header or a script may go on with more of it."""
    word = _BEARER.sub(
        lambda found: f"{found.group(1)} {trace.HIDDEN}", _LOGIN.sub(rf"\1{trace.HIDDEN}@", word)
    )
    for found in _NAME.finditer(word):
        if trace.is_secret_name(found.group(1)):
            return word[: found.end()] + trace.HIDDEN
    return word


def _plain(word: str) -> str:
    """Without control characters: a process chooses its own command line."""
    return "".join(char if char.isprintable() else " " for char in word) or "''"


def _cut(text: str, size: int) -> str:
    return text if len(text) <= size else f"{text[:size]}…"
