"""Paths without a network: nodes behind NATs of our choice, in one process, for tests and for the demonstration mode.

`FakeNet` is the world, `FakePath` one node's way to one peer (`ports.Path`). Rule: a path is up only when both ends have started and each
was given the other's candidates with the other's present credentials, as with the real one.
"""

from __future__ import annotations

import asyncio
import socket
import zlib
from collections.abc import Callable, Sequence
from enum import StrEnum

from wayhouse.base import ids
from wayhouse.overlay.model import Candidate, CandidateType, PairTried, PathPolicy, PathReport, PathSettings
from wayhouse.overlay.ports import Address, Endpoint, OutletEndpoint, PathEvents, UdpEndpoint

_EARLY = 64
"""Datagrams kept for an end that does not know of the path yet."""


class NatKind(StrEnum):
    """What stands before a node. `BLOCKED` lets no UDP through: it reaches others only by a relay."""

    NONE = "none"
    CONE = "cone"
    SYMMETRIC = "symmetric"
    BLOCKED = "blocked"


_DIRECT = frozenset(
    {
        frozenset({NatKind.NONE}),
        frozenset({NatKind.CONE}),
        frozenset({NatKind.NONE, NatKind.CONE}),
        frozenset({NatKind.NONE, NatKind.SYMMETRIC}),
    }
)
"""Which kinds reach one another; a cone is port-restricted, as Linux and most homes have it."""


class FakeNet:
    """The world between the nodes.

    `delay_s` is one way; `loss` is a share of the datagrams, spread evenly; `notice_s` is how long an end takes to see that its path is cut;
    `direct_after_s` makes a path start on the relay and become direct later. With `uses_sockets` unrelayed paths are real UDP sockets on
    loopback, on which `loss`, `delay_s` and cuts do not touch the datagrams themselves.
    """

    def __init__(
        self,
        *,
        delay_s: float = 0.0,
        loss: float = 0.0,
        notice_s: float = 0.0,
        direct_after_s: float = 0.0,
        has_relay: bool = True,
        uses_sockets: bool = False,
    ) -> None:
        self.delay_s = delay_s
        self.loss = loss
        self.notice_s = notice_s
        self.direct_after_s = direct_after_s
        self.has_relay = has_relay
        self.uses_sockets = uses_sockets
        self._is_blocked = False
        self._nats: dict[str, NatKind] = {}
        self._lans: dict[str, str] = {}
        self._cut: set[str] = set()
        self._paths: dict[tuple[str, str], FakePath] = {}
        self._lost = 0.0

    def add(self, uid: str, nat: NatKind = NatKind.CONE, *, lan: str = "") -> None:
        """Nodes of the same `lan` reach each other whatever their NAT is. Adding again changes a node."""
        self._nats[uid], self._lans[uid] = nat, lan
        self.judge()

    def path(self, uid: str, peer: str, settings: PathSettings | None = None) -> FakePath:
        """The way of `uid` to `peer`; a later one takes the place of an earlier."""
        for name in (uid, peer):
            self._nats.setdefault(name, NatKind.CONE)
        self._paths[uid, peer] = path = FakePath(self, uid, peer, settings or PathSettings())
        return path

    def cut(self, uid: str) -> None:
        """The line of this node is dead until `heal`."""
        self._cut.add(uid)
        self.judge()

    def heal(self, uid: str) -> None:
        self._cut.discard(uid)
        self.judge()

    def block_direct(self) -> None:
        """Only relays work from now on."""
        self._is_blocked = True
        self.judge()

    def unblock(self) -> None:
        self._is_blocked = False
        self.judge()

    def judge(self) -> None:
        """Looks at every path anew, and tells both ends what changed."""
        for path in tuple(self._paths.values()):
            path.become(self._kind(path))

    def far_end(self, path: FakePath) -> FakePath | None:
        return self._paths.get((path.peer, path.uid))

    def forget(self, path: FakePath) -> None:
        if self._paths.get((path.uid, path.peer)) is path:
            del self._paths[path.uid, path.peer]
            self.judge()

    def nat(self, uid: str) -> NatKind:
        return self._nats[uid]

    def loses(self) -> bool:
        """Whether the next datagram is lost: every 1/loss-th is."""
        self._lost += self.loss
        if self._lost >= 1.0:
            self._lost -= 1.0
            return True
        return False

    def is_direct(self, uid: str, peer: str) -> bool:
        if self._is_blocked:
            return False
        if self._lans.get(uid) and self._lans.get(uid) == self._lans.get(peer):
            return True
        return frozenset({self._nats[uid], self._nats[peer]}) in _DIRECT

    def _kind(self, path: FakePath) -> str:
        far = self.far_end(path)
        if far is None or not path.knows(far) or not far.knows(path) or {path.uid, path.peer} & self._cut:
            return ""
        policies = {path.settings.policy, far.settings.policy}
        if PathPolicy.OFF in policies:
            return ""
        if PathPolicy.RELAY not in policies and self.is_direct(path.uid, path.peer):
            return "direct"
        return "relayed" if self.has_relay and PathPolicy.DIRECT not in policies else ""


class FakePath:
    """See `ports.Path`. `others` keeps what a borrower of its socket gave back."""

    def __init__(self, net: FakeNet, uid: str, peer: str, settings: PathSettings) -> None:
        self.uid = uid
        self.peer = peer
        self.settings = settings
        self.others: list[bytes] = []
        self.restarts = 0
        self._net = net
        self._events: PathEvents | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._username, self._password = ids.short_id(8), ids.token_hex()
        self._remote: list[Candidate] = []
        self._kind = ""
        self._told = ""
        self._early: list[bytes] = []
        self._sock: socket.socket | None = None
        self._is_lent = False

    # ports.Path

    def start(self, events: PathEvents) -> None:
        self._events, self._loop = events, asyncio.get_running_loop()
        if self._net.uses_sockets:
            self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            self._sock.bind(("127.0.0.1", 0))
            self._loop.add_reader(self._sock, self._read)
        self._loop.call_soon(self._gather)

    def add_remote(self, candidates: Sequence[Candidate]) -> None:
        self._remote = [*self._remote, *candidates][-100:]
        self._net.judge()

    def restart(self) -> None:
        self.restarts += 1
        if self._loop is not None:
            self._loop.call_soon(self._gather)

    def lend(self, sock: socket.socket) -> Callable[[bytes, Address], None]:
        if self._loop is not None and not self._is_lent:
            self._loop.remove_reader(sock)
        self._is_lent = True
        return lambda data, _address: self.others.append(data)

    def report(self) -> PathReport:
        nat = self._net.nat(self.uid)
        pairs: tuple[PairTried, ...] = ()
        if self._told:
            local, remote = self._pair()
            pairs = (
                PairTried(
                    local=f"{local.host}:{local.port}",
                    local_type=local.type,
                    remote=f"{remote.host}:{remote.port}",
                    remote_type=remote.type,
                    state="succeeded",
                ),
            )
        return PathReport(nat=nat.value, pairs=pairs, last_error="" if self._told else "no pair works")

    async def close(self) -> None:
        self._events = None
        self._net.forget(self)
        if self._sock is not None:
            if self._loop is not None and not self._is_lent:
                self._loop.remove_reader(self._sock)
            self._sock.close()
            self._sock = None

    # for the net

    def knows(self, far: FakePath) -> bool:
        """Started, and holding the present credentials of the far end."""
        key = (far._username, far._password)
        return self._events is not None and any((c.username, c.password) == key for c in self._remote)

    def become(self, kind: str) -> None:
        if kind == self._kind or self._loop is None:
            return
        was, self._kind = self._kind, kind
        if kind == "direct" and was == "" and self._net.direct_after_s:
            self._later(self._net.delay_s, "relayed")
            self._later(self._net.direct_after_s, kind)
        else:
            self._later(self._net.delay_s if kind else self._net.notice_s, kind)

    def take(self, data: bytes) -> None:
        """A datagram of the far end; one that is early waits for `path_up`."""
        if self._events is not None and self._told:
            self._events.path_data(data)
        elif len(self._early) < _EARLY:
            self._early.append(data)

    # inside

    def _later(self, delay_s: float, kind: str) -> None:
        if self._loop is not None:
            self._loop.call_later(delay_s, self._tell, kind)

    def _tell(self, kind: str) -> None:
        is_stale = bool(kind) != bool(self._kind) or (kind == "relayed" and self._told == self._kind)
        if self._events is None or is_stale or kind == self._told:
            return
        if not kind:
            self._told = ""
            self._events.path_lost("the peer does not answer any more")
            return
        self._told = kind
        self._events.path_up(self._endpoint(kind), *self._pair())
        early, self._early = self._early, []
        for data in early:
            self.take(data)

    def _endpoint(self, kind: str) -> Endpoint:
        far = self._net.far_end(self)
        if kind == "direct" and self._sock is not None and far is not None and far._sock is not None:  # noqa: SLF001 - of the same class
            return UdpEndpoint(self._sock, far._sock.getsockname())  # noqa: SLF001 - of the same class
        return OutletEndpoint(self._outlet, is_relayed=kind == "relayed")

    def _outlet(self, data: bytes) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._carry, bytes(data))

    def _carry(self, data: bytes) -> None:
        far = self._net.far_end(self)
        if far is not None and self._kind and self._loop is not None and not self._net.loses():
            self._loop.call_later(self._net.delay_s, far.take, data)

    def _read(self) -> None:
        assert self._sock is not None  # noqa: S101 - the reader is there only while the socket is
        try:
            data = self._sock.recv(65535)
        except OSError:
            return
        self.take(data)

    def _gather(self) -> None:
        if self._events is None:
            return
        kinds = {
            PathPolicy.RELAY: (CandidateType.RELAYED,),
            PathPolicy.DIRECT: (CandidateType.HOST, CandidateType.SERVER_REFLEXIVE),
        }.get(
            self.settings.policy, (CandidateType.HOST, CandidateType.SERVER_REFLEXIVE, CandidateType.RELAYED)
        )
        for kind in kinds:
            self._events.path_candidates((self._candidate(kind),), is_last=kind is kinds[-1])
        self._net.judge()

    def _candidate(self, kind: CandidateType) -> Candidate:
        number = 1 + zlib.crc32(self.uid.encode()) % 250
        network = {CandidateType.HOST: "10.9.8", CandidateType.SERVER_REFLEXIVE: "198.51.100"}.get(
            kind, "203.0.113"
        )
        return Candidate(
            host=f"{network}.{number}",
            port=40000 + number,
            type=kind,
            priority={CandidateType.HOST: 126, CandidateType.SERVER_REFLEXIVE: 100}.get(kind, 0) << 24
            | 0xFFFFFF,
            foundation=kind.value,
            username=self._username,
            password=self._password,
            interface="eth0",
            generation=self.restarts,
            id=ids.short_id(8),
        )

    def _pair(self) -> tuple[Candidate, Candidate]:
        kind = CandidateType.RELAYED if self._told == "relayed" else CandidateType.HOST
        remote = next((c for c in self._remote if c.type == kind), self._remote[-1])
        return self._candidate(kind), remote
