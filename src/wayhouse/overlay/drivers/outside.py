"""Outside parts of the gateway's own nodes: the engine, ICE, XMPP, the local network, nftables, routes. See `gateway_node.Outside`.

Made once by the process of the links. Rule: heavy libraries are loaded when the first overlay needs them.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING
from weakref import WeakSet

import psutil

from wayhouse.base.clock import Clock
from wayhouse.base.errors import OutsideError, WayhouseError
from wayhouse.base.tasks import Tasks
from wayhouse.overlay.account import XmppAccount
from wayhouse.overlay.drivers import networks_here
from wayhouse.overlay.drivers.nftables import Nftables
from wayhouse.overlay.model import PathSettings, TurnServer
from wayhouse.overlay.ports import Path, Signaller, Tunnel

if TYPE_CHECKING:
    from wayhouse.overlay.drivers.addresses import AddressWatch
    from wayhouse.overlay.drivers.xmpp import XmppSignaller

log = logging.getLogger(__name__)

Servers = tuple[tuple[tuple[str, int], ...], tuple[TurnServer, ...]]


class RealOutside:
    def __init__(self, clock: Clock, tasks: Tasks) -> None:
        self.clock = clock
        self._tasks = tasks
        self._firewall = Nftables()
        self._watch: AddressWatch | None = None
        self._accounts: WeakSet[XmppSignaller] = WeakSet()

    def close(self) -> None:
        if self._watch is not None:
            self._watch.close()

    def tunnel(self, interface: str | None, private_key: bytes, *, in_kernel: bool = False) -> Tunnel:
        """`interface` None: links are made, packets go nowhere. With `in_kernel` it is the kernel's where it can be."""
        if in_kernel and interface is not None:
            from wayhouse.overlay.drivers.kernel_tunnel import KernelTunnel

            try:
                return KernelTunnel(interface, private_key, clock=self.clock)
            except OutsideError as error:
                log.info("%s has the built-in engine: %s", interface, error.message)
        from wayhouse.overlay.engine.tunnel import EngineTunnel

        return EngineTunnel(interface, private_key, clock=self.clock)

    def old_tunnel(self, interface: str | None, private_key: bytes) -> Tunnel:
        """Of a node that speaks as old ones do."""
        from wayhouse.overlay.drivers.tap_tunnel import open_tap

        return open_tap(interface, private_key, clock=self.clock)

    def old_path(self, peer: str, settings: PathSettings, *, is_controlling: bool) -> Path:
        """With the name and password that all old nodes have."""
        from wayhouse.overlay.drivers.ice import IcePath

        return IcePath(
            settings,
            self._tasks,
            is_controlling=is_controlling,
            credentials=("ufrag", "pwd"),
            watch=self._watched(),
        )

    def path(self, peer: str, settings: PathSettings, *, is_controlling: bool) -> Path:
        from wayhouse.overlay.drivers.ice import IcePath

        return IcePath(settings, self._tasks, is_controlling=is_controlling, watch=self._watched())

    def xmpp(self, account: XmppAccount) -> Signaller:
        from wayhouse.overlay.drivers.xmpp import XmppSignaller

        self._watched()
        signaller = XmppSignaller(account, self._tasks)
        self._accounts.add(signaller)
        return signaller

    def _watched(self) -> AddressWatch:
        """One for all: paths begin anew by it, and accounts look at once whether their connection still is one."""
        if self._watch is None:
            from wayhouse.overlay.drivers.addresses import AddressWatch

            self._watch = AddressWatch()
            self._watch.subscribe(self._hurry)
        return self._watch

    def _hurry(self) -> None:
        for signaller in tuple(self._accounts):
            signaller.hurry()

    def lan(self, overlay: str, secret: bytes | None, interface: str) -> Signaller:
        from wayhouse.overlay.drivers.mdns import MdnsSignaller

        ours = (one for one in psutil.net_if_addrs() if one.startswith("wh-"))
        return MdnsSignaller(overlay, self._tasks, secret=secret, ignored_interfaces=(interface, *ours))

    async def servers(self, signaller: Signaller) -> Servers:
        services = getattr(signaller, "services", None)
        if services is None:
            return (), ()
        try:
            found = await services()
        except WayhouseError:
            return (), ()
        return found.stun, found.turn

    async def apply(self, rules: str) -> None:
        await self._firewall.apply(rules)

    async def route(self, interface: str, networks: frozenset[str]) -> None:
        from wayhouse.overlay.drivers.routes import set_routes

        await set_routes(interface, networks)

    def networks(self, own: str) -> Mapping[str, str]:
        return {text: f"the network of {name}" for name, text in networks_here.networks() if name != own}
