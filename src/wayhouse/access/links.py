"""One-time sign-in codes: printed at the first start and made on request, for a link or QR code that signs a browser in.

256 random bits, stored as SHA-256, good for one use within the hour. A code ends when its user's password changes.
"""

from __future__ import annotations

from wayhouse.access.audit import Audit
from wayhouse.access.model import Identity
from wayhouse.access.store import AccessStore, digest_of
from wayhouse.access.users import Users
from wayhouse.base import ids
from wayhouse.base.clock import Clock
from wayhouse.base.errors import ForbiddenError, UnauthenticatedError

LIFETIME_S = 3600.0
MAX_CODE = 256


class Links:
    def __init__(self, store: AccessStore, users: Users, audit: Audit, clock: Clock) -> None:
        self._store = store
        self._users = users
        self._audit = audit
        self._clock = clock

    async def create(self, by: Identity, username: str | None = None) -> str:
        """A code that signs `username` (None: the caller) in, once. Raises `NoSuchUserError`, `ForbiddenError`."""
        user = self._users.get(username if username is not None else self._users.self_of(by))
        if user.role > by.role:
            raise ForbiddenError(f"{user.name} may do more than you, so you cannot sign in as that user.")
        code = ids.token_urlsafe(256)
        now = self._clock.wall()
        await self._store.add_link(digest_of(code), user.name, expires=now + LIFETIME_S, now=now)
        self._audit.record(by, "link.create", user.name)
        return code

    async def redeem(self, code: str, client: str) -> Identity:
        """The user of an open code, which this closes. Raises `UnauthenticatedError`."""
        name = (
            await self._store.take_link(digest_of(code), now=self._clock.wall())
            if len(code) <= MAX_CODE
            else None
        )
        user = self._users.find(name) if name is not None else None
        if user is None:
            self._audit.record(None, "link.redeem", outcome="refused", client=client)
            raise UnauthenticatedError("This sign-in link was used already, or has ended. Ask for a new one.")
        self._audit.record(user.identity, "link.redeem", client=client)
        return user.identity
