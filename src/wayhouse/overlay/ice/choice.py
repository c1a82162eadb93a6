"""Which of the pairs that work is used.

Used by `agent`. Rule: direct before relayed, nothing that is silent while another answers, and no going back to a pair that was lost before it has
answered a few times in a row.
"""

from __future__ import annotations

from collections.abc import Sequence

from wayhouse.overlay.ice.pair import Pair


def choose(
    pairs: Sequence[Pair], current: Pair | None, now: float, *, is_controlling: bool, life: str | None
) -> Pair | None:
    """`current` is what was chosen before and still works; `life` is the peer's present username. None: nothing works."""

    def preference(pair: Pair) -> tuple[bool, int, tuple[bool, int]]:
        """The controlled side follows the highest nomination."""
        nomination = -1 if is_controlling or pair.nomination is None else pair.nomination
        return pair.credentials.username == life, nomination, pair.rank(is_controlling=is_controlling)

    working = [pair for pair in pairs if pair.works()]
    if current is not None and current.is_suspicious(now):
        return max(_instead(current, working, now), key=preference, default=current)
    answering = [pair for pair in working if not pair.is_suspicious(now)]
    if current is not None:
        answering = [pair for pair in answering if pair is current or pair.is_trusted()]
    return max(answering, key=preference, default=None)


def _instead(current: Pair, working: Sequence[Pair], now: float) -> Sequence[Pair]:
    """For a pair that is silent: what answered since then. The others are asked now, so that it is known in time."""
    others = [pair for pair in working if pair is not current]
    asked_at, given_up_at = current.asked_by() or now, current.given_up_at() or now
    for pair in others:
        if pair.unanswered_since is None and (pair.last_answer or 0.0) < asked_at:
            pair.next_check = min(pair.next_check, now)
    answering = [pair for pair in others if (pair.last_answer or 0.0) >= asked_at]
    if not answering or now < given_up_at:
        return ()
    current.distrust()
    return answering
