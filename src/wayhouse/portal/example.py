"""The example app that an empty gateway offers: its folder in a checkout or in the package, and as an archive."""

from __future__ import annotations

import io
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

NAME = "hello"
_PACKAGE = Path(__file__).parent.parent
_PLACES = (_PACKAGE / "examples" / NAME, _PACKAGE.parent.parent / "examples" / NAME)


def folder() -> Path | None:
    """None: this install has no example."""
    return next((place for place in _PLACES if (place / "paradrop.yaml").is_file()), None)


def archive(source: Path) -> bytes:
    """The files of `source` as a tar."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(source.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                tar.add(path, arcname=path.relative_to(source).as_posix(), filter=_without_owner)
    return buffer.getvalue()


async def chunks(source: Path) -> AsyncIterator[bytes]:
    yield archive(source)


def _without_owner(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    return info
