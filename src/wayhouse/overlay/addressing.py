"""Addresses in the overlay: what a peer is called here, made from its uid or in order of arrival.

Called by controllers, `node.py` and the command line. Rules: the same uid always has the same IPv6 address everywhere; IPv4 addresses are this
node's own view, or fixed for all by a file; when there is none left, that is said.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, MutableMapping
from ipaddress import IPv4Address
from pathlib import Path

import msgspec

from wayhouse.access.model import UnsafeFileError
from wayhouse.access.plain_file import open_plain
from wayhouse.base import codec
from wayhouse.base.errors import BadInputError, ConflictError
from wayhouse.overlay.model import UID_LENGTH, is_uid

IP6_PREFIX = "fd50:0dbc:41f2:4a3c"
FIRST, LAST = 101, 254
_MOST_BYTES = 4 * 1024 * 1024


class AddressesUsedUpError(ConflictError, OverflowError):
    """As the seed's controllers raise it, it is an `OverflowError`, too."""

    code = "addresses-used-up"
    title = "There is no address left"


class StaticAddress(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the file that fixes addresses: a list of `{uid, ipv4, desc}`."""

    uid: str
    ipv4: str
    desc: str = ""

    def __post_init__(self) -> None:
        if not is_uid(self.uid):
            raise ValueError("a uid is 40 lower-case hex digits")
        IPv4Address(self.ipv4)


def gen_ip6(uid: str, prefix: str = IP6_PREFIX) -> str:
    """`prefix` (64 bits) and the first 64 bits of the uid, in four groups."""
    return ":".join([prefix, *(uid[place : place + 4] for place in range(0, 16, 4))])


def gen_ip4(uid: str, peers: Collection[str] | MutableMapping[str, str], ip4: str) -> str:
    """The address of `uid` in the network of `ip4`.

    With a mapping of uid to address: the one it has, else the first free one from .101 to .254, which is put there. With a plain collection
    of uids (the oldest controllers): 101 and their number, whoever asks. Raises `AddressesUsedUpError`.
    """
    if isinstance(peers, MutableMapping):
        return _first_free(uid, peers, ip4)
    return _numbered(ip4, FIRST + len(peers), LAST + 1)


def gen_uid(ip4: str, uid_size: int = UID_LENGTH) -> str:
    """The uid of the node with this address, in networks where all agree on addresses: SHA-1 of its text."""
    return hashlib.sha1(ip4.encode(), usedforsecurity=False).hexdigest()[:uid_size]


def new_uid() -> str:
    """20 random bytes in hex."""
    return os.urandom(UID_LENGTH // 2).hex()


def networks(ip4: str, ip6: str, masks: tuple[int, int]) -> tuple[str, ...]:
    """In CIDR form, of the addresses that there are."""
    found = ((ip4, masks[0]), (ip6, masks[1]))
    return tuple(f"{address}/{mask}" for address, mask in found if address)


def read_static(path: Path) -> dict[str, str]:
    """Address by uid, from a file as `-p` of the Python controllers takes it. Raises `BadInputError`, `FileNotFoundError`."""
    try:
        with open_plain(path) as file:
            content = file.read(_MOST_BYTES + 1)
    except UnsafeFileError as error:
        raise BadInputError(error.message) from error
    if len(content) > _MOST_BYTES:
        raise BadInputError(f"{path.name} is larger than 4 MiB: this is no list of addresses.")
    return static_addresses(codec.decode_json(content, list[StaticAddress], what=f"file {path.name}"))


def static_addresses(entries: Collection[StaticAddress]) -> dict[str, str]:
    """Raises `BadInputError` when two have the same address, or one has two."""
    found: dict[str, str] = {}
    for entry in entries:
        if entry.uid in found or entry.ipv4 in found.values():
            raise BadInputError(f"{entry.uid} or {entry.ipv4} is there twice; keep one of them.")
        found[entry.uid] = entry.ipv4
    return found


def _first_free(uid: str, peers: MutableMapping[str, str], ip4: str) -> str:
    if uid in peers:
        return peers[uid]
    taken = set(peers.values()) | {ip4}
    for number in range(FIRST, LAST + 1):
        if (found := _numbered(ip4, number, LAST + 1)) not in taken:
            peers[uid] = found
            return found
    raise _used_up(ip4)


def _numbered(ip4: str, number: int, end: int) -> str:
    if number >= end:
        raise _used_up(ip4)
    return f"{IPv4Address(ip4).exploded.rpartition('.')[0]}.{number}"


def _used_up(ip4: str) -> AddressesUsedUpError:
    return AddressesUsedUpError(
        f"All addresses from .{FIRST} to .{LAST} of the network of {ip4} are given away; forget peers that are gone for good."
    )
