"""Opens a file that must be a plain file, whoever put it there: no link is followed, no pipe or device is waited for."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from wayhouse.access.model import UnsafeFileError

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


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
