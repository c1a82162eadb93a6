"""Password hashes: argon2id (RFC 9106), made and checked in a thread, two at a time.

Called by `sign_in` and `users`. A flood of sign-ins cannot eat the memory (each check takes some 19 MiB): two run, a few
dozen wait, the rest is told to come back. A user that does not exist costs the same time as one that does.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import functools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import argon2

from wayhouse.access import sha512_crypt
from wayhouse.access.model import AccessSettings, WeakPasswordError
from wayhouse.base import ids
from wayhouse.base.errors import TooManyRequestsError

T = TypeVar("T")

AT_ONCE = 2
MAX_WAITING = 32
MAX_BYTES = 1024
MIN_CHARACTERS = 8
M_MMAP_THRESHOLD = -3  # of malloc.h
LARGE_BLOCK = 1024 * 1024


class Passwords:
    def __init__(self, settings: AccessSettings) -> None:
        self._hasher = argon2.PasswordHasher(
            time_cost=settings.argon2_time,
            memory_cost=settings.argon2_memory_kib,
            parallelism=settings.argon2_lanes,
            type=argon2.Type.ID,
        )
        _map_large_blocks()
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    async def hash(self, password: str) -> str:
        """The argon2id hash of `password`, in PHC form."""
        return await self._in_thread(lambda: self._hasher.hash(password))

    async def verify(self, stored: str | None, password: str) -> bool:
        """Whether `password` fits the hash; None (no such user) is False after the time of a real check.

        Raises `TooManyRequestsError` when too many checks wait already.
        """
        if not fits(password):
            return False
        return await self._in_thread(lambda: self._check(stored, password))

    def is_outdated(self, stored: str) -> bool:
        """Whether the hash should be made anew: other costs than now, or another kind."""
        try:
            return self._hasher.check_needs_rehash(stored)
        except argon2.exceptions.InvalidHashError:
            return True

    def _check(self, stored: str | None, password: str) -> bool:
        decoy = self._decoy  # made by the first check of any kind, so that its cost tells nothing
        if stored is not None and sha512_crypt.is_supported(stored):
            return sha512_crypt.verify(stored, password.encode())
        try:
            return self._hasher.verify(stored or decoy, password) and stored is not None
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False

    @functools.cached_property
    def _decoy(self) -> str:
        return self._hasher.hash(ids.token_hex())

    async def _in_thread(self, work: Callable[[], T]) -> T:
        async with self._turn():
            return await asyncio.to_thread(work)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        if self._waiting >= MAX_WAITING:
            raise TooManyRequestsError(
                "Too many sign-ins at the same time. Try again in a moment.", retry_after_s=2
            )
        self._waiting += 1
        try:
            await self._turns.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._turns.release()


def _map_large_blocks() -> None:
    """Have the C library take large blocks from the system and give them back, each by itself: left to its own rule it keeps
    the megabytes of the last hashes for ever, in a daemon that is meant to be small."""
    with contextlib.suppress(OSError, AttributeError):  # not glibc
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK)


def fits(password: str) -> bool:
    """Whether it can be a password at all: not empty, at most `MAX_BYTES` of UTF-8."""
    try:
        return 0 < len(password.encode()) <= MAX_BYTES
    except UnicodeEncodeError:
        return False


def demand_strong(password: str, username: str, *, insecure: bool = False) -> None:
    """Raises `WeakPasswordError`. `insecure` lifts the least length, never the demand for a password."""
    if not fits(password):
        raise WeakPasswordError(
            f"Choose a password of at least one and at most {MAX_BYTES} bytes.", path="password"
        )
    if insecure:
        return
    if len(password) < MIN_CHARACTERS:
        raise WeakPasswordError(
            f"Choose a password of at least {MIN_CHARACTERS} characters.", path="password"
        )
    if password.casefold() == username.casefold():
        raise WeakPasswordError("Choose a password other than the user name.", path="password")
