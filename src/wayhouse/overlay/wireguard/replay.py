"""The replay window of a keypair (RFC 6479): which counters were already accepted.

Used by the engine and `device.py`. Rule: ask only about a counter whose message was authentic, since the answer True marks it as seen;
a counter is accepted once, and never when it is more than `WINDOW` behind the greatest.
"""

from __future__ import annotations

from collections.abc import Sequence

from wayhouse.overlay.wireguard.timing import REJECT_AFTER_MESSAGES

WORD_BITS = 64
WORDS = 128
WINDOW = (WORDS - 1) * WORD_BITS
"""As in the kernel: 8192 bits, of which one word is being filled."""
_FULL = (1 << WORD_BITS) - 1


class ReplayWindow:
    """A ring of words; `greatest` is the greatest counter accepted, -1 before the first."""

    __slots__ = ("_words", "greatest")

    def __init__(self) -> None:
        self.greatest = -1
        self._words = [0] * WORDS

    def accept(self, counter: int) -> bool:
        """Whether this counter is new; marks it."""
        greatest = self.greatest
        if counter > greatest:
            if counter >= REJECT_AFTER_MESSAGES:
                return False
            if counter >> 6 != greatest >> 6:
                self._clear(counter)
            self.greatest = counter
        elif counter < 0 or counter + WINDOW <= greatest:
            return False
        slot = (counter >> 6) % WORDS
        bit = 1 << (counter & 63)
        word = self._words[slot]
        self._words[slot] = word | bit
        return not word & bit

    def accept_run(self, first: int, count: int) -> bool:
        """The fast path for a batch: True if the `count` counters from `first` on are all greater than any before, and now marked.
        False changes nothing: ask one by one."""
        last = first + count - 1
        if first <= self.greatest or count < 1 or last >= REJECT_AFTER_MESSAGES:
            return False
        self._clear(last)
        self.greatest = last
        start = max(first, last - WINDOW + 1)
        for number in range(start >> 6, (last >> 6) + 1):
            low = max(start - (number << 6), 0)
            high = min(last - (number << 6), 63)
            self._words[number % WORDS] |= (_FULL >> (63 - high + low)) << low
        return True

    def accept_many(self, counters: Sequence[int]) -> list[bool]:
        """`accept` for each, in order; fast if they are consecutive."""
        count = len(counters)
        if count > 1 and counters[-1] - counters[0] == count - 1:
            first = counters[0]
            if list(counters) == list(range(first, first + count)) and self.accept_run(first, count):
                return [True] * count
        return [self.accept(counter) for counter in counters]

    def _clear(self, last: int) -> None:
        """Empty the words from the one behind the greatest to that of `last`."""
        number = last >> 6
        for passed in range(max((self.greatest >> 6) + 1, number - WORDS + 1), number + 1):
            self._words[passed % WORDS] = 0
