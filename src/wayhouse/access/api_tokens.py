"""API tokens: for scripts and for pdtools (`PARADROP_API_TOKEN`). `wht_` and 256 random bits, shown once.

A token acts for its owner, with its own role or the owner's, whichever is lower at the moment. All tokens are held in
memory by their SHA-256, so a request costs a dictionary look-up.
"""

from __future__ import annotations

import msgspec

from wayhouse.access.audit import Audit
from wayhouse.access.model import LOCAL, ApiToken, Identity, NoSuchTokenError, Role
from wayhouse.access.store import AccessStore, digest_of
from wayhouse.access.users import Users
from wayhouse.base import ids
from wayhouse.base.clock import Clock
from wayhouse.base.errors import BadInputError, ConflictError, ForbiddenError, UnauthenticatedError

PREFIX = "wht_"
MAX_PER_OWNER = 100
MAX_NAME = 64
TOUCH_EVERY_S = 60.0
REFUSAL = "This API token is not valid. Make a new one with `wayhouse token add`."


class ApiTokens:
    def __init__(self, store: AccessStore, users: Users, audit: Audit, clock: Clock) -> None:
        self._store = store
        self._users = users
        self._audit = audit
        self._clock = clock
        self._by_digest = store.api_tokens()
        users.when_gone.append(self._forget)

    def identify(self, token: str) -> Identity:
        """Whom the token stands for. Raises `UnauthenticatedError`."""
        digest = digest_of(token)
        known = self._by_digest.get(digest)
        owner = self._users.find(known.owner) if known else None
        now = self._clock.wall()
        if known is None or owner is None or (known.expires is not None and known.expires <= now):
            raise UnauthenticatedError(REFUSAL)
        if known.last_used is None or now - known.last_used >= TOUCH_EVERY_S:
            self._by_digest[digest] = msgspec.structs.replace(known, last_used=now)
            self._store.touch_api_token(known.id, now)
        return Identity(owner.name, LOCAL, min(known.role, owner.role), via="api-token")

    async def create(
        self,
        by: Identity,
        name: str,
        *,
        owner: str | None = None,
        role: Role | None = None,
        lifetime_s: float | None = None,
    ) -> tuple[ApiToken, str]:
        """A new token and its secret text. `owner=None`: the caller; `role=None`: as much as the owner may.

        Raises `BadInputError`, `NoSuchUserError`, `ForbiddenError` (more than the caller may), `ConflictError` (too many).
        """
        user = self._users.get(owner if owner is not None else self._users.self_of(by))
        granted = role if role is not None else min(user.role, by.role)
        self._demand_allowed(by, name, user.name, granted)
        if lifetime_s is not None and not 1 <= lifetime_s <= 10**10:
            raise BadInputError(
                "A token lives at least one second. Leave the lifetime out for ever.", path="lifetime_s"
            )
        now = self._clock.wall()
        expires = now + lifetime_s if lifetime_s is not None else None
        token = ApiToken(ids.short_id(), name, user.name, min(granted, user.role), now, None, expires)
        secret = PREFIX + ids.token_urlsafe(256)
        await self._store.add_api_token(digest_of(secret), token)
        self._by_digest[digest_of(secret)] = token
        self._audit.record(by, "api-token.create", f"{token.id} ({name}) for {user.name}")
        return token, secret

    def all_of(self, owner: str | None = None) -> list[ApiToken]:
        """The tokens of one user, or of all; the oldest first."""
        tokens = [token for token in self._by_digest.values() if owner in {None, token.owner}]
        return sorted(tokens, key=lambda token: (token.created, token.id))

    async def revoke(self, by: Identity, token_id: str, *, owner: str | None = None) -> None:
        """End a token; `owner` restricts it to that user's own. Raises `NoSuchTokenError`."""
        found = [
            d for d, token in self._by_digest.items() if token.id == token_id and owner in {None, token.owner}
        ]
        if not found:
            raise NoSuchTokenError(f"There is no API token {token_id!r:.40}. `wayhouse token ls` shows them.")
        if self._by_digest[found[0]].role > by.role:
            raise ForbiddenError("This token may do more than you. Ask its owner to end it.")
        del self._by_digest[found[0]]
        await self._store.remove_api_token(token_id)
        self._audit.record(by, "api-token.revoke", token_id)

    def _forget(self, owner: str) -> None:
        self._by_digest = {d: token for d, token in self._by_digest.items() if token.owner != owner}

    def _demand_allowed(self, by: Identity, name: str, owner: str, role: Role) -> None:
        if not name.strip() or len(name) > MAX_NAME or not name.isprintable():
            raise BadInputError(
                f"Give the token a name of 1 to {MAX_NAME} printable characters.", path="name"
            )
        if role > by.role:
            raise ForbiddenError(f"You are {by.role.label} and cannot make a token that is {role.label}.")
        if len(self.all_of(owner)) >= MAX_PER_OWNER:
            raise ConflictError(f"{owner} has {MAX_PER_OWNER} API tokens. Revoke some first.")
