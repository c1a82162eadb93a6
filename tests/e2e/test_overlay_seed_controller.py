"""The oldest controller there is, moved to Python 3 and to nothing else, drives two link processes behind NATs: real XMPP, ICE and tunnels."""
# covers: overlay/link_process.py

from __future__ import annotations

import json
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from tests.parts.natlab import ROOT, SERVER, TURN_PASSWORD, TURN_USER, NatLab, needs_lab
from tests.parts.prosody import DOMAIN, PROGRAM, Prosody

pytestmark = [
    pytest.mark.external,
    pytest.mark.skipif(PROGRAM is None, reason="needs prosody"),
]
LONG_S = 30.0
OWN, PEER = "172.31.0.100", "172.31.0.101"
ACCOUNT, PASSWORD = f"alice@{DOMAIN}", "alice-3f9c52aa"


class Member:
    """A link process and the controller that drives it, on a host of the lab."""

    def __init__(self, lab: NatLab, host: str, folder: Path, certificate: Path) -> None:
        self.lab, self.host = lab, host
        self._data = folder / host
        self._log = folder / f"{host}.log"
        self._certificate = certificate
        self.link = self._start_link()
        self.controller: subprocess.Popen[bytes] | None = None

    def _start_link(self) -> subprocess.Popen[bytes]:
        arguments = ["--data", self._data, "--ca-file", self._certificate]
        with self._log.open("ab") as log:
            return self.lab.python(self.host, "-m", "wayhouse.overlay.link_process", *arguments, stderr=log)

    def start_controller(self) -> None:
        program = ROOT / "examples" / "overlay" / "controller.py"
        servers = ["--stun", f"{SERVER}:3478", "--turn", f"{SERVER}:3478"]
        secrets = ["--turn-user", TURN_USER, "--turn-pass", TURN_PASSWORD]
        with self._log.open("ab") as log:
            self.controller = self.lab.python(
                self.host,
                program,
                ACCOUNT,
                PASSWORD,
                SERVER,
                OWN,
                *servers,
                *secrets,
                "--wait",
                "2",
                stderr=log,
            )

    def until_logged(self, pattern: str) -> None:
        until(
            lambda: re.search(pattern, self.log()) is not None,
            lambda: f"{self.host}: no {pattern} in\n{self.log()}",
        )

    def log(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def ask(self, request: dict[str, object], answers: int) -> list[dict[str, object]]:
        with self.lab.inside(self.host), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(5)
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


def until(is_so: Callable[[], bool], why: Callable[[], str]) -> None:
    deadline = time.monotonic() + LONG_S
    while not is_so():
        assert time.monotonic() < deadline, why()
        time.sleep(0.05)


@pytest.fixture
def prosody(tmp_path: Path) -> Iterator[Callable[[NatLab], Prosody]]:
    started: list[Prosody] = []

    def start(lab: NatLab) -> Prosody:
        server = Prosody(
            tmp_path / "prosody", {"alice": PASSWORD}, address=SERVER, netns=lab.namespace("pub")
        )
        text = server._config.read_text()
        server._config.write_text(text.replace(f"c2s_ports = {{ {server.port} }}", "c2s_ports = { 5222 }"))
        server.port = 5222  # the controllers of 2013 know no other
        server.start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()


def exchange(a: Member, b: Member, family: socket.AddressFamily, address: str, own: str) -> tuple[str, bytes]:
    """A datagram and a stream from `a` to `b`, by the name that `b` has at `a`; gives who `b` thinks it was, and what came back."""
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


@pytest.mark.parametrize(
    ("a_nat", "b_nat", "relayed"),
    [("cone", "cone", False), ("symmetric", "symmetric", True), ("block-udp", "cone", True)],
)
def test_the_seeds_controller_links_two_nodes(tmp_path, prosody, a_nat, b_nat, relayed):
    needs_lab("turnserver")
    with NatLab({"a": a_nat, "b": b_nat}) as lab:
        lab.start_turn()
        server = prosody(lab)
        a, b = (Member(lab, host, tmp_path, server.certificate) for host in "ab")
        for member in (a, b):
            member.until_logged("controllers are heard on UDP port 5800")
        for member in (a, b):
            member.start_controller()
        for member in (a, b):
            member.until_logged("[0-9a-f]{40} is online")
        (a_own, b_there), (b_own, _) = a.state(), b.state()
        assert (a_own["_ip4"], b_there["ip4"], b_there["status"]) == (OWN, PEER, "online")
        assert b_there["uid"] == b_own["_uid"]
        assert b_there["fpr"] == b_own["_fpr"]
        until(lambda: a.state()[1].get("relayed") is relayed, a.log)
        assert exchange(a, b, socket.AF_INET, PEER, OWN) == (PEER, b"thank you")
        a_six, b_six = str(a_own["_ip6"]), str(b_own["_ip6"])
        assert exchange(b, a, socket.AF_INET6, a_six, a_six) == (str(ip_address(b_six)), b"thank you")
        if a_nat == "symmetric":
            comes_back_after_a_cut(lab, a, b)
        assert [member.end() for member in (a, b)] == [0, 0]


def comes_back_after_a_cut(lab: NatLab, a: Member, b: Member) -> None:
    lab.cut("b")
    for member in (a, b):
        member.until_logged("[0-9a-f]{40} is offline")
    assert "does not answer" in str(a.state()[1]["why"])
    lab.heal("b")
    for member in (a, b):
        member.until_logged("(?s)is offline.*is online")
    assert exchange(b, a, socket.AF_INET, PEER, OWN) == (PEER, b"thank you")
