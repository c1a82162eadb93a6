"""A path through any NAT: `ports.Path` with sockets of its own.

Used by nodes, one for each peer. Thin: `ice/agent.py` decides, `ice/mapping.py` and `relays` find addresses, `ice/offer.py` knows what the peer is told;
here they are joined by the one timer. Rule: nothing that comes from the net raises.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Sequence
from functools import partial

from wayhouse.base import ids
from wayhouse.base.tasks import Tasks
from wayhouse.overlay.drivers.addresses import AddressWatch, local_addresses
from wayhouse.overlay.drivers.relays import Relay, Relays, resolve
from wayhouse.overlay.drivers.udp_sockets import UdpSockets, base_of
from wayhouse.overlay.ice import channel, stun
from wayhouse.overlay.ice.agent import Agent
from wayhouse.overlay.ice.effects import PairSelected
from wayhouse.overlay.ice.mapping import Mapped, Mappings, nat_kind
from wayhouse.overlay.ice.offer import Offer
from wayhouse.overlay.ice.pair import Base, Pair
from wayhouse.overlay.ice.priorities import priority
from wayhouse.overlay.ice.stun import BadStunError, Host
from wayhouse.overlay.model import (
    Candidate,
    CandidateType,
    PairTried,
    PathPolicy,
    PathReport,
    PathSettings,
    TurnServer,
)
from wayhouse.overlay.ports import Address, Endpoint, OutletEndpoint, PathEvents, UdpEndpoint

_MOST_EARLY = 64
_MOST_REMOTES = 256
_PROBE_S = 1.0


class IcePath:
    """See `ports.Path`. `credentials` are our ICE username and password when they are not random: `("ufrag", "pwd")` for a tincan of old.
    With `watch` it restarts by itself when addresses change."""

    def __init__(
        self,
        settings: PathSettings,
        tasks: Tasks,
        *,
        is_controlling: bool,
        credentials: tuple[str, str] | None = None,
        watch: AddressWatch | None = None,
    ) -> None:
        self._settings = settings
        self._tasks = tasks
        self._watch = watch
        self._loop = asyncio.get_running_loop()
        name, word = credentials or (ids.short_id(8), ids.token_hex())
        policy = settings.policy
        self._agent = Agent(is_controlling=is_controlling, username=name, password=word, policy=policy)
        self._offer = Offer(name, word, policy)
        self._mappings = Mappings()
        self._relays = Relays(self, tasks, settings.relay_ca)
        self._sockets = UdpSockets(self._take, self._pump)
        self._events: PathEvents | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._resolving: asyncio.Task[None] | None = None
        self._unsubscribe: Callable[[], None] | None = None
        self._remotes: dict[Host, Candidate] = {}
        self._seen: dict[tuple[str, Host], Host] = {}
        self._early: list[bytes] = []
        self._is_up = False
        self._has_told_last = False
        self._probe_at: float | None = None
        self._lost_because = ""

    # ports.Path

    def start(self, events: PathEvents) -> None:
        self._events = events
        if self._settings.policy is not PathPolicy.OFF:
            for base in self._sockets.open(use_ipv6=self._settings.use_ipv6):
                is_ipv6 = base == "udp6"
                weight = priority(CandidateType.HOST, is_ipv6=is_ipv6)
                self._agent.add_base(Base(base, is_ipv6, is_relayed=False, priority=weight), self._now())
            self._resolving = self._tasks.spawn(self._resolve(), name="servers of a path")
            if self._watch is not None:
                self._unsubscribe = self._watch.subscribe(self._addresses_changed)
        self._loop.call_soon(self._gather)

    def add_remote(self, candidates: Sequence[Candidate]) -> None:
        for one in candidates:
            if any(known.username != one.username for known in self._remotes.values()):
                self._remotes.clear()
            if len(self._remotes) < _MOST_REMOTES:
                self._remotes[one.host, one.port] = one
        self._agent.add_remote(candidates, self._now())
        self._pump()

    def restart(self) -> None:
        if self._events is None or self._settings.policy is PathPolicy.OFF:
            return
        self._has_told_last = False
        self._offer.begin_anew()
        self._mappings.ask_again(self._now())
        self._relays.moved({one.host for one in local_addresses()})
        self._agent.restart(self._now())
        self._gather()

    def lend(self, sock: socket.socket) -> Callable[[bytes, Address], None]:
        return partial(self._other, self._sockets.lend(sock))

    def report(self) -> PathReport:
        error = self._agent.last_error or self._relays.last_error or self._lost_because
        error = error or self._sockets.last_error
        pairs = tuple(self._tried(pair) for pair in self._agent.pairs())
        used = self._agent.selected
        rtt_s = used.rtt if used is not None and used.last_answer is not None else None
        return PathReport(nat=self._nat(), pairs=pairs, last_error="" if self._is_up else error, rtt_s=rtt_s)

    async def close(self) -> None:
        self._events = None
        if self._unsubscribe is not None:
            self._unsubscribe()
        if self._timer is not None:
            self._timer.cancel()
        if self._resolving is not None:
            self._resolving.cancel()
        await self._relays.close()
        self._sockets.close()

    # what comes

    def _other(self, base: str, data: bytes, address: Address) -> None:
        """What a borrower gave back."""
        if self._sockets.get(base) is not None:
            self._take(base, data, (address[0], address[1]))
            self._pump()

    def _take(self, base: str, data: bytes, source: Host) -> None:
        if stun.is_stun(data):
            self._take_stun(base, data, source)
        elif not (channel.is_channel_data(data) and self._relays.unwrap(source, data)):
            self._give(data)

    def _take_stun(self, base: str, data: bytes, source: Host) -> None:
        try:
            message = stun.decode(data)
        except BadStunError:
            self._agent.refused += 1
            return
        if self._mappings.owns(message):
            self._mappings.hear(base, message, source, self._now())
        elif not self._relays.hear(source, message):
            self._agent.hear(base, message, source, self._now())

    def _give(self, data: bytes) -> None:
        """The tunnel's; what comes before the path is told waits."""
        if self._is_up and self._events is not None:
            self._events.path_data(data)
        elif len(self._early) < _MOST_EARLY:
            self._early.append(data)

    # the one timer

    def _now(self) -> float:
        return self._loop.time()

    def _pump(self) -> None:
        """Lets the machines do what is due, and looks when that is again."""
        if self._events is None:
            return
        now = self._now()
        self._mappings.tick(now)
        for mapped in self._mappings.events():
            self._mapped(mapped)
        self._relays.tick(now)
        self._probe(now)
        self._agent.tick(now)
        for ask in self._mappings.outbox():
            self._sockets.send(ask.base, ask.server, ask.data)
        for send in self._agent.outbox():
            if self._sockets.get(send.base) is not None:
                self._sockets.send(send.base, send.host, send.data)
            else:
                self._relays.send(send.base, send.host, send.data)
        self._tell()
        self._tell_last()
        self._arm(now)

    def _arm(self, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        times = (self._mappings.deadline(), self._agent.deadline(), self._relays.deadline(), self._probe_at)
        due = min((moment for moment in times if moment is not None), default=None)
        if due is not None and self._events is not None:
            self._timer = self._loop.call_at(max(due, now + 0.001), self._pump)

    def _probe(self, now: float) -> None:
        """While there is no path, relays are asked whether they are still there."""
        if self._probe_at is not None and now >= self._probe_at:
            self._probe_at = now + _PROBE_S
            self._relays.probe()

    # what we tell

    def _tell(self) -> None:
        for event in self._agent.events():
            if self._events is None:
                return
            if isinstance(event, PairSelected):
                self._tell_up(self._events, event.pair)
            else:
                self._is_up = False
                self._lost_because = event.reason
                self._probe_at = self._now() + _PROBE_S
                self._events.path_lost(event.reason)

    def _tell_up(self, events: PathEvents, pair: Pair) -> None:
        endpoint = self._endpoint(pair)
        if endpoint is None:
            return
        self._is_up = True
        self._probe_at = None
        events.path_up(endpoint, self._local(pair), self._remote(pair))
        early, self._early = self._early, []
        for data in early:
            self._give(data)

    def _endpoint(self, pair: Pair) -> Endpoint | None:
        peer = pair.remote.host
        sock = self._sockets.get(pair.base.name)
        if sock is not None:
            return UdpEndpoint(sock, _full(peer), is_relayed=pair.is_relayed)
        relay = self._relays.find(pair.base.name)
        if relay is None or relay.allocation is None:
            return None
        number = relay.allocation.channel(peer)
        sock = self._sockets.get(base_of(relay.address))
        if relay.is_stream or number is None or sock is None:
            return OutletEndpoint(partial(self._relays.outlet, relay, peer))
        return UdpEndpoint(sock, _full(relay.address), channel=number, is_relayed=True)

    def _local(self, pair: Pair) -> Candidate:
        """Ours, as the peer sees it."""
        relay = self._relays.find(pair.base.name)
        relayed = relay.allocation.relayed if relay is not None and relay.allocation is not None else None
        kind = CandidateType.PEER_REFLEXIVE if relayed is None else CandidateType.RELAYED
        host = relayed or pair.mapped or ("", 0)
        return self._offer.find(host) or self._offer.make(host, kind, pair.base.priority)

    def _remote(self, pair: Pair) -> Candidate:
        known = self._remotes.get(pair.remote.host)
        if known is not None and known.username == pair.credentials.username:
            return known
        host, port = pair.remote.host
        return Candidate(
            host=host,
            port=port,
            type=pair.remote.type,
            priority=pair.remote.priority,
            foundation=pair.remote.type.value,
            username=pair.credentials.username,
            password=pair.credentials.password,
        )

    def _tried(self, pair: Pair) -> PairTried:
        local = self._local(pair)
        return PairTried(
            local=f"{local.host}:{local.port}" if local.host else pair.base.name,
            local_type=local.type if local.host else CandidateType.HOST,
            remote=f"{pair.remote.host[0]}:{pair.remote.host[1]}",
            remote_type=pair.remote.type,
            state=pair.state.value,
        )

    # gathering

    def _gather(self) -> None:
        """Host candidates at once; what servers tell follows."""
        addresses = local_addresses(self._settings.ignored_interfaces)
        self._tell_candidates(self._offer.hosts(addresses, self._sockets.ports()))
        self._pump()

    def _tell_candidates(self, candidates: Sequence[Candidate]) -> None:
        if candidates and self._events is not None:
            self._events.path_candidates(candidates, is_last=self._has_told_last)

    def _tell_last(self) -> None:
        """Once, when no more is to come for now."""
        is_resolving = self._resolving is not None and not self._resolving.done()
        is_busy = is_resolving or self._mappings.is_busy() or self._relays.is_busy()
        if not self._has_told_last and not is_busy and self._events is not None:
            self._has_told_last = True
            self._events.path_candidates((), is_last=True)

    def _mapped(self, mapped: Mapped) -> None:
        self._seen[mapped.base, mapped.server] = mapped.mapped
        self._tell_candidates(self._offer.reflexive(mapped.mapped))

    def _nat(self) -> str:
        seen = [host for (base, _), host in self._seen.items() if base == "udp4"]
        own = [one.host for one in self._offer.addresses]
        port = self._sockets.ports().get(False, 0)
        return nat_kind(seen, own, port, has_failed=self._mappings.has_failed())

    def _addresses_changed(self) -> None:
        if local_addresses(self._settings.ignored_interfaces) != self._offer.addresses:
            self.restart()

    # servers

    async def _resolve(self) -> None:
        """Names of servers become addresses; relays first, since they decide how soon there is a path."""
        relays: list[tuple[TurnServer, Host]] = []
        if self._settings.policy is not PathPolicy.DIRECT:
            for server in self._settings.turn:
                relays += [(server, host) for host in await resolve(server.host, server.port)]
        self._relays.start([(server, host) for server, host in relays if self._reaches(host)])
        if self._settings.policy is not PathPolicy.RELAY:
            for name, port in self._settings.stun:
                for host in await resolve(name, port):
                    if self._reaches(host):
                        self._mappings.ask(base_of(host), host, self._now())
        self._loop.call_soon(self._pump)

    def _reaches(self, host: Host) -> bool:
        return self._sockets.get(base_of(host)) is not None

    # drivers/relays.RelayUser

    def send_udp(self, server: Host, data: bytes) -> None:
        if self._reaches(server):
            self._sockets.send(base_of(server), server, data)

    def relay_up(self, relay: Relay) -> None:
        allocation = relay.allocation
        if allocation is None or allocation.relayed is None:
            return
        is_ipv6 = ":" in allocation.relayed[0]
        order = {"udp": 0, "tcp": 1}.get(relay.server.transport, 2)
        weight = priority(CandidateType.RELAYED, is_ipv6=is_ipv6, order=order)
        self._agent.add_base(Base(relay.name, is_ipv6, is_relayed=True, priority=weight), self._now())
        self._tell_candidates(self._offer.relayed(allocation.relayed, weight))
        if allocation.mapped is not None and not relay.is_stream and self._settings.policy is PathPolicy.AUTO:
            self._mapped(Mapped(base_of(relay.address), relay.address, allocation.mapped))

    def relay_down(self, relay: Relay) -> None:
        self._agent.remove_base(relay.name, self._now())
        self._offer.forget_relayed()

    def relay_data(self, relay: Relay, source: Host, data: bytes) -> None:
        if not stun.is_stun(data):
            self._give(data)
            return
        with contextlib.suppress(BadStunError):
            self._agent.hear(relay.name, stun.decode(data), source, self._now())

    def relay_busy(self) -> None:
        if self._events is not None:
            self._loop.call_soon(self._pump)

    def has_path(self) -> bool:
        return self._is_up


def _full(host: Host) -> Address:
    """As `recvfrom` gives it."""
    return (*host, 0, 0) if ":" in host[0] else host
