"""The verbs of access: who sends this request, signing in and out, the first start, the reset.

`api` calls `authenticate` for each request and `policy.demand` with the answer; `gateway` calls `start` once. The parts
are public where an endpoint is about them alone: `users`, `api_tokens`, `links`, `ssh_keys`, `audit`.
"""

from __future__ import annotations

import functools
import logging
import os
import pwd
from collections.abc import Callable
from pathlib import Path

import msgspec

from wayhouse.access import password_file, secret_file
from wayhouse.access.api_tokens import PREFIX, ApiTokens
from wayhouse.access.audit import Audit
from wayhouse.access.credentials import Basic, parse
from wayhouse.access.links import Links
from wayhouse.access.model import (
    CHUTE_DOMAIN,
    INTERNAL,
    LOCAL,
    AccessSettings,
    FirstBoot,
    Identity,
    NewPassword,
    Role,
)
from wayhouse.access.passwords import Passwords
from wayhouse.access.ports import ChuteTokens
from wayhouse.access.sign_in import SignIn
from wayhouse.access.ssh_keys import SshKeys
from wayhouse.access.store import AccessStore
from wayhouse.access.tokens import Sessions
from wayhouse.access.users import Users
from wayhouse.base.clock import Clock
from wayhouse.base.database import Database
from wayhouse.base.errors import ForbiddenError, UnauthenticatedError

log = logging.getLogger(__name__)


class Access:
    """`keys` is the directory of the signing secret (`<config>/keys`); `node_id` gives the issuer of sessions, if any."""

    def __init__(
        self,
        database: Database,
        keys: Path,
        settings: AccessSettings,
        clock: Clock,
        chute_tokens: ChuteTokens,
        *,
        node_id: Callable[[], str | None] = lambda: None,
        homes: Path = Path("/home"),
        root_home: Path = Path("/root"),
    ) -> None:
        self._chute_tokens = chute_tokens
        store = AccessStore(database)
        passwords = Passwords(settings)
        self.audit = Audit(store, clock)
        self.users = Users(store, passwords, self.audit, settings, clock)
        self.api_tokens = ApiTokens(store, self.users, self.audit, clock)
        self.links = Links(store, self.users, self.audit, clock)
        self.ssh_keys = SshKeys(self.audit, homes=homes, root_home=root_home)
        self._sign_in = SignIn(self.users, passwords, self.audit, settings, clock)
        secret = secret_file.read_or_create(keys / "jwt-secret")
        self._sessions = Sessions(secret, settings, clock, store, find_user=self.users.find, node_id=node_id)
        if settings.insecure_default_login:
            log.warning(
                "insecure_default_login is on: whoever reaches this machine's loopback address gets in."
            )

    async def start(self, first_password: str | None = None) -> FirstBoot | None:
        """Make the first user if nobody could sign in yet; what is returned must be printed, once.

        `FirstBoot.password` is None if `first_password` was given. Raises `WeakPasswordError`.
        """
        new = await self.users.create_first(first_password)
        if new is None:
            return None
        self.audit.record(INTERNAL, "user.first", new.username)
        code = await self.links.create(INTERNAL, new.username)
        return FirstBoot(new.username, None if first_password is not None else new.password, code)

    async def authenticate(
        self, authorization: str | None, *, cookie_token: str | None = None, client: str = ""
    ) -> Identity:
        """Who sends a request with this `Authorization` header, or, without one, this session cookie.

        `client` is the sender's IP address. Raises `UnauthenticatedError`, `LockedOutError`, `TooManyRequestsError`.
        """
        if authorization is None:
            if not cookie_token:
                raise UnauthenticatedError(
                    "Sign in first: send an Authorization header, or open the sign-in page."
                )
            return self._sessions.identify(cookie_token, page_client=client)
        credentials = parse(authorization)
        if isinstance(credentials, Basic):
            user = await self._sign_in.verify(credentials.username, credentials.password, client)
            return msgspec.structs.replace(user.identity, via="basic")
        return self.identify_bearer(credentials.token)

    def identify_bearer(self, token: str) -> Identity:
        """Whom a bearer token stands for: an API token, a chute's own, or a session. Raises `UnauthenticatedError`."""
        if token.startswith(PREFIX):
            return self.api_tokens.identify(token)
        chute = self._chute_tokens.chute_of(token)
        if chute is not None:
            return Identity(chute, CHUTE_DOMAIN, Role.GUEST, chute=chute, via="chute")
        return self._sessions.identify(token)

    def identify_peer(self, uid: int) -> Identity | None:
        """Whom the process at the other end of the UNIX socket stands for: root and the daemon's own user are owners."""
        if uid not in {0, os.geteuid()}:
            return None
        return Identity(_name_of(uid), LOCAL, Role.OWNER, via="peer")

    async def login(
        self, username: str, password: str, client: str, *, for_page: bool = False
    ) -> tuple[Identity, str]:
        """Sign in with a password: the identity and a session token, or (`for_page`) the page's cookie.

        Raises `WrongCredentialsError`, `LockedOutError`, `TooManyRequestsError`.
        """
        user = await self._sign_in.verify(username, password, client)
        identity = msgspec.structs.replace(user.identity, via="jwt")
        token = self._sessions.issue(identity, page_client=client if for_page else None)
        self.audit.record(identity, "sign-in", client=client)
        return identity, token

    async def redeem_link(self, code: str, client: str, *, for_page: bool = False) -> tuple[Identity, str]:
        """Sign in with a one-time code, as `login` does. Raises `UnauthenticatedError`."""
        identity = msgspec.structs.replace(await self.links.redeem(code, client), via="jwt")
        return identity, self._sessions.issue(identity, page_client=client if for_page else None)

    def issue(self, identity: Identity, *, page_client: str | None = None) -> str:
        """A session token for somebody who was checked already, or the cookie for the page at `page_client`.

        Raises `UnauthenticatedError` if the user is gone.
        """
        return self._sessions.issue(identity, page_client=page_client)

    async def sign_out(self, token: str) -> None:
        """End this session now. Raises `UnauthenticatedError` if it is none."""
        identity = await self._sessions.sign_out(token)
        self.audit.record(identity, "sign-out")

    async def reset(self, by: Identity) -> NewPassword:
        """ParaDrop's "clear the passwords": only the default user stays, all sessions, tokens and links end.

        ParaDrop left an empty password behind. Here the new one is random, and the answer is the only place it is
        shown (None with `insecure_default_login`: then no password is needed from this machine, and none serves from
        another). Raises `ForbiddenError` if a user may do more than the caller.
        """
        if any(user.role > by.role for user in self.users.everyone()):
            raise ForbiddenError(
                "There is a user who may do more than you. Ask that user, or use root's own shell."
            )
        return await self.users.reset(by)

    async def import_password_file(self, by: Identity, text: str) -> tuple[list[str], list[str]]:
        """Take over a ParaDrop password file: (names taken, names left out). Raises `BadInputError`."""
        return await self.users.import_hashes(by, password_file.parse(text))


@functools.lru_cache(maxsize=8)
def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid{uid}"
