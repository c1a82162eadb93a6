"""The secret that signs sessions: 64 hexadecimal digits in a file that only the daemon can read.

Made once, at the first start, complete or not at all: a crash or a second daemon at the same moment leaves one good file.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from pathlib import Path

from wayhouse.access.model import UnsafeFileError
from wayhouse.access.plain_file import open_plain
from wayhouse.base import ids

_FORM = re.compile(r"[0-9a-f]{64}")


def read_or_create(path: Path) -> str:
    """The secret in `path`. Raises `UnsafeFileError` if the file is a link, too long or damaged."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.suppress(FileNotFoundError):
        return _read(path)
    _create(path, ids.token_hex(256))
    return _read(path)


def _read(path: Path) -> str:
    with open_plain(path) as file:
        text = file.read(256).decode("ascii", "replace").strip()
        if _FORM.fullmatch(text) is None:
            raise UnsafeFileError(
                f"{path} does not hold 64 hexadecimal digits. Move it away; a new secret is made at the next start, "
                "and everybody signs in again."
            )
        if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
            os.fchmod(file.fileno(), 0o600)
    return text


def _create(path: Path, secret: str) -> None:
    draft = path.with_name(f".{path.name}.{ids.short_id()}")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(f"{secret}\n".encode())
            file.flush()
            os.fsync(fd)
        with contextlib.suppress(FileExistsError):  # another daemon was first: its secret holds
            os.link(draft, path)
    finally:
        draft.unlink()
