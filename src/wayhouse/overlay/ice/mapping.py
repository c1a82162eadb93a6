"""Where STUN servers see our sockets (RFC 8489): the server-reflexive addresses, and what they tell of the NAT.

Used by `drivers/ice.py`. Asked again now and then, since a NAT forgets.
"""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Callable, Iterable

import msgspec

from wayhouse.overlay.ice import stun
from wayhouse.overlay.ice.stun import BadStunError, Host, Message

_STEPS = (0.15, 0.25, 0.4, 0.7, 1.0, 1.5)
AGAIN_S = 20.0
_MOST_SERVERS = 8


class Ask(msgspec.Struct, frozen=True):
    """To be sent from this base to the server."""

    base: str
    server: Host
    data: bytes


class Mapped(msgspec.Struct, frozen=True):
    """The server sees the base there, since now."""

    base: str
    server: Host
    mapped: Host


@dataclasses.dataclass
class _Server:
    next_at: float
    copies: int = 0
    transaction: bytes = b""
    mapped: Host | None = None
    has_failed: bool = False


class Mappings:
    """Feed it with `hear` and `tick`; take `outbox()` and `events()`."""

    def __init__(self, random: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._random = random
        self._servers: dict[tuple[str, Host], _Server] = {}
        self._outbox: list[Ask] = []
        self._events: list[Mapped] = []

    def ask(self, base: str, server: Host, now: float) -> None:
        """From now on, and again and again."""
        if len(self._servers) < _MOST_SERVERS:
            self._servers.setdefault((base, server), _Server(now))

    def ask_again(self, now: float) -> None:
        """Our addresses have changed: what was learned is old."""
        for known in self._servers.values():
            known.next_at, known.copies, known.has_failed, known.mapped = now, 0, False, None

    def is_busy(self) -> bool:
        """Whether a first answer is still waited for."""
        return any(known.mapped is None and not known.has_failed for known in self._servers.values())

    def has_failed(self) -> bool:
        """Whether servers were asked and none answers."""
        return bool(self._servers) and all(known.has_failed for known in self._servers.values())

    def owns(self, message: Message) -> bool:
        return any(known.transaction == message.transaction for known in self._servers.values())

    def hear(self, base: str, message: Message, source: Host, now: float) -> None:
        """Raises nothing."""
        known = self._servers.get((base, source))
        if known is None or known.transaction != message.transaction or message.kind != stun.SUCCESS:
            return
        try:
            mapped = message.address(stun.XOR_MAPPED_ADDRESS) or message.plain_address(stun.MAPPED_ADDRESS)
        except BadStunError:
            return
        if mapped is None:
            return
        is_new = mapped != known.mapped
        known.mapped, known.has_failed, known.copies, known.transaction = mapped, False, 0, b""
        known.next_at = now + AGAIN_S
        if is_new:
            self._events.append(Mapped(base, source, mapped))

    def tick(self, now: float) -> None:
        for (base, server), known in self._servers.items():
            if known.next_at <= now:
                self._next(base, server, known, now)

    def _next(self, base: str, server: Host, known: _Server, now: float) -> None:
        if known.copies >= len(_STEPS):
            known.has_failed, known.mapped, known.copies, known.transaction = True, None, 0, b""
            known.next_at = now + AGAIN_S
            return
        if not known.copies:
            known.transaction = self._random(stun.TRANSACTION)
        known.next_at = now + _STEPS[known.copies]
        known.copies += 1
        self._outbox.append(Ask(base, server, stun.encode(stun.BINDING, stun.REQUEST, known.transaction)))

    def deadline(self) -> float | None:
        return min((known.next_at for known in self._servers.values()), default=None)

    def outbox(self) -> list[Ask]:
        sends, self._outbox = self._outbox, []
        return sends

    def events(self) -> list[Mapped]:
        events, self._events = self._events, []
        return events

    def mapped(self, base: str) -> list[Host]:
        """Where the servers see this base."""
        return [
            known.mapped
            for (name, _), known in self._servers.items()
            if name == base and known.mapped is not None
        ]


def nat_kind(mapped: Iterable[Host], own: Iterable[str], port: int, *, has_failed: bool) -> str:
    """none, cone, symmetric, blocked or unknown, from what several servers saw of one socket. `own` are this machine's addresses."""
    seen = list(mapped)
    if not seen:
        return "blocked" if has_failed else "unknown"
    if any(host in set(own) and at == port for host, at in seen):
        return "none"
    if len(set(seen)) > 1:
        return "symmetric"
    return "cone" if len(seen) > 1 else "unknown"
