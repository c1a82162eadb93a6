"""Joins a chute's network namespace to the outside (root only) and to the gateway's API, with `ip` and `nft` or `iptables`.

Apps reach out through address translation; chutes cannot reach each other. Everything here may be done again at any
time. What a host cannot do is left out and told by `abilities`; it never stops an app from running.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from wayhouse.chutes.engines.sandbox.processes import run_program

LINK_PREFIX = "whc"
RANGE = "198.18.0.0/15"
API_ADDRESS = "127.0.0.2"
TABLE = "wayhouse_sandbox"

_RULES = f"""\
add table ip {TABLE}
delete table ip {TABLE}
table ip {TABLE} {{
  chain outbound {{
    type nat hook postrouting priority 100;
    ip saddr {RANGE} oifname != "{LINK_PREFIX}*" masquerade
  }}
  chain between {{
    type filter hook forward priority -10;
    iifname "{LINK_PREFIX}*" oifname "{LINK_PREFIX}*" drop
  }}
}}
"""
_REDIRECT = """\
add table ip wayhouse_api
delete table ip wayhouse_api
table ip wayhouse_api {{
  chain api {{
    type nat hook output priority -100;
    ip daddr {address} tcp dport 80 redirect to :{port}
  }}
}}
"""
_IPTABLES_RULES = (
    ("-t", "nat", "POSTROUTING", "-s", RANGE, "!", "-o", f"{LINK_PREFIX}+", "-j", "MASQUERADE"),
    ("-t", "filter", "FORWARD", "-i", f"{LINK_PREFIX}+", "-o", f"{LINK_PREFIX}+", "-j", "DROP"),
)
_PASS_RULES = (
    (
        "-t",
        "filter",
        "FORWARD",
        "-o",
        f"{LINK_PREFIX}+",
        "-m",
        "conntrack",
        "--ctstate",
        "RELATED,ESTABLISHED",
        "-j",
        "ACCEPT",
    ),
    ("-t", "filter", "FORWARD", "-i", f"{LINK_PREFIX}+", "!", "-o", f"{LINK_PREFIX}+", "-j", "ACCEPT"),
)


def tool() -> str | None:
    """What sets up address translation here."""
    return next((name for name in ("nft", "iptables") if shutil.which(name)), None)


def outward_program() -> str | None:
    """What carries traffic outwards for a network that is not root's."""
    return next((found for name in ("slirp4netns", "pasta") if (found := shutil.which(name))), None)


def links() -> set[str]:
    """The host's ends of all links to chutes."""
    return {path.name for path in Path("/sys/class/net").glob(f"{LINK_PREFIX}*")}


async def connect(namespace: str, link: str, host_address: str, app_address: str) -> None:
    """A link from the namespace to the host with these addresses, a default route, and translation outwards."""
    if tool() is None:
        return
    if link not in links():
        peer = ("peer", "name", "eth0", "netns", namespace)
        await run_program("ip", "link", "add", link, "type", "veth", *peer)
        await run_program("ip", "address", "add", f"{host_address}/30", "dev", link)
        await run_program("ip", "link", "set", link, "up")
        await run_program("ip", "-n", namespace, "address", "add", f"{app_address}/30", "dev", "eth0")
        await run_program("ip", "-n", namespace, "link", "set", "eth0", "up")
        await run_program("ip", "-n", namespace, "route", "add", "default", "via", host_address)
    await _translate()


async def _translate() -> None:
    await run_program("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
    if tool() == "nft":
        code, _ = await run_program("nft", "-f", "-", text=_RULES)
        if code == 0:
            await _pass_foreign_firewall()
            return
    for rule in reversed(_IPTABLES_RULES):
        await _insert(rule)


async def _pass_foreign_firewall() -> None:
    """A table of iptables that drops what is forwarded (Docker's does) needs to be told about our links."""
    code, rules = await run_program("iptables", "-S", "FORWARD")
    if code == 0 and "-P FORWARD DROP" in rules:
        for rule in _PASS_RULES:
            await _insert(rule)


async def _insert(rule: tuple[str, ...]) -> None:
    table, chain, rest = rule[:2], rule[2], rule[3:]
    code, _ = await run_program("iptables", *table, "-C", chain, *rest)
    if code:
        await run_program("iptables", *table, "-I", chain, "1", *rest)


async def remove() -> None:
    """Take the rules away once no link of any gateway is left."""
    if links():
        return
    await run_program("nft", "delete", "table", "ip", TABLE)
    for table, name, chain, *rest in (*_IPTABLES_RULES, *_PASS_RULES):
        code, _ = await run_program("iptables", table, name, "-C", chain, *rest)
        if code == 0:
            await run_program("iptables", table, name, "-D", chain, *rest)


async def redirect_api(enter: tuple[str, ...], port: int) -> bool:
    """In the namespace that `enter` enters: 127.0.0.2 port 80 leads to local `port`, so apps keep their own port 80."""
    code, _ = await run_program(
        *enter, "nft", "-f", "-", text=_REDIRECT.format(address=API_ADDRESS, port=port)
    )
    if code:
        rule = (
            "OUTPUT",
            "-d",
            API_ADDRESS,
            "-p",
            "tcp",
            "--dport",
            "80",
            "-j",
            "REDIRECT",
            "--to-ports",
            str(port),
        )
        code, _ = await run_program(*enter, "iptables", "-t", "nat", "-A", *rule)
    return code == 0
