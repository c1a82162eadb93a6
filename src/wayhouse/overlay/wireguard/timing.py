"""WireGuard's constants (whitepaper section 6) as values, so that a test may shorten them.

Used by `device.py`, `peer.py` and `timers.py`. Rule: the defaults are the protocol's; both sides should have the same.
"""

from __future__ import annotations

import math

import msgspec

REKEY_AFTER_MESSAGES = 1 << 60
REJECT_AFTER_MESSAGES = (1 << 64) - (1 << 13) - 1
BATCH = 1 << 16
"""The most packets that are encrypted between two looks at the counter."""
NEVER = math.inf


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds, all of them.

    `silence_s`: after so long without an authentic answer to data or an initiation a peer is told to be silent. It must be greater than
    `keepalive_s`, within which a peer that only receives answers.
    `grace_s`: how long a keypair that was rotated out still opens packets that were under way.
    `jitter_s`: added to waits at random, so that two peers do not collide again and again.
    """

    rekey_after_s: float = 120.0
    reject_after_s: float = 180.0
    rekey_timeout_s: float = 5.0
    rekey_attempt_s: float = 90.0
    keepalive_s: float = 10.0
    silence_s: float = 12.0
    grace_s: float = 10.0
    jitter_s: float = 0.333
    rekey_after_messages: int = REKEY_AFTER_MESSAGES

    @property
    def new_handshake_s(self) -> float:
        """Data without an authentic answer for so long: the peer may have lost its keys."""
        return self.keepalive_s + self.rekey_timeout_s

    @property
    def last_minute_s(self) -> float:
        """An initiator that only receives renews its keys at this age."""
        return self.reject_after_s - self.keepalive_s - self.rekey_timeout_s

    @property
    def erase_after_s(self) -> float:
        return 3 * self.reject_after_s
