"""A link process and the controller that drives it, on a host of the NAT lab."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.parts.natlab import ROOT, SERVER, TURN_PASSWORD, TURN_USER, NatLab
from tests.parts.prosody import DOMAIN, Prosody

LONG_S = 30.0
OWN, PEER = "172.31.0.100", "172.31.0.101"
ACCOUNT, PASSWORD = f"alice@{DOMAIN}", "alice-3f9c52aa"
EXAMPLE = ROOT / "examples" / "overlay" / "controller.py"


class Member:
    """`arguments` are more of the link process."""

    def __init__(self, lab: NatLab, host: str, folder: Path, certificate: Path, *arguments: str) -> None:
        self.lab, self.host = lab, host
        self._data = folder / host
        self._log = folder / f"{host}.log"
        self._certificate = certificate
        self.link = self._start_link(arguments)
        self.controller: subprocess.Popen[bytes] | None = None

    def _start_link(self, arguments: tuple[str, ...]) -> subprocess.Popen[bytes]:
        usual = ["--data", self._data, "--ca-file", self._certificate]
        with self._log.open("ab") as log:
            return self.lab.python(
                self.host, "-m", "wayhouse.overlay.link_process", *usual, *arguments, stderr=log
            )

    def start_controller(self, *, is_secure: bool = True) -> None:
        """The example; without `is_secure` it wants links in the clear."""
        program: list[str | Path] = [EXAMPLE]
        if not is_secure:
            program = ["-c", f"import sys; sys.path.insert(0, {str(EXAMPLE.parent)!r}); import controller"]
            program[1] = f"{program[1]}; controller.CONFIG['sec'] = False; controller.main()"
        servers = ["--stun", f"{SERVER}:3478", "--turn", f"{SERVER}:3478"]
        secrets = ["--turn-user", TURN_USER, "--turn-pass", TURN_PASSWORD]
        with self._log.open("ab") as log:
            self.controller = self.lab.python(
                self.host, *program, ACCOUNT, PASSWORD, SERVER, OWN, *servers, *secrets, "--wait", "2", stderr=log
            )  # fmt: skip

    def until_logged(self, pattern: str) -> None:
        until(
            lambda: re.search(pattern, self.log()) is not None,
            lambda: f"{self.host}: no {pattern} in\n{self.log()}",
        )

    def log(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def ask(self, request: dict[str, object], answers: int) -> list[dict[str, object]]:
        with self.lab.inside(self.host), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(2)
            sock.sendto(json.dumps(request).encode(), ("127.0.0.1", 5800))
            return [json.loads(sock.recv(65536)) for _ in range(answers)]

    def state(self) -> tuple[dict[str, object], dict[str, object]]:
        """Of this node and of its one peer."""
        own, peer = self.ask({"m": "get_state"}, 2)
        return own, peer

    def end(self) -> int:
        for process in (self.controller, self.link):
            if process is not None:
                process.terminate()
                process.wait(10)
        return int(self.link.returncode)


def until(is_so: Callable[[], bool], why: Callable[[], str], *, long_s: float = LONG_S) -> None:
    deadline = time.monotonic() + long_s
    while not is_so():
        assert time.monotonic() < deadline, why()
        time.sleep(0.05)


@contextmanager
def xmpp_server(lab: NatLab, folder: Path) -> Iterator[Prosody]:
    """At the usual port: the controllers of 2013 know no other."""
    server = Prosody(folder, {"alice": PASSWORD}, address=SERVER, netns=lab.namespace("pub"))
    text = server._config.read_text()
    server._config.write_text(text.replace(f"c2s_ports = {{ {server.port} }}", "c2s_ports = { 5222 }"))
    server.port = 5222
    server.start()
    try:
        yield server
    finally:
        server.stop()


def exchange(a: Member, b: Member, family: socket.AddressFamily, address: str, own: str) -> tuple[str, bytes]:
    """A stream from `a` to `b`, by the name that `b` has at `a`; gives who `b` thinks it was, and what came back."""
    with b.lab.inside(b.host):
        there = socket.socket(family, socket.SOCK_STREAM)
        there.bind((own, 7000))
        there.listen()
    with a.lab.inside(a.host):
        here = socket.socket(family, socket.SOCK_STREAM)
        here.settimeout(10)
        here.connect((address, 7000))
    with there, here:
        served, source = there.accept()
        with served:
            served.settimeout(10)
            here.sendall(b"x" * 200_000)
            left = 200_000
            while left:
                left -= len(served.recv(65536))
            served.sendall(b"thank you")
        return str(source[0]), here.recv(100)
