"""A pair: one of our bases and an address of the peer, how often it is checked, and what became of it.

Used by `agent`. Rule: all times are arguments, in seconds of the monotonic clock.
"""

from __future__ import annotations

import dataclasses
from enum import StrEnum

import msgspec

from wayhouse.overlay.ice.stun import Host
from wayhouse.overlay.model import CandidateType

FIRST_STEPS = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.0, 1.0)
"""Between the checks of a pair that has not answered yet; then it has failed, and is tried again more slowly."""
CONSENT_S = 1.25
"""Between the checks of the pair in use. RFC 7675 has 5 s; here a dead peer is noticed in seconds."""
AGAIN_S = 0.4
"""Between the checks when one was not answered."""
PROBE_S = 0.8
"""Unanswered for so long: the spare pairs are asked."""
SILENT_S = 1.6
"""Unanswered for so long: another pair that answers is taken instead."""
DOUBT_S = 0.3
"""Instead of `PROBE_S` when the peer speaks from a new address: it may have moved."""
LOST_S = 3.0
"""Unanswered for so long: lost. With `CONSENT_S` a cut is noticed after 4.3 s at most."""
SPARE_S = 5.0
"""Between the checks of the best pair that works beside the one in use."""
OTHERS_S = 20.0
"""Between the checks of further pairs that work."""
RETURN_S = 1.0
"""Between the checks of a pair that once worked, while there is no path."""
BETTER_S = 4.0
"""Between the checks of failed pairs that would be better than the relay in use."""
IDLE_S = 20.0
"""Between the checks of failed pairs while there is a direct path."""
SEEKING_S = 2.0
"""Between the checks of failed pairs while there is no path at all; longer by and by, to `TIRED_S`."""
TIRED_S = 10.0
TRUSTED_ANSWERS = 3
"""A pair that was lost before must answer so often in a row before it takes the place of one that works."""
_MOST_PENDING = 12


class PairState(StrEnum):
    WAITING = "waiting"
    IN_PROGRESS = "in-progress"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class Base(msgspec.Struct, frozen=True):
    """Something of ours that sends and receives: the UDP socket of a family, or a relayed address. `priority` is of its best candidate."""

    name: str
    is_ipv6: bool
    is_relayed: bool
    priority: int


class Remote(msgspec.Struct, frozen=True):
    """An address of the peer."""

    host: Host
    type: CandidateType
    priority: int


class Credentials(msgspec.Struct, frozen=True):
    """The peer's, of one life of it."""

    username: str
    password: str

    def __repr__(self) -> str:
        return f"Credentials({self.username})"


class Sent(msgspec.Struct, frozen=True):
    """A check that is under way."""

    at: float
    is_controlling: bool
    nomination: int


@dataclasses.dataclass(eq=False)
class Pair:
    base: Base
    remote: Remote
    credentials: Credentials
    next_check: float
    attempts: int = 0
    state: PairState = PairState.WAITING
    answers: int = 0
    """In a row."""
    losses: int = 0
    unanswered_since: float | None = None
    last_answer: float | None = None
    rtt: float = 0.1
    mapped: Host | None = None
    """Where the peer saw us."""
    is_doubted: bool = False
    """The peer may have left this address."""
    nomination: int | None = None
    """The highest that the controlling side gave to it."""
    pending: dict[bytes, Sent] = dataclasses.field(default_factory=dict)

    @property
    def is_relayed(self) -> bool:
        return self.base.is_relayed or self.remote.type is CandidateType.RELAYED

    def works(self) -> bool:
        return self.state is PairState.SUCCEEDED

    def is_silent(self, seconds: float, now: float) -> bool:
        """Whether checks have gone without an answer for so long."""
        return self.unanswered_since is not None and now >= self.unanswered_since + seconds

    def asked_by(self) -> float | None:
        """When its silence becomes suspicious, and the spare pairs are asked; None while it is not silent."""
        return (
            None
            if self.unanswered_since is None
            else self.unanswered_since + (DOUBT_S if self.is_doubted else PROBE_S)
        )

    def given_up_at(self) -> float | None:
        """When another that answers is taken instead."""
        if self.unanswered_since is None:
            return None
        return self.unanswered_since + (2 * DOUBT_S + 2 * self.rtt if self.is_doubted else SILENT_S)

    def is_suspicious(self, now: float) -> bool:
        at = self.asked_by()
        return at is not None and now >= at

    def doubt(self, now: float) -> None:
        self.is_doubted = True
        self.next_check = min(self.next_check, now)

    def is_trusted(self) -> bool:
        return not self.losses or self.answers >= TRUSTED_ANSWERS

    def priority(self, *, is_controlling: bool) -> int:
        """RFC 8445 section 6.1.2.3."""
        ours, theirs = self.base.priority, self.remote.priority
        controlling, controlled = (ours, theirs) if is_controlling else (theirs, ours)
        low, high = min(controlling, controlled), max(controlling, controlled)
        return (low << 32) + 2 * high + (controlling > controlled)

    def rank(self, *, is_controlling: bool) -> tuple[bool, int]:
        """Direct before relayed, then by priority."""
        return not self.is_relayed, self.priority(is_controlling=is_controlling)

    def sent(self, transaction: bytes, check: Sent) -> None:
        self.attempts += 1
        if self.state is PairState.WAITING:
            self.state = PairState.IN_PROGRESS
        if self.unanswered_since is None:
            self.unanswered_since = check.at
        while len(self.pending) >= _MOST_PENDING:
            del self.pending[next(iter(self.pending))]
        self.pending[transaction] = check

    def answered(self, check: Sent, mapped: Host | None, now: float) -> None:
        self.state = PairState.SUCCEEDED
        self.rtt = now - check.at
        self.last_answer = now
        self.unanswered_since = None
        self.is_doubted = False
        self.answers += 1
        self.attempts = 0
        self.mapped = mapped
        self.pending.clear()

    def fail(self) -> None:
        """Nothing answers; it is checked again, more slowly."""
        if self.works():
            self.losses += 1
        self.state = PairState.FAILED
        self.answers = 0
        self.unanswered_since = None
        self.nomination = None

    def distrust(self) -> None:
        """Another pair was taken because this one was silent."""
        self.losses += 1
        self.answers = 0

    def hurry(self, now: float) -> None:
        """It may work from now on: check it as if it were new."""
        if not self.works():
            self.attempts = 0
        self.next_check = min(self.next_check, now)

    def after_check(self, now: float, *, selected: Pair | None, is_better: bool) -> float:
        """When to check again if this one is not answered."""
        if self.works():
            again = now + max(DOUBT_S if self.is_doubted else AGAIN_S, 1.5 * self.rtt)
            return again if self.unanswered_since is None else min(again, self.unanswered_since + LOST_S)
        if self.attempts <= len(FIRST_STEPS):
            return now + FIRST_STEPS[self.attempts - 1]
        if selected is not None:
            return now + (BETTER_S if is_better and selected.is_relayed else IDLE_S)
        if self.losses:
            return now + RETURN_S
        return now + min(TIRED_S, SEEKING_S * (1 + (self.attempts - len(FIRST_STEPS)) // 8))

    def after_answer(self, check: Sent, *, place: int) -> float:
        """`place` among the pairs that work: 0 is the one in use, 1 the best beside it."""
        if not self.is_trusted():
            return check.at + AGAIN_S
        return check.at + (CONSENT_S, SPARE_S, OTHERS_S)[min(place, 2)]
