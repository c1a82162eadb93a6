"""For administrators: the users, who may come in by SSH, and the audit log."""

from __future__ import annotations

from wayhouse.access.model import NoHomeError, Role
from wayhouse.access.policy import Right
from wayhouse.access.service import Access
from wayhouse.base.errors import BadInputError, ConflictError, ForbiddenError, NotFoundError, WayhouseError
from wayhouse.portal.model import Answer, Page, Visit, redirect
from wayhouse.portal.templates import Templates

AUDIT_LINES = 100
SSH_USER = "root"
_EXPECTED = (BadInputError, ConflictError, ForbiddenError, NotFoundError)


class PeoplePages:
    def __init__(self, access: Access, templates: Templates) -> None:
        self._access = access
        self._templates = templates

    def pages(self) -> list[Page]:
        admin = Right.ADMINISTER
        return [
            Page("GET", "/users", admin, self.users),
            Page("POST", "/users", admin, self.add_user),
            Page("POST", "/users/{user}/role", admin, self.set_role),
            Page("POST", "/users/{user}/password", admin, self.set_password),
            Page("POST", "/users/{user}/remove", admin, self.remove_user),
            Page("GET", "/ssh-keys", admin, self.keys),
            Page("POST", "/ssh-keys/{user}", admin, self.add_key),
            Page("POST", "/ssh-keys/{user}/remove", admin, self.remove_key),
            Page("GET", "/audit", admin, self.audit),
        ]

    async def users(self, visit: Visit) -> Answer:
        return self._users_page(visit)

    async def add_user(self, visit: Visit) -> Answer:
        try:
            role = Role.named(visit.field("role"))
            name = visit.field("name").strip()
            await self._access.users.add(visit.who, name, visit.field("password"), role)
        except _EXPECTED as error:
            return self._users_page(visit, error, adding=True)
        return redirect("/users?done=added")

    async def set_role(self, visit: Visit) -> Answer:
        try:
            role = Role.named(visit.field("role"))
            await self._access.users.set_role(visit.who, visit.path["user"], role)
        except _EXPECTED as error:
            return self._users_page(visit, error)
        return redirect("/users?done=role")

    async def set_password(self, visit: Visit) -> Answer:
        try:
            await self._access.users.change_password(visit.who, visit.path["user"], visit.field("password"))
        except _EXPECTED as error:
            return self._users_page(visit, error)
        return redirect("/users?done=password")

    async def remove_user(self, visit: Visit) -> Answer:
        try:
            await self._access.users.remove(visit.who, visit.path["user"])
        except _EXPECTED as error:
            return self._users_page(visit, error)
        return redirect("/users?done=removed")

    async def keys(self, visit: Visit) -> Answer:
        return await self._keys_page(visit, visit.query.get("user") or SSH_USER)

    async def add_key(self, visit: Visit) -> Answer:
        user = visit.path["user"]
        try:
            await self._access.ssh_keys.add(visit.who, user, visit.field("key"))
        except _EXPECTED as error:
            return await self._keys_page(visit, user, error)
        return await self._keys_page(visit, user, done="The key may come in now.")

    async def remove_key(self, visit: Visit) -> Answer:
        user = visit.path["user"]
        try:
            await self._access.ssh_keys.remove(visit.who, user, visit.field("key"))
        except _EXPECTED as error:
            return await self._keys_page(visit, user, error)
        return await self._keys_page(visit, user, done="The key is out.")

    async def audit(self, visit: Visit) -> Answer:
        text = visit.query.get("before", "")
        before = int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None
        entries = self._access.audit.entries(limit=AUDIT_LINES, before=before)
        more = entries[-1].id if len(entries) == AUDIT_LINES else None
        return self._templates.page("audit.html", visit, entries=entries, next_before=more)

    def _users_page(
        self, visit: Visit, error: WayhouseError | None = None, *, adding: bool = False
    ) -> Answer:
        return self._templates.page(
            "users.html",
            visit,
            status=error.status if error else 200,
            users=self._access.users.everyone(),
            grantable=[role.label for role in Role if role <= visit.who.role],
            error=error.message if error else "",
            adding=adding,
            given=visit.field("name") if adding else "",
            done=visit.query.get("done", ""),
        )

    async def _keys_page(
        self, visit: Visit, user: str, error: WayhouseError | None = None, *, done: str = ""
    ) -> Answer:
        try:
            lines = await self._access.ssh_keys.lines(user)
        except (BadInputError, NoHomeError) as missing:
            lines, error = [], error or missing
        return self._templates.page(
            "ssh_keys.html",
            visit,
            status=error.status if error else 200,
            user=user[:64],
            keys=[_key(line) for line in lines],
            error=error.message if error else "",
            done=done,
        )


def _key(line: str) -> tuple[str, str, str]:
    """(type, comment, the whole line) of an authorized key."""
    parts = line.split()
    place = next((at for at, part in enumerate(parts) if part.startswith(("ssh-", "ecdsa-", "sk-"))), 0)
    return (parts[place] if parts else "", " ".join(parts[place + 2 :]), line)
