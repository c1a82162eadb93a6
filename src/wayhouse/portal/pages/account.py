"""The own account: password, API tokens, a sign-in link for another device."""

from __future__ import annotations

import msgspec

from wayhouse.access.model import ApiToken, Role
from wayhouse.access.policy import Right
from wayhouse.access.service import Access
from wayhouse.api.resources.auth import SIGN_IN_PAGE
from wayhouse.base.errors import BadInputError, UnauthenticatedError, WayhouseError
from wayhouse.portal.model import Answer, Page, Visit, redirect
from wayhouse.portal.pages.door import session_header
from wayhouse.portal.templates import Templates

DAY_S = 86_400.0
LIFETIMES = {"7": "7 days", "30": "30 days", "365": "One year", "": "Until revoked"}


class AccountPages:
    def __init__(self, access: Access, templates: Templates, session_s: int) -> None:
        self._access = access
        self._templates = templates
        self._session_s = session_s

    def pages(self) -> list[Page]:
        own = Right.CHANGE_SELF
        return [
            Page("GET", "/account", Right.SEE, self.show),
            Page("POST", "/account/password", own, self.change_password),
            Page("POST", "/account/link", own, self.make_link),
            Page("POST", "/account/tokens", own, self.make_token),
            Page("POST", "/account/tokens/{id}/revoke", own, self.revoke_token),
        ]

    async def show(self, visit: Visit) -> Answer:
        return self._page(visit)

    async def change_password(self, visit: Visit) -> Answer:
        """Asks for the present password; all other sessions end, this browser gets a new one."""
        try:
            await self._demand_passwords(visit)
            name = self._access.users.self_of(visit.who)
            user = await self._access.users.change_password(visit.who, name, visit.field("password"))
        except (BadInputError, UnauthenticatedError) as error:
            return self._page(visit, password_error=error)
        token = self._access.issue(
            msgspec.structs.replace(user.identity, via="jwt"), page_client=visit.client
        )
        return redirect("/account?done=password", session_header(visit, token, self._session_s))

    async def make_link(self, visit: Visit) -> Answer:
        code = await self._access.links.create(visit.who)
        return self._page(visit, link=SIGN_IN_PAGE + code)

    async def make_token(self, visit: Visit) -> Answer:
        """The token is in this answer and nowhere else."""
        try:
            role = Role.named(visit.field("role")) if visit.field("role") else None
            _, secret = await self._access.api_tokens.create(
                visit.who,
                visit.field("name").strip(),
                role=role,
                lifetime_s=_lifetime_s(visit.field("days")),
            )
        except BadInputError as error:
            return self._page(visit, token_error=error)
        return self._page(visit, secret=secret)

    async def revoke_token(self, visit: Visit) -> Answer:
        await self._access.api_tokens.revoke(visit.who, visit.path["id"], owner=self._only_own(visit))
        return redirect("/account?done=token#tokens")

    async def _demand_passwords(self, visit: Visit) -> None:
        """The present one must be right, and the new one twice the same."""
        if visit.field("password") != visit.field("again"):
            raise BadInputError("The two new passwords differ.")
        name = self._access.users.self_of(visit.who)
        await self._access.login(name, visit.field("present"), visit.client)

    def _tokens(self, visit: Visit) -> list[ApiToken]:
        if not visit.may(Right.CHANGE_SELF):
            return []
        return self._access.api_tokens.all_of(self._only_own(visit))

    def _only_own(self, visit: Visit) -> str | None:
        """Administrators see and end everybody's tokens, others their own."""
        return None if visit.is_admin else self._access.users.self_of(visit.who)

    def _page(
        self,
        visit: Visit,
        *,
        password_error: WayhouseError | None = None,
        token_error: WayhouseError | None = None,
        secret: str = "",
        link: str = "",
    ) -> Answer:
        error = password_error or token_error
        status = error.status if error is not None else 200
        return self._templates.page(
            "account.html",
            visit,
            status=400 if status == 401 else status,
            tokens=self._tokens(visit),
            lifetimes=LIFETIMES,
            grantable=[role.label for role in Role if role <= visit.who.role],
            may_change=visit.may(Right.CHANGE_SELF),
            password_error=password_error.message if password_error else "",
            token_error=token_error.message if token_error else "",
            secret=secret,
            link=link,
            done=visit.query.get("done", ""),
        )


def _lifetime_s(days: str) -> float | None:
    if days not in LIFETIMES:
        raise BadInputError("Choose how long the token lives.")
    return float(days) * DAY_S if days else None
