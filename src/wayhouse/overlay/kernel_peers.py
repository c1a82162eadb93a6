"""What the kernel's counters of a peer mean: it shook hands, it has fallen silent, it is there again. The kernel tells nothing by itself, so it is asked.

Used by `drivers/kernel_tunnel.py`. Pure: no clock here, `now` is in monotonic seconds. Rule: a keepalive asks for no answer, so what may be only that starts no waiting.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from wayhouse.overlay.ports import PeerFigures

KEEPALIVE_BYTES = 32
SILENCE_S = 12.0
"""A peer that only receives answers after 10 s."""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One look at a peer. Bytes are of whole messages; `handshake` is in monotonic seconds, None before the first."""

    sent_bytes: int
    received_bytes: int
    handshake: float | None


class News(StrEnum):
    ESTABLISHED = "established"
    SILENT = "silent"


class KernelPeer:
    """Give it each look; `figures` are those of the last one."""

    def __init__(self) -> None:
        self.figures = PeerFigures()
        self._seen = Seen(sent_bytes=0, received_bytes=0, handshake=None)
        self._waits_since: float | None = None
        self._is_silent = False
        self._is_fresh = True
        """Nothing came from its newest endpoint."""

    @property
    def is_expecting(self) -> bool:
        """It may soon have news, so look often."""
        return self._is_fresh or self._seen.handshake is None

    def placed(self) -> None:
        """It has another endpoint: what went out before tells nothing of this one."""
        self._waits_since = None
        self._is_silent = False
        self._is_fresh = True

    def look(self, seen: Seen, now: float) -> tuple[News, ...]:
        before, self._seen = self._seen, seen
        if seen.received_bytes < before.received_bytes or seen.sent_bytes < before.sent_bytes:
            before = Seen(sent_bytes=0, received_bytes=0, handshake=None)  # the peer was added anew
        is_new = seen.handshake is not None and (
            before.handshake is None or seen.handshake > before.handshake + 0.5
        )
        sent, received = seen.sent_bytes - before.sent_bytes, seen.received_bytes - before.received_bytes
        self._count(sent, received, seen.handshake, now)
        if received:
            return self._hear(seen, is_new=is_new)
        return self._wait(sent, now)

    def _hear(self, seen: Seen, *, is_new: bool) -> tuple[News, ...]:
        self._waits_since = None
        if seen.handshake is None or not (is_new or self._is_silent or self._is_fresh):
            return ()
        self._is_silent = self._is_fresh = False
        return (News.ESTABLISHED,)

    def _wait(self, sent_bytes: int, now: float) -> tuple[News, ...]:
        if sent_bytes > KEEPALIVE_BYTES and self._waits_since is None:
            self._waits_since = now
        if self._waits_since is None or self._is_silent or now - self._waits_since < SILENCE_S:
            return ()
        self._is_silent = True
        return (News.SILENT,)

    def _count(self, sent: int, received: int, handshake: float | None, now: float) -> None:
        before = self.figures
        self.figures = PeerFigures(
            sent_bytes=before.sent_bytes + sent,
            received_bytes=before.received_bytes + received,
            last_handshake=handshake,
            last_received=now if received else before.last_received,
        )
