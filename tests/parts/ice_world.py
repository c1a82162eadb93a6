"""A world of NATs in virtual time: agents in it exchange real STUN messages, and hours pass in milliseconds."""

from __future__ import annotations

import dataclasses
import heapq
import itertools
from collections.abc import Callable

from wayhouse.overlay.ice import stun
from wayhouse.overlay.ice.agent import Agent
from wayhouse.overlay.ice.effects import PairSelected, PathLost
from wayhouse.overlay.ice.pair import Base
from wayhouse.overlay.ice.priorities import priority
from wayhouse.overlay.model import Candidate, CandidateType, PathPolicy

Host = tuple[str, int]


class Nat:
    """Mappings to public ports; port-restricted. `cone` maps by our own port, `symmetric` by the peer's address too."""

    def __init__(self, kind: str, public: str) -> None:
        self.kind = kind
        self.public = public
        self._ports = itertools.count(20000)
        self._mapped: dict[tuple[Host, Host | None], int] = {}
        self._inside: dict[int, Host] = {}
        self._open: set[tuple[int, Host]] = set()

    def out(self, source: Host, target: Host) -> Host | None:
        if self.kind == "blocked":
            return None
        key = (source, target if self.kind == "symmetric" else None)
        if key not in self._mapped:
            self._mapped[key] = port = next(self._ports)
            self._inside[port] = source
        port = self._mapped[key]
        self._open.add((port, target))
        return self.public, port

    def into(self, source: Host, port: int) -> Host | None:
        return self._inside.get(port) if (port, source) in self._open else None

    def forget(self) -> None:
        self.__init__(self.kind, self.public)  # type: ignore[misc]


@dataclasses.dataclass
class Node:
    """One agent: a host base, and a relayed one when it has a relay."""

    name: str
    agent: Agent
    nat: Nat | None
    host: Host
    relay: Host | None
    log: list[tuple[float, str]] = dataclasses.field(default_factory=list)

    def state(self) -> str:
        pair = self.agent.selected
        return "none" if pair is None else "relayed" if pair.is_relayed else "direct"


class World:
    def __init__(self, delay_s: float = 0.02) -> None:
        self.now = 1000.0
        self.delay_s = delay_s
        self.nodes: list[Node] = []
        self.cut: set[str] = set()
        self.is_blocked = False
        self.drop: Callable[[], bool] = lambda: False
        self.carried = 0
        self._queue: list[tuple[float, int, Host, Host, bytes]] = []
        self._count = itertools.count()

    def add(
        self,
        name: str,
        nat: str = "cone",
        *,
        is_controlling: bool,
        has_relay: bool = True,
        lan: int = 0,
        policy: PathPolicy = PathPolicy.AUTO,
        credentials: tuple[str, str] | None = None,
    ) -> Node:
        number = len(self.nodes) + 1
        box = None if nat == "none" else Nat(nat, f"203.0.113.{lan or number}")
        for other in self.nodes:
            if lan and other.nat is not None and other.nat.public == f"203.0.113.{lan}":
                box = other.nat
        address = f"198.51.100.{number}" if box is None else f"192.168.{lan or number}.{number}"
        username, password = credentials or (f"user-{name}", f"password-of-{name}-and-long")
        agent = Agent(is_controlling=is_controlling, username=username, password=password, policy=policy)
        node = Node(
            name,
            agent,
            box,
            (address, 4000 + number),
            (f"203.0.113.{100 + number}", 5000) if has_relay else None,
        )
        self.nodes.append(node)
        agent.add_base(
            Base(
                "udp4", is_ipv6=False, is_relayed=False, priority=priority(CandidateType.HOST, is_ipv6=False)
            ),
            self.now,
        )
        if node.relay is not None and nat != "no-relay":
            agent.add_base(
                Base(
                    "relay",
                    is_ipv6=False,
                    is_relayed=True,
                    priority=priority(CandidateType.RELAYED, is_ipv6=False),
                ),
                self.now,
            )
        return node

    def candidates(self, node: Node) -> list[Candidate]:
        """As a gatherer would find them, with a STUN server at 203.0.113.250."""
        found = [(CandidateType.HOST, node.host)]
        mapped = node.nat.out(node.host, ("203.0.113.250", 3478)) if node.nat is not None else None
        if mapped is not None:
            found.append((CandidateType.SERVER_REFLEXIVE, mapped))
        if node.relay is not None:
            found.append((CandidateType.RELAYED, node.relay))
        return [self.candidate(node, kind, host) for kind, host in found]

    def candidate(self, node: Node, kind: CandidateType, host: Host) -> Candidate:
        return Candidate(
            host=host[0],
            port=host[1],
            type=kind,
            priority=priority(kind, is_ipv6=False),
            foundation="1",
            username=node.agent._username,
            password=node.agent._password.decode(),
        )

    def introduce(self) -> None:
        one, two = self.nodes
        mine, theirs = self.candidates(one), self.candidates(two)
        one.agent.add_remote(theirs, self.now)
        two.agent.add_remote(mine, self.now)

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while True:
            for node in self.nodes:
                self._collect(node)
            times = [deadline for node in self.nodes if (deadline := node.agent.deadline()) is not None]
            if self._queue:
                times.append(self._queue[0][0])
            if not times or min(times) > end:
                self.now = end
                return
            self.now = max(self.now, min(times))
            while self._queue and self._queue[0][0] <= self.now:
                _, _, source, target, data = heapq.heappop(self._queue)
                self._arrive(source, target, data)
            for node in self.nodes:
                node.agent.tick(self.now)

    def until(self, condition: Callable[[], bool], limit: float = 60.0) -> float:
        """Seconds until it is so."""
        start = self.now
        while not condition():
            assert self.now - start < limit, [node.state() for node in self.nodes]
            self.run(0.01)
        return self.now - start

    def both(self, state: str) -> Callable[[], bool]:
        return lambda: all(node.state() == state for node in self.nodes)

    def _collect(self, node: Node) -> None:
        for event in node.agent.events():
            if isinstance(event, PairSelected):
                node.log.append((self.now, "relayed" if event.pair.is_relayed else "direct"))
            else:
                assert isinstance(event, PathLost)
                node.log.append((self.now, "lost"))
        for send in node.agent.outbox():
            self._leave(node, send.base, send.host, send.data)

    def _leave(self, node: Node, base: str, target: Host, data: bytes) -> None:
        source: Host | None = node.host if base == "udp4" else node.relay
        if node.name in self.cut or source is None or self.drop():
            return
        same_lan = any(other.host == target and other.nat is node.nat for other in self.nodes)
        if base == "udp4" and node.nat is not None and not same_lan:
            source = node.nat.out(node.host, target)
        if source is not None:
            heapq.heappush(self._queue, (self.now + self.delay_s, next(self._count), source, target, data))

    def _arrive(self, source: Host, target: Host, data: bytes) -> None:
        for node in self.nodes:
            base = self._base(node, source, target)
            if base and node.name not in self.cut:
                self.carried += 1
                node.agent.hear(base, stun.decode(data), source, self.now)

    def _base(self, node: Node, source: Host, target: Host) -> str:
        if target == node.relay:
            return "relay"
        is_relay = any(source == other.relay for other in self.nodes)
        if self.is_blocked and not is_relay:
            return ""
        if node.nat is None:
            return "udp4" if target == node.host else ""
        if target == node.host and any(
            other.host == source and other.nat is node.nat for other in self.nodes
        ):
            return "udp4"
        if target[0] == node.nat.public and node.nat.into(source, target[1]) == node.host:
            return "udp4"
        return ""
