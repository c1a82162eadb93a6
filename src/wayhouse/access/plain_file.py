"""A plain file of the daemon's own: read, whoever put it there, and put in its place.

Called by those that keep secrets and keys. Rules: no link is followed, no pipe or device is waited for; a new content is in its place as a
whole or not at all, and what the disk does not take leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from wayhouse.access.model import UnsafeFileError
from wayhouse.base import ids
from wayhouse.base.errors import UnavailableError

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FULL = {errno.ENOSPC, errno.EDQUOT}

log = logging.getLogger(__name__)


def open_plain(path: Path | str, *, dir_fd: int | None = None) -> BinaryIO:
    """Open for reading, below the directory `dir_fd` if given. Raises `FileNotFoundError`, `UnsafeFileError`."""
    try:
        fd = os.open(path, _FLAGS, dir_fd=dir_fd)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UnsafeFileError(f"{path} cannot be opened: {error.strerror}. Make it a plain file.") from error
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise UnsafeFileError(f"{path} is no plain file. Move it away.")
    return os.fdopen(fd, "rb")


def place(path: Path, content: bytes, put: Callable[[Path, Path], object]) -> None:
    """Write a draft that only its owner can read, on disk, and `put` it (rename, link) at `path`. Raises `UnavailableError` for a full disk
    and `UnsafeFileError` otherwise; nothing was changed then."""
    draft = path.with_name(f".{path.name}.{ids.short_id()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fd = os.open(draft, _NEW, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(fd)
        put(draft, path)
    except OSError as error:
        raise _refusal(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()
    _sync(path.parent)


def _refusal(path: Path, error: OSError) -> UnavailableError | UnsafeFileError:
    says = f"{path} cannot be written: {error.strerror}."
    if error.errno in _FULL:
        return UnavailableError(f"{says} Free some space. Nothing was changed.")
    return UnsafeFileError(f"{says} Nothing was changed.")


def _sync(folder: Path) -> None:
    """What is there is in force already, so a failure is told to the log alone."""
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        log.warning("what was written to %s may not survive a power cut: %s", folder, error.strerror)
