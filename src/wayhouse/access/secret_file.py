"""A secret of the daemon's own, in a file that only the daemon can read: what signs sessions, and the bus's key.

Made once, at the first start, complete or not at all: a crash or a second daemon at the same moment leaves one good file.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

import msgspec

from wayhouse.access.model import UnsafeFileError
from wayhouse.access.plain_file import open_plain, place
from wayhouse.base import ids


class Secret(msgspec.Struct, frozen=True):
    """`form` is a regular expression, `says` the same in words, and `cost` what it means to make a new one; at most `longest` bytes are read."""

    form: str
    make: Callable[[], str]
    says: str
    cost: str
    longest: int = 256


SESSIONS = Secret(
    "[0-9a-f]{64}", lambda: ids.token_hex(256), "64 hexadecimal digits", "everybody signs in again"
)


def read_or_create(path: Path, secret: Secret = SESSIONS) -> str:
    """The secret in `path`. Raises `UnsafeFileError` if the file is a link, too long or damaged, `UnavailableError` for a full disk."""
    with contextlib.suppress(FileNotFoundError):
        return _read(path, secret)
    place(path, f"{secret.make()}\n".encode(), _link)
    return _read(path, secret)


def _read(path: Path, secret: Secret) -> str:
    with open_plain(path) as file:
        text = file.read(secret.longest).decode("ascii", "replace").strip()
        if re.fullmatch(secret.form, text) is None:
            raise UnsafeFileError(
                f"{path} does not hold {secret.says}. Move it away; a new secret is made at the next start, and {secret.cost}."
            )
        if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
            os.fchmod(file.fileno(), 0o600)
    return text


def _link(draft: Path, path: Path) -> None:
    with contextlib.suppress(FileExistsError):  # another daemon was first: its secret holds
        os.link(draft, path)
