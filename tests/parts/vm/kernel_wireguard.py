"""Runs inside the virtual machine: the built-in engine on one side of a wire, Debian's kernel WireGuard on the other. Says what passed as it goes."""

# ruff: noqa: T201 - what is printed is the answer

from __future__ import annotations

import asyncio
import base64
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from pyroute2 import IPRoute

from tests.parts.engine_process import Program, Setup
from tests.parts.vm.inside import (
    INNER,
    OUTER,
    Fork,
    both_ways,
    echoes,
    inside,
    lay_wire,
    mend_wire,
    run,
    spoil_wire,
)

NEEDED = (IPRoute,)
"""Imported here, once, for what imports it late."""
PORT = 5000
ENGINE, KERNEL = 0, 1
QUICK = {"rekey_after_s": 1.0, "rekey_timeout_s": 0.5}
"""The engine begins a handshake each second."""


def text(key: bytes) -> str:
    return base64.b64encode(key).decode()


class Pair:
    """Both ends. `outer` is the IP version of the wire; who `begins` knows where the other is."""

    def __init__(self, outer: int, begins: int, *, has_psk: bool, timing: dict[str, float]) -> None:
        ours, theirs = X25519PrivateKey.generate(), X25519PrivateKey.generate()
        self.psk = secrets.token_bytes(32) if has_psk else b""
        self.outer, self.begins = outer, begins
        self.our_key = ours.public_key().public_bytes_raw()
        self._make_card(theirs.private_bytes_raw())
        setup = Setup(
            interface="engine0",
            private_key=ours.private_bytes_raw().hex(),
            peer_key=theirs.public_key().public_bytes_raw().hex(),
            local=(OUTER[outer][ENGINE], PORT),
            remote=(OUTER[outer][KERNEL], PORT) if begins == ENGINE else None,
            addresses=[f"{INNER[4][ENGINE]}/24", f"{INNER[6][ENGINE]}/64"],
            allowed_ips=[f"{INNER[4][KERNEL]}/32", f"{INNER[6][KERNEL]}/128"],
            preshared_key=self.psk.hex(),
            timing=timing,
            keepalive_s=5 if begins == ENGINE else 0,
        )
        self.engine = Fork(ENGINE, lambda: asyncio.run(Program(setup).run()))
        assert self.engine.line() == "ready"
        self.set_peer()

    def _make_card(self, private_key: bytes) -> None:
        inside(KERNEL, "ip", "link", "add", "wg0", "type", "wireguard")
        inside(
            KERNEL,
            "wg",
            "set",
            "wg0",
            "listen-port",
            str(PORT),
            "private-key",
            "/dev/stdin",
            stdin=text(private_key),
        )
        for version, length in ((4, 24), (6, 64)):
            inside(KERNEL, "ip", "addr", "add", f"{INNER[version][KERNEL]}/{length}", "dev", "wg0")
        inside(KERNEL, "ip", "link", "set", "wg0", "mtu", "1420", "up")

    def set_peer(self) -> None:
        host = OUTER[self.outer][ENGINE]
        aim = f"[{host}]:{PORT}" if ":" in host else f"{host}:{PORT}"
        inside(
            KERNEL,
            *("wg", "set", "wg0", "peer", text(self.our_key)),
            *(("preshared-key", "/dev/stdin") if self.psk else ()),
            *("allowed-ips", f"{INNER[4][ENGINE]}/32,{INNER[6][ENGINE]}/128"),
            *(("endpoint", aim, "persistent-keepalive", "5") if self.begins == KERNEL else ()),
            stdin=text(self.psk),
        )

    def forget(self) -> None:
        """The kernel has lost all keys, and begins or is begun with anew."""
        inside(KERNEL, "wg", "set", "wg0", "peer", text(self.our_key), "remove")
        self.set_peer()

    def handshakes(self) -> int:
        """Completed ones that the engine was told of."""
        return int(self.engine.ask("events").count("established"))

    def dropped(self) -> dict[str, int]:
        found: dict[str, int] = self.engine.ask("dropped")
        return found

    def last_handshake(self) -> int:
        return int(inside(KERNEL, "wg", "show", "wg0", "latest-handshakes").split()[1])

    def close(self) -> None:
        code = self.engine.close()
        run("ip", "-n", "two", "link", "del", "wg0")
        assert code == 0


@contextmanager
def pair(*args: Any, **more: Any) -> Iterator[Pair]:
    made = Pair(*args, **more)
    try:
        yield made
    finally:
        made.close()


def say(*words: object) -> None:
    print(f"{time.monotonic():7.1f}", *words, flush=True)


def begins_and_passes(outer: int, begins: int, seconds: float) -> None:
    """A clean wire: echoes of all sizes and TCP, both families inside."""
    with pair(outer, begins, has_psk=outer == 4, timing={}) as both:
        both.engine.wait_for("events", lambda events: "established" in events)
        for version in (4, 6):
            for size in (8, 1000, 1372, 8000):
                assert echoes(begins, 3, size, version) == 3, (version, size)
        counts = both_ways(seconds)
        say("outer", outer, "begun by", ("engine", "kernel")[begins], "bytes", counts)
        assert not set(both.dropped()) - {"multicast"}, both.dropped()


def a_wrong_psk(outer: int) -> None:
    with pair(outer, ENGINE, has_psk=True, timing=QUICK) as both:
        inside(
            KERNEL,
            "wg",
            "set",
            "wg0",
            "peer",
            text(both.our_key),
            "preshared-key",
            "/dev/stdin",
            stdin=text(bytes(31) + b"1"),
        )
        both.engine.wait_for("dropped", lambda dropped: dropped.get("forged", 0) >= 1)
        assert echoes(ENGINE, 2, 8) == 0
        say("another PSK: no link", both.dropped())


def loss_and_new_keys(outer: int, begins: int, seconds: float, timing: dict[str, float]) -> None:
    """1 % lost and reordered, keys renewed meanwhile: TCP loses nothing."""
    with pair(outer, begins, has_psk=True, timing=timing) as both:
        both.engine.wait_for("events", lambda events: "established" in events)
        first = both.last_handshake()
        spoil_wire()
        try:
            counts = both_ways(seconds)
            renewed = both.last_handshake() - first
            say(
                "spoilt, outer",
                outer,
                "begun by",
                ("engine", "kernel")[begins],
                "bytes",
                counts,
                "renewed after",
                renewed,
                both.dropped(),
            )
            assert renewed > 0 or not (timing or seconds > 130)
            both.forget()
            assert echoes(begins, 20, 100) >= 10
            say("keys that the kernel lost were made again", both.dropped())
        finally:
            mend_wire()


def main(seconds: float) -> None:
    lay_wire()
    say("ready")
    if seconds < 120:
        begins_and_passes(4, ENGINE, 2.0)
        begins_and_passes(6, KERNEL, 2.0)
        a_wrong_psk(4)
        loss_and_new_keys(6, ENGINE, 6.0, QUICK)
        return
    for outer in (4, 6):
        for begins in (ENGINE, KERNEL):
            begins_and_passes(outer, begins, seconds / 40)
        a_wrong_psk(outer)
        loss_and_new_keys(outer, ENGINE, seconds / 10, QUICK)
    loss_and_new_keys(4, KERNEL, seconds * 0.3, {})
    loss_and_new_keys(6, ENGINE, seconds * 0.3, {})


if __name__ == "__main__":
    main(float(sys.argv[1]))
    print("all is well")
