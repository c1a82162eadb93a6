"""The example apps and scenarios that ship with Wayhouse: in a checkout its `examples` folder, in an install a copy inside the package."""

from __future__ import annotations

import io
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

_PACKAGE = Path(__file__).parent.parent
_PLACES = (_PACKAGE / "examples", _PACKAGE.parent.parent / "examples")


def folders() -> dict[str, Path]:
    """Every example by name; empty in an install without them."""
    return {path.name: path for path in _in("") if (path / "paradrop.yaml").is_file()}


def scenarios() -> list[str]:
    """The example scenarios, as texts of files."""
    return [path.read_text(encoding="utf-8") for path in _in("scenarios") if path.suffix == ".toml"]


def archive(folder: Path) -> bytes:
    """The files of `folder` as a tar, as an upload wants it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                tar.add(path, arcname=path.relative_to(folder).as_posix(), filter=_without_owner)
    return buffer.getvalue()


async def chunks(folder: Path) -> AsyncIterator[bytes]:
    yield archive(folder)


def _in(folder: str) -> list[Path]:
    place = next((place / folder for place in _PLACES if (place / folder).is_dir()), None)
    return sorted(place.iterdir()) if place is not None else []


def _without_owner(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    return info
