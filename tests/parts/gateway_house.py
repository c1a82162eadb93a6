"""Gateways' own nodes in one process, on fakes: signalling and the LAN in memory, paths of a net of our choice, tunnels without packets' encryption."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from wayhouse.base.clock import SystemClock
from wayhouse.base.errors import OutsideError
from wayhouse.overlay.account import XmppAccount
from wayhouse.overlay.drivers.fake_path import FakeNet, FakePath
from wayhouse.overlay.drivers.fake_signal import Exchange, FakeSignaller
from wayhouse.overlay.drivers.nftables import FakeFirewall
from wayhouse.overlay.engine.fake import FakeTunnel, FakeWire
from wayhouse.overlay.identity import Identity, fingerprint
from wayhouse.overlay.legacy import peer_key
from wayhouse.overlay.model import PathSettings, TurnServer
from wayhouse.overlay.ports import Signaller

Servers = tuple[tuple[tuple[str, int], ...], tuple[TurnServer, ...]]


class Neighbourhood:
    """What all gateways share."""

    def __init__(self) -> None:
        self.exchange, self.net, self.wire = Exchange(), FakeNet(), FakeWire()

    def house(self, uid: str, folder: Path) -> House:
        return House(self, uid, folder)


class House:
    """The outside parts of one gateway's node (`gateway_node.Outside`); `uid` and `folder` are its node's."""

    def __init__(self, around: Neighbourhood, uid: str, folder: Path) -> None:
        self._around, self._uid, self.folder = around, uid, folder
        self.clock = SystemClock()
        self.firewall = FakeFirewall()
        self.routes: dict[str, frozenset[str]] = {}
        self.offered: Servers = ((), ())
        self.signallers: list[FakeSignaller] = []
        self.here: dict[str, str] = {}
        self.refuses_interface = False

    def tunnel(self, interface: str, private_key: bytes, *, in_kernel: bool = False) -> FakeTunnel:
        if self.refuses_interface:
            raise OutsideError("An interface can only be made by root.")
        secret = bytes.fromhex((self.folder / "identity.key").read_text().strip())
        key = Identity(secret, self._uid).tunnel_public_key
        return FakeTunnel(self._around.wire, key, interface=interface)

    def old_tunnel(self, interface: str, private_key: bytes) -> FakeTunnel:
        certificate = x509.load_pem_x509_certificate(private_key).public_bytes(Encoding.DER)
        key = peer_key.encode(self._uid, fingerprint(certificate))
        return FakeTunnel(self._around.wire, key, interface=interface)

    def old_path(self, peer: str, settings: PathSettings, *, is_controlling: bool) -> FakePath:
        return self.path(peer, settings, is_controlling=is_controlling)

    def path(self, peer: str, settings: PathSettings, *, is_controlling: bool) -> FakePath:
        return self._around.net.path(self._uid, peer, settings)

    def xmpp(self, account: XmppAccount) -> FakeSignaller:
        return self._signaller(f"xmpp:{account.jid}")

    def lan(self, overlay: str, secret: bytes | None, interface: str) -> FakeSignaller:
        return self._signaller("mdns")

    async def servers(self, signaller: Signaller) -> Servers:
        return self.offered

    async def apply(self, rules: str) -> None:
        await self.firewall.apply(rules)

    async def route(self, interface: str, networks: frozenset[str]) -> None:
        self.routes[interface] = networks

    def networks(self, own: str) -> Mapping[str, str]:
        return self.here

    def _signaller(self, name: str) -> FakeSignaller:
        self.signallers.append(self._around.exchange.signaller(name))
        return self.signallers[-1]
