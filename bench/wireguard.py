"""WireGuard handshakes: CPU of each side, what a stranger or a spoofed source costs, and the bookkeeping of a batch."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from bench.table import Table, median
from wayhouse.overlay.ports import PeerSetup
from wayhouse.overlay.wireguard.device import Device
from wayhouse.overlay.wireguard.timing import Timing

ROUNDS = 5
COUNT = 300


def run() -> Table:
    table = Table(
        "WireGuard handshakes",
        f"The overlay's WireGuard machine alone, no sockets; medians of {ROUNDS} rounds of {COUNT}. Diffie-Hellman is the bound that no "
        "implementation on the same library gets under: three exchanges and a new key on each side.",
        ["what", "CPU us", "a second"],
    )
    diffie_hellman = _row(table, "Diffie-Hellman of one side alone", _exchanges)
    initiator = _row(table, "initiator: initiation made, response read", _initiator)
    responder = _row(table, "responder: initiation read, response made", _responder)
    stranger = _row(table, "initiation without our public key refused", lambda: _refused(0))
    spoofed = _row(table, "initiation under load answered by a cookie", lambda: _refused(1))
    _row(table, "a batch of 64 packets told and checked for replay, both sides", _batches)
    worst = max(initiator, responder)
    table.goal("a handshake costs less than three times its Diffie-Hellman", met=worst < 3 * diffie_hellman)
    table.goal(
        "what is refused costs less than a quarter of a handshake", met=max(stranger, spoofed) < responder / 4
    )
    return table


def _row(table: Table, what: str, steps: Callable[[], Iterator[Callable[[], None]]]) -> float:
    figures = []
    for _ in range(ROUNDS):
        work = list(steps())
        begun = time.process_time()
        for step in work:
            step()
        figures.append((time.process_time() - begun) / len(work) * 1e6)
    found = median(figures)
    table.add(what, f"{found:.0f}", f"{1e6 / found:,.0f}")
    return found


def _exchanges() -> Iterator[Callable[[], None]]:
    private = X25519PrivateKey.generate()
    public = X25519PrivateKey.generate().public_key()

    def step() -> None:
        X25519PrivateKey.generate().public_key().public_bytes_raw()
        for _ in range(3):
            private.exchange(public)

    return iter([step] * COUNT)


class _Pair:
    """Two devices that know each other."""

    def __init__(self, handshakes_per_s: int = 1_000_000) -> None:
        timing = Timing(jitter_s=0.0)
        self.now = 1000.0
        self.left = Device(secrets.token_bytes(32), timing=timing)
        self.right = Device(secrets.token_bytes(32), timing=timing, handshakes_per_s=handshakes_per_s)
        for one, other in ((self.left, self.right), (self.right, self.left)):
            one.set_peer(
                PeerSetup(public_key=other.public_key, allowed_ips=("10.0.0.0/8",), keepalive_s=0), 0.0
            )
            one.set_endpoint(other.public_key, "there", 0.0)
        self.peer = self.left.peers[self.right.public_key]

    def initiation(self) -> bytes:
        self.left.stage(self.peer, b"packet", self.now)
        self.left.tick(self.now, self.now)
        return self.left.outbox()[-1][1]

    def response(self, initiation: bytes) -> bytes:
        self.right.receive_handshake(initiation, "there", self.now)
        return self.right.outbox()[-1][1]

    def finish(self, response: bytes) -> None:
        self.left.receive_handshake(response, "there", self.now)
        self.left.outbox()


def _responder() -> Iterator[Callable[[], None]]:
    for _ in range(COUNT):
        pair = _Pair()
        initiation = pair.initiation()
        yield lambda pair=pair, initiation=initiation: pair.response(initiation)


def _initiator() -> Iterator[Callable[[], None]]:
    """Reading the response includes the packet that confirms the keys; the making of the initiation is measured again."""
    for _ in range(COUNT):
        pair, again = _Pair(), _Pair()
        response = pair.response(pair.initiation())

        def step(pair: _Pair = pair, again: _Pair = again, response: bytes = response) -> None:
            again.initiation()
            pair.finish(response)

        yield step


def _refused(valid: int) -> Iterator[Callable[[], None]]:
    pair = _Pair(handshakes_per_s=0)
    initiation = pair.initiation() if valid else b"\1\0\0\0" + secrets.token_bytes(144)

    def step() -> None:
        pair.right.receive_handshake(initiation, ("192.0.2.1", 1), pair.now)
        pair.right.outbox()

    return iter([step] * COUNT)


def _batches() -> Iterator[Callable[[], None]]:
    pair = _Pair()
    pair.finish(pair.response(pair.initiation()))
    keypair = pair.left.sender(pair.peer, pair.now)
    assert keypair is not None
    theirs = pair.right.receiver(keypair.remote_index, pair.now)
    assert theirs is not None

    def step() -> None:
        sending = pair.left.sender(pair.peer, pair.now)
        assert sending is keypair
        first = keypair.send_counter
        keypair.send_counter += 64
        pair.left.sent(pair.peer, 64, 64_000, pair.now)
        assert pair.right.receiver(keypair.remote_index, pair.now) is theirs
        assert theirs.window.accept_run(first, 64)
        pair.right.received(theirs, "there", 64, 64_000, pair.now)

    return iter([step] * COUNT)
