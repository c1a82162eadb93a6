"""Names of gateways: `<gateway>.<overlay>` and `<first 8 digits of the uid>.<overlay>`, with their addresses both ways.

`drivers/dns.py` answers from it, the link process makes a new one when peers change. Rules: every gateway that knows the same members gives them the same
names; of two with one name the smaller uid keeps it and the next is `name-2`; nobody can take the name that is made of another's uid.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

import msgspec

from wayhouse.base.errors import BadInputError

LONGEST_LABEL = 63
UID_DIGITS = 8
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_PLAIN = re.compile(r"[^a-z0-9]+")
_WIDE = re.compile(r"[^\w]+|_+")
REVERSE_4, REVERSE_6 = "in-addr.arpa", "ip6.arpa"
Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """A gateway of the overlay: what it calls itself ("" is nothing), and where it is reached ("" is nowhere)."""

    uid: str
    name: str = ""
    ip4: str = ""
    ip6: str = ""


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """`name` is the full one, in small letters, without a dot at the end."""

    name: str
    addresses: tuple[Address, ...]


def label(text: str) -> str:
    """`text` as one part of a name: small letters, digits and hyphens, other scripts as IDNA has them (RFC 3490); "" if nothing is left."""
    folded = unicodedata.normalize("NFKC", text[:256]).casefold()
    if _LABEL.fullmatch(folded):
        return folded
    if not folded.isascii():
        try:
            wide = _WIDE.sub("-", folded).strip("-").encode("idna").decode("ascii").lower()
        except UnicodeError:
            wide = ""
        if _LABEL.fullmatch(wide):
            return wide
        folded = unicodedata.normalize("NFKD", folded).encode("ascii", "ignore").decode()
    return _PLAIN.sub("-", folded).strip("-")[:LONGEST_LABEL].strip("-")


def zone_name(text: str) -> str:
    """The name under which an overlay's gateways are, like `home` or `home.internal`. Raises `BadInputError`."""
    name = ".".join(label(part) for part in text.removesuffix(".").split("."))
    if len(name) > 100 or not all(map(_LABEL.fullmatch, name.split("."))) or name.split(".")[-1].isdigit():
        raise BadInputError(
            f"`{text[:60]}` is no domain name: letters, digits and hyphens, with dots between, like `home.internal`.",
            path="dns_name",
        )
    if f".{name}".endswith((".arpa", ".localhost")):
        raise BadInputError(f"`{name}` has a meaning of its own; take another name.", path="dns_name")
    return name


def labels(members: Iterable[Named]) -> dict[str, tuple[str, ...]]:
    """The labels of each uid: the one from its name, if it has one, and the one from its uid."""
    by_uid = sorted({one.uid: one for one in members}.values(), key=lambda one: one.uid)
    taken: set[str] = set()
    of_uid = {one.uid: _free(one.uid[:UID_DIGITS], taken) for one in by_uid}
    wanted = {one.uid: label(one.name) for one in by_uid if label(one.name)}
    of_name: dict[str, str] = {}
    later = []
    for uid, name in wanted.items():  # who is called so keeps it before others get a number
        if name in taken:
            later.append(uid)
        else:
            taken.add(name)
            of_name[uid] = name
    for uid in later:
        of_name[uid] = _free(wanted[uid], taken)
    return {uid: (of_name[uid], own) if uid in of_name else (own,) for uid, own in of_uid.items()}


def _free(name: str, taken: set[str]) -> str:
    found, number = name, 1
    while found in taken:
        number += 1
        end = f"-{number}"
        found = name[: LONGEST_LABEL - len(end)].rstrip("-") + end
    taken.add(found)
    return found


class NameBook:
    """The names of one overlay. `networks` are those whose addresses it answers for; others are none of its business."""

    def __init__(self, zone: str, members: Iterable[Named], networks: Iterable[str] = ()) -> None:
        self.zone = zone_name(zone)
        self.networks: tuple[Network, ...] = tuple(map(ip_network, networks))
        self._hosts: dict[str, Host] = {}
        self._names: dict[Address, str] = {}
        found = {one.uid: one for one in members}
        for uid, own in labels(found.values()).items():
            addresses = _addresses(found[uid])
            for each in own:
                full = f"{each}.{self.zone}"
                self._hosts[full] = Host(name=full, addresses=addresses)
            for address in addresses:
                self._names.setdefault(address, f"{own[0]}.{self.zone}")

    @property
    def hosts(self) -> Mapping[str, Host]:
        return self._hosts

    def has(self, name: str) -> bool:
        """Whether `name` (small letters, no dot at the end) is of this overlay, known or not."""
        return name == self.zone or name.endswith(f".{self.zone}")

    def host(self, name: str) -> Host | None:
        return self._hosts.get(name)

    def is_own(self, address: Address) -> bool:
        return address in self._names or any(
            address.version == one.version and address in one for one in self.networks
        )

    def name_of(self, address: Address) -> str | None:
        return self._names.get(address)


def reverse_address(name: str) -> Address | None:
    """The address that `4.3.2.1.in-addr.arpa` or a full `ip6.arpa` name (RFC 3596) asks for."""
    parts = name.split(".")
    if name.endswith(f".{REVERSE_4}") and len(parts) == 6:
        return _address4(parts[3::-1])
    if name.endswith(f".{REVERSE_6}") and len(parts) == 34:
        digits = parts[31::-1]
        is_hex = all(len(one) == 1 and one in "0123456789abcdef" for one in digits)
        return IPv6Address(int("".join(digits), 16)) if is_hex else None
    return None


def _address4(parts: list[str]) -> IPv4Address | None:
    try:
        return IPv4Address(".".join(parts))
    except ValueError:
        return None


def _addresses(one: Named) -> tuple[Address, ...]:
    """Those it has; what is no address is none."""
    found: list[Address] = []
    for kind, text in ((IPv4Address, one.ip4), (IPv6Address, one.ip6)):
        try:
            found.append(kind(text))
        except ValueError:
            continue
    return tuple(found)
