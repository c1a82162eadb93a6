"""A WireGuard device as a machine: many peers, their handshakes, keys, routes and timers; no sockets and no clock.

Used by the overlay's engine, from one thread. `now` is in seconds of a clock that goes on in suspend (CLOCK_BOOTTIME), `wall` in Unix
seconds. Rule: nothing that comes raises or changes anything unless it is authentic; only `tick` starts handshakes, so ask `deadline` after
every other call. The engine encrypts and decrypts itself, and tells `sent` and `received` once a batch; `encrypt` and `decrypt` do all of
that for one packet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable

from cryptography.exceptions import InvalidTag

from wayhouse.overlay.ports import PeerFigures, PeerSetup
from wayhouse.overlay.wireguard import inner
from wayhouse.overlay.wireguard.allowed_ips import AllowedIps, parse_network
from wayhouse.overlay.wireguard.cookies import Guard
from wayhouse.overlay.wireguard.handshakes import Handshakes
from wayhouse.overlay.wireguard.keypair import Indices, Keypair
from wayhouse.overlay.wireguard.load import HANDSHAKES_PER_S, LoadMeter, RateLimiter
from wayhouse.overlay.wireguard.messages import DATA_HEADER_SIZE, index_and_counter, is_data, nonce
from wayhouse.overlay.wireguard.noise import Identity
from wayhouse.overlay.wireguard.peer import Peer
from wayhouse.overlay.wireguard.tai64n import Stamps
from wayhouse.overlay.wireguard.timers import Due
from wayhouse.overlay.wireguard.timing import Timing
from wayhouse.overlay.wireguard.traffic import Event, Silent, Traffic


class Device:
    """`peers` by public key, `by_index` the keypairs by their local index, `routes[address]` the peer of an address or None, `refused` why
    datagrams were not taken, by one word, and `stamps.latest` the newest timestamp sent, to be kept over a restart if the wall clock is."""

    def __init__(
        self,
        private_key: bytes,
        *,
        timing: Timing | None = None,
        handshakes_per_s: int = HANDSHAKES_PER_S,
        latest_stamp: bytes = bytes(12),
    ) -> None:
        """More than `handshakes_per_s` are a load, and sources must show cookies. Raises `BadInputError` if the key is none."""
        identity = Identity(private_key)
        self._identity = identity
        self._timing = timing or Timing()
        self._indices = Indices()
        self._traffic = Traffic()
        self.stamps = Stamps(latest_stamp)
        self.peers: dict[bytes, Peer] = {}
        self.routes: AllowedIps[Peer] = AllowedIps()
        guard = Guard(identity.public_key, LoadMeter(handshakes_per_s), RateLimiter())
        self._handshakes = Handshakes(identity, self.peers, self._indices, guard, self.stamps, self._traffic)

    def __repr__(self) -> str:
        return f"Device({self.public_key.hex()[:8]}, {len(self.peers)} peers)"

    @property
    def public_key(self) -> bytes:
        return self._identity.public_key

    @property
    def by_index(self) -> dict[int, Keypair]:
        return self._indices.by_index

    @property
    def refused(self) -> Counter[str]:
        return self._handshakes.refused

    # Configuration.

    def set_peer(self, setup: PeerSetup, now: float) -> Peer:
        """Add it, or change what is allowed to it; keeps its sessions. Raises `BadInputError`, and then nothing has changed."""
        networks = [parse_network(text) for text in setup.allowed_ips]
        peer = self.peers.get(setup.public_key)
        if peer is None:
            peer = Peer(self._identity, setup.public_key, self._indices, self._timing)
        peer.configure(setup)
        self.peers[setup.public_key] = peer
        self.routes.assign(peer, networks)
        if peer.endpoint is not None and setup.keepalive_s:
            self._traffic.keep_alive(peer, now)
        return peer

    def remove_peer(self, public_key: bytes) -> None:
        """And all its keys; nothing if there is no such peer."""
        peer = self.peers.pop(public_key, None)
        if peer is not None:
            peer.erase()
            peer.staged.clear()
            self.routes.remove(peer)
            self._traffic.schedule.forget(peer)

    def set_endpoint(
        self, public_key: bytes, endpoint: Hashable | None, now: float, *, roams: bool = True
    ) -> None:
        """Where to reach the peer; None: nowhere at present. Unless `roams`, it stays so wherever the peer sends from. Nothing if there is
        no such peer. With a keepalive, or with packets waiting, the peer hears from us at once."""
        peer = self.peers.get(public_key)
        if peer is None:
            return
        peer.roams = roams
        is_new = endpoint != peer.endpoint
        peer.endpoint = endpoint
        if endpoint is None:
            peer.timers.stop_seeking()
        elif is_new:
            self._moved(peer, now)
        self._traffic.schedule.update(peer)

    def _moved(self, peer: Peer, now: float) -> None:
        was_attempting = peer.timers.is_attempting
        peer.timers.moved()
        wants = peer.staged or peer.timers.persistent_s
        if peer.usable(now) is None:
            if wants or was_attempting:
                peer.timers.want_handshake_soon(now)
            return
        if was_attempting:
            peer.timers.want_handshake_soon(now)
        if wants:
            self._traffic.keep_alive(peer, now)

    def figures(self) -> dict[bytes, PeerFigures]:
        """By public key."""
        return {key: peer.figures() for key, peer in self.peers.items()}

    # A machine's verbs.

    def receive_handshake(self, datagram: bytes, endpoint: Hashable, now: float) -> None:
        """Anything that is not a data message."""
        self._handshakes.receive(datagram, endpoint, now)

    def deadline(self) -> float:
        """When `tick` is due; infinite if never."""
        return self._traffic.schedule.deadline()

    def tick(self, now: float, wall: float) -> None:
        for peer in self._traffic.schedule.take(now):
            peer.keys.drop_retired(now)
            for due in peer.timers.take(now):
                self._do(due, peer, now, wall)
            self._traffic.schedule.update(peer)

    def outbox(self) -> list[tuple[Hashable, bytes]]:
        """Endpoints and datagrams to send, in order; taken away from here."""
        out = self._traffic.out
        if out:
            self._traffic.out = []
        return out

    def events(self) -> list[Event]:
        """What happened since the last call."""
        found = list(self._traffic.told)
        self._traffic.told.clear()
        return found

    def _do(self, due: Due, peer: Peer, now: float, wall: float) -> None:
        match due:
            case Due.INITIATE:
                self._handshakes.initiate(peer, now, wall)
            case Due.KEEPALIVE | Due.PERSISTENT:
                self._traffic.keep_alive(peer, now)
            case Due.ERASE:
                peer.erase()
            case Due.SILENT:
                self._traffic.told.append(Silent(peer.public_key))
            case Due.GIVE_UP:
                peer.drop_staged()
                peer.drop_initiation()
                self._traffic.told.append(Silent(peer.public_key, gave_up=True))

    # The data path, once a batch.

    def sender(self, peer: Peer, now: float) -> Keypair | None:
        """What to encrypt with now. None: there is no key or no endpoint, so `stage` the packets; a handshake is on its way."""
        keypair = peer.usable(now)
        if keypair is None:
            self._traffic.want_handshake(peer, now)
        return keypair

    def sent(self, peer: Peer, packets: int, size: int, now: float) -> None:
        """So many packets of `size` bytes together, without padding, were encrypted and sent; `send_counter` was moved on."""
        self._traffic.sent(peer, packets, size, now)

    def stage(self, peer: Peer, packet: bytes, now: float) -> None:
        """Keep an IP packet until there is a key; then it goes out by itself. Only the newest 128 of a peer are kept."""
        peer.stage(packet)
        if not self._traffic.flush(peer, now):
            self._traffic.want_handshake(peer, now)

    def receiver(self, local_index: int, now: float) -> Keypair | None:
        """What to decrypt with; None for an unknown index and for a key that is too old."""
        keypair = self._indices.by_index.get(local_index)
        return keypair if keypair is not None and now < keypair.expires else None

    def received(
        self,
        keypair: Keypair,
        endpoint: Hashable,
        packets: int,
        size: int,
        now: float,
        *,
        is_data: bool = True,
    ) -> None:
        """So many inner packets of `size` bytes together were authentic and new, the newest from `endpoint`; `is_data` is False if there
        were only keepalives."""
        self._traffic.received(keypair, endpoint, packets, size, now, is_data=is_data)

    # The same for one packet.

    def encrypt(self, peer: Peer, packet: bytes, now: float) -> list[bytes]:
        """What to send to the peer's endpoint; nothing if the packet has to wait for a key."""
        keypair = self.sender(peer, now)
        if keypair is None:
            self.stage(peer, packet, now)
            return []
        datagram = peer.seal(keypair, packet)
        self.sent(peer, 1, len(packet), now)
        return [datagram]

    def decrypt(self, datagram: bytes, endpoint: Hashable, now: float) -> bytes | None:
        """The IP packet in a data message, empty for a keepalive; None if it is refused, or is from an address that is not the peer's."""
        opened = self._open(datagram, now)
        if opened is None:
            return None
        keypair, plain = opened
        packet = inner.trim(plain) if plain else b""
        if packet and self.routes[inner.source(packet)] is not keypair.peer:
            packet = None
        if packet is None:
            self.refused["inner-packet"] += 1
        size = len(packet or b"")
        self.received(keypair, endpoint, bool(size), size, now, is_data=bool(plain))
        return packet

    def _open(self, datagram: bytes, now: float) -> tuple[Keypair, bytes] | None:
        if not is_data(datagram):
            self.refused["malformed"] += 1
            return None
        index, counter = index_and_counter(datagram)
        keypair = self.receiver(index, now)
        if keypair is None:
            self.refused["no-key"] += 1
            return None
        try:
            plain = keypair.receive_cipher.decrypt(nonce(counter), datagram[DATA_HEADER_SIZE:], None)
        except InvalidTag:
            self.refused["forged"] += 1
            return None
        if not keypair.window.accept(counter):
            self.refused["replayed"] += 1
            return None
        return keypair, plain
