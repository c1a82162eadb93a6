"""The oldest controller there is, moved to Python 3 and to nothing else, drives two link processes behind NATs: real XMPP, ICE and tunnels."""
# covers: overlay/link_process.py

from __future__ import annotations

import socket
from ipaddress import ip_address

import pytest

from tests.parts.natlab import NatLab, needs_lab
from tests.parts.overlay_members import OWN, PEER, Member, exchange, until, xmpp_server
from tests.parts.prosody import PROGRAM

pytestmark = [
    pytest.mark.external,
    pytest.mark.skipif(PROGRAM is None, reason="needs prosody"),
]


@pytest.mark.parametrize(
    ("a_nat", "b_nat", "relayed"),
    [("cone", "cone", False), ("symmetric", "symmetric", True), ("block-udp", "cone", True)],
)
def test_the_seeds_controller_links_two_nodes(tmp_path, a_nat, b_nat, relayed):
    needs_lab("turnserver")
    with NatLab({"a": a_nat, "b": b_nat}) as lab, xmpp_server(lab, tmp_path / "prosody") as server:
        lab.start_turn()
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
