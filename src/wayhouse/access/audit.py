"""The audit log: who did what, from where, and what was refused. Every room that changes rights writes here.

Bounded twice: the newest 10,000 lines are kept, and a client that keeps failing gets only so many lines a minute, so
that a flood of bad sign-ins cannot push the interesting lines out. Secrets are never written.
"""

from __future__ import annotations

import dataclasses
from collections import OrderedDict

from wayhouse.access.lockout import network_of
from wayhouse.access.model import AuditEntry, Identity
from wayhouse.access.store import AccessStore
from wayhouse.base.clock import Clock

OK = "ok"
KEPT = 10_000
MAX_PAGE = 1000
FLOOD_LINES = 20
FLOOD_WINDOW_S = 60.0
MAX_FLOODS = 1000
MAX_TEXT = 200


@dataclasses.dataclass(slots=True)
class _Flood:
    since: float
    lines: int = 0
    left_out: int = 0


class Audit:
    def __init__(self, store: AccessStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._floods: OrderedDict[tuple[str, str], _Flood] = OrderedDict()

    def record(
        self, by: Identity | None, action: str, target: str = "", *, outcome: str = OK, client: str = ""
    ) -> None:
        """Write one line; returns at once. `by=None`: nobody is signed in. `outcome` other than "ok" is a refusal."""
        left_out = 0
        if outcome != OK:
            flood = self._flood(network_of(client), action)
            if flood.lines >= FLOOD_LINES:
                flood.left_out += 1
                return
            flood.lines += 1
            left_out, flood.left_out = flood.left_out, 0
        entry = AuditEntry(
            id=0,
            time=self._clock.wall(),
            who=f"{by.name}@{by.domain}" if by else "-",
            via=by.via if by else "-",
            client=_plain(client),
            action=action,
            target=_plain(target),
            outcome=f"{outcome} (and {left_out} more before)" if left_out else outcome,
        )
        self._store.add_audit(entry, keep=KEPT)

    def entries(self, *, limit: int = 100, before: int | None = None) -> list[AuditEntry]:
        """The newest first; `before` is the id of the last line seen, for the next page."""
        return self._store.audit(limit=max(1, min(limit, MAX_PAGE)), before=before)

    def _flood(self, client: str, action: str) -> _Flood:
        now = self._clock.monotonic()
        key = (client, action)
        flood = self._floods.get(key)
        if flood is None:
            flood = self._floods[key] = _Flood(now)
        elif now - flood.since > FLOOD_WINDOW_S:
            flood.since, flood.lines = now, 0
        self._floods.move_to_end(key)
        while len(self._floods) > MAX_FLOODS:
            self._floods.popitem(last=False)
        return flood


def _plain(text: str) -> str:
    """One line of printable text, so that a crafted name cannot forge a line in a terminal or a log."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:MAX_TEXT])
