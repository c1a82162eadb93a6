"""The timers of one peer (whitepaper section 6, and the kernel's `timers.c`).

Used by `peer.py` and `device.py`. Rule: no timer acts by itself: what happened is told, `due` says when to ask, and `take` says what is to
be done now, each thing once.
"""

from __future__ import annotations

import secrets
from enum import Enum, auto

from wayhouse.overlay.wireguard.timing import NEVER, Timing

QUICK_RETRY_S = 0.1
"""Between two initiations to different endpoints; a responder takes one in 20 ms."""
HOLD_S = 1.0
"""After a response: a session is on its way, so that an own initiation would only be in its way. Shorter than the peer's retries, lest it be
held off for ever where responses are lost."""
_random = secrets.SystemRandom()


class Due(Enum):
    """What a timer asks for."""

    GIVE_UP = auto()
    INITIATE = auto()
    KEEPALIVE = auto()
    PERSISTENT = auto()
    ERASE = auto()
    SILENT = auto()


class Timers:
    """Each `_at` is when that is due, `NEVER` if it is not. `persistent_s` is 0 for none. `is_silent` until something authentic comes;
    `_is_told` also until there is another endpoint, of which silence is told anew."""

    __slots__ = (
        "_attempt_since",
        "_erase_at",
        "_holds_until",
        "_initiate_at",
        "_is_told",
        "_keepalive_at",
        "_last_initiation",
        "_needs_another",
        "_new_handshake_at",
        "_persistent_at",
        "_silent_at",
        "_timing",
        "is_silent",
        "persistent_s",
    )

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self.persistent_s = 0.0
        self.is_silent = False
        self._is_told = False
        self._last_initiation = self._holds_until = -NEVER
        self._attempt_since = NEVER
        self._needs_another = False
        self._initiate_at = self._keepalive_at = self._new_handshake_at = NEVER
        self._persistent_at = self._erase_at = self._silent_at = NEVER

    @property
    def is_attempting(self) -> bool:
        """An initiation was sent and not answered yet."""
        return self._attempt_since < NEVER

    def due(self) -> float:
        return min(
            self._initiate_at,
            self._keepalive_at,
            self._new_handshake_at,
            self._persistent_at,
            self._erase_at,
            self._silent_at,
        )

    # What happened.

    def want_handshake(self, now: float) -> None:
        """As soon as one may be sent; nothing new while an attempt goes on."""
        if not self.is_attempting:
            soonest = max(now, self._last_initiation + self._timing.rekey_timeout_s, self._holds_until)
            self._initiate_at = min(self._initiate_at, soonest)

    def moved(self) -> None:
        """The peer has another endpoint: what was sent to the old one does not count."""
        self._attempt_since = self._initiate_at = self._silent_at = NEVER
        self._is_told = False

    def want_handshake_soon(self, now: float) -> None:
        """At an endpoint where none was tried."""
        self._initiate_at = max(now, self._last_initiation + QUICK_RETRY_S, self._holds_until)

    def initiated(self, now: float) -> None:
        self._last_initiation = now
        if not self.is_attempting:
            self._attempt_since = now
        self._initiate_at = now + self._timing.rekey_timeout_s + self._jitter()
        self._expect_answer(now)
        self.sent(now)

    def responded(self, now: float) -> None:
        """To an initiation of the peer."""
        self._holds_until = now + HOLD_S
        self._initiate_at = max(self._initiate_at, self._holds_until)
        self.sent(now)

    def derived(self, now: float) -> None:
        """There are new keys."""
        self._erase_at = now + self._timing.erase_after_s

    def completed(self) -> None:
        """Both sides have the new keys."""
        self._attempt_since = self._initiate_at = NEVER

    def sent(self, now: float) -> None:
        """Anything authentic, data or not."""
        self._keepalive_at = NEVER
        self._traversed(now)

    def data_sent(self, now: float) -> None:
        if self._new_handshake_at == NEVER:
            self._new_handshake_at = now + self._timing.new_handshake_s + self._jitter()
        self._expect_answer(now)
        self.sent(now)

    def received(self, now: float) -> bool:
        """Anything authentic. Whether the peer was told to be silent before."""
        self._new_handshake_at = self._silent_at = NEVER
        was_silent, self.is_silent, self._is_told = self.is_silent, False, False
        self._traversed(now)
        return was_silent

    def data_received(self, now: float) -> None:
        if self._keepalive_at == NEVER:
            self._keepalive_at = now + self._timing.keepalive_s
        else:
            self._needs_another = True

    def stop_seeking(self) -> None:
        """There is no endpoint: nothing can be sent, and no answer be expected."""
        self._attempt_since = self._initiate_at = self._new_handshake_at = NEVER
        self._silent_at = self._persistent_at = self._keepalive_at = NEVER

    def _traversed(self, now: float) -> None:
        self._persistent_at = now + self.persistent_s if self.persistent_s else NEVER

    def _expect_answer(self, now: float) -> None:
        if self._silent_at == NEVER and not self._is_told:
            self._silent_at = now + self._timing.silence_s

    def _jitter(self) -> float:
        return _random.uniform(0.0, self._timing.jitter_s)

    # What is to be done.

    def take(self, now: float) -> list[Due]:
        found: list[Due] = []
        if self._erase_at <= now:
            self._erase_at = NEVER
            found.append(Due.ERASE)
        if self._silent_at <= now:
            self._silent_at, self.is_silent, self._is_told = NEVER, True, True
            found.append(Due.SILENT)
        if self._new_handshake_at <= now:
            self._new_handshake_at = NEVER
            self.want_handshake(now)
        found += self._take_handshake(now)
        found += self._take_keepalives(now)
        return found

    def _take_handshake(self, now: float) -> list[Due]:
        if self._initiate_at > now:
            return []
        self._initiate_at = NEVER
        if now - self._attempt_since < self._timing.rekey_attempt_s:
            return [Due.INITIATE]
        self._give_up(now)
        return [Due.GIVE_UP]

    def _give_up(self, now: float) -> None:
        self._attempt_since = self._keepalive_at = NEVER
        self._silent_at, self.is_silent, self._is_told = NEVER, True, True
        if self._erase_at == NEVER:
            self._erase_at = now + self._timing.erase_after_s

    def _take_keepalives(self, now: float) -> list[Due]:
        found: list[Due] = []
        if self._keepalive_at <= now:
            self._keepalive_at = NEVER
            if self._needs_another:
                self._needs_another = False
                self._keepalive_at = now + self._timing.keepalive_s
            found.append(Due.KEEPALIVE)
        if self._persistent_at <= now:
            self._traversed(now)
            found.append(Due.PERSISTENT)
        return found
