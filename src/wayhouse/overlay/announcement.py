"""What stands in `con_req`, `con_resp` and `announce`: a fingerprint, then words; one of them may be the sender's address.

Called by controllers and `node.py`. Rules: the oldest controllers split at the length of a fingerprint and skip words with less than twelve fields between
colons, so ours is one of those; what is not understood is no announcement and changes nothing. The word is not signed; what is, is in `binding.py`.
"""

from __future__ import annotations

import functools
from ipaddress import AddressValueError, IPv4Address

from wayhouse.overlay.tincan import is_fingerprint

_IP4 = "ip4="


def address_word(ip4: str) -> str:
    """The word that tells `ip4`."""
    return f"{_IP4}{ip4}"


def split(data: str) -> tuple[str, str] | None:
    """Fingerprint and words ("" if there are none); None if it does not begin with a fingerprint."""
    fingerprint, _, words = data.partition(" ")
    return (fingerprint, words.strip()) if is_fingerprint(fingerprint) else None


def told_address(words: str) -> str:
    """The first IPv4 address among the words; "" if there is none that could be a node's."""
    for word in words.split():
        if word.startswith(_IP4):
            return word.removeprefix(_IP4) if _is_usable(word.removeprefix(_IP4)) else ""
    return ""


@functools.lru_cache(maxsize=4096)
def _is_usable(text: str) -> bool:
    try:
        address = IPv4Address(text)
    except AddressValueError:
        return False
    return not (
        address.is_loopback or address.is_multicast or address.is_unspecified or address.is_link_local
    )
