"""Where a chute's files live, and the few things done to them. All paths of the room come from here.

`data/chute-data/<chute>` is what the app keeps (survives updates), `run/system/<chute>` is what the gateway shows it,
`data/sources/<chute>/<change>` is the bundle its images are built from, `data/uploads/<id>` is what was sent and not
yet installed. Every call may be repeated.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from wayhouse.base.errors import UnavailableError
from wayhouse.base.ids import short_id
from wayhouse.base.settings import Paths

MANY_FILES = 200


class Directories:
    def __init__(self, paths: Paths, *, container_uid: int, min_free_bytes: int) -> None:
        self._data = paths.data / "chute-data"
        self._sources = paths.data / "sources"
        self._uploads = paths.data / "uploads"
        self._system = paths.runtime / "system"
        self._uid = container_uid
        self._min_free = min_free_bytes

    def data(self, chute: str) -> Path:
        return self._data / chute

    def system(self, chute: str) -> Path:
        return self._system / chute

    def source(self, name: str) -> Path:
        """`name` is `Chute.source`: "<chute>/<change id>"."""
        return self._sources / name

    def upload(self, upload: str) -> Path:
        return self._uploads / upload

    def new_upload(self) -> str:
        """Make a private place for something that is being sent. Raises `UnavailableError` when the disk is nearly full."""
        self.check_space()
        upload = short_id(16)
        self.upload(upload).mkdir(parents=True, mode=0o700)
        return upload

    def check_space(self) -> None:
        place = next(path for path in (self._data, *self._data.parents) if path.exists())
        free = shutil.disk_usage(place).free
        if free < self._min_free:
            raise UnavailableError(
                f"Only {free // 2**20} MiB are free on the disk of {place}; "
                f"{self._min_free // 2**20} MiB are kept back. Remove an app or free some space."
            )

    def make(self, chute: str) -> bool:
        """Make the data and system directories; True if the data directory is new."""
        is_new = not self.data(chute).exists()
        self.data(chute).mkdir(parents=True, exist_ok=True)
        self.system(chute).mkdir(parents=True, exist_ok=True)
        if is_new and os.geteuid() == 0:
            os.chown(self.data(chute), self._uid, self._uid)
        return is_new

    def drop(self, chute: str) -> None:
        for path in (self.data(chute), self.system(chute), self._sources / chute):
            shutil.rmtree(path, ignore_errors=True)

    def drop_data(self, chute: str) -> None:
        for path in (self.data(chute), self.system(chute)):
            shutil.rmtree(path, ignore_errors=True)

    def drop_upload(self, upload: str) -> None:
        shutil.rmtree(self.upload(upload), ignore_errors=True)

    def keep_source(self, bundle: Path, source: str) -> None:
        """Move an uploaded bundle to its lasting place; does nothing if that was done before."""
        target = self.source(source)
        if bundle.exists():
            shutil.rmtree(target, ignore_errors=True)
            target.parent.mkdir(parents=True, exist_ok=True)
            _sync_tree(bundle)  # the change will rely on it, and the archive goes when the change is over
            bundle.rename(target)

    def give_back_source(self, bundle: Path, source: str) -> None:
        target = self.source(source)
        if target.exists() and not bundle.exists() and bundle.parent.exists():
            target.rename(bundle)
        shutil.rmtree(target, ignore_errors=True)
        with contextlib.suppress(OSError):
            target.parent.rmdir()

    def drop_sources(self, chute: str, *, keep: str | None) -> None:
        folder = self._sources / chute
        kept = self.source(keep) if keep else None
        for path in folder.iterdir() if folder.is_dir() else ():
            if path != kept:
                shutil.rmtree(path, ignore_errors=True)
        with contextlib.suppress(OSError):
            folder.rmdir()

    def chutes_with_files(self) -> set[str]:
        """Every name that has a directory here, installed or not."""
        folders = (self._data, self._system, self._sources)
        return {path.name for folder in folders if folder.is_dir() for path in folder.iterdir()}

    def uploads(self) -> set[str]:
        return {path.name for path in self._uploads.iterdir()} if self._uploads.is_dir() else set()


def _sync_tree(folder: Path) -> None:
    """To disk: file by file, which is quick for what a bundle is as a rule; with many files the whole system at once."""
    paths = [path for path in folder.rglob("*") if not path.is_symlink()]
    if len(paths) > MANY_FILES:
        os.sync()
        return
    for path in (*paths, folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
