"""Allowed IPs: which peer gets packets for an address, and may send from it (whitepaper section 2).

Used by `device.py`; the engine looks up with `routes[address]`. Rule: the longest prefix wins; a network belongs to one peer, the one that
got it last; an address is its 4 or 16 bytes.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Generic, TypeVar

from wayhouse.base.errors import BadInputError

T = TypeVar("T")
CACHE_SIZE = 16384

Network = tuple[int, int, int]
"""Bytes of an address, length of the prefix, and the prefix as a number."""


def parse_network(text: str) -> Network:
    """From CIDR form; bits behind the prefix are ignored, as `wg` does. Raises `BadInputError`."""
    try:
        found = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise BadInputError(
            f"{text!r} is no network; write it like 10.0.0.2/32 or fd00::2/128.", path="allowed_ips"
        ) from None
    bits = found.max_prefixlen
    return bits // 8, found.prefixlen, int(found.network_address) >> (bits - found.prefixlen)


class AllowedIps(dict[bytes, T | None], Generic[T]):
    """As a mapping it is a cache of addresses that were asked for, so that the second lookup of an address costs a dict's; `[]` never
    raises, and gives None if no peer has the address."""

    def __init__(self) -> None:
        super().__init__()
        self._tables: dict[int, dict[int, dict[int, T]]] = {4: {}, 16: {}}
        self._order: dict[int, list[int]] = {4: [], 16: []}
        self._owned: dict[T, tuple[Network, ...]] = {}

    def __missing__(self, address: bytes) -> T | None:
        found = self._search(address)
        if len(self) >= CACHE_SIZE:
            self.clear()
        self[bytes(address)] = found
        return found

    def assign(self, owner: T, networks: Sequence[Network]) -> None:
        """Exactly these are its own from now on, taken from others if need be."""
        self.remove(owner)
        for size, length, prefix in networks:
            table = self._tables[size].setdefault(length, {})
            if prefix in table:
                before = table[prefix]
                self._owned[before] = tuple(
                    network for network in self._owned.get(before, ()) if network != (size, length, prefix)
                )
            table[prefix] = owner
            self._owned[owner] = (*self._owned.get(owner, ()), (size, length, prefix))
        self._changed()

    def remove(self, owner: T) -> None:
        for size, length, prefix in self._owned.pop(owner, ()):
            table = self._tables[size][length]
            del table[prefix]
            if not table:
                del self._tables[size][length]
        self._changed()

    def _changed(self) -> None:
        self.clear()
        self._order = {size: sorted(tables, reverse=True) for size, tables in self._tables.items()}

    def _search(self, address: bytes) -> T | None:
        size = len(address)
        tables = self._tables.get(size)
        if not tables:
            return None
        number = int.from_bytes(address)
        for length in self._order[size]:
            found = tables[length].get(number >> (size * 8 - length))
            if found is not None:
                return found
        return None
