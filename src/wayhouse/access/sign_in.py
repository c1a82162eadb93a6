"""Checks a user name and a password: lockout first, then the hash, then the memory of what was right.

Requests with `Basic` credentials come many a second, and a check of argon2id takes some 20 ms: what was right once is
remembered by a keyed hash (the key lives in this process alone) until the user's password changes.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import logging
import secrets
from collections import OrderedDict
from weakref import WeakValueDictionary

from wayhouse.access.audit import Audit
from wayhouse.access.lockout import Lockout, is_loopback
from wayhouse.access.model import AccessSettings, LockedOutError, User, WrongCredentialsError
from wayhouse.access.passwords import Passwords
from wayhouse.access.users import Users
from wayhouse.base.clock import Clock
from wayhouse.base.errors import TooManyRequestsError, UnavailableError

log = logging.getLogger(__name__)

MAX_REMEMBERED = 1024
MAX_USERNAME = 64
REFUSAL = "The user name or the password is wrong."


class SignIn:
    def __init__(
        self, users: Users, passwords: Passwords, audit: Audit, settings: AccessSettings, clock: Clock
    ) -> None:
        self._users = users
        self._passwords = passwords
        self._audit = audit
        self._settings = settings
        self._clock = clock
        self._lockout = Lockout(settings)
        self._key = secrets.token_bytes(32)
        self._right: OrderedDict[bytes, str] = OrderedDict()
        self._locks: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()

    async def verify(self, username: str, password: str, client: str) -> User:
        """The user, if the password is right. `client` is the sender's IP address.

        Raises `WrongCredentialsError`, `LockedOutError`, or `TooManyRequestsError` when too many wait to be checked.
        """
        if not password:
            return self._without_password(username, client)
        fingerprint = self._fingerprint(username, password)
        lock = self._locks.setdefault(fingerprint, asyncio.Lock())
        async with lock:  # the same credentials sent ten times at once are checked once
            user = self._remembered(fingerprint, username)
            return user if user is not None else await self._check(username, password, client, fingerprint)

    def _remembered(self, fingerprint: bytes, username: str) -> User | None:
        epoch = self._right.get(fingerprint)
        user = self._users.find(username)
        if epoch is None:
            return None
        if user is None or user.epoch != epoch:
            del self._right[fingerprint]
            return None
        self._right.move_to_end(fingerprint)
        return user

    async def _check(self, username: str, password: str, client: str, fingerprint: bytes) -> User:
        self._count(username, client)
        user = self._users.find(username)
        fits = await self._fits(user, username, password, client)
        now = self._users.find(username)
        if not fits or user is None or now is None or now.epoch != user.epoch:
            raise self._refused(username, client)
        self._lockout.succeeded(client, username[:MAX_USERNAME])
        self._remember(fingerprint, now)
        if self._passwords.is_outdated(now.hash):
            with contextlib.suppress(TooManyRequestsError, UnavailableError):  # then at the next sign-in
                await self._users.rehash(now, password)
        return now

    async def _fits(self, user: User | None, username: str, password: str, client: str) -> bool:
        try:
            return await self._passwords.verify((user.hash or None) if user else None, password)
        except TooManyRequestsError:
            self._lockout.unchecked(client, username[:MAX_USERNAME])
            raise

    def _count(self, username: str, client: str) -> None:
        try:
            self._lockout.attempt(client, username[:MAX_USERNAME], self._clock.monotonic())
        except LockedOutError:
            self._audit.record(None, "sign-in", self._known(username), outcome="locked out", client=client)
            raise

    def _without_password(self, username: str, client: str) -> User:
        """No user has an empty password, so such an attempt costs nothing, tells nothing and is not counted: pdtools
        makes one with every command. The exception is the default user before its first password, if the settings say so."""
        user = self._users.find(username)
        is_default = user is not None and user.name == self._settings.default_user and not user.hash
        if (
            user is None
            or not is_default
            or not self._settings.insecure_default_login
            or not is_loopback(client)
        ):
            raise self._refused(username, client)
        log.warning("%s signed in without a password (insecure_default_login). Set one.", user.name)
        return user

    def _refused(self, username: str, client: str) -> WrongCredentialsError:
        self._audit.record(None, "sign-in", self._known(username), outcome="refused", client=client)
        return WrongCredentialsError(REFUSAL)

    def _known(self, username: str) -> str:
        """Only names that exist are written down: people type passwords into the field for the name."""
        return username if self._users.find(username) is not None else "(unknown user)"

    def _remember(self, fingerprint: bytes, user: User) -> None:
        self._right[fingerprint] = user.epoch
        while len(self._right) > MAX_REMEMBERED:
            self._right.popitem(last=False)

    def _fingerprint(self, username: str, password: str) -> bytes:
        text = f"{len(username)}:{username}{password}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, text, hashlib.sha256)
