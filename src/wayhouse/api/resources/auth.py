"""Signing in, passwords, users, API tokens, sign-in links and the audit log.

The access room writes its own lines to the audit log, so these rows are not audited a second time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from wayhouse.access.model import ApiToken, Identity, Role, User, WrongCredentialsError
from wayhouse.access.policy import Right, demand, permits
from wayhouse.api import problems, wire
from wayhouse.api.table import Call, Reply, Rows, endpoint
from wayhouse.base.errors import UnauthenticatedError

if TYPE_CHECKING:  # the command line reads the tables of rows, and should not load the services
    from wayhouse.access.service import Access

AUTH = "/api/v1/auth"
SIGN_IN_PAGE = "/sign-in?code="


class AuthResource:
    def __init__(self, access: Access, default_user: Callable[[], str]) -> None:
        self._access = access
        self._default_user = default_user

    async def local(self, call: Call) -> wire.LoginReply | Reply:
        login = call.body(wire.Login)
        try:
            identity, token = await self._access.login(login.username, login.password, call.client)
        except WrongCredentialsError as error:
            reply = problems.reply_for(error, challenge=False)
            body = {**reply.body, "username": login.username, "success": False}
            return msgspec.structs.replace(reply, body=body)
        return wire.LoginReply(identity.name, success=True, token=token)

    async def cloud(self, call: Call) -> wire.LoginReply:
        raise UnauthenticatedError(
            "This gateway is not provisioned with a controller; sign in with a password."
        )

    async def link(self, call: Call) -> wire.LoginReply:
        identity, token = await self._access.redeem_link(call.body(wire.LinkCode).code, call.client)
        return wire.LoginReply(identity.name, success=True, token=token)

    async def new_link(self, call: Call) -> wire.LinkReply:
        return wire.LinkReply(SIGN_IN_PAGE + await self._access.links.create(call.who))

    async def me(self, call: Call) -> wire.UserRef:
        return wire.UserRef(call.who.name, call.who.domain, call.who.role.label)

    async def change_password(self, call: Call) -> wire.Success:
        """ParaDrop changes its one user's password, whatever name is sent; here a name that exists is heeded."""
        change = call.body(wire.PasswordChange)
        name = change.username
        if name is None or self._access.users.find(name) is None:
            name = self._default_user()
        await self._set_password(call.who, name, change.password)
        return wire.Success(success=True)

    async def clear_passwords(self, call: Call) -> wire.Cleared:
        new = await self._access.reset(call.who)
        return wire.Cleared(success=True, username=new.username, password=new.password)

    async def users(self, call: Call) -> list[wire.UserView]:
        return [_user_view(user) for user in self._access.users.everyone()]

    async def add_user(self, call: Call) -> wire.UserView:
        new = call.body(wire.NewUser)
        return _user_view(
            await self._access.users.add(call.who, new.name, new.password, Role.named(new.role))
        )

    async def change_user(self, call: Call) -> wire.UserView:
        name, change = call.path["user"], call.body(wire.UserChange)
        user = self._access.users.get(name)
        if change.role is not None:
            user = await self._access.users.set_role(call.who, name, Role.named(change.role))
        if change.password is not None:
            user = await self._access.users.change_password(call.who, name, change.password)
        return _user_view(user)

    async def remove_user(self, call: Call) -> wire.Success:
        await self._access.users.remove(call.who, call.path["user"])
        return wire.Success(success=True)

    async def tokens(self, call: Call) -> list[wire.TokenView]:
        return [_token_view(token) for token in self._access.api_tokens.all_of(self._only_own(call.who))]

    async def add_token(self, call: Call) -> wire.TokenMade:
        new = call.body(wire.NewToken)
        role = Role.named(new.role) if new.role is not None else None
        token, secret = await self._access.api_tokens.create(
            call.who, new.name, role=role, lifetime_s=new.lifetime_s
        )
        return wire.TokenMade(id=token.id, name=token.name, token=secret)

    async def revoke_token(self, call: Call) -> wire.Success:
        await self._access.api_tokens.revoke(call.who, call.path["id"], owner=self._only_own(call.who))
        return wire.Success(success=True)

    async def audit(self, call: Call) -> list[wire.AuditView]:
        limit = call.query_number("limit", 100, most=1000) or 0
        entries = self._access.audit.entries(limit=limit, before=call.query_number("before"))
        return [wire.AuditView(*msgspec.structs.astuple(entry)) for entry in entries]

    async def _set_password(self, who: Identity, name: str, password: str) -> None:
        if name != self._access.users.self_of(who):
            demand(Right.MANAGE_USERS, who)
        await self._access.users.change_password(who, name, password)

    def _only_own(self, who: Identity) -> str | None:
        """Administrators see and end everybody's tokens, others their own."""
        return None if permits(Right.ADMINISTER, who) else self._access.users.self_of(who)


def _user_view(user: User) -> wire.UserView:
    return wire.UserView(user.name, user.role.label, user.created)


def _token_view(token: ApiToken) -> wire.TokenView:
    return wire.TokenView(
        id=token.id,
        name=token.name,
        owner=token.owner,
        role=token.role.label,
        created=token.created,
        last_used=token.last_used,
        expires=token.expires,
    )


_R = AuthResource
LOGIN = endpoint(
    "POST", AUTH + "/local", Right.OPEN, "Sign in with a password", _R.local,
    body=wire.Login, reply=wire.LoginReply, audited=False,
)  # fmt: skip
LINK = endpoint(
    "POST", AUTH + "/link", Right.OPEN, "Sign in with a one-time code", _R.link,
    body=wire.LinkCode, reply=wire.LoginReply, audited=False,
)  # fmt: skip
NEW_LINK = endpoint(
    "POST", AUTH + "/links", Right.CHANGE_SELF, "Make a one-time sign-in link for yourself", _R.new_link,
    reply=wire.LinkReply, audited=False,
)  # fmt: skip
ME = endpoint("GET", AUTH + "/me", Right.SEE, "Who you are", _R.me, reply=wire.UserRef)
CHANGE_PASSWORD = endpoint(
    "POST", "/api/v1/password/change", Right.CHANGE_SELF, "Change a password", _R.change_password,
    body=wire.PasswordChange, reply=wire.Success, audited=False,
)  # fmt: skip
CLEAR_PASSWORDS = endpoint(
    "POST", "/api/v1/password/clear", Right.MANAGE_USERS, "Forget all users; the first one gets a new password",
    _R.clear_passwords, reply=wire.Cleared, audited=False,
)  # fmt: skip
USERS = endpoint("GET", "/api/v1/users", Right.ADMINISTER, "Users", _R.users, reply=list[wire.UserView])
ADD_USER = endpoint(
    "POST", "/api/v1/users", Right.MANAGE_USERS, "Add a user", _R.add_user,
    body=wire.NewUser, reply=wire.UserView, audited=False,
)  # fmt: skip
CHANGE_USER = endpoint(
    "PUT", "/api/v1/users/{user}", Right.MANAGE_USERS, "Change a user's role or password", _R.change_user,
    body=wire.UserChange, reply=wire.UserView, audited=False,
)  # fmt: skip
REMOVE_USER = endpoint(
    "DELETE", "/api/v1/users/{user}", Right.MANAGE_USERS, "Remove a user", _R.remove_user,
    reply=wire.Success, audited=False,
)  # fmt: skip
TOKENS = endpoint(
    "GET", "/api/v1/tokens", Right.CHANGE_SELF, "API tokens", _R.tokens, reply=list[wire.TokenView]
)
ADD_TOKEN = endpoint(
    "POST", "/api/v1/tokens", Right.CHANGE_SELF, "Make an API token", _R.add_token,
    body=wire.NewToken, reply=wire.TokenMade, audited=False,
)  # fmt: skip
REVOKE_TOKEN = endpoint(
    "DELETE", "/api/v1/tokens/{id}", Right.CHANGE_SELF, "End an API token", _R.revoke_token,
    reply=wire.Success, audited=False,
)  # fmt: skip
AUDIT = endpoint(
    "GET", "/api/v1/audit", Right.ADMINISTER, "Who did what", _R.audit,
    reply=list[wire.AuditView], query={"limit": "How many, 100 if not given", "before": "Continue below this id"},
)  # fmt: skip

ROWS: Rows = (
    LOGIN, LINK, NEW_LINK, ME, CHANGE_PASSWORD, CLEAR_PASSWORDS, USERS, ADD_USER, CHANGE_USER, REMOVE_USER,
    TOKENS, ADD_TOKEN, REVOKE_TOKEN, AUDIT,
    endpoint(
        "POST", AUTH + "/cloud", Right.OPEN, "Sign in with a controller's token", _R.cloud,
        body=wire.CloudLogin, reply=wire.LoginReply, audited=False,
    ),
)  # fmt: skip
