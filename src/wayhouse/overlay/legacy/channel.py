"""The link's inside to one old peer: a DTLS session, made anew when one of both began anew; or none, for a link in the clear. Machines.

Used by `drivers/tap_tunnel.py`. Rules: the smaller uid is the client; a session that works is kept until another one is complete, so that nobody who cannot
finish a handshake can end it; the other end may have kept a session that this one doubts, and the other way round; times are monotonic seconds.
"""

from __future__ import annotations

import math
from typing import Protocol

import msgspec

from wayhouse.overlay.identity import Digest
from wayhouse.overlay.legacy import dtls
from wayhouse.overlay.legacy.dtls import Credentials, DtlsSession
from wayhouse.overlay.legacy.peer_key import PeerKey

HANDSHAKE_S = 10.0
"""A handshake that takes longer has failed."""
AGAIN_S, AGAIN_LATEST_S = 1.0, 30.0


class Established(msgspec.Struct, frozen=True):
    """What `version` says was agreed upon."""

    version: str


class Silent(msgspec.Struct, frozen=True):
    """The peer has ended the session."""


class Troubled(msgspec.Struct, frozen=True):
    """There is no session; `why` is for people."""

    why: str


Event = Established | Silent | Troubled


class Channel(Protocol):
    """What the tunnel needs of one peer's."""

    def path_up(self, now: float) -> None: ...

    def path_down(self) -> None: ...

    def receive(self, datagram: bytes, now: float) -> list[bytes]:
        """What the peer sent in it."""
        ...

    def send(self, plaintext: bytes) -> bool:
        """Whether it is in the outbox."""
        ...

    def outbox(self) -> list[bytes]: ...

    def events(self) -> list[Event]: ...

    def deadline(self, now: float) -> float: ...

    def tick(self, now: float) -> None: ...

    def close(self) -> None: ...


def make(credentials: Credentials, key: PeerKey, own_uid: bytes) -> Channel:
    if key.digest is None:
        return ClearChannel()
    return DtlsChannel(credentials, key.digest, key.value, is_server=own_uid > key.uid)


class ClearChannel:
    """There is a link as soon as there is a path."""

    def __init__(self) -> None:
        self._has_path = False
        self._outbox: list[bytes] = []
        self._events: list[Event] = []

    def path_up(self, now: float) -> None:
        self._has_path = True
        self._events.append(Established("none"))

    def path_down(self) -> None:
        self._has_path = False

    def receive(self, datagram: bytes, now: float) -> list[bytes]:
        return [datagram]

    def send(self, plaintext: bytes) -> bool:
        if self._has_path:
            self._outbox.append(plaintext)
        return self._has_path

    def outbox(self) -> list[bytes]:
        found, self._outbox = self._outbox, []
        return found

    def events(self) -> list[Event]:
        found, self._events = self._events, []
        return found

    def deadline(self, now: float) -> float:
        return math.inf

    def tick(self, now: float) -> None:
        """Nothing is ever due."""

    def close(self) -> None:
        """The peer is not told: there is no word for it."""


class DtlsChannel:
    """`value` is the digest of the peer's certificate."""

    def __init__(self, credentials: Credentials, digest: Digest, value: bytes, *, is_server: bool) -> None:
        self._credentials, self._digest, self._value = credentials, digest, value
        self._is_server = is_server
        self._has_path = False
        self._current: DtlsSession | None = None
        self._pending: DtlsSession | None = None
        self._pending_until = math.inf
        self._is_answered = False
        self._failures = 0
        self._again_at = math.inf
        self._events: list[Event] = []

    def path_up(self, now: float) -> None:
        """After a pause the peer may be another life of itself: a client asks for a session anew."""
        if self._has_path:
            return
        self._has_path = True
        if not self._is_server and self._pending is None:
            self._begin(now)

    def path_down(self) -> None:
        self._has_path = False

    def receive(self, datagram: bytes, now: float) -> list[bytes]:
        if not dtls.is_dtls(datagram):
            return []
        if dtls.is_client_hello(datagram):
            found = self._hear_hello(datagram, now)
        elif dtls.epoch(datagram) == 0:
            self._is_answered = True
            found = self._hear(self._pending or self._current, datagram)
        else:
            found = self._hear(self._current, datagram)
            if found:
                self._confirm_current()
            found += self._hear(self._pending, datagram)
        self._settle(now)
        return found

    def send(self, plaintext: bytes) -> bool:
        return self._has_path and self._current is not None and self._current.send(plaintext)

    def outbox(self) -> list[bytes]:
        found = [one for session in self._sessions() for one in session.outbox()]
        return found if self._has_path else []

    def events(self) -> list[Event]:
        found, self._events = self._events, []
        return found

    def deadline(self, now: float) -> float:
        waits = (session.wait_s() for session in self._sessions())
        return min(self._again_at, self._pending_until, *(now + one for one in waits if one is not None))

    def tick(self, now: float) -> None:
        for session in self._sessions():
            session.tick()
        if self._pending is not None and now >= self._pending_until:
            self._pending.why = self._pending.why or "The peer did not finish the handshake in time."
            self._pending.is_over = True
        if now >= self._again_at and self._pending is None:
            self._begin(now)
        self._settle(now)

    def close(self) -> None:
        for session in self._sessions():
            session.close()

    # Inside.

    def _sessions(self) -> list[DtlsSession]:
        return [one for one in (self._current, self._pending) if one is not None]

    def _begin(self, now: float) -> None:
        self._make_pending(now).begin()

    def _make_pending(self, now: float) -> DtlsSession:
        self._again_at, self._pending_until, self._is_answered = math.inf, now + HANDSHAKE_S, False
        self._pending = DtlsSession(self._credentials, self._digest, self._value, is_server=self._is_server)
        return self._pending

    def _hear_hello(self, datagram: bytes, now: float) -> list[bytes]:
        """Nobody but a server is greeted; what stands for a session stays until the handshake is done."""
        if not self._is_server:
            return []
        return self._hear(self._pending or self._make_pending(now), datagram)

    def _hear(self, session: DtlsSession | None, datagram: bytes) -> list[bytes]:
        return [] if session is None else session.receive(datagram)

    def _confirm_current(self) -> None:
        """The peer uses the session that was in doubt, and did not take up another one."""
        if self._pending is not None and not self._is_server and not self._is_answered:
            self._drop_pending()

    def _settle(self, now: float) -> None:
        if self._current is not None and self._current.is_over:
            self._current = None
            self._events.append(Silent())
            self._plan(now)
        pending = self._pending
        if pending is None:
            return
        if pending.is_over:
            self._drop_pending()
            self._failed(pending.why, now)
        elif pending.is_established:
            self._current, self._failures = pending, 0
            self._drop_pending()
            self._events.append(Established(pending.version))

    def _drop_pending(self) -> None:
        self._pending, self._pending_until = None, math.inf

    def _failed(self, why: str, now: float) -> None:
        """With a session that works, that is of no matter."""
        if self._current is None:
            self._failures += 1
            self._events.append(Troubled(why))
            self._plan(now)

    def _plan(self, now: float) -> None:
        if not self._is_server:
            self._again_at = now + min(AGAIN_S * 2.0 ** max(self._failures - 1, 0), AGAIN_LATEST_S)
