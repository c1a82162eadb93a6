"""Reads a ParaDrop password file: lines of `user:hash`. Pure; `users` decides which records are taken over."""

from __future__ import annotations

from wayhouse.base.errors import BadInputError

MAX_TEXT = 1024 * 1024


def parse(text: str) -> list[tuple[str, str]]:
    """(name, hash) of each line; empty lines are skipped. Raises `BadInputError` with the number of a faulty line."""
    if len(text) > MAX_TEXT:
        raise BadInputError("The password file is larger than 1 MiB.")
    records: list[tuple[str, str]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        name, colon, hash_ = line.strip().partition(":")
        if not line.strip():
            continue
        if not colon or not name or not hash_:
            raise BadInputError(f"Line {number} of the password file is not `user:hash`.", line=number)
        records.append((name, hash_))
    return records
