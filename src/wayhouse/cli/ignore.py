"""What of a folder is not sent: `.git`, and what its `.dockerignore` names. Pure.

The rules are Docker's: patterns from the top of the folder, `*` within a name, `**` across folders, `!` takes back, the
last rule that fits decides. The files that say what the app is are always sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

FILE = ".dockerignore"
KEPT = ("paradrop.yaml", "wayhouse.yaml", "config.yaml", "Dockerfile")
ALWAYS = (".git",)


class Rules:
    def __init__(self, lines: Iterable[str] = ()) -> None:
        self._rules = [rule for rule in map(_rule, lines) if rule is not None]
        self._takes_back = any(not leaves_out for _, leaves_out in self._rules)

    def leaves_out(self, name: str) -> bool:
        """`name` is relative, with slashes."""
        if name in KEPT:
            return False
        if name.partition("/")[0] in ALWAYS:
            return True
        out = False
        for pattern, leaves_out in self._rules:
            if pattern.match(name):
                out = leaves_out
        return out

    def leaves_out_all_below(self, folder: str) -> bool:
        """Whether the folder need not be looked into."""
        if folder.partition("/")[0] in ALWAYS:
            return True
        return not self._takes_back and self.leaves_out(folder)


def _rule(line: str) -> tuple[re.Pattern[str], bool] | None:
    text = line.strip()
    if not text or text.startswith("#"):
        return None
    leaves_out = not text.startswith("!")
    parts = [part for part in text.removeprefix("!").strip().split("/") if part not in {"", "."}]
    if not parts or ".." in parts:
        return None
    return re.compile(_pattern(parts) + r"(?:/.*)?\Z", re.DOTALL), leaves_out


def _pattern(parts: list[str]) -> str:
    """Whole names joined; `**` stands for any number of folders."""
    text = ""
    for at, part in enumerate(parts):
        is_last = at == len(parts) - 1
        if part == "**":
            text += ".*" if is_last else "(?:[^/]*/)*"
        else:
            text += _name(part) + ("" if is_last else "/")
    return text


def _name(part: str) -> str:
    """One name: `*`, `?`, `[a-z]` and a backslash before a character that means itself."""
    out, at = "", 0
    while at < len(part):
        char = part[at]
        end = part.find("]", at + 2) if char == "[" else -1
        if char == "*":
            while part[at + 1 : at + 2] == "*":
                at += 1
            out += "[^/]*"
        elif char == "?":
            out += "[^/]"
        elif end > 0:
            out += _set(part[at + 1 : end])
            at = end
        else:
            at += char == "\\" and at + 1 < len(part)
            out += re.escape(part[at])
        at += 1
    return out


def _set(inside: str) -> str:
    negated = inside[:1] in {"^", "!"}
    chars = inside[negated:]
    escaped = "".join(char if char == "-" else re.escape(char) for char in chars)
    escaped = escaped.replace("--", r"-\-")  # two of them are kept for a meaning that sets may get one day
    text = f"[{'^' if negated else ''}{escaped}]"
    try:
        re.compile(text)
    except re.error:
        return re.escape(f"[{inside}]")
    return text
