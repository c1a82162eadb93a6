"""Another node, as this one knows it: its addresses, the link to it, the path and its place in the tunnel.

Made and called by `node.py`; does what the machine in `link.py` wants. Rules: nothing goes into the tunnel before the peer has proved that its tunnel
key is its own; a tunnel key belongs to one peer; sockets are released by the tunnel before their path closes.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

from wayhouse.base.errors import WayhouseError
from wayhouse.overlay import binding, candidates
from wayhouse.overlay.link import Answer, ClosePath, Deed, GiveRemote, Link, OpenPath, TellStatus
from wayhouse.overlay.model import (
    BadBindingError,
    Candidate,
    LinkStatus,
    PathPolicy,
    PathReport,
    PathSettings,
)
from wayhouse.overlay.ports import Endpoint, Path, PeerSetup, Tunnel, UdpEndpoint
from wayhouse.overlay.rates import Rates
from wayhouse.overlay.trust import Verified


class Surroundings(Protocol):
    """What a peer needs of its node."""

    @property
    def tunnel(self) -> Tunnel: ...

    def now(self) -> float:
        """Monotonic seconds."""
        ...

    def make_path(self, peer: Peer) -> Path: ...

    def check(self, cas: str, uid: str, fingerprint: str) -> Verified:
        """Raises `BadBindingError`."""
        ...

    def own_translation(self, ip4: str) -> tuple[str, str] | None: ...

    def answer(self, peer: Peer, cas: str) -> None:
        """Tell the peer our addresses (`con_resp`)."""
        ...

    def status_changed(self, peer: Peer, status: LinkStatus) -> None: ...

    def proved(self, peer: Peer, verified: Verified) -> None: ...

    def spawn(self, work: Coroutine[Any, Any, Any], name: str) -> None: ...


class Peer:
    def __init__(self, uid: str, node: Surroundings) -> None:
        self.uid = uid
        self.link = Link(uid)
        self.rates = Rates()
        self.name = ""
        """What it called itself when it last proved who it is."""
        self.ip4 = ""
        self.ip6 = ""
        self.has_addresses = False
        """Told by a controller; without IPv4, `ip4` is empty."""
        self.routes: tuple[str, ...] = ()
        self.policy: PathPolicy | None = None
        self.settings = PathSettings()
        self.via = ""
        self.seen_at: float | None = None
        self.is_present = False
        """As far as signalling tells."""
        self.told_fingerprint = ""
        """In what the peer tells everybody; nobody vouches for it."""
        self.verified: Verified | None = None
        self._node = node
        self._path: Path | None = None
        self._listener: _PathListener | None = None
        self._is_doing = False

    # What controllers want.

    def create(self, fingerprint: str, cas: str, settings: PathSettings) -> None:
        """Raises `BadBindingError` when `cas` holds candidates and no good proof; a link that is online stays as it is then."""
        try:
            verified = self._verified(fingerprint, cas)
        except BadBindingError as error:
            self.refuse(error.message)
            raise
        self.settings = settings
        self.link.create(fingerprint, self._node.now())
        self.do()
        if verified is not None:
            self._admit(verified)
        self.link.hear(candidates.decode(cas), self._node.now())
        self.do()

    def refuse(self, why: str, *, even_online: bool = False) -> None:
        """Take the link away and say why. What was said in the name of a peer that is online does not harm it."""
        if self.link.status is LinkStatus.ONLINE and not even_online:
            return
        self.link.refuse(why)
        self.do()

    def trim(self) -> None:
        self.link.trim()
        self.do()

    def asked(self) -> None:
        self.link.asked(self._node.now())
        self.do()

    def tick(self) -> None:
        self.link.tick(self._node.now())
        self.do()

    def set_addresses(self, ip4: str, ip6: str) -> None:
        self.ip4, self.ip6, self.has_addresses = ip4, ip6, True
        self.place()

    def place(self) -> None:
        """Give the peer its place in the tunnel anew, after a change."""
        if self.verified is not None and self.link.is_open:
            self._node.tunnel.set_peer(self._setup(self.verified))

    def restart_path(self) -> None:
        if self._path is not None:
            self._path.restart()

    @property
    def offers(self) -> tuple[str, ...]:
        """Networks behind the peer, as it proved to say so itself."""
        return () if self.verified is None else self.verified.subnets

    def report(self) -> PathReport:
        return PathReport() if self._path is None else self._path.report()

    # What the tunnel says.

    def established(self) -> None:
        self.link.established(self._node.now())
        self.do()

    def silent(self) -> None:
        self.link.silent()
        self.do()

    def troubled(self, why: str) -> None:
        self.link.troubled(why)

    async def close(self) -> None:
        self.link.trim()
        self.link.outbox()
        await self._close(self._let_go())

    # Doing.

    def do(self) -> None:
        """Do what the machine wants, in its order, whoever calls again meanwhile."""
        if self._is_doing:
            return
        self._is_doing = True
        try:
            while deeds := self.link.outbox():
                for deed in deeds:
                    self._do(deed)
        finally:
            self._is_doing = False

    def _do(self, deed: Deed) -> None:
        if isinstance(deed, OpenPath):
            self._path = self._node.make_path(self)
            self._listener = _PathListener(self, self._node, self._path)
            self._path.start(self._listener)
        elif isinstance(deed, ClosePath):
            if (gone := self._let_go()) is not None:
                self._node.spawn(self._close(gone), f"closing the path to {self.uid[:8]}")
        elif isinstance(deed, GiveRemote):
            if self._path is not None:
                self._path.add_remote(deed.candidates)
        elif isinstance(deed, Answer):
            self._node.answer(self, candidates.encode(deed.candidates))
        else:
            self._tell(deed)

    def _tell(self, deed: TellStatus) -> None:
        self._node.status_changed(self, deed.status)

    def _let_go(self) -> Path | None:
        """Out of the tunnel at once; the path is to be closed by the caller."""
        listener, path = self._listener, self._path
        self._listener = self._path = None
        if listener is not None:
            listener.stop()
        if self.verified is not None:
            self._node.tunnel.remove_peer(self.verified.tunnel_key)
            self.verified = None
        return path

    async def _close(self, path: Path | None) -> None:
        if path is not None:
            await path.close()

    def _verified(self, fingerprint: str, cas: str) -> Verified | None:
        """What the words prove; None when they bring nothing that needs a proof."""
        is_online = self.link.status is LinkStatus.ONLINE
        if binding.find(cas) is None and not candidates.decode(cas):
            if is_online and self.link.fingerprint != fingerprint:
                raise BadBindingError(
                    "This peer is linked under another fingerprint; trim that link first.", uid=self.uid
                )
            return None
        found = self._node.check(cas, self.uid, fingerprint)
        if is_online and self.verified is not None and found.serial < self.verified.serial:
            raise BadBindingError(
                "This message of the peer is older than one that came before.", uid=self.uid
            )
        return found

    def _admit(self, verified: Verified) -> None:
        self.name = verified.name
        before, self.verified = self.verified, verified
        if not verified.is_same(before):
            if before is not None and before.tunnel_key != verified.tunnel_key:
                self._node.tunnel.remove_peer(before.tunnel_key)
            self._node.tunnel.set_peer(self._setup(verified))
            self._node.proved(self, verified)
        self.link.is_modern = verified.is_modern
        self.link.prove()
        self.do()

    def _setup(self, verified: Verified) -> PeerSetup:
        networks = [f"{self.ip4}/32"] if self.ip4 else []
        networks += [f"{self.ip6}/128"] if self.ip6 else []
        return PeerSetup(
            public_key=verified.tunnel_key,
            allowed_ips=(*networks, *self.routes),
            preshared_key=verified.preshared_key,
            translation=self._node.own_translation(self.ip4),
        )


class _PathListener:
    """Hears one path (`ports.PathEvents`), until its peer has another."""

    def __init__(self, peer: Peer, node: Surroundings, path: Path) -> None:
        self._peer = peer
        self._node = node
        self._path = path
        self._adopted: set[socket.socket] = set()
        self._is_current = True

    def stop(self) -> None:
        self._is_current = False
        if (verified := self._peer.verified) is not None:
            self._node.tunnel.set_endpoint(verified.tunnel_key, None)
        for sock in self._adopted:
            self._node.tunnel.release(sock)

    def path_candidates(self, candidates: Sequence[Candidate], *, is_last: bool) -> None:
        self._hear(lambda link, now: link.gathered(candidates, now, is_last=is_last))

    def path_up(self, endpoint: Endpoint, local: Candidate, remote: Candidate) -> None:
        verified = self._peer.verified
        if not self._is_current or verified is None:
            return
        try:
            self._adopt(endpoint)
        except WayhouseError as error:
            why = error.message
            self._hear(lambda link, _now: link.path_lost(why))
            return
        relayed = endpoint.is_relayed
        self._hear(lambda link, now: link.path_up(local, remote, now, is_relayed=relayed))
        self._node.tunnel.set_endpoint(verified.tunnel_key, endpoint)

    def _adopt(self, endpoint: Endpoint) -> None:
        """The tunnel reads a socket from the first time that a path goes over it."""
        if isinstance(endpoint, UdpEndpoint) and endpoint.sock not in self._adopted:
            self._node.tunnel.adopt(endpoint.sock, self._path.lend(endpoint.sock))
            self._adopted.add(endpoint.sock)

    def path_lost(self, reason: str) -> None:
        if self._is_current and (verified := self._peer.verified) is not None:
            self._node.tunnel.set_endpoint(verified.tunnel_key, None)
        self._hear(lambda link, _now: link.path_lost(reason))

    def path_data(self, data: bytes) -> None:
        if self._is_current and (verified := self._peer.verified) is not None:
            self._node.tunnel.deliver(verified.tunnel_key, data)

    def _hear(self, what: Callable[[Link, float], None]) -> None:
        if self._is_current:
            what(self._peer.link, self._node.now())
            self._peer.do()
