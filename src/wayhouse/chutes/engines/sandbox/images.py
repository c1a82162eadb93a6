"""The sandbox's images: a copy of the bundle and what it needs to run, under `<state>/images/<id>/`.

A tag is a small file `<state>/tags/<key>.json` that names an image, so that a tag can move and an image can have two.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from pathlib import Path
from typing import TypeVar

import msgspec

from wayhouse.base import codec, ids
from wayhouse.base.errors import BadInputError
from wayhouse.chutes.engines.sandbox import records
from wayhouse.chutes.model import EngineError

APP_UID = 999

T = TypeVar("T")


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """`environment` is given to every program; `paths` come first in PATH; `binds` are shown read-only, source to
    target; `caches` are the names of cache directories that it uses."""

    id: str
    language: str | None = None
    environment: dict[str, str] = {}
    paths: tuple[str, ...] = ()
    binds: dict[str, str] = {}
    caches: tuple[str, ...] = ()


class _Tag(msgspec.Struct, frozen=True):
    tag: str
    image: str


class Images:
    def __init__(self, state: Path) -> None:
        self._images = state / "images"
        self._tags = state / "tags"

    def tags(self) -> dict[str, str]:
        """Tag to image id."""
        found = [_read(path, _Tag) for path in self._tags.glob("*.json")]
        return {tag.tag: tag.image for tag in found if tag is not None}

    def find(self, tag: str) -> Image | None:
        known = _read(self._tag_file(tag), _Tag)
        return None if known is None or known.tag != tag else self.by_id(known.image)

    def by_id(self, id: str) -> Image | None:  # noqa: A002 - the record's own word
        return _read(self._images / id / "image.json", Image)

    def app(self, image: Image) -> Path:
        return self._images / image.id / "app"

    def begin(self, context: Path) -> tuple[str, Path]:
        """Copy the bundle into a new, unfinished image: its id and its app directory. Blocking."""
        if not context.is_dir():
            raise EngineError(f"The source of the app is gone: {context} is not a directory.")
        new = ids.short_id()
        app = self._images / f"{new}.part" / "app"
        shutil.copytree(context, app, symlinks=True, ignore=_odd_files)
        give_to_app(app)
        return new, app

    def finish(self, image: Image, tag: str) -> None:
        part = self._images / f"{image.id}.part"
        records.write_json(part / "image.json", codec.to_builtins(image))
        part.replace(self._images / image.id)
        self.set_tag(tag, image.id)

    def abandon(self, id: str) -> None:  # noqa: A002
        shutil.rmtree(self._images / f"{id}.part", ignore_errors=True)

    def set_tag(self, tag: str, id: str) -> None:  # noqa: A002
        self._tags.mkdir(parents=True, exist_ok=True)
        records.write_json(self._tag_file(tag), {"tag": tag, "image": id})

    def drop_tag(self, tag: str) -> None:
        self._tag_file(tag).unlink(missing_ok=True)

    def all(self) -> list[Image]:
        found = [_read(path, Image) for path in self._images.glob("*/image.json")]
        return [image for image in found if image is not None]

    def sweep(self, in_use: set[str]) -> int:
        """Remove images that no tag and no container in `in_use` names; bytes freed. Blocking."""
        kept = in_use | set(self.tags().values())
        freed = 0
        for directory in self._images.glob("*"):
            if directory.name not in kept and not directory.name.endswith(".part"):
                freed += size(directory)
                shutil.rmtree(directory, ignore_errors=True)
        return freed

    def clear_unfinished(self) -> None:
        for directory in self._images.glob("*.part"):
            shutil.rmtree(directory, ignore_errors=True)

    def _tag_file(self, tag: str) -> Path:
        """A name that no tag can turn into a path elsewhere."""
        readable = "".join(c if c.isascii() and c.isalnum() else "-" for c in tag)[:40]
        return self._tags / f"{readable}-{hashlib.sha256(tag.encode()).hexdigest()[:16]}.json"


def _read(path: Path, kind: type[T]) -> T | None:
    try:
        return codec.decode_json(path.read_bytes(), kind, what=str(path))
    except (OSError, BadInputError):
        return None


def _odd_files(directory: str, names: list[str]) -> list[str]:
    """Pipes, sockets and devices have no place in a bundle."""
    plain = (stat.S_ISREG, stat.S_ISDIR, stat.S_ISLNK)
    return [
        name for name in names if not any(kind(os.lstat(f"{directory}/{name}").st_mode) for kind in plain)
    ]


def give_to_app(directory: Path) -> None:
    """As root: let the app's user own its files."""
    if os.geteuid() != 0:
        return
    for path in (directory, *directory.rglob("*")):
        os.chown(path, APP_UID, APP_UID, follow_symlinks=False)


def size(directory: Path) -> int:
    return sum(path.lstat().st_size for path in directory.rglob("*"))
