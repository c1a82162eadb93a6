"""One network interface of a service, in every spelling, to the normalised declaration that the network room reads.

Called by `service_spec.py` and `legacy.py`. The result is plain data that reads back as itself:
`{type, alias?, dhcp?: {lease, start, limit, dns?, relay?}, ipv4_network?, l3bridge?, vlan_id?, requests?, options?,
wireless?: {ssid, key, encryption, nasid, acct_*, hidden, isolate, maxassoc}, firewall?}`. `type` is `wifi-ap`, `wifi-sta`,
`wifi-monitor`, `vlan` or `lan`; `alias` is a second name for it in the API (the key under `net` of an old chute).
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from wayhouse.chutes import names
from wayhouse.chutes.fields import Fields, address, fault, scalar, text

Interface = dict[str, Any]

TYPES = {
    "wifi-ap": "wifi-ap",
    "wifi-sta": "wifi-sta",
    "wifi-monitor": "wifi-monitor",
    "monitor": "wifi-monitor",
    "vlan": "vlan",
    "lan": "lan",
}
WIRELESS = (
    "ssid",
    "key",
    "encryption",
    "nasid",
    "acct_server",
    "acct_secret",
    "acct_interval",
    "hidden",
    "isolate",
    "maxassoc",
)
_OPTION = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_KEY = re.compile(r"[\x20-\x7e]{8,63}|[0-9A-Fa-f]{64}")
_ENCRYPTION = re.compile(r"[A-Za-z0-9+_-]{1,32}")


def interface(value: Any, path: str, warnings: list[str]) -> Interface:
    """Check one declaration. Raises `BadSpecError` with the path of the fault."""
    fields = Fields(value, path, warnings)
    kind = _type(fields)
    result: Interface = {"type": kind}
    free = fields.section("options")
    _keep(result, "alias", fields.matching("alias", names.NAME, f"must consist of {names.NAME_RULE}"))
    _keep(result, "wireless", _wireless(fields, free, kind))
    _keep(result, "dhcp", _dhcp(fields))
    _keep(result, "vlan_id", _vlan(fields, kind))
    _keep(
        result, "l3bridge", fields.matching("l3bridge", names.INTERFACE, "must be the name of an interface")
    )
    requests = fields.section("requests")
    _keep(result, "ipv4_network", _network(fields) or _network(requests))
    _keep(result, "requests", _free(requests))
    _keep(result, "options", _free(free))
    _keep(result, "firewall", _firewall(fields))
    fields.finish()
    return result


def interface_name(value: Any, path: str) -> str:
    name = text(value, path, limit=4096)
    if len(name) > 15:
        raise fault(path, "is too long: Linux allows 15 characters for the name of an interface")
    if not names.INTERFACE.fullmatch(name) or name in {"lo", "eth0"}:
        raise fault(path, "cannot be the name of an interface inside the app (`lo` and `eth0` exist already)")
    return name


def _keep(result: Interface, key: str, value: Any) -> None:
    if value is not None and value != {}:
        result[key] = value


def _type(fields: Fields) -> str:
    """`wifi` with a `mode` is how old chutes write `wifi-<mode>`."""
    value, path = fields.take("type")
    mode = fields.text("mode")
    if value is None:
        raise fault(path, "is missing: say wifi-ap, wifi-sta, wifi-monitor, vlan or lan")
    kind = text(value, path)
    if kind == "wifi":
        kind = f"wifi-{mode or 'ap'}"
    if kind not in TYPES:
        raise fault(path, f"is wrong: Unsupported network type ({kind[:40]})")
    return TYPES[kind]


def _wireless(fields: Fields, free: Fields, kind: str) -> Interface | None:
    """The Wi-Fi settings from `wireless`, the entry itself or its `options`; the first place that has one counts."""
    section = fields.section("wireless")
    found: Interface = {}
    for key in WIRELESS:
        for place in (section, fields, free):
            value, path = place.take(key)
            if value is not None and key not in found:
                found[key] = _wireless_value(place, key, value, path)
    section.finish()
    if kind not in {"wifi-ap", "wifi-sta"}:
        if found:
            fields.warn(f"`{fields.path}` has settings of Wi-Fi, which type {kind} does not use")
        return None
    if "ssid" not in found:
        raise fault(f"{fields.path}.wireless.ssid", "is missing: a Wi-Fi network needs a name")
    if str(found.get("encryption", "")).startswith(("psk", "sae")) and "key" not in found:
        raise fault(f"{fields.path}.wireless.key", f"is missing: encryption {found['encryption']} needs one")
    return found


def _wireless_value(place: Fields, key: str, value: Any, path: str) -> Any:
    if key in {"hidden", "isolate"}:
        return place.flag(key)
    if key in {"acct_interval", "maxassoc"}:
        return place.whole(key, 1 if key == "acct_interval" else 0, 2**31 - 1)
    if key == "key":
        return place.matching(key, _KEY, "must have 8 to 63 printable characters, or 64 hexadecimal digits")
    if key == "encryption":
        return place.matching(key, _ENCRYPTION, "must be a kind of encryption such as none or psk2")
    if key == "acct_server":
        return place.matching(key, names.HOST_NAME, "must be an address or a host name")
    found = text(value, path, limit=128)
    if key == "ssid" and not 1 <= len(found.encode()) <= 32:
        raise fault(path, "must have 1 to 32 bytes")
    return found


def _dhcp(fields: Fields) -> Interface | None:
    dns = list(fields.addresses("dns"))
    if "dhcp" not in fields:
        if dns:
            fields.warn(f"`{fields.path}.dns` has no effect without `dhcp`")
        return None
    section = fields.section("dhcp")
    relay = [address(value, path) for value, path in _one_or_more(section, "relay")]
    value, path = section.take("lease")
    value = str(value) if type(value) is int and abs(value) < 10**9 else value
    lease = "12h" if value is None else text(value, path)
    if not names.LEASE.fullmatch(lease):
        raise fault(path, "must be a time such as 30m, 12h or 7d")
    result: Interface = {
        "lease": lease,
        "start": section.whole("start", 3, 65534) or 100,
        "limit": section.whole("limit", 1, 65534) or 100,
    }
    _keep(result, "dns", list(section.addresses("dns")) or dns or None)
    _keep(result, "relay", relay or None)
    section.finish()
    return result


def _one_or_more(section: Fields, name: str) -> list[tuple[Any, str]]:
    value, path = section.take(name)
    return [(value, path)] if isinstance(value, str) else section.items(name)


def _vlan(fields: Fields, kind: str) -> int | None:
    vlan = fields.whole("vlan_id", 1, 4094)
    if kind == "vlan" and vlan is None:
        raise fault(f"{fields.path}.vlan_id", "is missing: type vlan needs one, 1 to 4094")
    return vlan


def _network(fields: Fields) -> str | None:
    value, path = fields.take("ipv4_network")
    if value is None:
        return None
    try:
        network = ipaddress.IPv4Network(text(value, path), strict=False)
    except ValueError:
        raise fault(path, "must be a network such as 192.168.7.0/24") from None
    if not 8 <= network.prefixlen <= 30:
        raise fault(path, "must have a prefix length between 8 and 30")
    return str(network)


def _free(fields: Fields) -> Interface | None:
    """Settings of the radio that pass through: short names to single values or lists of them."""
    result: Interface = {}
    for key in fields.rest():
        value, path = fields.take(key)
        if not _OPTION.fullmatch(key):
            raise fault(path, "must have a name of letters, digits, `_`, `.` and `-`")
        if isinstance(value, list):
            result[key] = [scalar(entry, place) for entry, place in fields.items(key)]
        elif value is not None:
            result[key] = scalar(value, path)
    return result or None


def _firewall(fields: Fields) -> list[Interface] | None:
    """Redirects of old chutes: from `@host.lan:<port>` to `<net>:<port>`."""
    rules = []
    for value, path in fields.items("firewall"):
        rule = Fields(value, path, fields.warnings)
        rules.append({key: found for key in ("type", "name", "from", "to") if (found := rule.text(key))})
        rule.finish()
    return rules or None
