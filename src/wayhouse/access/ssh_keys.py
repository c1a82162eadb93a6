"""The host's `authorized_keys` files: list, add, remove. Called by the endpoints of ParaDrop's `sshKeys`.

The daemon is root and a home directory belongs to somebody else, so every step opens from the directory before it and
follows no link, a file with a second name is refused, and a change replaces the file as a whole.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from wayhouse.access import public_key
from wayhouse.access.audit import Audit
from wayhouse.access.model import (
    BadKeyError,
    Identity,
    KeyExistsError,
    NoHomeError,
    NoSuchKeyError,
    UnsafeFileError,
)
from wayhouse.access.plain_file import open_plain
from wayhouse.access.public_key import PublicKey
from wayhouse.base import ids
from wayhouse.base.errors import BadInputError, ConflictError

_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}")
FILE = "authorized_keys"
MAX_FILE = 1024 * 1024
MAX_KEYS = 1000
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class _Folder(msgspec.Struct, frozen=True):
    """An open `.ssh` directory, and whom its files belong to."""

    fd: int
    uid: int
    gid: int


class SshKeys:
    def __init__(self, audit: Audit, *, homes: Path = Path("/home"), root_home: Path = Path("/root")) -> None:
        self._audit = audit
        self._homes = homes
        self._root_home = root_home
        self._one_at_a_time = asyncio.Lock()

    async def lines(self, user: str) -> list[str]:
        """The keys of a host user. Raises `BadInputError` (no such name can be), `NoHomeError`, `UnsafeFileError`."""
        return await asyncio.to_thread(self._read, user)

    async def add(self, by: Identity, user: str, text: str) -> PublicKey:
        """Raises `BadKeyError`, `KeyExistsError`, and what `lines` raises."""
        key = public_key.parse(text)
        await self._change(user, lambda lines: _with(lines, key))
        self._audit.record(by, "ssh-key.add", f"{user}: {key.type} {key.comment}")
        return key

    async def remove(self, by: Identity, user: str, text: str) -> PublicKey:
        """`text` is the key as `lines` gives it. Raises `NoSuchKeyError`, and what `lines` raises."""
        try:
            key = public_key.parse(text)
        except BadKeyError:
            key = PublicKey(text.strip()[: public_key.MAX_LINE], "")
        await self._change(user, lambda lines: _without(lines, key))
        self._audit.record(by, "ssh-key.remove", f"{user}: {key.type} {key.comment}")
        return key

    async def _change(self, user: str, edit: Callable[[list[str]], list[str]]) -> None:
        async with self._one_at_a_time:
            try:
                await asyncio.to_thread(self._rewrite, user, edit)
            except OSError as error:
                raise _unsafe(FILE, error.strerror or "it cannot be written") from error

    def _read(self, user: str) -> list[str]:
        with self._home(user) as home:
            return [
                line.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for line in _lines_at(home)
            ]

    def _rewrite(self, user: str, edit: Callable[[list[str]], list[str]]) -> None:
        with self._home(user) as home:
            edit(_lines_at(home))  # refuses before anything is made
            owner = os.fstat(home)
            with contextlib.suppress(FileExistsError):
                os.mkdir(".ssh", 0o700, dir_fd=home)
                _give(".ssh", home, owner)
            with _opened(".ssh", home) as folder:
                if folder.uid == os.geteuid() or os.geteuid() == 0:
                    os.fchmod(folder.fd, 0o700)
                _replace(folder, edit(_lines_of(folder)))

    @contextlib.contextmanager
    def _home(self, user: str) -> Iterator[int]:
        if not _USER.fullmatch(user):
            raise BadInputError("This cannot be the name of a user of the host.", path="user")
        path = self._root_home if user == "root" else self._homes / user
        try:
            fd = os.open(path, _DIRECTORY)
        except OSError as error:
            raise NoHomeError(f"No home directory found for user {user}") from error
        try:
            yield fd
        finally:
            os.close(fd)


@contextlib.contextmanager
def _opened(name: str, home: int) -> Iterator[_Folder]:
    """Raises `FileNotFoundError`, `UnsafeFileError`."""
    owner = os.fstat(home)
    try:
        fd = os.open(name, _DIRECTORY, dir_fd=home)
    except OSError as error:
        if error.errno == errno.ENOENT:
            raise
        raise _unsafe(name, error.strerror or "cannot be opened") from error
    try:
        _demand_own(fd, name, owner.st_uid)
        yield _Folder(fd, owner.st_uid, owner.st_gid)
    finally:
        os.close(fd)


def _lines_at(home: int) -> list[str]:
    try:
        with _opened(".ssh", home) as folder:
            return _lines_of(folder)
    except FileNotFoundError:
        return []


def _lines_of(folder: _Folder) -> list[str]:
    try:
        file = open_plain(FILE, dir_fd=folder.fd)
    except FileNotFoundError:
        return []
    with file:
        facts = os.fstat(file.fileno())
        if facts.st_nlink > 1 or facts.st_size > MAX_FILE:
            raise _unsafe(FILE, "it has a second name or is larger than 1 MiB")
        _demand_own(file.fileno(), FILE, folder.uid)
        text = file.read(MAX_FILE).decode("utf-8", "surrogateescape")
    return [line.strip() for line in text.split("\n") if line.strip()]


def _replace(folder: _Folder, lines: list[str]) -> None:
    draft = f".{FILE}.{ids.short_id()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(draft, flags, 0o600, dir_fd=folder.fd)
    try:
        with os.fdopen(fd, "wb") as file:
            if (os.fstat(fd).st_uid, os.fstat(fd).st_gid) != (folder.uid, folder.gid):
                os.fchown(fd, folder.uid, folder.gid)
            file.write("".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape"))
            file.flush()
            os.fsync(fd)
        os.rename(draft, FILE, src_dir_fd=folder.fd, dst_dir_fd=folder.fd)
    except OSError:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft, dir_fd=folder.fd)
        raise
    os.fsync(folder.fd)


def _give(name: str, home: int, owner: os.stat_result) -> None:
    facts = os.stat(name, dir_fd=home, follow_symlinks=False)
    if (facts.st_uid, facts.st_gid) != (owner.st_uid, owner.st_gid):
        os.chown(name, owner.st_uid, owner.st_gid, dir_fd=home, follow_symlinks=False)


def _demand_own(fd: int, name: str, uid: int) -> None:
    if os.fstat(fd).st_uid not in {uid, 0}:
        raise _unsafe(name, "it belongs to somebody else")


def _with(lines: list[str], key: PublicKey) -> list[str]:
    if any(public_key.same_key(line, key) for line in lines):
        raise KeyExistsError("Key already exists")
    if len(lines) >= MAX_KEYS:
        raise ConflictError(f"There are {MAX_KEYS} keys. Remove some first.")
    return [*lines, key.line]


def _without(lines: list[str], key: PublicKey) -> list[str]:
    kept = [line for line in lines if not public_key.same_key(line, key) and line != key.line]
    if len(kept) == len(lines):
        raise NoSuchKeyError("There is no such key. The list shows them; send one of its lines.")
    return kept


def _unsafe(name: str, why: str) -> UnsafeFileError:
    return UnsafeFileError(f"{name} in that home directory is not safe to use: {why}. Put it right by hand.")
