"""One overlay of this gateway: a node under one of our own controllers, with its access rules and names, as a configuration wants it.

Made by `gateway_nodes.py` in the process of the links. Rules: the access rules are in the kernel before the interface passes anything; what changes in the
configuration changes here without ending links that may stay; a part that fails is told as the overlay's problem and tried again.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path as Folder
from typing import Protocol

import msgspec

from wayhouse.base import codec
from wayhouse.base.clock import Clock
from wayhouse.base.errors import WayhouseError
from wayhouse.base.tasks import Tasks
from wayhouse.overlay import gateway_parts, kept_addresses, names, policy, ruleset, shares, subnets
from wayhouse.overlay.account import XmppAccount
from wayhouse.overlay.addressing import IP6_PREFIX, gen_ip6
from wayhouse.overlay.announcement import address_word
from wayhouse.overlay.configuration import Configuration
from wayhouse.overlay.controller import Controller
from wayhouse.overlay.group import group_controller
from wayhouse.overlay.identity import Digest
from wayhouse.overlay.kept_addresses import KeptAddresses
from wayhouse.overlay.model import LinkStatus, PathPolicy, PathSettings, TurnServer
from wayhouse.overlay.names import NameBook, Named
from wayhouse.overlay.node import Node
from wayhouse.overlay.node_parts import NodeSettings
from wayhouse.overlay.node_views import link_views, signal_views
from wayhouse.overlay.peer import Peer
from wayhouse.overlay.peer_book import Settings
from wayhouse.overlay.policy import Member
from wayhouse.overlay.ports import Path, Signaller, Tunnel
from wayhouse.overlay.social import social_controller
from wayhouse.overlay.steering import Steering
from wayhouse.overlay.subnets import Subnet, Surroundings
from wayhouse.overlay.trust import Trust
from wayhouse.overlay.views import OverlayState, OverlayView, SignalView

log = logging.getLogger(__name__)

LOOK_S = 1.0
LAN = "mdns"


class Outside(Protocol):
    """Where a gateway's node gets its outside parts from; the real one is `drivers/outside.py`."""

    clock: Clock

    def tunnel(self, interface: str, private_key: bytes, *, in_kernel: bool = False) -> Tunnel:
        """The kernel's, where `in_kernel` allows that and there is one. Raises `OutsideError`."""
        ...

    def old_tunnel(self, interface: str, private_key: bytes) -> Tunnel:
        """Of a node that speaks as old ones do. Raises `OutsideError`."""
        ...

    def path(self, peer: str, settings: PathSettings, *, is_controlling: bool) -> Path: ...

    def old_path(self, peer: str, settings: PathSettings, *, is_controlling: bool) -> Path:
        """With the name and password that all old nodes have."""
        ...

    def xmpp(self, account: XmppAccount) -> Signaller: ...

    def lan(self, overlay: str, secret: bytes | None, interface: str) -> Signaller: ...

    async def servers(
        self, signaller: Signaller
    ) -> tuple[tuple[tuple[str, int], ...], tuple[TurnServer, ...]]:
        """STUN and TURN servers that this signaller's server offers; none if it does not say."""
        ...

    async def apply(self, rules: str) -> None:
        """Put a ruleset into the kernel. Raises `UnavailableError`, `OutsideError`."""
        ...

    async def route(self, interface: str, networks: frozenset[str]) -> None:
        """Exactly these networks are reached through the interface, beside its own. Raises `OutsideError`."""
        ...

    def networks(self, own: str) -> Mapping[str, str]:
        """Networks of this machine in CIDR form, but those of the interface `own`, each with what it is."""
        ...


class GatewayNode:
    """`folder` is its own, for what it has to remember. `run` it until it is cancelled."""

    def __init__(self, wanted: Configuration, outside: Outside, folder: Folder) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.wanted = wanted
        self.problem = ""
        self.interface = interface_name(wanted.name)
        self._outside = outside
        self._addresses = KeptAddresses(folder / kept_addresses.FILE)
        parts = gateway_parts.make(wanted, outside, folder, self.interface)
        self._trust = parts.trust
        self.node = Node(
            parts,
            NodeSettings(
                digest=Digest.SHA1 if wanted.is_legacy else Digest.SHA256,
                path=_path_settings(wanted),
                mtu=wanted.mtu,
                translates=wanted.kind == "social",
                words=address_word if wanted.kind == "group" else _no_words,
                is_old=wanted.is_legacy,
            ),
        )
        self._rules = ""
        self._routes: frozenset[str] = frozenset()
        self._offered: dict[str, PathSettings] = {}
        self.names = NameBook(wanted.name, ())
        self.subnets: tuple[Subnet, ...] = ()

    @property
    def ip6_prefix(self) -> str:
        """Of a group its own, so that one gateway can be in many."""
        keys = self.wanted.keys
        if keys is None:
            return IP6_PREFIX
        digest = hashlib.sha256(b"wayhouse overlay prefix\0" + keys.admin_key).hexdigest()
        return f"fd{digest[:2]}:{digest[2:6]}:{digest[6:10]}:{digest[10:14]}"

    async def run(self) -> None:
        """Until cancelled. Raises `WayhouseError` when it cannot begin."""
        wanted = self.wanted
        await self._enforce()
        async with self.node as node, Tasks() as tasks:
            node.name, node.subnets = wanted.dns_name, wanted.offered_subnets
            ip4 = self._addresses.own or wanted.ip4
            node.set_local_ip(
                wanted.uid, ip4, gen_ip6(wanted.uid, self.ip6_prefix), (wanted.network.prefixlen, 64)
            )
            steering = Steering(node, self._controller(), self._outside.clock)
            for signaller in self._signallers(wanted):
                node.add_signaller(signaller)
            tasks.spawn(node.run(), name=f"{wanted.name} node")
            tasks.spawn(steering.run(), name=f"{wanted.name} controller")
            while True:
                await self._look()
                await self._outside.clock.sleep(LOOK_S)

    async def change(self, wanted: Configuration) -> bool:
        """Follow another configuration; False if only a new node can."""
        before, self.wanted = self.wanted, wanted
        if any(getattr(before, field) != getattr(wanted, field) for field in _FIXED):
            return False
        node = self.node
        node.name, node.subnets = wanted.dns_name, wanted.offered_subnets
        self._set_paths()
        await self._set_signallers(before, wanted)
        if wanted.revoked is not None and wanted.revoked != before.revoked:
            self._trust.hear_revocations(wanted.revoked)
            node.spread_revocations()
        await self._look()
        return True

    def forget(self, uid: str) -> None:
        self.node.forget(uid)

    def state(self) -> OverlayState:
        wanted, node = self.wanted, self.node
        labels = names.labels(self._named())
        links = tuple(
            msgspec.structs.replace(view, name=labels.get(view.uid, ("",))[0]) for view in link_views(node)
        )
        online = [one for one in links if one.status is LinkStatus.ONLINE]
        signallers = signal_views(node)
        return OverlayState(
            overlay=OverlayView(
                name=wanted.name,
                kind=wanted.kind,
                uid=wanted.uid,
                ip4=node.ip4,
                ip6=node.ip6,
                dns_name=f"{labels.get(wanted.uid, (wanted.dns_name,))[0]}.{wanted.name}",
                interface=self.interface,
                is_up=bool(online) or any(one.is_up for one in signallers),
                problem=self.problem or (_trouble(signallers) if node.identity else "It is about to begin."),
                is_admin=wanted.is_admin,
                signallers=signallers,
                peers=len(links),
                online=len(online),
                relayed=sum(bool(one.is_relayed) for one in online),
            ),
            links=links,
            subnets=self.subnets,
            revoked=_newer_list(self._trust, wanted),
        )

    # ---- inside

    def _controller(self) -> Controller:
        wanted, settings = self.wanted, Settings(on_demand=self.wanted.on_demand)
        if wanted.kind == "social":
            return social_controller(wanted.uid, self.node.own(), settings, self._addresses.given)
        return group_controller(
            wanted.uid,
            self.node.own(),
            settings,
            subnet=wanted.network,
            reads_words=False,
            ip6_prefix=self.ip6_prefix,
        )

    def _signallers(self, wanted: Configuration) -> Iterator[Signaller]:
        for account in wanted.accounts:
            yield self._outside.xmpp(account)
        if wanted.is_on_lan:
            yield self._lan(wanted)

    def _lan(self, wanted: Configuration) -> Signaller:
        secret = None if wanted.keys is None else wanted.keys.secret
        return self._outside.lan(wanted.name, secret, self.interface)

    async def _set_signallers(self, before: Configuration, wanted: Configuration) -> None:
        for account in set(before.accounts) - set(wanted.accounts):
            await self.node.remove_signaller(f"xmpp:{account.jid.lower()}")
        for account in set(wanted.accounts) - set(before.accounts):
            self.node.add_signaller(self._outside.xmpp(account))
        if before.is_on_lan and not wanted.is_on_lan:
            await self.node.remove_signaller(LAN)
        elif wanted.is_on_lan and not before.is_on_lan:
            self.node.add_signaller(self._lan(wanted))

    async def _look(self) -> None:
        """At what follows from who is there: rules, routes, names, policies, servers."""
        try:
            self._set_policies()
            await self._set_routes()
            await self._enforce()
            await self._ask_for_servers()
            self.problem = ""
        except WayhouseError as error:
            self.problem = error.message
        self.names = NameBook(self.wanted.name, self._named(), self._networks())
        self._remember()

    def _set_paths(self) -> None:
        self.node.path_settings = _path_settings(self.wanted, *self._offered.values())

    def _set_policies(self) -> None:
        for uid in self.node.peers:
            self.node.set_policy(uid, self.wanted.peer_policies.get(uid))

    async def _set_routes(self) -> None:
        """Networks behind a peer count when it offers them, they were accepted from it, and nothing of ours is in the way."""
        peers = self.node.peers
        if not self.wanted.accepted_subnets and not any(peer.offers for peer in peers.values()):
            self.subnets = ()
        else:
            offers = {uid: peer.offers for uid, peer in peers.items() if peer.verified is not None}
            here = Surroundings(self._outside.networks(self.interface))
            self.subnets = subnets.arrange(offers, self.wanted.accepted_subnets, here)
        allowed = subnets.allowed_ips(self.subnets)
        for uid, peer in peers.items():
            if allowed.get(uid, ()) != peer.routes:
                self.node.set_routes(uid, allowed.get(uid, ()))
        routes = frozenset(subnets.routes(self.subnets))
        if routes != self._routes:
            await self._outside.route(self.interface, routes)
            self._routes = routes

    async def _enforce(self) -> None:
        peers = {uid: _member(peer) for uid, peer in self.node.peers.items()}
        rules = (
            *self.wanted.rules,
            *shares.rules(self.wanted.shares),
        )  # so a rule that drops goes before a share
        resolved = policy.resolve(rules, self._own_member(), peers)
        text = ruleset.compile_rules(self.interface, resolved)
        if text != self._rules:
            await self._outside.apply(text)
            self._rules = text

    async def withdraw(self) -> None:
        """Its rules go when the interface has gone."""
        with contextlib.suppress(WayhouseError):
            await self._outside.apply(ruleset.removal(self.interface))

    async def _ask_for_servers(self) -> None:
        """A signaller that came up may know STUN and TURN servers (XEP-0215)."""
        up = {one.name for one in signal_views(self.node) if one.is_up}
        if up == self._offered.keys():
            return
        found = {}
        for name in up:
            stun, turn = await self._outside.servers(self.node.signallers[name])
            found[name] = PathSettings(stun=stun, turn=turn)
        self._offered = found
        self._set_paths()

    def _own_member(self) -> Member:
        tags: frozenset[str] = frozenset()
        if (own := self.wanted.membership()) is not None:
            tags = frozenset(own.group.read_ticket(own.ticket).tags)
        return Member(uid=self.wanted.uid, tags=tags)

    def _named(self) -> list[Named]:
        own = Named(uid=self.wanted.uid, name=self.wanted.dns_name, ip4=self.node.ip4, ip6=self.node.ip6)
        peers = self.node.peers.values()
        return [own, *(_named(peer) for peer in peers if peer.has_addresses)]

    def _networks(self) -> tuple[str, ...]:
        return (str(self.wanted.network), f"{self.ip6_prefix}::/64")

    def _remember(self) -> None:
        if self.wanted.kind == "social":
            given = {uid: peer.ip4 for uid, peer in self.node.peers.items() if peer.ip4}
            self._addresses.keep(given={**self._addresses.given, **given})
        elif self.node.ip4:
            self._addresses.keep(own=self.node.ip4)


_FIXED = ("name", "kind", "uid", "ip4", "subnet", "mtu", "keys", "on_demand", "in_kernel", "is_legacy")
"""Fields that belong to a node for its life."""


def interface_name(overlay: str) -> str:
    """At most 15 characters, another one for each overlay."""
    if len(overlay) <= 12:
        return f"wh-{overlay}"
    return f"wh-{overlay[:7]}{hashlib.sha256(overlay.encode()).hexdigest()[:5]}"


def _no_words(_: str) -> str:
    return ""


def _path_settings(wanted: Configuration, *offered: PathSettings) -> PathSettings:
    """Our own servers first, then those that were offered."""
    stun, turn = list(wanted.stun), list(wanted.turn)
    for one in offered:
        stun += [each for each in one.stun if each not in stun]
        turn += [each for each in one.turn if each not in turn]
    return PathSettings(
        stun=tuple(stun),
        turn=tuple(turn),
        relay_ca=wanted.relay_ca,
        policy=wanted.policy if wanted.policy is not PathPolicy.OFF else PathPolicy.AUTO,
        ignored_interfaces=(interface_name(wanted.name),),
    )


def _member(peer: Peer) -> Member:
    tags = () if peer.verified is None or peer.verified.ticket is None else peer.verified.ticket.tags
    texts = [text for text in (peer.ip4, peer.ip6, *peer.routes) if text]
    return Member(uid=peer.uid, tags=frozenset(tags), networks=tuple(map(policy.network, texts)))


def _named(peer: Peer) -> Named:
    return Named(uid=peer.uid, name=peer.name, ip4=peer.ip4, ip6=peer.ip6)


def _trouble(signallers: tuple[SignalView, ...]) -> str:
    """When nothing introduces us: why."""
    if not signallers:
        return "There is no account and no local network to be introduced by."
    if any(one.is_up for one in signallers):
        return ""
    return "; ".join(f"{one.name}: {one.reason}" for one in signallers)


def _newer_list(trust: Trust, wanted: Configuration) -> str:
    """The list of revocations, if it is another than the configuration has."""
    found = trust.revocations
    if found is None or found == wanted.revoked:
        return ""
    return codec.encode_json(found).decode()
