"""The tables of access: users, API tokens, one-time sign-in codes, signed-out sessions, the audit log.

Only the classes of this room call it. Tokens and codes are stored as SHA-256 of what was handed out, so that a copy of
the database lets nobody in. A write has reached the disk when its `await` returns.
"""

from __future__ import annotations

import hashlib

from wayhouse.access.model import ApiToken, AuditEntry, Role, User
from wayhouse.base.database import Connection, Database

SCHEMA = (
    """
    CREATE TABLE access_users (
        name TEXT PRIMARY KEY, role INTEGER NOT NULL, hash TEXT NOT NULL, epoch TEXT NOT NULL,
        created REAL NOT NULL, changed REAL NOT NULL);
    CREATE TABLE access_api_tokens (
        id TEXT PRIMARY KEY, digest TEXT NOT NULL UNIQUE, name TEXT NOT NULL, owner TEXT NOT NULL,
        role INTEGER NOT NULL, created REAL NOT NULL, last_used REAL, expires REAL);
    CREATE TABLE access_signin_links (
        digest TEXT PRIMARY KEY, username TEXT NOT NULL, expires REAL NOT NULL);
    CREATE TABLE access_signed_out (jti TEXT PRIMARY KEY, expires REAL NOT NULL);
    CREATE TABLE access_audit (
        id INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL, who TEXT NOT NULL, via TEXT NOT NULL,
        client TEXT NOT NULL, action TEXT NOT NULL, target TEXT NOT NULL, outcome TEXT NOT NULL)
    """,
)

MAX_OPEN_LINKS = 100
LAST_ID = 2**62


def digest_of(secret: str) -> str:
    """SHA-256, enough for what already has 256 random bits."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


class AccessStore:
    def __init__(self, database: Database) -> None:
        self._database = database
        database.migrate("access", SCHEMA)

    def users(self) -> list[User]:
        rows = self._database.read("SELECT name, role, hash, epoch, created, changed FROM access_users")
        return [User(name, Role(role), *rest) for name, role, *rest in rows]

    async def save_user(self, user: User, *, close_links: bool = False) -> None:
        """Insert or replace; `close_links` drops the user's open sign-in codes in the same step."""

        def work(connection: Connection) -> None:
            connection.execute(
                "INSERT OR REPLACE INTO access_users VALUES (?, ?, ?, ?, ?, ?)",
                (user.name, int(user.role), user.hash, user.epoch, user.created, user.changed),
            )
            if close_links:
                connection.execute("DELETE FROM access_signin_links WHERE username = ?", (user.name,))

        await self._database.write(work)

    async def remove_user(self, name: str) -> None:
        """The user with its tokens and codes."""

        def work(connection: Connection) -> None:
            connection.execute("DELETE FROM access_users WHERE name = ?", (name,))
            connection.execute("DELETE FROM access_api_tokens WHERE owner = ?", (name,))
            connection.execute("DELETE FROM access_signin_links WHERE username = ?", (name,))

        await self._database.write(work)

    async def only_user(self, user: User) -> None:
        """Forget all users, tokens and codes but this user."""

        def work(connection: Connection) -> None:
            for table in ("access_users", "access_api_tokens", "access_signin_links"):
                connection.execute(f"DELETE FROM {table}")  # noqa: S608 - names from the line above
            connection.execute(
                "INSERT INTO access_users VALUES (?, ?, ?, ?, ?, ?)",
                (user.name, int(user.role), user.hash, user.epoch, user.created, user.changed),
            )

        await self._database.write(work)

    def api_tokens(self) -> dict[str, ApiToken]:
        """By digest."""
        rows = self._database.read(
            "SELECT digest, id, name, owner, role, created, last_used, expires FROM access_api_tokens"
        )
        return {
            digest: ApiToken(id_, name, owner, Role(role), *rest)
            for digest, id_, name, owner, role, *rest in rows
        }

    async def add_api_token(self, digest: str, token: ApiToken) -> None:
        row = (token.id, digest, token.name, token.owner, int(token.role), token.created, None, token.expires)
        await self._database.write(
            lambda connection: connection.execute(
                "INSERT INTO access_api_tokens VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row
            )
        )

    async def remove_api_token(self, token_id: str) -> None:
        await self._database.write(
            lambda connection: connection.execute("DELETE FROM access_api_tokens WHERE id = ?", (token_id,))
        )

    def touch_api_token(self, token_id: str, when: float) -> None:
        self._database.write_soon(
            lambda connection: connection.execute(
                "UPDATE access_api_tokens SET last_used = ? WHERE id = ?", (when, token_id)
            )
        )

    async def add_link(self, digest: str, username: str, *, expires: float, now: float) -> None:
        """Keep the newest `MAX_OPEN_LINKS`."""

        def work(connection: Connection) -> None:
            connection.execute("DELETE FROM access_signin_links WHERE expires <= ?", (now,))
            connection.execute(
                "INSERT INTO access_signin_links VALUES (?, ?, ?)", (digest, username, expires)
            )
            connection.execute(
                "DELETE FROM access_signin_links WHERE digest NOT IN "
                "(SELECT digest FROM access_signin_links ORDER BY expires DESC, rowid DESC LIMIT ?)",
                (MAX_OPEN_LINKS,),
            )

        await self._database.write(work)

    async def take_link(self, digest: str, *, now: float) -> str | None:
        """The user of an open code, which is closed by this; two at the same moment: one gets it."""

        def work(connection: Connection) -> str | None:
            row = connection.execute(
                "SELECT username, expires FROM access_signin_links WHERE digest = ?", (digest,)
            ).fetchone()
            connection.execute("DELETE FROM access_signin_links WHERE digest = ?", (digest,))
            return str(row[0]) if row is not None and row[1] > now else None

        return await self._database.write(work)

    def signed_out(self) -> dict[str, float]:
        return dict(self._database.read("SELECT jti, expires FROM access_signed_out"))

    async def sign_out(self, jti: str, expires: float, *, now: float) -> None:
        def work(connection: Connection) -> None:
            connection.execute("DELETE FROM access_signed_out WHERE expires <= ?", (now,))
            connection.execute("INSERT OR REPLACE INTO access_signed_out VALUES (?, ?)", (jti, expires))

        await self._database.write(work)

    def add_audit(self, entry: AuditEntry, *, keep: int) -> None:
        row = (entry.time, entry.who, entry.via, entry.client, entry.action, entry.target, entry.outcome)

        def work(connection: Connection) -> None:
            cursor = connection.execute(
                "INSERT INTO access_audit (time, who, via, client, action, target, outcome) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                row,
            )
            connection.execute("DELETE FROM access_audit WHERE id <= ?", ((cursor.lastrowid or 0) - keep,))

        self._database.write_soon(work)

    def audit(self, *, limit: int, before: int | None) -> list[AuditEntry]:
        rows = self._database.read(
            "SELECT id, time, who, via, client, action, target, outcome FROM access_audit "
            "WHERE id < ? ORDER BY id DESC LIMIT ?",
            (LAST_ID if before is None else max(0, min(before, LAST_ID)), limit),
        )
        return [AuditEntry(*row) for row in rows]
