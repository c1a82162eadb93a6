"""A play with one controller: it is told facts, time passes, and what it wants is looked at."""

from __future__ import annotations

from typing import Any

from tests.parts.overlay_world import fingerprint_of
from wayhouse.overlay.group import group_controller
from wayhouse.overlay.model import Heard, LinkStatus, PeerSeen
from wayhouse.overlay.peer_book import Settings
from wayhouse.overlay.tincan import Forward
from wayhouse.overlay.wishes import LinkChanged, Own

ME, SMALL, LARGE = "5" * 40, "1" * 40, "9" * 40
OWN = Own("172.16.0.1", fingerprint_of(ME), "ip4=172.16.0.1")
VIA = "xmpp:a@b"
LINK = ["CreateLink", "SetAddress"]


class Play:
    """A controller, and what comes of what it is told."""

    def __init__(self, **more: Any) -> None:
        self.now = 1000.0
        self.controller = group_controller(ME, OWN, Settings(**more))
        self.log: list[tuple[float, Any]] = []

    def told(self, fact: Any) -> list[Any]:
        self.controller.receive(fact, self.now)
        return self._wishes()

    def heard(self, uid: str, kind: str, data: str | None = None) -> list[Any]:
        return self.told(Heard(uid, kind, fingerprint_of(uid) if data is None else data, VIA))

    def after(self, delay_s: float) -> list[Any]:
        """Everything that is wanted until then."""
        end = self.now + delay_s
        wishes: list[Any] = []
        for _ in range(10_000):
            if (due := self.controller.deadline()) > end:
                break
            self.now = max(self.now, due)
            self.controller.tick(self.now)
            wishes += self._wishes()
        else:
            raise AssertionError("it never rests")
        self.now = end
        return wishes

    def _wishes(self) -> list[Any]:
        wishes = self.controller.outbox()
        self.log += [(self.now, one) for one in wishes]
        return list(wishes)

    def linked(self, uid: str) -> None:
        self.told(PeerSeen(uid, "", VIA))
        self.heard(uid, "con_req")
        self.after(3.0)
        self.told(LinkChanged(uid, LinkStatus.ONLINE))
        self.controller.events()


def kinds(wishes: list[Any]) -> list[str]:
    return [one.kind if isinstance(one, Forward) else type(one).__name__ for one in wishes]
