"""Tables of ports: their text, and what nft says of it."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from wayhouse.base.errors import BadInputError
from wayhouse.overlay import port_exchange
from wayhouse.overlay.port_exchange import Way

WAYS = [
    Way("198.51.100.7", 40000, 50001),
    Way("2001:db8::7", 40000, 50002),
    Way("198.51.100.8", 40000, 50003),
]


def test_each_peer_has_its_own_port() -> None:
    text = port_exchange.table("wh-home", 51820, WAYS)
    assert "elements = { 198.51.100.7 . 40000 . 50001, 198.51.100.8 . 40000 . 50003 };" in text
    assert "elements = { 198.51.100.7 . 40000 : 50001, 198.51.100.8 . 40000 : 50003 };" in text
    assert "elements = { 2001:db8::7 . 40000 : 50002 };" in text
    assert "udp dport set 51820" in text
    assert text.count("udp sport 51820 udp sport set") == 2


def test_the_order_of_peers_says_nothing() -> None:
    assert port_exchange.table("wh-home", 1, WAYS) == port_exchange.table(
        "wh-home", 1, [*WAYS[::-1], WAYS[0]]
    )


def test_without_peers_there_are_no_elements() -> None:
    assert "elements" not in port_exchange.table("wh-home", 51820, [])


def test_it_is_another_table_than_that_of_the_rules() -> None:
    assert port_exchange.name("wh-home") == "wayhouse_wh-home_ports"
    assert port_exchange.removal("wh-home").splitlines() == [
        "add table inet wayhouse_wh-home_ports",
        "delete table inet wayhouse_wh-home_ports",
    ]


@pytest.mark.parametrize("interface", ["", "a b", "x" * 16, "wh;drop", "../x"])
def test_a_name_that_is_none(interface: str) -> None:
    with pytest.raises(BadInputError):
        port_exchange.table(interface, 1, [])


def test_a_host_that_is_no_address() -> None:
    with pytest.raises(ValueError, match="address"):
        port_exchange.table("wh-home", 1, [Way("evil; drop", 1, 2)])


@pytest.mark.external
def test_nft_understands_it() -> None:
    if shutil.which("nft") is None or os.geteuid() != 0:
        pytest.skip("needs root and the package nftables")
    text = port_exchange.table("wh-home", 51820, WAYS) + port_exchange.removal("wh-home")
    told = subprocess.run(["nft", "-c", "-f", "-"], input=text, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
