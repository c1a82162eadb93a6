"""A world in memory for controllers, in virtual time: presence, messages and links between any number of nodes, with splits and heals.

A link is up when both ends made one, each knows the other's present candidates, and a path is there; it goes down `SILENCE_S` after it is cut. The
link's part of the conversation (`con_resp` when it gathered) is done here as a node does it.
"""

from __future__ import annotations

import hashlib
import heapq
import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any

from wayhouse.overlay.controller import Controller
from wayhouse.overlay.model import Heard, LinkStatus, PeerGone, PeerSeen
from wayhouse.overlay.tincan import CreateLink, Forward, TrimLink
from wayhouse.overlay.wishes import LinkChanged, MoveTo, News, Own, SetAddress, Traffic

VIA = "fake"
LATENCY_S = 0.05
GATHER_S = 0.3
PATH_S = 0.2
SILENCE_S = 15.0


def uid_of(number: int) -> str:
    return hashlib.sha1(f"node {number}".encode()).hexdigest()


def fingerprint_of(uid: str) -> str:
    digest = hashlib.sha1(f"certificate {uid}".encode()).hexdigest().upper()
    return ":".join(digest[place : place + 2] for place in range(0, 40, 2))


class Half:
    """One end of a link."""

    __slots__ = ("made", "nonce", "remote", "status")

    def __init__(self, nonce: int, made: float) -> None:
        self.nonce = nonce
        self.made = made
        self.remote = 0
        self.status = LinkStatus.UNKNOWN


class SimulatedNode:
    def __init__(self, world: World, controller: Controller, uid: str, own: Own) -> None:
        self.world = world
        self.controller = controller
        self.uid = uid
        self.own = own
        self.is_in = False
        self.is_old = False
        """Its tincan takes a peer's candidates once for each link."""
        self.halves: dict[str, Half] = {}
        self.addresses: dict[str, str] = {}
        self.sent: list[float] = []
        self.news: list[News] = []
        self.wake = math.inf

    def tell(self, fact: Any) -> None:
        self.controller.receive(fact, self.world.now)
        self.work()

    def tick(self, due: float) -> None:
        if due == self.wake:
            self.wake = math.inf
            self.controller.tick(self.world.now)
            self.work()

    def work(self) -> None:
        for wish in self.controller.outbox():
            self.do(wish)
        self.news += self.controller.events()
        due = self.controller.deadline()
        if due < self.wake:
            self.wake = max(due, self.world.now)
            self.world.at(self.wake, self.tick, self.wake)

    def do(self, wish: Any) -> None:
        if isinstance(wish, Forward):
            self.send(wish.uid, wish.kind, wish.data)
        elif isinstance(wish, CreateLink):
            self.make(wish)
        elif isinstance(wish, TrimLink):
            assert wish.uid in self.halves, "there is no such link"
            del self.halves[wish.uid]
            self.world.recheck(self.uid, wish.uid)
        elif isinstance(wish, SetAddress):
            self.addresses[wish.uid] = wish.ip4
        elif isinstance(wish, MoveTo):
            self.own = Own(wish.ip4, self.own.fingerprint, f"ip4={wish.ip4}")
            self.tell(self.own)

    def send(self, uid: str, kind: str, data: str) -> None:
        self.sent.append(self.world.now)
        self.world.kinds[kind] += 1
        self.world.after(LATENCY_S, self.world.deliver, self.uid, uid, kind, data)

    def make(self, wish: CreateLink) -> None:
        half = self.halves.get(wish.uid)
        if half is None:
            half = self.halves[wish.uid] = Half(next(self.world.nonces), self.world.now)
            self.world.after(GATHER_S, self.gathered, wish.uid, half)
        for word in wish.cas.split():
            if word.startswith("n=") and not (self.is_old and half.remote):
                half.remote = int(word[2:])
        self.world.recheck(self.uid, wish.uid)

    def gathered(self, uid: str, half: Half) -> None:
        if self.halves.get(uid) is half:
            self.send(uid, "con_resp", f"{self.own.data} n={half.nonce}")

    def change(self, uid: str, half: Half, status: LinkStatus) -> None:
        """Later, if it is still so."""
        is_still_so = (status is LinkStatus.ONLINE) == self.world.is_up(self.uid, uid)
        if self.halves.get(uid) is half and half.status is not status and is_still_so:
            half.status = status
            self.tell(LinkChanged(uid, status))

    def most_in_a_minute(self) -> int:
        most = first = 0
        for last, moment in enumerate(self.sent):
            while self.sent[first] <= moment - 60:
                first += 1
            most = max(most, last - first + 1)
        return most


class World:
    def __init__(self, make: Callable[[str, Own], Controller], *, ip4: Callable[[int], str]) -> None:
        self.now = 0.0
        self.nodes: dict[str, SimulatedNode] = {}
        self.nonces = count(1)
        self.kinds: defaultdict[str, int] = defaultdict(int)
        self._make = make
        self._ip4 = ip4
        self._queue: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = count()
        self._side: dict[str, int] = {}
        self._has_path = True
        self._has_signal = True

    def add(self, number: int) -> SimulatedNode:
        uid = uid_of(number)
        ip4 = self._ip4(number)
        own = Own(ip4, fingerprint_of(uid), f"ip4={ip4}")
        node = self.nodes[uid] = SimulatedNode(self, self._make(uid, own), uid, own)
        self.enter(node)
        return node

    def enter(self, node: SimulatedNode) -> None:
        node.is_in = True
        for other in self.nodes.values():
            if other is not node and self.sees(node.uid, other.uid):
                self._present(node.uid, other.uid)

    def leave(self, node: SimulatedNode) -> None:
        """It is gone at once, with all its links."""
        seen = [uid for uid in self.nodes if uid != node.uid and self.sees(node.uid, uid)]
        node.is_in = False
        for uid in seen:
            self.after(LATENCY_S, self.nodes[uid].tell, PeerGone(node.uid, VIA))
        del self.nodes[node.uid]
        for uid in list(node.halves):
            self.recheck(node.uid, uid)

    def split(self, sides: Iterable[Iterable[str]], *, path: bool = True, signal: bool = True) -> None:
        """Nothing passes between the sides: no packet (`path`), no message (`signal`), or neither."""
        self._side = {uid: number for number, uids in enumerate(sides) for uid in uids}
        self._has_path, self._has_signal = not path, not signal
        for one, other in self._cut_pairs():
            if signal:
                self.after(LATENCY_S, self.nodes[one].tell, PeerGone(other, VIA))
                self.after(LATENCY_S, self.nodes[other].tell, PeerGone(one, VIA))
            self.recheck(one, other)

    def heal(self) -> None:
        pairs, had_signal = self._cut_pairs(), self._has_signal
        self._side = {}
        for one, other in pairs:
            if not had_signal:
                self._present(one, other)
            self.recheck(one, other)

    def sees(self, one: str, other: str) -> bool:
        a, b = self.nodes.get(one), self.nodes.get(other)
        return (
            a is not None
            and b is not None
            and a.is_in
            and b.is_in
            and (self._has_signal or self._same_side(one, other))
        )

    def deliver(self, sender: str, receiver: str, kind: str, data: str) -> None:
        if self.sees(sender, receiver):
            self.nodes[receiver].tell(Heard(sender, kind, data, VIA))

    def is_up(self, one: str, other: str) -> bool:
        return self._is_up(self._half(one, other), self._half(other, one), one, other)

    def _is_up(self, a: Half | None, b: Half | None, one: str, other: str) -> bool:
        return (
            a is not None
            and b is not None
            and a.remote == b.nonce
            and b.remote == a.nonce
            and (self._has_path or self._same_side(one, other))
        )

    def recheck(self, one: str, other: str) -> None:
        """What both ends will notice."""
        a, b = self._half(one, other), self._half(other, one)
        is_up = self._is_up(a, b, one, other)
        for uid, peer, half in ((one, other, a), (other, one, b)):
            if half is None or (half.status is LinkStatus.ONLINE) == is_up:
                continue
            if is_up:
                self.after(PATH_S, self.nodes[uid].change, peer, half, LinkStatus.ONLINE)
            else:
                self.after(SILENCE_S, self.nodes[uid].change, peer, half, LinkStatus.OFFLINE)

    def online(self) -> set[tuple[str, str]]:
        """Pairs whose both ends say that the link is up; the smaller uid first."""
        return {
            (one, other)
            for one, node in self.nodes.items()
            for other, half in node.halves.items()
            if one < other
            and half.status is LinkStatus.ONLINE
            and (back := self._half(other, one)) is not None
            and back.status is LinkStatus.ONLINE
        }

    def announce(self) -> None:
        """Everybody's presence again, as it is sent every two minutes."""
        uids = list(self.nodes)
        for place, one in enumerate(uids):
            for other in uids[place + 1 :]:
                self._present(one, other)

    def traffic(self, one: str, other: str, amount: int) -> None:
        for uid, peer in ((one, other), (other, one)):
            if uid in self.nodes:
                self.nodes[uid].tell(Traffic(peer, amount, amount))

    def at(self, moment: float, call: Callable[..., None], *args: Any) -> None:
        heapq.heappush(self._queue, (moment, next(self._order), call, args))

    def after(self, delay_s: float, call: Callable[..., None], *args: Any) -> None:
        self.at(self.now + delay_s, call, *args)

    def run(self, duration_s: float) -> None:
        end = self.now + duration_s
        while self._queue and self._queue[0][0] <= end:
            self.now, _, call, args = heapq.heappop(self._queue)
            call(*args)
        self.now = end

    def _present(self, one: str, other: str) -> None:
        self.after(LATENCY_S, self._tell_seen, one, other)
        self.after(LATENCY_S, self._tell_seen, other, one)

    def _tell_seen(self, one: str, other: str) -> None:
        if self.sees(one, other):
            self.nodes[other].tell(PeerSeen(one, "", VIA))

    def _half(self, uid: str, peer: str) -> Half | None:
        node = self.nodes.get(uid)
        return node.halves.get(peer) if node is not None else None

    def _same_side(self, one: str, other: str) -> bool:
        return self._side.get(one) == self._side.get(other)

    def _cut_pairs(self) -> list[tuple[str, str]]:
        uids = list(self.nodes)
        return [
            (a, b) for place, a in enumerate(uids) for b in uids[place + 1 :] if not self._same_side(a, b)
        ]
