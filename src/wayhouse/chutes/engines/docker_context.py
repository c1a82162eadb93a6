"""Sends a directory to the engine as a tar stream, file by file, so that a large bundle never sits in memory."""

from __future__ import annotations

import asyncio
import io
import os
import stat
import tarfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

CHUNK_BYTES = 256 * 1024
INJECTED_DOCKERFILE = ".wayhouse.Dockerfile"
_BLOCK = 512


async def tar_stream(context: Path, dockerfile: str | None) -> AsyncIterator[bytes]:
    """The tar of `context`, owned by root; with `dockerfile` as one more file that is not in the directory.

    Links are kept as links, pipes and devices are left out, a file that changes while it is read keeps its length.
    """
    entries = await asyncio.to_thread(lambda: list(_entries(context)))
    for path, info in entries:
        yield _head(info)
        if info.isreg():
            async for data in _content(path, info.size):
                yield data
    if dockerfile is not None:
        text = dockerfile.encode()
        info = tarfile.TarInfo(INJECTED_DOCKERFILE)
        info.size = len(text)
        yield _head(info) + text + _padding(len(text))
    yield bytes(_BLOCK * 2)


def _entries(context: Path) -> Iterator[tuple[Path, tarfile.TarInfo]]:
    for directory, names, files in os.walk(context):
        for name in sorted(names + files):
            path = Path(directory, name)
            info = _describe(path, str(path.relative_to(context)))
            if info is not None:
                yield path, info


def _describe(path: Path, name: str) -> tarfile.TarInfo | None:
    status = path.lstat()
    info = tarfile.TarInfo(name)
    info.mode, info.mtime = stat.S_IMODE(status.st_mode), int(status.st_mtime)
    if stat.S_ISREG(status.st_mode):
        info.size = status.st_size
    elif stat.S_ISDIR(status.st_mode):
        info.type = tarfile.DIRTYPE
    elif stat.S_ISLNK(status.st_mode):
        info.type, info.linkname = tarfile.SYMTYPE, str(path.readlink())
    else:
        return None
    return info


def _head(info: tarfile.TarInfo) -> bytes:
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


async def _content(path: Path, size: int) -> AsyncIterator[bytes]:
    left = size
    file = await asyncio.to_thread(_open, path)
    with file:
        while left:
            data = await asyncio.to_thread(file.read, min(left, CHUNK_BYTES))
            if not data:
                yield bytes(left)  # it shrank: the announced length must be kept
                break
            left -= len(data)
            yield data
    yield _padding(size)


def _open(path: Path) -> io.BufferedReader:
    return path.open("rb")


def _padding(size: int) -> bytes:
    return bytes(-size % _BLOCK)
