"""Reading a tar archive front to back, believing nothing it says. Called by `bundle.py`.

Plain, gzip and zstd are told apart by their first bytes. Headers are read one block at a time with the standard
library's parser for a single block; the records around it (long names, PAX) are read here, because their sizes come
from the sender and must be bounded before anything is allocated. Anything odd is a `BadArchiveError`.
"""

from __future__ import annotations

import enum
import gzip
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Protocol, Self

import msgspec
import zstandard

from wayhouse.chutes.model import BadArchiveError

BLOCK = 512
CHUNK = 256 * 1024
MAX_HEADER_BYTES = 64 * 1024
MAX_ZSTD_WINDOW = 128 * 2**20

_PAX = {tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE}
_LONG = {tarfile.GNUTYPE_LONGNAME: "path", tarfile.GNUTYPE_LONGLINK: "linkpath"}
_OTHER = {b"\xfd7zXZ": "xz", b"BZh": "bzip2", b"PK\x03\x04": "zip", b"7z\xbc\xaf": "7z", b"Rar!": "rar"}
HOW = "Send a tar archive, plain or packed with gzip or zstd."


class Kind(enum.Enum):
    FILE = enum.auto()
    DIRECTORY = enum.auto()
    SYMLINK = enum.auto()
    HARD_LINK = enum.auto()


_KINDS = {
    tarfile.REGTYPE: Kind.FILE,
    tarfile.AREGTYPE: Kind.FILE,
    tarfile.CONTTYPE: Kind.FILE,
    tarfile.DIRTYPE: Kind.DIRECTORY,
    tarfile.SYMTYPE: Kind.SYMLINK,
    tarfile.LNKTYPE: Kind.HARD_LINK,
}


class Member(msgspec.Struct, frozen=True):
    """One entry as the archive states it: names are unchecked, `size` is 0 for everything but files."""

    name: str
    kind: Kind
    size: int = 0
    target: str = ""
    is_executable: bool = False


class Source(Protocol):
    """Where bytes come from; all of `gzip`, `zstandard` and files fit."""

    def read(self, size: int, /) -> bytes: ...


class Stream:
    """The unpacked bytes of an archive, at most `limit` of them. Close it, or use `with`."""

    def __init__(self, path: Path, limit: int) -> None:
        self._file = path.open("rb")
        self._left = limit
        self._limit = limit
        try:
            self._source = _unpacker(self._file)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; empty at the end."""
        try:
            data = self._source.read(min(size, CHUNK))
        except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
            raise BadArchiveError(f"The archive is damaged or cut off: {error}") from error
        self._left -= len(data)
        if self._left < 0:
            raise BadArchiveError(f"The archive unpacks to more than {self._limit // 2**20} MiB.")
        return data

    def exactly(self, size: int) -> bytes:
        parts = []
        while size:
            if not (data := self.read(size)):
                raise BadArchiveError("The archive is cut off. Send it again.")
            parts.append(data)
            size -= len(data)
        return b"".join(parts)


def members(stream: Stream) -> Iterator[tuple[Member, Iterator[bytes]]]:
    """Every member with the chunks of its content, which must be consumed before the next one is asked for."""
    extra: dict[str, str] = {}
    seen_any = False
    while (block := stream.exactly(BLOCK)).count(0) != BLOCK:
        info = _header(block, is_first=not seen_any)
        seen_any = True
        if info.type in _PAX:
            extra |= _pax(_record(stream, info.size))
        elif info.type == tarfile.XGLTYPE:
            _record(stream, info.size)
        elif info.type in _LONG:
            extra[_LONG[info.type]] = _text(_record(stream, info.size).rstrip(b"\0"))
        else:
            member = _member(info, extra)
            extra = {}
            yield member, _content(stream, member.size)
    if extra:
        raise BadArchiveError("The archive ends in the middle of a header.")
    while stream.read(CHUNK):  # to the end, so that the checksums of gzip and zstd are checked
        pass


def _unpacker(file: IO[bytes]) -> Source:
    head = file.read(6)
    file.seek(0)
    if head.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file, mode="rb")
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        unpacker = zstandard.ZstdDecompressor(max_window_size=MAX_ZSTD_WINDOW)
        return unpacker.stream_reader(file, read_across_frames=True)
    for magic, name in _OTHER.items():
        if head.startswith(magic):
            raise BadArchiveError(f"The archive is packed with {name}. {HOW}")
    return file


def _header(block: bytes, *, is_first: bool) -> tarfile.TarInfo:
    try:
        info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError, OverflowError) as error:
        problem = f"This is not a tar archive. {HOW}" if is_first else "The archive has a damaged header."
        raise BadArchiveError(problem) from error
    if info.size < 0:
        raise BadArchiveError("The archive has a damaged header.")
    return info


def _record(stream: Stream, size: int) -> bytes:
    if size > MAX_HEADER_BYTES:
        raise BadArchiveError(f"The archive has a header of more than {MAX_HEADER_BYTES // 1024} KiB.")
    data = stream.exactly(size)
    stream.exactly(-size % BLOCK)
    return data


def _pax(data: bytes) -> dict[str, str]:
    """Records of length, key and value, each on a line; only those that name and measure the next member are kept."""
    found: dict[str, str] = {}
    position = 0
    while position < len(data) and data[position] != 0:
        digits, space, _ = data[position : position + 20].partition(b" ")
        length = int(digits) if space and digits.isdigit() else 0
        record = data[position + len(digits) + 1 : position + length]
        key, equals, value = record.partition(b"=")
        if not equals or not value.endswith(b"\n") or position + length > len(data):
            raise BadArchiveError("The archive has a damaged header.")
        if key.startswith(b"GNU.sparse"):
            raise BadArchiveError("The archive holds a sparse file. Pack it without `--sparse`.")
        if key in {b"path", b"linkpath", b"size"}:
            found[key.decode()] = _text(value[:-1])
        position += length
    return found


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise BadArchiveError("The archive holds a name that is not valid UTF-8.") from error


def _member(info: tarfile.TarInfo, extra: dict[str, str]) -> Member:
    name = extra.get("path", info.name)
    kind = _KINDS.get(info.type)
    if kind is None:
        what = "a device, pipe or sparse file" if info.type in b"346S" else "an entry of an unknown kind"
        raise BadArchiveError(f"The archive holds {what}: {shown(name)}")
    size = extra.get("size", "")
    if size and not (size.isascii() and size.isdigit() and len(size) < 16):
        raise BadArchiveError("The archive has a damaged header.")
    return Member(
        name=name,
        kind=kind,
        size=(int(size) if size else info.size) if kind is Kind.FILE else 0,
        target=extra.get("linkpath", info.linkname),
        is_executable=bool(info.mode & 0o100),
    )


def _content(stream: Stream, size: int) -> Iterator[bytes]:
    left = size
    while left:
        data = stream.exactly(min(left, CHUNK))
        left -= len(data)
        yield data
    stream.exactly(-size % BLOCK)


def shown(name: Any) -> str:
    """A name from outside, fit for a message."""
    return ascii(name)[1:-1][:200]
