"""The newest pictures of each camera, as files: a bounded number, each whole or not there. `camera.py` keeps them here."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path
from urllib.parse import quote

import msgspec

from wayhouse.base.errors import UnavailableError
from wayhouse.devices.model import DeviceNotReadyError

MEDIA = {"jpg": "image/jpeg", "png": "image/png", "gif": "image/gif", "webp": "image/webp"}
_PARTIAL = ".partial"


class Picture(msgspec.Struct, frozen=True):
    """`time` is Unix seconds, `size` bytes, `media` the media type."""

    time: float
    size: int
    media: str


def media_of(data: bytes) -> str:
    """By the first bytes, whatever the sender calls it. Raises `DeviceNotReadyError` if it is no picture."""
    if data.startswith(b"\xff\xd8\xff"):
        return MEDIA["jpg"]
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return MEDIA["png"]
    if data.startswith((b"GIF87a", b"GIF89a")):
        return MEDIA["gif"]
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return MEDIA["webp"]
    raise DeviceNotReadyError("What the camera sent is no JPEG, PNG, GIF or WebP picture.")


class Pictures:
    """All calls block for as long as the disk does, and may come from several threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._one_at_a_time = threading.Lock()

    def keep(self, camera: str, data: bytes, time: float, *, limit: int) -> Picture:
        """Beside those that are there; the oldest beyond `limit` go. Raises `UnavailableError`."""
        media = media_of(data)
        ending = next(ending for ending, one in MEDIA.items() if one == media)
        folder = self._of(camera)
        with self._one_at_a_time:
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._drop_partial(camera)
                number = max([int(time * 1000), *(int(one.stem) + 1 for one in self._files(camera)[-1:])])
                _write(folder / f"{number:015d}.{ending}", data)
            except OSError as error:
                raise UnavailableError(
                    f"The picture cannot be kept in {folder}: {error.strerror}. Free some space, or see to the folder."
                ) from error
            self._drop_old(camera, limit)
        return Picture(time, len(data), media)

    def read(self, camera: str) -> tuple[bytes, str]:
        """The newest, with its media type. Raises `DeviceNotReadyError` if there is none."""
        with contextlib.suppress(OSError):
            for file in self._files(camera)[-1:]:
                return file.read_bytes(), MEDIA[file.suffix[1:]]
        raise DeviceNotReadyError(f"{camera} has taken no picture yet. Use its command take.")

    def _of(self, camera: str) -> Path:
        return self._folder / quote(camera, safe="")

    def _files(self, camera: str) -> list[Path]:
        """Oldest first."""
        with contextlib.suppress(FileNotFoundError):
            everything = self._of(camera).iterdir()
            return sorted(one for one in everything if one.suffix[1:] in MEDIA and one.stem.isdecimal())
        return []

    def _drop_old(self, camera: str, limit: int) -> None:
        with contextlib.suppress(OSError):
            for file in self._files(camera)[:-limit]:
                file.unlink(missing_ok=True)

    def _drop_partial(self, camera: str) -> None:
        """Left by a crash; gone before another is written, since it may be what fills the disk."""
        for file in self._of(camera).glob(f"*{_PARTIAL}"):
            file.unlink(missing_ok=True)


def _write(whole: Path, data: bytes) -> None:
    """Synced before it gets its name: a power cut must not leave a name without its picture."""
    partial = whole.with_suffix(_PARTIAL)
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(whole)
    except OSError:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise
