"""A local network in namespaces: a bridge, and as many machines on it as a test wants. Needs root."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

ROOT = Path(__file__).parents[2]
NUMBERS = itertools.count(1)
LONG_S = 20.0


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Lan:
    """`v4` and `v6` say which addresses the machines get; without `v6` the link-local ones are taken away, too."""

    def __init__(self, machines: int, *, v4: bool = True, v6: bool = True) -> None:
        self._stem = f"wh{os.getpid() % 10_000}-{next(NUMBERS)}"
        self.switch = f"{self._stem}-sw"
        self.names = [f"{self._stem}-{number}" for number in range(machines)]
        self._v4, self._v6 = v4, v6

    def __enter__(self) -> Self:
        try:
            ip("netns", "add", self.switch)
            ip("-n", self.switch, "link", "add", "br0", "type", "bridge", "forward_delay", "0")
            ip("-n", self.switch, "link", "set", "br0", "up")
            for number, name in enumerate(self.names):
                self._plug_in(number, name)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for name in (*self.names, self.switch):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)

    def _plug_in(self, number: int, name: str) -> None:
        ip("netns", "add", name)
        ip(
            "-n",
            self.switch,
            "link",
            "add",
            f"p{number}",
            "type",
            "veth",
            "peer",
            "name",
            "eth0",
            "netns",
            name,
        )
        ip("-n", self.switch, "link", "set", f"p{number}", "master", "br0", "up")
        switches = {"accept_dad": "0"} | ({} if self._v6 else {"disable_ipv6": "1"})
        for key, value in switches.items():
            command = ["ip", "netns", "exec", name, "sysctl", "-qw", f"net.ipv6.conf.eth0.{key}={value}"]
            subprocess.run(command, check=True, capture_output=True)
        ip("-n", name, "link", "set", "lo", "up")
        ip("-n", name, "link", "set", "eth0", "up")
        if self._v4:
            ip("-n", name, "addr", "add", f"198.51.100.{number + 1}/24", "dev", "eth0")
            ip("-n", name, "route", "add", "default", "via", "198.51.100.254")

    def cable(self, number: int, state: str) -> None:
        ip("-n", self.switch, "link", "set", f"p{number}", state)


class MdnsNode:
    """`tests/parts/mdns_node.py` in a machine of the LAN."""

    def __init__(
        self,
        machine: str,
        uid: str,
        log: Path,
        *,
        overlay: str = "home",
        secret: str = "",
        hello_s: float = 0.5,
    ) -> None:
        self._log = log
        program = str(Path(__file__).with_name("mdns_node.py"))
        words = [uid, overlay, secret, f"FPR-{uid[0]}", str(hello_s)]
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                ["ip", "netns", "exec", machine, sys.executable, "-W", "error", program, *words],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=out,
                env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
            )

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()

    def text(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def until(self, line: str, start: int = 0) -> None:
        deadline = time.monotonic() + LONG_S
        while line not in self.text()[start:].splitlines():
            assert time.monotonic() < deadline, f"{line!r} is not in {self.text()[start:]}"
            time.sleep(0.02)

    def stop(self) -> None:
        """In order; then nothing is left."""
        if self.process.poll() is None:
            self.tell("stop")
            self.process.wait(LONG_S)
        if self.process.stdin is not None and not self.process.stdin.closed:
            self.process.stdin.close()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdin is not None and not self.process.stdin.closed:
            self.process.stdin.close()
