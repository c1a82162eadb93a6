from __future__ import annotations

from ipaddress import ip_network

import pytest

from wayhouse.base.errors import BadInputError
from wayhouse.overlay.policy import Action, Member, Protocol, Rule, resolve
from wayhouse.overlay.ruleset import compile_rules, removal, table_name

ME, ATTIC = "0" * 39 + "1", "0" * 39 + "2"
PEERS = {
    ATTIC: Member(ATTIC, frozenset({"family"}), (ip_network("172.16.0.2/32"), ip_network("fd50::2/128")))
}

EXPECTED = """\
add table inet wayhouse_wh0
delete table inet wayhouse_wh0
table inet wayhouse_wh0 {
  chain input {
    type filter hook input priority filter; policy accept;
    iifname "wh0" jump here
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
    iifname "wh0" jump through
  }
  chain here {
    ct state established,related accept
    meta nfproto ipv4 icmp type { 3, 11, 12 } accept
    meta nfproto ipv6 icmpv6 type { 1, 2, 3, 4 } accept
    ct state invalid drop
    meta nfproto ipv4 icmp type 8 accept
    meta nfproto ipv6 icmpv6 type 128 accept
    ip saddr { 172.16.0.2/32 } meta l4proto tcp th dport { 22, 8000-8010 } counter accept
    ip6 saddr { fd50::2/128 } meta l4proto tcp th dport { 22, 8000-8010 } counter accept
    meta l4proto { icmp, ipv6-icmp } counter drop
    meta l4proto { tcp, udp } th dport { 53 } counter accept
    counter drop
  }
  chain through {
    ct state established,related accept
    meta nfproto ipv4 icmp type { 3, 11, 12 } accept
    meta nfproto ipv6 icmpv6 type { 1, 2, 3, 4 } accept
    ct state invalid drop
    meta nfproto ipv4 ip daddr { 192.168.7.0/24 } icmp type 8 accept
    ip saddr { 172.16.0.2/32 } ip daddr { 192.168.7.0/24 } counter accept
    counter drop
  }
}
"""


def test_the_table() -> None:
    rules = (
        Rule(source="tag:family", protocol=Protocol.TCP, ports=("8000-8010", "22")),
        Rule(protocol=Protocol.ICMP, action=Action.DROP),
        Rule(ports=("53",)),
        Rule(source=ATTIC, networks=("192.168.7.0/24",)),
        Rule(source="tag:nobody"),
    )
    assert compile_rules("wh0", resolve(rules, Member(ME), PEERS)) == EXPECTED


def test_removal_needs_no_table() -> None:
    assert removal("wh-0") == "add table inet wayhouse_wh-0\ndelete table inet wayhouse_wh-0\n"


@pytest.mark.parametrize("name", ["", "a b", 'x"', "x" * 16, "x\n", "-x", "lo;"])
def test_only_names_of_interfaces_get_into_a_text(name: str) -> None:
    with pytest.raises(BadInputError):
        table_name(name)
