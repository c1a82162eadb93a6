"""Two network namespaces with one wire between them, and tunnels at its ends: the built-in engine, or Debian's wireguard-go.

Used by the external tests of the engine and by its benchmark. Everything ends with `close`; names are unique.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from tests.parts import native_engine

ROOT = Path(__file__).resolve().parents[2]
LONG_S = 20.0
_CUT = [f"tx-{what}-segmentation" for what in ("tcp", "tcp6", "tcp-ecn", "udp", "generic")]
OFFLOADS = {
    "off": [*(f"{name}=off" for name in _CUT), "rx-gro=off"],
    "real": [
        *(f"{name}=off" for name in _CUT),
        "rx-gro=on",
    ],  # a plain card: the kernel cuts and joins, in software
    "virtual": [*(f"{name}=on" for name in _CUT), "rx-gro=on"],
}
OUTER = {4: ("10.99.0.1", "10.99.0.2"), 6: ("fd99::1", "fd99::2")}
INNER = {4: ("10.77.0.1", "10.77.0.2"), 6: ("fd77::1", "fd77::2")}
PORT = 5000


def needs_lab(*programs: str) -> None:
    """Skip the test where there are no namespaces, no TUN or no such programs."""
    if os.geteuid() != 0 or not Path("/dev/net/tun").exists() or shutil.which("ip") is None:
        pytest.skip("needs root, iproute2 and /dev/net/tun")
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}")


def run(*words: str, **more: Any) -> str:
    ended = subprocess.run(words, capture_output=True, text=True, **more)
    assert ended.returncode == 0, f"{' '.join(words)}: {ended.stderr or ended.stdout}"
    return ended.stdout


class WireLab:
    """Namespaces `names[0]` and `names[1]`. `loss` is in thousandths, `offload` a word of `OFFLOADS`."""

    def __init__(self, offload: str = "real", *, loss: int = 0, mtu: int = 1500) -> None:
        mark = secrets.token_hex(3)
        self.names = (f"wire-{mark}-a", f"wire-{mark}-b")
        self._offload, self._loss, self._mtu = offload, loss, mtu
        self._running: list[subprocess.Popen[Any]] = []

    def __enter__(self) -> Self:
        one, two = self.names
        try:
            for name in self.names:
                run("ip", "netns", "add", name)
            run("ip", "link", "add", "wa", "netns", one, "type", "veth", "peer", "name", "wb", "netns", two)
            for side, (name, card) in enumerate(zip(self.names, ("wa", "wb"), strict=True)):
                run("ip", "-n", name, "link", "set", "lo", "up")
                run("ip", "-n", name, "link", "set", card, "mtu", str(self._mtu), "up")
                run("ip", "-n", name, "addr", "add", f"{OUTER[4][side]}/24", "dev", card)
                run("ip", "-n", name, "addr", "add", f"{OUTER[6][side]}/64", "dev", card, "nodad")
                self.inside(
                    side,
                    sys.executable,
                    "-m",
                    "tests.parts.offloads",
                    card,
                    *OFFLOADS[self._offload],
                    cwd=ROOT,
                )
                if self._loss:
                    self.rule(side, f"meta l4proto udp numgen random mod 1000 < {self._loss} drop")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for process in tuple(self._running):
            self.stop(process)
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)

    def rule(self, side: int, text: str) -> None:
        """An nftables rule for what comes in."""
        chain = f"table inet wire {{ chain lossy {{ type filter hook input priority 0; {text}; }}; }}"
        run("ip", "netns", "exec", self.names[side], "nft", "-f", "-", input=chain)

    def shuffle(self, side: int, card: str) -> bool:
        """Reorder what goes out, if the kernel can."""
        words = ["tc", "-n", self.names[side], "qdisc", "add", "dev", card, "root", "netem"]
        more = ["delay", "2ms", "reorder", "75%", "50%"]
        return (
            shutil.which("tc") is not None
            and not subprocess.run([*words, *more], capture_output=True).returncode
        )

    def start(self, side: int, *words: str, **more: Any) -> subprocess.Popen[Any]:
        process = subprocess.Popen(["ip", "netns", "exec", self.names[side], *words], **more)
        self._running.append(process)
        return process

    def stop(self, process: subprocess.Popen[Any]) -> None:
        process.kill()
        process.communicate()
        self._running.remove(process)

    def inside(self, side: int, *words: str, **more: Any) -> str:
        return run("ip", "netns", "exec", self.names[side], *words, **more)

    def engine(self, side: int, keys: Keys, **changes: Any) -> Engine:
        return Engine(self, side, keys, changes)

    def wireguard_go(
        self, side: int, keys: Keys, *, outer: int = 4, mtu: int = 1420
    ) -> subprocess.Popen[Any]:
        """Debian's, with both inner families."""
        name, card = self.names[side], f"wg{secrets.token_hex(3)}"
        process = self.start(
            side, "wireguard-go", "-f", card, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "LOG_LEVEL": "error"},
        )  # fmt: skip
        self._wait_for_card(name, card)
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(base64.b64encode(keys.private[side]).decode())
            file.flush()
            host = OUTER[outer][1 - side]
            self.inside(
                side, "wg", "set", card, "private-key", file.name, "listen-port", str(PORT), "peer",
                base64.b64encode(keys.public[1 - side]).decode(), "allowed-ips",
                f"{INNER[4][1 - side]}/32,{INNER[6][1 - side]}/128", "endpoint",
                f"[{host}]:{PORT}" if outer == 6 else f"{host}:{PORT}", "persistent-keepalive", "5",
            )  # fmt: skip
        run("ip", "-n", name, "addr", "add", f"{INNER[4][side]}/24", "dev", card)
        run("ip", "-n", name, "addr", "add", f"{INNER[6][side]}/64", "dev", card)
        run("ip", "-n", name, "link", "set", card, "mtu", str(mtu), "up")
        return process

    @staticmethod
    def _wait_for_card(name: str, card: str) -> None:
        until = time.monotonic() + LONG_S
        while subprocess.run(["ip", "-n", name, "link", "show", card], capture_output=True).returncode:
            assert time.monotonic() < until, f"{card} did not come"
            time.sleep(0.02)

    @contextlib.contextmanager
    def iperf_server(self, side: int) -> Iterator[None]:
        process = self.start(side, "iperf3", "-s", "--forceflush", stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        while "listening" not in process.stdout.readline():
            assert process.poll() is None, "iperf3 ended"
        try:
            yield
        finally:
            self.stop(process)

    def iperf(self, side: int, host: str, *words: str) -> dict[str, Any]:
        """The `end` of its report."""
        ended = subprocess.run(
            ["ip", "netns", "exec", self.names[side], "iperf3", "-c", host, "-J", *words],
            capture_output=True,
            text=True,
        )
        report = json.loads(ended.stdout)
        assert "error" not in report, report["error"]
        end: dict[str, Any] = report["end"]
        return end


class Keys:
    """A pair for each side; `public[1 - side]` is the peer's."""

    def __init__(self) -> None:
        pairs = [X25519PrivateKey.generate() for _ in range(2)]
        self.private = [pair.private_bytes_raw() for pair in pairs]
        self.public = [pair.public_key().public_bytes_raw() for pair in pairs]


class Engine:
    """`tests.parts.engine_process` on one side, with the compiled part or without it as `kind` says (`native_engine.BOTH`)."""

    def __init__(self, lab: WireLab, side: int, keys: Keys, changes: Mapping[str, Any]) -> None:
        changes = dict(changes)
        outer, kind = changes.pop("outer", 4), changes.pop("kind", "pure")
        self.interface = f"en{secrets.token_hex(3)}"
        setup = {
            "interface": self.interface,
            "private_key": keys.private[side].hex(),
            "peer_key": keys.public[1 - side].hex(),
            "local": [OUTER[outer][side], PORT],
            "remote": [OUTER[outer][1 - side], PORT],
            "addresses": [f"{INNER[4][side]}/24", f"{INNER[6][side]}/64"],
            "allowed_ips": [f"{INNER[4][1 - side]}/32", f"{INNER[6][1 - side]}/128"],
            **changes,
        }
        self.process = lab.start(
            side, sys.executable, "-m", "tests.parts.engine_process", json.dumps(setup),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
            env={**os.environ, **native_engine.environment(kind)},
        )  # fmt: skip
        assert self._line() == "ready"
        assert self.ask("is_compiled") == (kind == "compiled")

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def ask(self, words: str) -> Any:
        assert self.process.stdin is not None
        self.process.stdin.write(words + "\n")
        self.process.stdin.flush()
        return json.loads(self._line())

    def wait_for(self, words: str, wanted: Any) -> Any:
        """Ask until `wanted(answer)`."""
        until = time.monotonic() + LONG_S
        while not wanted(answer := self.ask(words)):
            assert time.monotonic() < until, f"{words}: {answer}"
            time.sleep(0.05)
        return answer
