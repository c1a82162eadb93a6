"""What the controller knows of one peer. Held by `peer_book.py`; times are monotonic seconds."""

from __future__ import annotations

import math

from wayhouse.overlay.model import LinkStatus

NOBODY = -1


class KnownPeer:
    """`vias` are the signallers in which it is there now, with the status it tells. `request` are the words of a peer that wants a link
    and did not get it yet. `told` is which version of our own announcement it has."""

    __slots__ = (
        "asked_at",
        "attempts",
        "doubted",
        "fingerprint",
        "has_link",
        "is_resting",
        "is_wanted",
        "moved_at",
        "next_ask",
        "request",
        "seen",
        "since",
        "status",
        "told",
        "traffic",
        "uid",
        "vias",
    )

    def __init__(self, uid: str) -> None:
        self.uid = uid
        self.vias: dict[str, str] = {}
        self.seen = -math.inf
        self.fingerprint = ""
        self.request: str | None = None
        self.asked_at = -math.inf
        self.next_ask = -math.inf
        self.attempts = 0
        self.told = NOBODY
        self.is_wanted = False
        """A packet for it waits (on-demand links)."""
        self.is_resting = False
        """It ended the link because it was idle: no link until somebody wants one again."""
        self.has_link = False
        self.status = LinkStatus.UNKNOWN
        self.since = -math.inf
        self.traffic: tuple[int, int] | None = None
        """Bytes sent and received, None before the first figures."""
        self.moved_at = -math.inf
        self.doubted: tuple[float, int] | None = None
        """Since when, and with how many bytes received, a link is in doubt because the peer asked anew."""

    @property
    def is_present(self) -> bool:
        return bool(self.vias)

    @property
    def received(self) -> int:
        return self.traffic[1] if self.traffic else 0

    def start_afresh(self) -> None:
        """What failed before does not count any more."""
        self.attempts, self.next_ask = 0, -math.inf

    def link_made(self, now: float) -> None:
        self.has_link, self.status, self.since = True, LinkStatus.UNKNOWN, now
        self.asked_at = -math.inf
        self.request = self.doubted = self.traffic = None
        self.is_wanted = self.is_resting = False

    def link_gone(self) -> None:
        self.has_link, self.status = False, LinkStatus.UNKNOWN
        self.doubted = self.traffic = None
