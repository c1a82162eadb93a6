"""Controllers as they were in 2013 and 2014, as machines for `overlay_world.py`: what a new node has to get on with."""

from __future__ import annotations

from typing import Any

from tests.parts.overlay_world import fingerprint_of
from wayhouse.overlay.model import Heard, LinkStatus, PeerGone, PeerSeen
from wayhouse.overlay.tincan import CreateLink, Forward, TrimLink
from wayhouse.overlay.wishes import LinkChanged

WAIT_S = 30.0


class SeedController:
    """December 2013: links to all whose presence or `con_resp` comes, and trims what is offline, twice a minute."""

    wait_s = WAIT_S

    def __init__(self, uid: str) -> None:
        self.uid = uid
        self.links: dict[str, tuple[LinkStatus, float]] = {}
        self._due = self.wait_s
        self._wishes: list[Any] = []

    def receive(self, fact: Any, now: float) -> None:
        if isinstance(fact, PeerSeen):
            self.seen(fact.uid, now)
        elif isinstance(fact, Heard) and fact.kind in ("con_req", "con_resp"):
            self.heard(fact, now)
        elif isinstance(fact, LinkChanged) and fact.uid in self.links:
            self.links[fact.uid] = (fact.status, self.links[fact.uid][1])
        elif isinstance(fact, PeerGone):
            self.gone(fact.uid)

    def seen(self, uid: str, now: float) -> None:
        self.create_connection(uid, fingerprint_of(uid), "", now)

    def gone(self, uid: str) -> None:
        """It never knew."""

    def heard(self, fact: Heard, now: float) -> None:
        self.create_connection(fact.uid, fact.data[:59], fact.data[60:], now)

    def create_connection(self, uid: str, fingerprint: str, cas: str, now: float) -> None:
        self._wishes.append(CreateLink(uid=uid, fpr=fingerprint, cas=cas))
        self.links.setdefault(uid, (LinkStatus.UNKNOWN, now))

    def trim(self, uid: str) -> None:
        del self.links[uid]
        self._wishes.append(TrimLink(uid=uid))

    def tick(self, now: float) -> None:
        self._due = now + self.wait_s
        for uid, (status, made) in tuple(self.links.items()):
            if status is LinkStatus.OFFLINE and now - made > 2 * self.wait_s:
                self.trim(uid)

    def deadline(self) -> float:
        return self._due

    def outbox(self) -> list[Any]:
        wishes, self._wishes = self._wishes, []
        return wishes

    def events(self) -> list[Any]:
        return []


class LaterController(SeedController):
    """2014: asks for links itself, twice a minute, and hears a `con_req` only from whom it asked, too."""

    wait_s = 15.0

    def __init__(self, uid: str) -> None:
        super().__init__(uid)
        self._present: dict[str, float] = {}
        self._asked: set[str] = set()

    def seen(self, uid: str, now: float) -> None:
        self._present[uid] = now

    def gone(self, uid: str) -> None:
        self._present.pop(uid, None)

    def heard(self, fact: Heard, now: float) -> None:
        if fact.kind == "con_req":
            if fact.uid not in self._asked:
                return
            if fact.uid > self.uid:
                if fact.uid in self.links:
                    self.trim(fact.uid)
                self._asked.discard(fact.uid)
        super().heard(fact, now)

    def tick(self, now: float) -> None:
        super().tick(now)
        for uid, seen in self._present.items():
            if uid not in self.links and now - seen < 8 * self.wait_s:
                self._asked.add(uid)
                self._wishes.append(Forward(kind="con_req", uid=uid, data=fingerprint_of(self.uid)))
