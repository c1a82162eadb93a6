"""A chute's bundle: unpacked from an archive into a directory, and its specification found there.

Called by uploads and downloads, in a thread, since it blocks. While files are written there is no link on disk that
could lead one out of the directory: symbolic links are made at the end, when it is clear where each of them leads.
Whatever the archive holds, nothing is touched outside `into`, and after an error `into` is empty.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec

from wayhouse.base import codec
from wayhouse.base.errors import BadInputError, PermanentError, UnavailableError
from wayhouse.chutes import links, spec
from wayhouse.chutes.archive import Kind, Member, Stream, members, shown
from wayhouse.chutes.model import BadArchiveError, Spec

SPEC_NAMES = ("paradrop.yaml", "wayhouse.yaml")
OLD_SPEC_NAME = "config.yaml"
NO_SPEC = "No paradrop.yaml file found in chute source"
UNSAFE = "Tarfile contains unsafe paths: "


class ArchiveLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What an archive may hold at the most. Sizes in bytes; `unpacked_bytes` counts the whole unpacked stream."""

    archive_bytes: int = 512 * 2**20
    unpacked_bytes: int = 2 * 2**30
    file_bytes: int = 2**30
    members: int = 100_000
    name_bytes: int = 1024
    part_bytes: int = 255
    depth: int = 64


def unpack(archive: Path, into: Path, limits: ArchiveLimits) -> None:
    """Unpack `archive` (tar, plain or packed with gzip or zstd) into the empty or missing directory `into`.

    Files get mode 0644 or 0755 and the owner that runs this. Raises `BadArchiveError` for anything wrong with the
    archive and `UnavailableError` when the disk is full; `into` is empty then.
    """
    if archive.stat().st_size > limits.archive_bytes:
        raise BadArchiveError(f"The archive is larger than {limits.archive_bytes // 2**20} MiB.")
    into.mkdir(parents=True, exist_ok=True)
    if any(into.iterdir()):
        raise PermanentError(f"{into} is not empty.")
    try:
        _Unpacking(into, limits).run(archive)
    except OSError as error:
        clear(into)
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise UnavailableError("The disk is full. Remove an app or free some space.") from error
        raise BadArchiveError(f"The archive cannot be unpacked: {error.strerror}.") from error
    except BaseException:
        clear(into)
        raise


def clear(directory: Path) -> None:
    """Empty `directory`, following no link."""
    for path in directory.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


class _Unpacking:
    """The state of one run: what has been made, by normal name. All of it is real files and directories."""

    def __init__(self, into: Path, limits: ArchiveLimits) -> None:
        self._into = into
        self._limits = limits
        self._links: dict[str, str] = {}
        self._files: set[str] = set()
        self._directories: set[str] = {""}
        self._counted = 0

    def run(self, archive: Path) -> None:
        with Stream(archive, self._limits.unpacked_bytes) as stream:
            for member, content in members(stream):
                self._count(1)
                self._make(member, content)
        links.check(self._links)
        for name, target in self._links.items():
            (self._into / name).symlink_to(target)

    def _count(self, entries: int) -> None:
        """Directories that no entry names count too, or a hundred thousand names could make millions of them."""
        self._counted += entries
        if self._counted > self._limits.members:
            raise BadArchiveError(f"The archive has more than {self._limits.members} entries.")

    def _make(self, member: Member, content: Iterator[bytes]) -> None:
        name = self._normal(member.name)
        if member.kind is Kind.DIRECTORY:
            self._directory(name)
            return
        if not name:
            raise BadArchiveError(f"{UNSAFE}{shown(member.name)}")
        self._directory(name.rpartition("/")[0])
        self._make_way(name)
        if member.kind is Kind.FILE:
            self._file(name, member, content)
        elif member.kind is Kind.SYMLINK:
            if len(member.target) > self._limits.name_bytes:
                raise BadArchiveError(f"The archive holds a link that is too long: {shown(name)}")
            self._links[name] = member.target
        else:
            self._hard_link(name, member)

    def _normal(self, name: str) -> str:
        """`a/../b` is `b`; "" is the bundle itself."""
        parts: list[str] = []
        if len(name.encode("utf-8", "surrogateescape")) > self._limits.name_bytes:
            raise BadArchiveError(f"The archive holds a name that is too long: {shown(name)}")
        if name.startswith("/") or any(ord(char) < 32 or 0xD800 <= ord(char) <= 0xDFFF for char in name):
            raise BadArchiveError(f"{UNSAFE}{shown(name)}")
        for part in name.split("/"):
            if part == ".." and not parts:
                raise BadArchiveError(f"{UNSAFE}{shown(name)}")
            if part == "..":
                parts.pop()
            elif part not in {"", "."}:
                parts.append(part)
        if len(parts) > self._limits.depth or any(
            len(part.encode()) > self._limits.part_bytes for part in parts
        ):
            raise BadArchiveError(f"The archive holds a name that is too long: {shown(name)}")
        return "/".join(parts)

    def _directory(self, name: str) -> None:
        """Make `name` and what is above it. Nothing of an archive may go through a link or a file."""
        if name in self._directories:
            return
        self._directory(name.rpartition("/")[0])
        if name in self._links or name in self._files:
            raise BadArchiveError(f"{UNSAFE}{shown(name)} is a directory and something else")
        self._count(1)
        (self._into / name).mkdir(mode=0o755)
        self._directories.add(name)

    def _make_way(self, name: str) -> None:
        """A later entry of one name replaces the earlier one, unless that is a directory."""
        if name in self._directories:
            raise BadArchiveError(f"{UNSAFE}{shown(name)} is a directory and something else")
        self._links.pop(name, None)
        if name in self._files:
            self._files.discard(name)
            (self._into / name).unlink()

    def _file(self, name: str, member: Member, content: Iterator[bytes]) -> None:
        if member.size > self._limits.file_bytes:
            raise BadArchiveError(f"{shown(name)} is larger than {self._limits.file_bytes // 2**20} MiB.")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        descriptor = os.open(self._into / name, flags, 0o600)
        self._files.add(name)
        with os.fdopen(descriptor, "wb") as file:
            for chunk in content:
                file.write(chunk)
            os.fchmod(descriptor, 0o755 if member.is_executable else 0o644)

    def _hard_link(self, name: str, member: Member) -> None:
        target = self._normal(member.target)
        if target not in self._files:
            raise BadArchiveError(f"{UNSAFE}{shown(member.name)} is a link to {shown(member.target)}")
        (self._into / name).hardlink_to(self._into / target)
        self._files.add(name)


def read_spec(directory: Path) -> Spec:
    """The specification at the top of a bundle: `paradrop.yaml`, `wayhouse.yaml`, or a `config.yaml` of 2015.

    Raises `BadArchiveError` when there is none, `BadSpecError` when it has a fault.
    """
    for name in SPEC_NAMES:
        if (data := _read(directory, name)) is not None:
            return spec.parse(data)
    data = _read(directory, OLD_SPEC_NAME)
    if data is not None and _is_old_spec(data):
        return spec.parse(data)
    raise BadArchiveError(NO_SPEC)


def _read(directory: Path, name: str) -> bytes | None:
    """The file, if there is one that lies in the bundle; one byte too many shows that it is too large."""
    try:
        path = (directory / name).resolve()
    except (OSError, RuntimeError):  # a link to itself
        return None
    if not path.is_relative_to(directory.resolve()) or not path.is_file():
        return None
    with path.open("rb") as file:
        return file.read(spec.MAX_BYTES + 1)


def _is_old_spec(data: bytes) -> bool:
    if len(data) > spec.MAX_BYTES:
        return False
    try:
        plain = codec.decode_yaml(data)
    except BadInputError:
        return False
    return isinstance(plain, dict) and "dockerfile" in plain


def find_bundle(directory: Path) -> Path:
    """Where the bundle is below a downloaded tree: the highest directory with a specification, else with a Dockerfile.

    ParaDrop takes the last such entry of the archive, whatever its depth; of several on one level the last is taken
    here too. Raises `BadArchiveError` when there is none.
    """
    for wanted in (SPEC_NAMES, ("Dockerfile",)):
        places = [Path(top) for top, _, files in os.walk(directory) if set(wanted) & set(files)]
        if places:
            return max(places, key=lambda place: (-len(place.parts), str(place)))
    raise BadArchiveError("No paradrop.yaml and no Dockerfile found in the download.")


def check_tree(directory: Path, limits: ArchiveLimits) -> None:
    """The rules of `unpack` for a tree that another program wrote: no link leads out, no devices, not too much."""
    found: dict[str, str] = {}
    size = count = 0
    for top, folders, files in os.walk(directory):
        for name in (*folders, *files):
            path = Path(top, name)
            status = path.lstat()
            count += 1
            size += status.st_size
            if count > limits.members or size > limits.unpacked_bytes:
                raise BadArchiveError("The source is larger than this gateway takes.")
            if stat.S_ISLNK(status.st_mode):
                found[str(path.relative_to(directory))] = str(path.readlink())
            elif not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
                raise BadArchiveError(f"The source holds a device or pipe: {shown(name)}")
    links.check(found)
