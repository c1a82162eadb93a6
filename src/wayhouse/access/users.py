"""The users of this gateway: held in memory, written through to the store, changed one at a time.

Rules kept here: nobody grants or touches more than the own role, one administrator stays, a password is never empty.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable

import msgspec

from wayhouse.access import sha512_crypt
from wayhouse.access.audit import Audit
from wayhouse.access.model import (
    LOCAL,
    AccessSettings,
    Identity,
    LastAdminError,
    NewPassword,
    NoSuchUserError,
    Role,
    User,
    UserExistsError,
)
from wayhouse.access.passwords import Passwords, demand_strong
from wayhouse.access.store import AccessStore
from wayhouse.base import ids
from wayhouse.base.clock import Clock
from wayhouse.base.errors import BadInputError, ConflictError, ForbiddenError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")
MAX_USERS = 1000


class Users:
    def __init__(
        self, store: AccessStore, passwords: Passwords, audit: Audit, settings: AccessSettings, clock: Clock
    ) -> None:
        self._store = store
        self._passwords = passwords
        self._audit = audit
        self._settings = settings
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()
        self._users = {user.name: user for user in store.users()}
        self.when_gone: list[Callable[[str], None]] = []
        """Told the name of each user whose record is dropped, so that nobody inherits what was held for it."""

    def find(self, name: str) -> User | None:
        return self._users.get(name)

    def get(self, name: str) -> User:
        """Raises `NoSuchUserError`."""
        user = self._users.get(name)
        if user is None:
            raise NoSuchUserError(f"There is no user {name!r:.70}. `wayhouse user ls` shows them.")
        return user

    def everyone(self) -> list[User]:
        return sorted(self._users.values(), key=lambda user: user.name)

    def self_of(self, by: Identity) -> str:
        """The name of the user that `by` is here; the default user for root on this machine and for the daemon."""
        if by.via in {"peer", "internal"}:
            return self._settings.default_user
        if by.domain != LOCAL or by.chute is not None:
            raise BadInputError("You are no user of this gateway itself. Name the user.", path="username")
        return by.name

    async def add(self, by: Identity, name: str, password: str, role: Role) -> User:
        """Raises `BadInputError`, `WeakPasswordError`, `UserExistsError`, `ForbiddenError`."""
        self._demand_may_grant(by, role)
        hash_ = await self._hash(name, password)
        async with self._one_at_a_time:
            self._demand_free(name)
            user = await self._save(self._new(name, role, hash_))
        self._audit.record(by, "user.add", f"{name} as {role.label}")
        return user

    async def remove(self, by: Identity, name: str) -> None:
        """With all its tokens and sessions. Raises `NoSuchUserError`, `LastAdminError`, `ForbiddenError`."""
        async with self._one_at_a_time:
            user = self.get(name)
            self._demand_may_touch(by, user)
            self._demand_other_admin(user, Role.GUEST)
            await self._store.remove_user(name)
            del self._users[name]
            self._tell_gone([name])
        self._audit.record(by, "user.remove", name)

    async def set_role(self, by: Identity, name: str, role: Role) -> User:
        """Raises `NoSuchUserError`, `LastAdminError`, `ForbiddenError`."""
        self._demand_may_grant(by, role)
        async with self._one_at_a_time:
            user = self.get(name)
            self._demand_may_touch(by, user)
            self._demand_other_admin(user, role)
            changed = await self._save(msgspec.structs.replace(user, role=role))
        self._audit.record(by, "user.role", f"{name} to {role.label}")
        return changed

    async def change_password(self, by: Identity, name: str, password: str) -> User:
        """Ends all sessions and sign-in codes of the user. Raises `NoSuchUserError`, `WeakPasswordError`, `ForbiddenError`."""
        self._demand_may_touch(by, self.get(name))
        hash_ = await self._hash(name, password)
        async with self._one_at_a_time:
            changed = msgspec.structs.replace(
                self.get(name), hash=hash_, epoch=ids.token_hex(), changed=self._clock.wall()
            )
            await self._save(changed, close_links=True)
        self._audit.record(by, "user.password", name)
        return changed

    async def rehash(self, user: User, password: str) -> None:
        """The same password, hashed with today's costs; sessions go on."""
        hash_ = await self._passwords.hash(password)
        async with self._one_at_a_time:
            if self._users.get(user.name) == user:
                await self._save(msgspec.structs.replace(user, hash=hash_))

    async def reset(self, by: Identity) -> NewPassword:
        """Only the default user stays, as administrator, with a new random password; all else of access is forgotten.

        With `insecure_default_login` it has no password, and gets in from this machine only.
        """
        name = self._settings.default_user
        new = self._generate(name)
        role = max(Role.ADMIN, self._users[name].role) if name in self._users else Role.ADMIN
        hash_ = await self._passwords.hash(new.password) if new.password else ""
        async with self._one_at_a_time:
            user = self._new(name, role, hash_)
            await self._store.only_user(user)
            gone, self._users = [*self._users], {name: user}
            self._tell_gone(gone)
        self._audit.record(by, "user.reset", name)
        return new

    async def create_first(self, password: str | None) -> NewPassword | None:
        """Make the default user if there is nobody, or give it a password if nobody could sign in; else None."""
        name = self._settings.default_user
        if any(user.hash for user in self._users.values()):
            return None
        if self._users and password is None and self._settings.insecure_default_login:
            return None
        new = NewPassword(name, password) if password is not None else self._generate(name)
        hash_ = await self._hash(name, new.password) if new.password is not None else ""
        async with self._one_at_a_time:
            await self._save(self._new(name, Role.ADMIN, hash_))
        return new

    async def import_hashes(
        self, by: Identity, records: Iterable[tuple[str, str]]
    ) -> tuple[list[str], list[str]]:
        """Take over (name, SHA-512-crypt hash) pairs as administrators, as ParaDrop had them: (taken, left out).

        Left out are hashes that cannot be checked here, names that are taken or not allowed, and empty passwords.
        """
        taken: list[str] = []
        left_out: list[str] = []
        self._demand_may_grant(by, Role.ADMIN)
        for name, hash_ in records:
            if await self._is_importable(name, hash_):
                async with self._one_at_a_time:
                    await self._save(self._new(name, Role.ADMIN, hash_))
                taken.append(name)
            else:
                left_out.append(name)
        self._audit.record(by, "user.import", ", ".join(taken))
        return taken, left_out

    async def _is_importable(self, name: str, hash_: str) -> bool:
        if name in self._users or not _NAME.fullmatch(name) or len(self._users) >= MAX_USERS:
            return False
        if not sha512_crypt.is_supported(hash_):
            return False
        return not await asyncio.to_thread(sha512_crypt.verify, hash_, b"")

    def _tell_gone(self, names: list[str]) -> None:
        for name in names:
            for tell in self.when_gone:
                tell(name)

    def _generate(self, name: str) -> NewPassword:
        return NewPassword(name, None if self._settings.insecure_default_login else ids.readable_password())

    async def _hash(self, name: str, password: str) -> str:
        if not _NAME.fullmatch(name):
            raise BadInputError(
                "A user name is 1 to 64 letters, digits and . _ @ + -, and begins with a letter or digit.",
                path="username",
            )
        demand_strong(password, name, insecure=self._settings.insecure_default_login)
        return await self._passwords.hash(password)

    def _new(self, name: str, role: Role, hash_: str) -> User:
        now = self._clock.wall()
        return User(name, role, hash_, ids.token_hex(), now, now)

    async def _save(self, user: User, *, close_links: bool = False) -> User:
        await self._store.save_user(user, close_links=close_links)
        self._users[user.name] = user
        return user

    def _demand_free(self, name: str) -> None:
        if name in self._users:
            raise UserExistsError(
                f"There is a user {name} already. Choose another name, or change that user."
            )
        if len(self._users) >= MAX_USERS:
            raise ConflictError(f"There are {MAX_USERS} users. Remove some first.")

    def _demand_other_admin(self, user: User, role: Role) -> None:
        if user.role < Role.ADMIN or role >= Role.ADMIN:
            return
        if not any(other.role >= Role.ADMIN and other.name != user.name for other in self._users.values()):
            raise LastAdminError(f"{user.name} is the last administrator. Make another user one first.")

    @staticmethod
    def _demand_may_grant(by: Identity, role: Role) -> None:
        if role > by.role:
            raise ForbiddenError(f"You are {by.role.label} and cannot make anybody {role.label}.")

    @staticmethod
    def _demand_may_touch(by: Identity, user: User) -> None:
        if user.role > by.role:
            raise ForbiddenError(f"{user.name} is {user.role.label}, and you are {by.role.label}.")
