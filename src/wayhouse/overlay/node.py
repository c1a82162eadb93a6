"""A node is this gateway in one overlay: its identity, its ways to be introduced, its links and its tunnel, and the verbs that controllers have.

Driven by `requests.py` (the control protocol) and `steering.py` (this product's own controllers); runs on one event loop. Rules: what others say
changes only what is theirs; a verb that cannot be done raises and says why; facts are told after the verb that brought them about has ended.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self

import msgspec

from wayhouse.base.errors import ConflictError, UnavailableError
from wayhouse.base.tasks import Tasks
from wayhouse.overlay.addressing import networks
from wayhouse.overlay.binding import Told
from wayhouse.overlay.ethernet import packet_in
from wayhouse.overlay.hearing import Hearing
from wayhouse.overlay.identity import Identity
from wayhouse.overlay.model import (
    BadBindingError,
    LinkStatus,
    NoSuchPeerError,
    PathPolicy,
    PathSettings,
    SignalDown,
    SignalEvent,
)
from wayhouse.overlay.node_parts import NodeParts, NodeSettings
from wayhouse.overlay.notifications import ConStat, Message, Notification
from wayhouse.overlay.peer import Peer
from wayhouse.overlay.peers import Peers
from wayhouse.overlay.ports import Path, PeerFigures, Signaller, Tunnel
from wayhouse.overlay.revocation_spread import RevocationSpread
from wayhouse.overlay.signalling import Signalling
from wayhouse.overlay.trust import Verified
from wayhouse.overlay.wishes import (
    Allowed,
    Claimed,
    Fact,
    Forgotten,
    LinkChanged,
    LinkGone,
    NetworkChanged,
    Own,
    Refused,
    Traffic,
    Unroutable,
)

log = logging.getLogger(__name__)

TICK_S = 1.0
TRAFFIC_TICKS = 15
"""Every so many ticks, the bytes of each link are told, and memberships are looked at again."""


class Node:
    """An async context; leaving it ends all links. `told` and `facts` are functions that want to hear notifications and facts."""

    def __init__(self, parts: NodeParts, settings: NodeSettings | None = None) -> None:
        self.settings = settings or NodeSettings()
        self.trust = parts.trust
        self.told: list[Callable[[Notification], None]] = []
        self.facts: list[Callable[[Fact], None]] = []
        self.introduces = False
        """Whether a peer that is seen is told as its `con_req`: the first generation of controllers starts links by that."""
        self.translates = self.settings.translates
        self.path_settings = self.settings.path
        self.identity: Identity | None = None
        self.ip4 = ""
        self.ip6 = ""
        self.name = ""
        self.subnets: tuple[str, ...] = ()
        """What peers are told beside the address: our name, and the networks behind us that we offer."""
        self.peers = Peers(lambda uid: Peer(uid, self))
        self.signalling = Signalling(self.hear)
        self._parts = parts
        self._tunnel: Tunnel | None = None
        self._masks = (24, 64)
        self._tasks = Tasks()
        self._ticks = 0
        self._hearing = Hearing(self)
        self.spread = RevocationSpread(self.trust, self.send)

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
        await self._tasks.__aexit__(kind, error, trace)

    async def close(self) -> None:
        """Peers are not told: their paths tell them."""
        await self.signalling.stop()
        await asyncio.gather(*(peer.close() for peer in self.peers.values()))
        self.peers.clear()
        if self._tunnel is not None:
            self._tunnel.close()
            self._tunnel = None

    async def run(self) -> None:
        """Turn the links' clocks, until cancelled."""
        while True:
            try:
                self.tick()
            except Exception:
                log.exception("a tick of the node failed")
            await self._parts.clock.sleep(TICK_S)

    # What this node is.

    @property
    def uid(self) -> str:
        """Empty before `set_local_ip`."""
        return "" if self.identity is None else self.identity.uid

    @property
    def fingerprint(self) -> str:
        return "" if self.identity is None else self.identity.fingerprint(self.settings.digest)

    @property
    def tunnel(self) -> Tunnel:
        if self._tunnel is None:
            raise ConflictError("This node has no uid yet; say who it is first (set_local_ip).")
        return self._tunnel

    def set_local_ip(self, uid: str, ip4: str, ip6: str, masks: tuple[int, int] = (24, 64)) -> None:
        """Who this node is, once and for all. Raises `ConflictError` for another uid, `OutsideError` when there is no interface."""
        if self.identity is not None:
            if self.uid == uid:
                return
            raise ConflictError(
                f"This node goes by {self.uid} already; start another link process for another uid."
            )
        identity = self._parts.identify(uid)
        tunnel = self._parts.open_tunnel(identity.tunnel_private_key)
        try:
            tunnel.set_addresses(networks(ip4, ip6, masks), self.settings.mtu)
            tunnel.start(self)
        except BaseException:
            tunnel.close()
            raise
        self.identity, self._tunnel, self._masks, self.ip4, self.ip6 = identity, tunnel, masks, ip4, ip6
        self.signalling.start(uid, f"{self.fingerprint} {self.settings.greeting}".rstrip())
        self.tell(self.own())

    def move(self, ip4: str) -> None:
        """Go by another IPv4 address from now on."""
        self.tunnel.set_addresses(networks(ip4, self.ip6, self._masks), self.settings.mtu)
        self.ip4 = ip4
        for peer in self.peers.values():
            peer.place()
        self.tell(self.own())

    def set_translation(self, *, is_on: bool) -> None:
        self.translates = is_on
        for peer in self.peers.values():
            peer.place()

    # How it is introduced.

    @property
    def signallers(self) -> dict[str, Signaller]:
        """By name."""
        return self.signalling.signallers

    @property
    def signals_down(self) -> dict[str, str]:
        """Why a signaller is not up, by its name."""
        return self.signalling.down

    def add_signaller(self, signaller: Signaller) -> None:
        """Raises `ConflictError` if there is one of this name."""
        self.signalling.add(signaller)

    async def remove_signaller(self, name: str) -> None:
        if name in self.signallers:
            await self.signalling.remove(name)
            self.tell(SignalDown(name, "It was taken out."))

    def send(self, uid: str, kind: str, data: str) -> None:
        """A message for a peer, over the signaller that saw it last, or any other. Raises `NoSuchPeerError`, `BadStanzaError`."""
        peer = self.peers.get(uid)
        self.signalling.send(uid, kind, data, "" if peer is None else peer.via)

    def ask(self, uid: str, kind: str, data: str) -> None:
        """A controller's message for the peer's controller: `con_req`, `send_msg` or any other word. Raises `NoSuchPeerError`."""
        self.send(uid, kind, data)
        if kind == "con_req" and uid in self.peers:
            self.peers[uid].link.ask()

    # Links.

    def create_link(
        self, uid: str, fingerprint: str, cas: str = "", settings: PathSettings | None = None
    ) -> None:
        """Seek a path to a peer; again with its candidates. Raises `BadBindingError` when it does not prove who it is, `ConflictError`."""
        if uid == self.uid or self._tunnel is None:
            raise ConflictError("A node links to others, after it was said who it is (set_local_ip).")
        peer = self.peers.meet(uid)
        if peer.policy is PathPolicy.OFF:
            raise BadBindingError("Links to this peer are switched off here.", uid=uid)
        try:
            peer.create(fingerprint, cas, settings or self.path_settings)
        except BadBindingError as error:
            self._hearing.complain(f"no link to {uid}: {error}")
            if not peer.link.is_open:
                self.tell(LinkGone(uid))
            raise

    def set_address(self, uid: str, ip4: str, ip6: str) -> None:
        """Where the peer is reached in the overlay; an address that another peer had is this one's from now on."""
        self.peers.set_address(self.peers.meet(uid), ip4, ip6)

    def set_routes(self, uid: str, networks: tuple[str, ...]) -> None:
        """Networks behind the peer (CIDR) that are reached by it, as allowed here. Raises `NoSuchPeerError`."""
        peer = self.peer(uid)
        peer.routes = networks
        peer.place()

    def set_policy(self, uid: str, policy: PathPolicy | None) -> None:
        """How paths to this peer may be; None is as for all. A link begins anew with it, or ends. Raises `NoSuchPeerError`."""
        peer = self.peer(uid)
        if peer.policy is policy:
            return
        peer.policy = policy
        self.tell(Refused(uid) if policy is PathPolicy.OFF else Allowed(uid))
        if peer.link.is_open:
            if policy is PathPolicy.OFF:
                peer.refuse("Links to this peer are switched off here.", even_online=True)
            else:
                peer.trim()
            self.tell(LinkGone(uid))

    def trim_link(self, uid: str) -> None:
        """Take the link away; the peer's addresses stay its own."""
        self.peer(uid).trim()

    def forget(self, uid: str) -> None:
        """As if the peer had never been seen; its certificate is trusted anew next time."""
        if (peer := self.peers.pop(uid, None)) is not None:
            peer.trim()
            self.tell(Forgotten(uid))
        self.trust.forget(uid)

    def peer(self, uid: str) -> Peer:
        """Raises `NoSuchPeerError`."""
        return self.peers.known(uid)

    def introduce_all(self) -> None:
        """Tell again of the peers that are there and have no link, as if they were seen just now."""
        for peer in self.peers.values():
            if peer.told_fingerprint and peer.is_present and not peer.link.is_open:
                self.notify(Message("con_req", peer.uid, peer.told_fingerprint))

    def restart_paths(self) -> None:
        """The addresses of this machine have changed."""
        for peer in self.peers.values():
            peer.restart_path()
        self.tell(NetworkChanged())

    def tick(self) -> None:
        """To be called every second or so."""
        self._ticks += 1
        figures = self.figures()
        for peer in tuple(self.peers.values()):
            peer.tick()
            if peer.verified is not None and (found := figures.get(peer.verified.tunnel_key)) is not None:
                peer.rates.sample(self.now(), found.sent_bytes, found.received_bytes)
                if self._ticks % TRAFFIC_TICKS == 0 and peer.link.status is LinkStatus.ONLINE:
                    self.tell(Traffic(peer.uid, found.sent_bytes, found.received_bytes))
        if self._ticks % TRAFFIC_TICKS == 0:
            self.look_at_members()

    def spread_revocations(self) -> None:
        """Send the list that `trust` has now to all peers that are there."""
        for uid in tuple(self.peers):
            self.spread.share(uid)
        self.look_at_members()

    def figures(self) -> dict[bytes, PeerFigures]:
        """Of the tunnel, by public key; none while it does not answer."""
        try:
            return {} if self._tunnel is None else self._tunnel.figures()
        except UnavailableError as error:
            log.warning("%s", error)
            return {}

    def look_at_members(self) -> None:
        """End links to those whose membership was taken back, or is over."""
        for peer in tuple(self.peers.values()):
            why = None if peer.verified is None else self.trust.is_still_good(peer.verified)
            if why is not None:
                log.warning("the link to %s ends: %s", peer.uid, why)
                peer.refuse(why, even_online=True)
                self.tell(LinkGone(peer.uid))

    # What peers need of it (`peer.Surroundings`).

    def now(self) -> float:
        return self._parts.clock.monotonic()

    def make_path(self, peer: Peer) -> Path:
        ignored = (*self.path_settings.ignored_interfaces, self.tunnel.interface)
        settings = msgspec.structs.replace(
            peer.settings, ignored_interfaces=ignored, policy=peer.policy or peer.settings.policy
        )
        return self._parts.make_path(peer.uid, settings, is_controlling=self.uid > peer.uid)

    def check(self, cas: str, uid: str, fingerprint: str) -> Verified:
        verified = self.trust.check(cas, self.uid, uid, fingerprint)
        if self.identity is not None and verified.tunnel_key == self.identity.tunnel_public_key:
            raise BadBindingError("The peer shows this node's own tunnel key.", uid=uid)
        holder = self.peers.holder(verified.tunnel_key)
        if holder is not None and holder.uid != uid:
            if holder.link.status is LinkStatus.ONLINE:
                raise BadBindingError(
                    "The peer shows the tunnel key of another one, which is online.", uid=uid
                )
            holder.refuse("Another peer shows the same tunnel key.")
        return verified

    def own_translation(self, ip4: str) -> tuple[str, str] | None:
        return (ip4, self.ip4) if self.translates and ip4 else None

    def answer(self, peer: Peer, cas: str) -> None:
        if self.identity is None:
            return
        token = self.trust.token(
            self.identity, Told(ip4=self.ip4, name=self.name, subnets=self.subnets), cas=cas
        )
        try:
            self.spread.share(peer.uid)
            self.send(peer.uid, "con_resp", f"{self.fingerprint} {cas} {token}".rstrip())
        except NoSuchPeerError:
            log.debug("an answer for %s waits until it is seen", peer.uid)

    def status_changed(self, peer: Peer, status: LinkStatus) -> None:
        log.info(
            "the link to %s is %s%s", peer.uid, status.value, f": {peer.link.why}" if peer.link.why else ""
        )
        self.notify(ConStat(uid=peer.uid, data=status))
        self.tell(LinkChanged(peer.uid, status))

    def proved(self, peer: Peer, verified: Verified) -> None:
        if verified.ip4 and verified.ticket is not None:
            self.tell(Claimed(peer.uid, verified.ip4))

    def spawn(self, work: Coroutine[Any, Any, Any], name: str) -> None:
        self._tasks.spawn(work, name=name)

    # What the tunnel says (`ports.TunnelEvents`).

    def tunnel_established(self, public_key: bytes) -> None:
        peer = self.peers.holder(public_key)
        if peer is not None and peer.verified is not None:
            self.trust.keep(peer.verified)
            peer.established()

    def tunnel_silent(self, public_key: bytes) -> None:
        if (peer := self.peers.holder(public_key)) is not None:
            peer.silent()

    def tunnel_unroutable(self, packet: bytes) -> None:
        self.tell(Unroutable(packet))

    def tunnel_frame(self, frame: bytes, source: str) -> None:
        self.tell(Unroutable(packet_in(frame), frame, source))

    def tunnel_troubled(self, public_key: bytes, why: str) -> None:
        if (peer := self.peers.holder(public_key)) is not None:
            self._hearing.complain(f"no tunnel to {peer.uid}: {why}")
            peer.troubled(why)

    # What signalling says.

    def hear(self, event: SignalEvent) -> None:
        """Whatever it is, it is told to who listens, and changes nothing but who is there."""
        self._hearing.hear(event)

    # Inside.

    def own(self) -> Own:
        return Own(self.ip4, self.fingerprint, self.settings.words(self.ip4))

    def tell(self, fact: Fact) -> None:
        for listener in self.facts:
            asyncio.get_running_loop().call_soon(listener, fact)

    def notify(self, told: Notification) -> None:
        for listener in self.told:
            listener(told)
