"""Introductions on a real LAN of network namespaces: IPv4, IPv6 alone, who hears whom, and who is gone."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.lan import Lan, MdnsNode, ip

pytestmark = [
    pytest.mark.external,
    pytest.mark.skipif(
        shutil.which("ip") is None or os.getuid() != 0, reason="needs iproute2, and to be root"
    ),
]
A, B, C, D = "a" * 40, "b" * 40, "c" * 40, "d" * 40


class Crowd:
    """Nodes that are ended with the test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._nodes: list[MdnsNode] = []

    def node(self, machine: str, uid: str, **settings: object) -> MdnsNode:
        log = self._folder / f"{len(self._nodes)}-{uid[0]}.log"
        self._nodes.append(MdnsNode(machine, uid, log, **settings))  # type: ignore[arg-type]
        return self._nodes[-1]

    def end(self) -> None:
        for node in self._nodes:
            node.kill()


@pytest.fixture
def crowd(tmp_path: Path) -> Iterator[Crowd]:
    one = Crowd(tmp_path)
    yield one
    one.end()


@pytest.mark.parametrize(("v4", "v6"), [(True, False), (False, True)])
def test_nodes_of_a_group_see_each_other_and_speak(crowd: Crowd, v4: bool, v6: bool) -> None:
    with Lan(2, v4=v4, v6=v6) as lan:
        a = crowd.node(lan.names[0], A, secret="group")
        b = crowd.node(lan.names[1], B, secret="group")
        a.until(f"PeerSeen {B} FPR-b")
        b.until(f"PeerSeen {A} FPR-a")
        for number in range(5):
            a.tell(f"{B} con_req {number}")
        b.tell(f"{A} con_resp {'x' * 60_000}")
        for number in range(5):
            b.until(f"Heard {A} con_req {number}")
        a.until(f"Heard {B} con_resp {'x' * 60_000}")
        heard = [line for line in b.text().splitlines() if line.startswith("Heard")]
        assert heard == [f"Heard {A} con_req {number}" for number in range(5)]
        a.tell(f"{C} con_req x")
        a.until(f"refused {C} has not been seen on the local network.")
        b.stop()
        a.until(f"PeerGone {B}")
        assert b.text().splitlines()[-1] == "tasks left: 0"


def test_overlays_and_groups_are_apart(crowd: Crowd) -> None:
    with Lan(2) as lan:
        ours = [crowd.node(lan.names[0], A, secret="one"), crowd.node(lan.names[1], B, secret="one")]
        others = [
            crowd.node(lan.names[0], C, secret="two"),
            crowd.node(lan.names[1], D, secret="one", overlay="work"),
        ]
        ours[0].until(f"PeerSeen {B} FPR-b")
        ours[1].until(f"PeerSeen {A} FPR-a")
        for node in others:
            node.until("SignalUp")
        time.sleep(1.2)
        for node in others:
            assert node.text() == "SignalUp\n"
        assert C not in ours[0].text() + ours[1].text()
        assert D not in ours[0].text() + ours[1].text()


def test_who_vanishes_is_gone_in_seconds_and_back_again(crowd: Crowd) -> None:
    with Lan(2, v6=False) as lan:
        a = crowd.node(lan.names[0], A)
        b = crowd.node(lan.names[1], B)
        a.until(f"PeerSeen {B} FPR-b")
        began = time.monotonic()
        b.kill()
        a.until(f"PeerGone {B}")
        assert time.monotonic() - began < 15
        mark = len(a.text())
        b = crowd.node(lan.names[1], B)
        a.until(f"PeerSeen {B} FPR-b", mark)
        b.until(f"PeerSeen {A} FPR-a")
        lan.cable(1, "down")
        mark = len(a.text())
        a.until(f"PeerGone {B}", mark)
        b.until(f"PeerGone {A}")
        lan.cable(1, "up")
        a.until(f"PeerSeen {B} FPR-b", len(a.text()))


def test_addresses_that_change_are_followed(crowd: Crowd) -> None:
    with Lan(2, v6=False) as lan:
        a = crowd.node(lan.names[0], A)
        b = crowd.node(lan.names[1], B)
        a.until(f"PeerSeen {B} FPR-b")
        b.until(f"PeerSeen {A} FPR-a")
        ip("-n", lan.names[1], "addr", "flush", "dev", "eth0")
        b.until("SignalDown There is no network: no interface is up with an address.")
        a.until(f"PeerGone {B}")
        ip("-n", lan.names[1], "addr", "add", "198.51.100.77/24", "dev", "eth0")
        mark = len(a.text())
        a.until(f"PeerSeen {B} FPR-b", mark)
        a.tell(f"{B} con_req again")
        b.until(f"Heard {A} con_req again")
