"""Transport keys of one session, and the keypairs of a peer: previous, current and next (whitepaper section 6.3).

Used by `peer.py`; the engine reads a `Keypair`'s slots in its data path. Rule: a responder does not send with new keys before the initiator
has shown that it has them; a keypair that is rotated out still opens what is under way for a few seconds, then its index is free.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from wayhouse.overlay.wireguard.messages import DATA, head
from wayhouse.overlay.wireguard.noise import SessionKeys
from wayhouse.overlay.wireguard.replay import ReplayWindow
from wayhouse.overlay.wireguard.timing import BATCH, NEVER, REJECT_AFTER_MESSAGES, Timing

if TYPE_CHECKING:
    from wayhouse.overlay.wireguard.peer import Peer

MOST_RETIRED = 4


class Keypair:
    """`send_counter` is the counter of the next packet; whoever encrypts moves it on. `header` are the first 8 bytes of a data message.
    No use after `expires`. The compiled engine keeps its own ciphers in `send_native` and `receive_native`; it makes them of the keys."""

    __slots__ = (
        "created",
        "expires",
        "header",
        "is_initiator",
        "local_index",
        "peer",
        "receive_cipher",
        "receive_key",
        "receive_native",
        "remote_index",
        "send_cipher",
        "send_counter",
        "send_key",
        "send_native",
        "window",
    )

    def __init__(
        self,
        peer: Peer,
        keys: SessionKeys,
        local_index: int,
        *,
        is_initiator: bool,
        now: float,
        life_s: float,
    ) -> None:
        self.peer = peer
        self.send_cipher = keys.send_cipher
        self.receive_cipher = keys.receive_cipher
        self.send_key, self.receive_key = keys.send_key, keys.receive_key
        self.send_native: object | None = None
        self.receive_native: object | None = None
        self.remote_index = keys.remote_index
        self.local_index = local_index
        self.header = head(DATA, keys.remote_index)
        self.is_initiator = is_initiator
        self.send_counter = 0
        self.window = ReplayWindow()
        self.created = now
        self.expires = now + life_s

    def can_send(self, now: float) -> bool:
        """With room for one more batch."""
        return now < self.expires and self.send_counter <= REJECT_AFTER_MESSAGES - BATCH


class Indices:
    """The receiver indices that this device has given out: of keypairs, and of initiations that wait for a response."""

    def __init__(self) -> None:
        self.by_index: dict[int, Keypair] = {}
        self.initiating: dict[int, Peer] = {}

    def allocate(self) -> int:
        """32 random bits that are not in use."""
        while True:
            index = secrets.randbits(32)
            if index not in self.by_index and index not in self.initiating:
                return index


class Keypairs:
    """Those of one peer. `wins`: in a collision, when both sides initiated at once, the session that this side initiated is kept."""

    __slots__ = ("_grace_s", "_indices", "_retired", "current", "next", "previous", "wins")

    def __init__(self, indices: Indices, timing: Timing, *, wins: bool) -> None:
        self._indices = indices
        self._grace_s = timing.grace_s
        self._retired: list[tuple[float, Keypair]] = []
        self.wins = wins
        self.previous: Keypair | None = None
        self.current: Keypair | None = None
        self.next: Keypair | None = None

    def initiated(self, keypair: Keypair, now: float) -> None:
        """Our initiation was answered: the peer has the keys.

        With a `next` that is not confirmed there was a collision. The winner drops that to `previous`, as the kernel does; the loser keeps
        it, and will be told by the first packet that the winner took its own session.
        """
        self._indices.by_index[keypair.local_index] = keypair
        if self.next is not None and self.wins:
            self._retire(self.previous, now)
            self._retire(self.current, now)
            self.previous, self.next = self.next, None
        else:
            self._retire(self.previous, now)
            self.previous = self.current
        self.current = keypair

    def responded(self, keypair: Keypair, now: float) -> None:
        """We answered: not to send with before `confirm`."""
        self._indices.by_index[keypair.local_index] = keypair
        self._retire(self.next, now)
        self.next = keypair

    def confirm(self, keypair: Keypair, now: float) -> bool:
        """The peer has sent with this keypair. Whether that makes it the current one."""
        if keypair is not self.next:
            return False
        self._retire(self.previous, now)
        self.previous, self.current, self.next = self.current, keypair, None
        return True

    def _retire(self, keypair: Keypair | None, now: float) -> None:
        if keypair is None:
            return
        self._retired.append((now + self._grace_s, keypair))
        if len(self._retired) > MOST_RETIRED:
            self._forget(self._retired.pop(0)[1])

    def retire_at(self) -> float:
        """When `drop_retired` has something to do."""
        return self._retired[0][0] if self._retired else NEVER

    def drop_retired(self, now: float) -> None:
        while self._retired and self._retired[0][0] <= now:
            self._forget(self._retired.pop(0)[1])

    def erase(self) -> None:
        """All keys."""
        for keypair in (self.previous, self.current, self.next, *(kept for _, kept in self._retired)):
            if keypair is not None:
                self._forget(keypair)
        self._retired.clear()
        self.previous = self.current = self.next = None

    def _forget(self, keypair: Keypair) -> None:
        self._indices.by_index.pop(keypair.local_index, None)
