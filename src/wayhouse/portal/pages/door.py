"""In and out: the sign-in page, one-time links, signing out, and the look (light or dark) that needs no user."""

from __future__ import annotations

import contextlib

from wayhouse.access.model import WrongCredentialsError
from wayhouse.access.policy import Right
from wayhouse.access.service import Access
from wayhouse.api.http import SESSION_COOKIE
from wayhouse.base.errors import TooManyRequestsError, UnauthenticatedError, WayhouseError
from wayhouse.portal.model import Answer, Page, Visit, local_path, redirect
from wayhouse.portal.request import THEME_COOKIE, as_theme
from wayhouse.portal.templates import Templates

A_YEAR_S = 31_536_000


class DoorPages:
    def __init__(self, access: Access, templates: Templates, session_s: int) -> None:
        self._access = access
        self._templates = templates
        self._session_s = session_s

    def pages(self) -> list[Page]:
        return [
            Page("GET", "/sign-in", Right.OPEN, self.show),
            Page("POST", "/sign-in", Right.OPEN, self.sign_in),
            Page("POST", "/sign-out", Right.OPEN, self.sign_out),
            Page("POST", "/theme", Right.OPEN, self.theme),
        ]

    async def show(self, visit: Visit) -> Answer:
        """A link with a code only shows a button: programs that look at links ahead of people must not use it up."""
        code = visit.query.get("code", "")
        if visit.identity is not None and not code:
            return redirect(local_path(visit.query.get("next")))
        return self._form(visit, code=code, wanted=local_path(visit.query.get("next")))

    async def sign_in(self, visit: Visit) -> Answer:
        code, username = visit.field("code"), visit.field("username")
        wanted = local_path(visit.field("next"))
        try:
            if code:
                _, token = await self._access.redeem_link(code, visit.client, for_page=True)
            else:
                _, token = await self._access.login(
                    username, visit.field("password"), visit.client, for_page=True
                )
        except (UnauthenticatedError, TooManyRequestsError) as error:
            return self._refused(visit, error, username, wanted)
        return redirect(wanted, session_header(visit, token, self._session_s))

    async def sign_out(self, visit: Visit) -> Answer:
        if visit.token is not None:
            with contextlib.suppress(UnauthenticatedError):
                await self._access.sign_out(visit.token)
        return redirect("/sign-in", _cookie(visit, SESSION_COOKIE, "", 0, is_secret=True))

    async def theme(self, visit: Visit) -> Answer:
        theme = as_theme(visit.field("theme"))
        return redirect(
            local_path(visit.field("next")), _cookie(visit, THEME_COOKIE, theme, A_YEAR_S, is_secret=False)
        )

    def _refused(self, visit: Visit, error: WayhouseError, username: str, wanted: str) -> Answer:
        kind = "password" if isinstance(error, WrongCredentialsError) else ""
        answer = self._form(
            visit, wanted=wanted, error=error.message, status=error.status, username=username, wrong=kind
        )
        if isinstance(error, TooManyRequestsError):
            answer = answer.with_header("retry-after", str(int(error.fields.get("retry_after_s", 1)) + 1))
        return answer

    def _form(
        self,
        visit: Visit,
        *,
        code: str = "",
        wanted: str = "/",
        error: str = "",
        status: int = 200,
        username: str = "",
        wrong: str = "",
    ) -> Answer:
        return self._templates.page(
            "sign_in.html",
            visit,
            status=status,
            code=code[:256],
            wanted=wanted,
            error=error,
            username=username[:64],
            wrong=wrong,
        )


def session_header(visit: Visit, token: str, lifetime_s: int) -> tuple[str, str]:
    """The session as a cookie that scripts cannot read and other sites cannot send."""
    return _cookie(visit, SESSION_COOKIE, token, lifetime_s, is_secret=True)


def _cookie(visit: Visit, name: str, value: str, age_s: int, *, is_secret: bool) -> tuple[str, str]:
    parts = [f"{name}={value}", "Path=/", f"Max-Age={age_s}", "SameSite=Strict"]
    if is_secret:
        parts.append("HttpOnly")
    if visit.is_tls:
        parts.append("Secure")
    return "set-cookie", "; ".join(parts)
