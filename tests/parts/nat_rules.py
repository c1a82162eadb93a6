"""The nftables rules of the NAT lab's routers: NATs of every kind, cuts, blocks and loss."""

from __future__ import annotations

_FILTER = """
table inet filter {
  chain forward {
    type filter hook forward priority filter; policy drop;
    %(refused)s
    ct state established,related accept
    iifname "lan" oifname "lan" accept
    iifname "lan" oifname "wan" accept
    %(open)s
  }
  chain input {
    type filter hook input priority filter; policy accept;
    iifname "wan" meta l4proto != ipv6-icmp ct state new drop
  }
}
table ip nat {
  chain postrouting {
    type nat hook postrouting priority srcnat;
    %(nat)s
  }
}
"""
_NAT = {"none": "", "symmetric": 'oifname "wan" masquerade fully-random'}
CUT = """
table inet cut {
  chain forward {
    type filter hook forward priority -10; policy drop;
  }
}
"""
_BLOCKED = """
table inet blocked {
  chain forward {
    type filter hook forward priority -9;
    iifname "wan" ip saddr != { %(four)s } drop
    oifname "wan" ip daddr != { %(four)s } drop
    iifname "wan" ip6 saddr != { %(six)s } drop
    oifname "wan" ip6 daddr != { %(six)s } drop
  }
}
"""
_LOSS = """
table inet loss {
  chain forward {
    type filter hook forward priority -8;
    meta l4proto udp numgen random mod 1000 < %d drop
  }
}
"""


def router(nat: str) -> str:
    """`nat`: none, cone (port-restricted, as Linux does it), symmetric, or block-udp."""
    return _FILTER % {
        "refused": 'iifname "lan" oifname "wan" meta l4proto udp drop' if nat == "block-udp" else "",
        "open": 'iifname "wan" accept' if nat == "none" else "",
        "nat": _NAT.get(nat, 'oifname "wan" masquerade'),
    }


def only_to(four: tuple[str, ...], six: str) -> str:
    """Nothing but these addresses is reached."""
    return _BLOCKED % {"four": ", ".join(four), "six": six}


def loss(permille: int) -> str:
    return _LOSS % permille
