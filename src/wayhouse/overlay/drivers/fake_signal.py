"""Introductions without a network: an `Exchange` in memory, and the `FakeSignaller`s that meet in it.

Used by the overlay's tests and by the demo. Rule: it keeps the promises of `ports.Signaller`, and only its owner makes things go wrong: delay,
loss, a partition, a lost server, and a man in the middle who sees every message, and may drop, change, double or forge it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from wayhouse.overlay.model import (
    Heard,
    NoSuchPeerError,
    PeerGone,
    PeerSeen,
    SignalDown,
    SignalEvent,
    SignalUp,
)

PRESENCE = "presence"
"""The kind of a `Sent` that tells the status; its data is the status."""


class Sent(msgspec.Struct, frozen=True):
    """A message on its way; `sender` is what the receiver will believe."""

    sender: str
    receiver: str
    kind: str
    data: str


Tamper = Callable[[Sent], Iterable[Sent]]
"""The man in the middle: what he lets through in place of the message."""


class Exchange:
    """Where fake signallers meet. `delay_s` is per message, `loss` the share of messages (not of presence) that is lost.

    Set `tamper` to stand in the middle; `log` holds every message that was sent, before it was tampered with or lost.
    """

    def __init__(self, *, delay_s: float = 0.0, loss: float = 0.0, seed: int = 0) -> None:
        self.delay_s = delay_s
        self.loss = loss
        self.tamper: Tamper | None = None
        self.log: list[Sent] = []
        self._dice = random.Random(seed)  # noqa: S311 - the same losses in every run
        self._present: dict[str, FakeSignaller] = {}
        self._group_of: dict[str, int] = {}
        self._on_the_way: set[asyncio.TimerHandle] = set()

    def signaller(self, name: str = "fake") -> FakeSignaller:
        return FakeSignaller(self, name)

    def partition(self, *groups: Iterable[str]) -> None:
        """Only uids of one group hear each other; those that are in none are a group together."""
        before = self._pairs()
        self._group_of = {uid: number for number, uids in enumerate(groups, 1) for uid in uids}
        self._tell_changes(before)

    def heal(self) -> None:
        self.partition()

    def announce(self) -> None:
        """Everybody tells the status again, as it is done every two minutes."""
        for one, other in self._pairs():
            self._tell_presence(one, other)

    def forge(self, message: Sent) -> None:
        """Deliver what nobody sent."""
        self._later(message)

    def enter(self, one: FakeSignaller) -> None:
        before = self._pairs()
        self._present[one.uid] = one
        self._tell_changes(before)

    def leave(self, one: FakeSignaller) -> None:
        if self._present.get(one.uid) is one:
            before = self._pairs()
            del self._present[one.uid]
            self._tell_changes(before)

    def can_see(self, one: str, other: str) -> bool:
        return (one, other) in self._pairs()

    def post(self, message: Sent) -> None:
        self.log.append(message)
        if message.kind == PRESENCE or self._dice.random() >= self.loss:
            for each in self.tamper(message) if self.tamper is not None else (message,):
                self._later(each)

    def close(self) -> None:
        """Nothing that is on its way arrives any more."""
        for handle in self._on_the_way:
            handle.cancel()
        self._on_the_way.clear()

    def _pairs(self) -> set[tuple[str, str]]:
        here = list(self._present)
        group = self._group_of
        return {(a, b) for a in here for b in here if a != b and group.get(a, 0) == group.get(b, 0)}

    def _tell_changes(self, before: set[tuple[str, str]]) -> None:
        after = self._pairs()
        for gone, witness in sorted(before - after):
            if witness in self._present:
                self._present[witness].tell(PeerGone(gone, self._present[witness].name))
        for one, other in sorted(after - before):
            self._tell_presence(one, other)

    def _tell_presence(self, one: str, other: str) -> None:
        self.post(Sent(one, other, PRESENCE, self._present[one].status))

    def _later(self, message: Sent) -> None:
        loop = asyncio.get_running_loop()
        self._on_the_way = {handle for handle in self._on_the_way if handle.when() >= loop.time()}
        self._on_the_way.add(loop.call_later(self.delay_s, self._arrive, message))

    def _arrive(self, message: Sent) -> None:
        receiver = self._present.get(message.receiver)
        group = self._group_of
        if receiver is None or group.get(message.sender, 0) != group.get(message.receiver, 0):
            return
        if message.kind == PRESENCE:
            receiver.tell(PeerSeen(message.sender, message.data, receiver.name))
        else:
            receiver.tell(Heard(message.sender, message.kind, message.data, receiver.name))


class FakeSignaller:
    """`cut` is a server that is gone, `restore` its return."""

    def __init__(self, exchange: Exchange, name: str = "fake") -> None:
        self.uid = ""
        self.status = ""
        self._exchange = exchange
        self._name = name
        self._hear: Callable[[SignalEvent], Any] | None = None

    @property
    def name(self) -> str:
        return self._name

    def start(self, uid: str, status: str, hear: Callable[[SignalEvent], None]) -> None:
        self.uid, self.status, self._hear = uid, status, hear
        self.restore()

    def send(self, uid: str, kind: str, data: str) -> None:
        if not self._exchange.can_see(self.uid, uid):
            raise NoSuchPeerError(f"{self._name} has not seen {uid}.")
        self._exchange.post(Sent(self.uid, uid, kind, data))

    async def stop(self) -> None:
        self._hear = None
        self._exchange.leave(self)

    def cut(self, reason: str = "The server does not answer.", *, is_final: bool = False) -> None:
        self._exchange.leave(self)
        self.tell(SignalDown(self._name, reason, is_final))

    def restore(self) -> None:
        self.tell(SignalUp(self._name))
        self._exchange.enter(self)

    def tell(self, event: SignalEvent) -> None:
        """Its owner hears it in the next turn of the loop, as from a real network."""
        asyncio.get_running_loop().call_soon(self._pass_on, event)

    def _pass_on(self, event: SignalEvent) -> None:
        if self._hear is not None:
            self._hear(event)
