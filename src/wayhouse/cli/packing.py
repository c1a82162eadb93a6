"""Packs a folder, or an archive whose specification changes, as a tar stream: one piece at a time, never the whole.

Nothing of this machine gets into the archive but names, contents and whether a file may be run.
"""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from wayhouse.base.errors import BadInputError
from wayhouse.cli.ignore import FILE, Rules
from wayhouse.cli.specification import MOST, NAMES

CHUNK = 256 * 1024
END = b"\0" * (2 * tarfile.BLOCKSIZE)

Change = Callable[[bytes], bytes]
"""What becomes of the text of the specification."""


def pack(folder: Path, change: Change | None = None) -> Iterator[bytes]:
    """The folder as a tar archive. Raises `BadInputError` for a file that cannot be read or changes meanwhile."""
    spec = spec_of(folder)
    try:
        for name, path in _entries(folder, rules_of(folder)):
            if change is not None and spec is not None and path == spec:
                yield from _member(_info(name, path), [change(path.read_bytes())])
            else:
                yield from _entry(name, path)
    except OSError as error:
        raise BadInputError(f"{error.filename} cannot be read: {error.strerror}.") from error
    yield END


def repack(archive: IO[bytes], change: Change) -> Iterator[bytes]:
    """A tar archive with another specification. Raises `BadInputError` if it is none."""
    try:
        with tarfile.open(fileobj=archive, mode="r|*") as tar:
            for info in tar:
                content = tar.extractfile(info) if info.isreg() else None
                if content is None:
                    yield from _member(info, [])
                elif _normal(info.name) in NAMES and info.size <= MOST:
                    yield from _member(info, [change(content.read())])
                else:
                    yield from _member(info, _pieces(content, info.size))
    except (tarfile.TarError, EOFError, OSError) as error:
        raise BadInputError("That is no tar archive, or it is damaged.") from error
    yield END


def find_spec(archive: IO[bytes]) -> bytes | None:
    """The text of the specification in an archive. Raises `BadInputError` if it is no archive."""
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=archive, mode="r|*") as tar:
            for info in tar:
                content = tar.extractfile(info) if info.isreg() and _normal(info.name) in NAMES else None
                if content is not None and info.size <= MOST:
                    found[_normal(info.name)] = content.read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise BadInputError("That is no tar archive, or it is damaged.") from error
    return next((found[name] for name in NAMES if name in found), None)


def spec_of(folder: Path) -> Path | None:
    return next((folder / name for name in NAMES if (folder / name).is_file()), None)


def rules_of(folder: Path) -> Rules:
    try:
        return Rules((folder / FILE).read_text(encoding="utf-8", errors="replace").splitlines())
    except FileNotFoundError:
        return Rules()


def _entries(folder: Path, rules: Rules, above: str = "") -> Iterator[tuple[str, Path]]:
    """Names and paths in order, folders before what is in them."""
    for entry in sorted(os.scandir(folder), key=lambda one: one.name):
        name = above + entry.name
        is_folder = entry.is_dir(follow_symlinks=False)
        if is_folder and not rules.leaves_out_all_below(name):
            if not rules.leaves_out(name):
                yield name, Path(entry.path)
            yield from _entries(Path(entry.path), rules, name + "/")
        elif not is_folder and not rules.leaves_out(name):
            yield name, Path(entry.path)


def _entry(name: str, path: Path) -> Iterator[bytes]:
    info = _info(name, path)
    if info is None:
        return
    if not info.isreg():
        yield from _member(info, [])
        return
    with path.open("rb") as file:
        info.size = os.fstat(file.fileno()).st_size
        yield from _member(info, _pieces(file, info.size))


def _info(name: str, path: Path) -> tarfile.TarInfo | None:
    """None for what cannot be in an app: sockets, pipes, devices."""
    status = path.lstat()
    info = tarfile.TarInfo(name)
    info.mtime = int(status.st_mtime)
    info.mode = 0o755 if stat.S_ISDIR(status.st_mode) or status.st_mode & 0o111 else 0o644
    if stat.S_ISDIR(status.st_mode):
        info.type = tarfile.DIRTYPE
    elif stat.S_ISLNK(status.st_mode):
        info.type = tarfile.SYMTYPE
        info.linkname = str(path.readlink())
    elif not stat.S_ISREG(status.st_mode):
        return None
    return info


def _member(info: tarfile.TarInfo | None, pieces: list[bytes] | Iterator[bytes]) -> Iterator[bytes]:
    """Header, contents, and zeros up to a whole block. A list of pieces gives the size itself."""
    if info is None:
        return
    if isinstance(pieces, list):
        info.size = sum(len(piece) for piece in pieces)
    if info.issparse():
        info.type = tarfile.REGTYPE
    info.pax_headers = {}
    yield info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
    yield from pieces
    if info.size % tarfile.BLOCKSIZE:
        yield b"\0" * (tarfile.BLOCKSIZE - info.size % tarfile.BLOCKSIZE)


def _pieces(file: IO[bytes], size: int) -> Iterator[bytes]:
    """Exactly `size` bytes: a file that grows is cut, one that shrinks is an error."""
    left = size
    while left:
        piece = file.read(min(CHUNK, left))
        if not piece:
            raise BadInputError(f"{file.name} became shorter while it was read. Try again.")
        left -= len(piece)
        yield piece


def _normal(name: str) -> str:
    return "/".join(part for part in name.split("/") if part not in {"", "."})
