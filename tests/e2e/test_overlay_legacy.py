"""Old nodes behind NATs: two of ours that speak as those do, and one that is not ours (aioice and openssl), driven by the seed's controller."""
# covers: overlay/drivers/tap.py, overlay/link_process.py

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_overlay_gateways import NETWORKS, Gateways
from tests.parts.natlab import SERVER, NatLab, Site, needs_lab
from tests.parts.overlay_members import (
    ACCOUNT,
    OWN,
    PASSWORD,
    PEER,
    Member,
    exchange,
    until,
    xmpp_server,
)
from tests.parts.prosody import PROGRAM, Prosody

pytestmark = [
    pytest.mark.external,
    pytest.mark.skipif(PROGRAM is None, reason="needs prosody"),
]
FIRST, LAST = "0" * 39 + "1", "f" * 40


def ping(member: Member, address: str) -> str:
    """Three of three, once a first one was answered: on a busy machine an interface has its IPv6 address a moment later."""
    first = ["ip", "netns", "exec", member.lab.namespace(member.host), "ping", "-c", "1", "-W", "1", address]
    until(lambda: subprocess.run(first, capture_output=True).returncode == 0, member.log)
    return member.lab.run(member.host, ["ping", "-c", "3", "-i", "0.2", "-W", "2", address])


def started(member: Member, **how: bool) -> Member:
    member.until_logged("controllers are heard on UDP port 5800")
    member.start_controller(**how)
    return member


@pytest.mark.parametrize(
    ("a_nat", "b_nat", "relayed"), [("cone", "cone", False), ("symmetric", "symmetric", True)]
)
def test_two_nodes_that_speak_as_old_ones_do(tmp_path, a_nat, b_nat, relayed):
    needs_lab("turnserver")
    with NatLab({"a": a_nat, "b": b_nat}) as lab, xmpp_server(lab, tmp_path / "prosody") as server:
        lab.start_turn()
        a, b = members = [Member(lab, host, tmp_path, server.certificate, "--legacy") for host in "ab"]
        for member in members:
            member.until_logged("controllers are heard")
        for member in members:
            member.start_controller()
        for member in members:
            member.until_logged("[0-9a-f]{40} is online")
        until(lambda: a.state()[1]["relayed"] is relayed, a.log)  # it may begin over the relay
        (a_own, b_there), (b_own, _) = a.state(), b.state()
        assert (b_there["uid"], b_there["fpr"]) == (b_own["_uid"], b_own["_fpr"])
        assert (b_there["security"], b_there["status"], b_there["relayed"]) == ("dtls", "online", relayed)
        assert "0% packet loss" in ping(a, PEER)
        assert exchange(a, b, socket.AF_INET, PEER, OWN) == (PEER, b"thank you")
        a_six, b_six = str(a_own["_ip6"]), str(b_own["_ip6"])
        assert exchange(b, a, socket.AF_INET6, a_six, a_six) == (str(ip_address(b_six)), b"thank you")
        link = lab.run("a", ["ip", "-o", "link", "show", "ipop"])
        assert str(a_own["_mac"]) in link
        assert "mtu 1280" in link
        assert "NOARP" in link
        assert "MULTICAST" not in link
        if not relayed:
            comes_back(lab, a, b)
        assert [member.end() for member in members] == [0, 0]


def comes_back(lab: NatLab, a: Member, b: Member) -> None:
    """After a cut, and after somebody deleted the interface."""
    lab.cut("b")
    for member in (a, b):
        member.until_logged("[0-9a-f]{40} is offline")
    lab.heal("b")
    for member in (a, b):
        member.until_logged("(?s)is offline.*is online")
    until(lambda: reaches(a, PEER), a.log)
    lab.run("a", ["ip", "link", "del", "ipop"])
    until(lambda: reaches(a, PEER), a.log)


def reaches(member: Member, address: str) -> bool:
    command = [
        "ip",
        "netns",
        "exec",
        member.lab.namespace(member.host),
        "ping",
        "-c",
        "1",
        "-W",
        "1",
        address,
    ]
    return subprocess.run(command, capture_output=True).returncode == 0


INTERFACE = """
import json, subprocess, sys
from wayhouse.base.errors import OutsideError
from wayhouse.overlay.drivers.tap import Tap
tap = Tap("old0", bytes.fromhex("021111111111"))
found = []
for addresses in (["10.9.0.1/24", "fd50::1/64"], ["10.9.0.2/24", "fd50::1/64"]):
    tap.configure(addresses, 1300)
    found.append(json.loads(subprocess.run(["ip", "-j", "addr", "show", "old0"], capture_output=True).stdout)[0])
try:
    Tap("old0", tap.mac)
except OutsideError as error:
    found.append(error.message)
subprocess.run(["ip", "link", "del", "old0"])
assert tap.reopen()
found.append(json.loads(subprocess.run(["ip", "-j", "addr", "show", "old0"], capture_output=True).stdout)[0])
tap.close()
try:
    tap.configure([], 1280)
except OutsideError as error:
    found.append(error.message)
print(json.dumps(found))
"""


def test_the_interface():
    needs_lab()
    done = subprocess.run(
        ["unshare", "-n", sys.executable, "-c", INTERFACE], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    first, moved, taken, again, gone = json.loads(done.stdout)
    assert first["address"] == "02:11:11:11:11:11"
    assert (first["mtu"], {"UP", "NOARP"} <= set(first["flags"]), "MULTICAST" in first["flags"]) == (
        1300,
        True,
        False,
    )
    addresses = [
        {one["local"] for one in state["addr_info"] if one["scope"] == "global"}
        for state in (first, moved, again)
    ]
    assert addresses == [{"10.9.0.1", "fd50::1"}, {"10.9.0.2", "fd50::1"}, {"10.9.0.2", "fd50::1"}]
    assert "in use" in taken
    assert "still there" in gone


# One that is not ours.


class Stranger:
    """`tests.parts.old_tincan` on a host; `told` is what it said."""

    def __init__(self, lab: NatLab, host: str, folder: Path, server: Prosody, **wish: Any) -> None:
        usual = {"server": SERVER, "ca": str(server.certificate), "jid": ACCOUNT, "password": PASSWORD}
        text = json.dumps(usual | {"folder": str(folder / "stranger")} | wish)
        self._out = folder / "stranger.out"
        with self._out.open("wb") as out, (folder / "stranger.log").open("wb") as log:
            self.process = lab.python(
                host, "-m", "tests.parts.old_tincan", text, stdin=subprocess.PIPE, stdout=out, stderr=log
            )
        self._log = folder / "stranger.log"

    @property
    def told(self) -> list[dict[str, Any]]:
        lines = self._out.read_text().split("\n")[:-1]
        return [json.loads(line) for line in lines]

    def all_of(self, field: str) -> list[Any]:
        return [one[field] for one in self.told if field in one]

    def log(self) -> str:
        return f"{self._out.read_text()[-3000:]}\n{self._log.read_text()[-3000:]}"

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(10)


@contextmanager
def meeting(
    folder: Path, *arguments: str, is_secure: bool = True, **wish: Any
) -> Iterator[tuple[Member, Stranger, Callable[[], str]]]:
    """A node of ours with these arguments, and the stranger."""
    with NatLab({"a": "cone", "b": "cone"}) as lab, xmpp_server(lab, folder / "prosody") as server:
        lab.start_turn()
        node = started(Member(lab, "a", folder, server.certificate, *arguments), is_secure=is_secure)
        stranger = Stranger(lab, "b", folder, server, **({"uid": LAST} | wish))
        try:
            yield node, stranger, lambda: f"{node.log()}\n{stranger.log()}"
        finally:
            stranger.end()
            assert node.end() == 0


@pytest.mark.parametrize(("uid", "version"), [(FIRST, "dtls1"), (LAST, "dtls1_2")], ids=["client", "server"])
def test_a_node_that_is_not_ours(tmp_path, uid, version):
    """It is the DTLS client or server, and every word of it stands among nonsense."""
    needs_lab("turnserver")
    with meeting(tmp_path, "--legacy", uid=uid, version=version, is_noisy=True) as (node, stranger, log):
        until(lambda: "is online" in node.log(), log)
        assert "0% packet loss" in ping(node, PEER)
        own, there = node.state()
        assert re.fullmatch(r"fd50:.*", str(there["ip6"]))
        assert "0% packet loss" in ping(node, str(there["ip6"]))
        assert (there["fpr"], there["security"]) == (stranger.told[0]["ready"], "dtls")
        assert stranger.all_of("status") == [own["_fpr"]], "presence is the fingerprint alone"
        assert stranger.all_of("con_resp")[0].split()[0] == own["_fpr"]
        heads = [one for one in stranger.told if "frame" in one]
        assert {(one["source"], one["destination"]) for one in heads} == {(own["_uid"], uid)}
        assert {one["frame"][24:28] for one in heads} <= {"0800", "86dd"}
        mac = str(own["_mac"]).replace(":", "")
        assert {one["frame"][12:24] for one in heads} == {mac}
        assert "Traceback" not in node.log()


def test_in_the_clear_where_both_want_it(tmp_path):
    needs_lab("turnserver")
    with meeting(tmp_path, "--in-the-clear", is_secure=False, is_clear=True, is_noisy=True) as (node, _, log):
        until(lambda: "is online" in node.log(), log)
        assert "0% packet loss" in ping(node, PEER)
        assert node.state()[1]["security"] == "none"


def why(node: Member) -> str:
    """What the node says of its one peer; nothing while it knows of none."""
    try:
        return str(node.state()[1].get("why", ""))
    except TimeoutError:
        return ""


def test_a_forged_fingerprint_is_refused(tmp_path):
    needs_lab("turnserver")
    with meeting(tmp_path, "--legacy", is_forged=True) as (node, stranger, log):
        until(lambda: "another certificate than the one" in why(node), log)
        assert stranger.all_of("connected"), "there was a path"
        assert node.state()[1]["status"] == "offline"
        assert "is online" not in node.log()
        assert stranger.all_of("frame") == []


def test_a_node_of_today_refuses_an_old_one(tmp_path):
    needs_lab("turnserver")
    with meeting(tmp_path) as (node, stranger, log):
        until(lambda: "no proof of its tunnel key: it is an older tincan" in why(node), log)
        assert node.state()[1]["state"] == "refused"
        time.sleep(0.5)
        assert not stranger.all_of("connected")


# Gateways, whose own controllers decide.


def test_gateways_with_old_friends_and_back(tmp_path):
    needs_lab()
    with NatLab({"a": Site("cone", hosts=2)}) as lab:
        gateways = Gateways(lab, tmp_path, ("a", "a2"))
        friends = f"{NETWORKS}/friends"

        def kind_of_link() -> str | None:
            """`tap` or `tun` where packets pass, over both interfaces of that kind."""
            links = gateways.ask("a", "GET", f"{friends}/links")
            if not any(one["status"] == "online" and gateways.ping("a", one["ip4"]) for one in links):
                return None
            show = ["sh", "-c", "ip -d link show wh-friends || true"]  # for a moment there may be none
            told = [lab.run(host, show) for host in ("a", "a2")]
            return next(
                (kind for kind in ("tap", "tun") if all(f"tun type {kind}" in one for one in told)), None
            )

        try:
            for host in ("a", "a2"):
                gateways.ask(host, "POST", NETWORKS, {"name": "friends", "kind": "social", "dns_name": host})
                gateways.ask(host, "PATCH", f"{friends}/setup", {"is_legacy": True})
            until(lambda: kind_of_link() == "tap", lambda: str(gateways.ask("a", "GET", f"{friends}/links")))
            assert len(gateways.ask("a", "GET", f"{friends}/links")[0]["fingerprint"]) == 59
            for host in ("a", "a2"):
                gateways.ask(host, "PATCH", f"{friends}/setup", {"is_legacy": False})
            until(lambda: kind_of_link() == "tun", lambda: str(gateways.ask("a", "GET", f"{friends}/links")))
        finally:
            gateways.close()
