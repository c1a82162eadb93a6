"""What is signed in a group: tickets, lists of what was taken back, and proofs of membership. Plain documents; `membership.py` signs and checks them.

Rule: no cryptography is loaded here, since the daemon keeps these documents and hardly ever signs one.
"""

from __future__ import annotations

import re

import msgspec

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
MOST_TAGS = 16
MOST_REVOKED = 10_000


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """What lets its holder into a group. `expires` is in Unix seconds, 0 is never; `role` and `tags` are for rules of access."""

    overlay: str
    id: str
    public_key: bytes
    expires: int = 0
    role: str = "member"
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for word in (self.overlay, self.id, self.role, *self.tags):
            if _NAME.fullmatch(word) is None:
                raise ValueError(f"{word[:40]!r} is no name: letters, digits, `-`, `_` and `.`, 63 at most")
        if len(self.public_key) != 32 or len(self.tags) > MOST_TAGS:
            raise ValueError(f"a ticket has a key of 32 bytes and at most {MOST_TAGS} tags")


class Signed(msgspec.Struct, frozen=True, array_like=True):
    """A document in msgpack as it was signed, and the signature of the group's administrator."""

    body: bytes
    signature: bytes


class Revocations(msgspec.Struct, frozen=True, kw_only=True):
    """What the administrator took back: `tickets` by id, with all who joined by them, and single `uids`. `renewed` gives tickets another end."""

    overlay: str
    serial: int = 0
    tickets: frozenset[str] = frozenset()
    uids: frozenset[str] = frozenset()
    renewed: dict[str, int] = {}

    def __post_init__(self) -> None:
        if len(self.tickets) + len(self.uids) + len(self.renewed) > MOST_REVOKED:
            raise ValueError(f"a list has at most {MOST_REVOKED} entries")

    def expires(self, ticket: Ticket) -> int:
        return self.renewed.get(ticket.id, ticket.expires)


class Proof(msgspec.Struct, frozen=True, array_like=True):
    """A node's membership: its ticket, and the ticket's signature of its uid and certificate."""

    ticket: Signed
    signature: bytes
