"""Candidates as text: the `cas` of `create_link` and `con_resp`, words of twelve fields between colons.

Called by `node.py`. Rules: what an old parser understands has its form of 2013, with libjingle's names of types. An IPv6 address would break the
split, so such a candidate is a word of its own form, `6=` and the same fields between commas: old parsers find less than twelve fields and skip
it. Words that are not understood are skipped; `other_words` are those with a meaning elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address

from wayhouse.base import ids
from wayhouse.overlay.model import BadCandidateError, Candidate, CandidateType

MOST_CANDIDATES = 32
"""Of one peer; the rest is not looked at."""
SHOWN_CANDIDATES = 16
"""Of this node in one message, those of the highest priority: a controller of 2013 reads 4096 bytes."""
_FIELDS = 12
_IP6 = "6="
_BROADCAST = "255.255.255.255"
_TO_TEXT = {
    CandidateType.HOST: "local",
    CandidateType.SERVER_REFLEXIVE: "stun",
    CandidateType.PEER_REFLEXIVE: "prflx",
    CandidateType.RELAYED: "relay",
}
_FROM_TEXT = {text: kind for kind, text in _TO_TEXT.items()}
_WORD = re.compile(r"[A-Za-z0-9+/=_.-]{0,256}")
_NUMBER = re.compile(r"[0-9]{1,10}")


def random_credentials() -> tuple[str, str]:
    """Username fragment and password of ICE (RFC 8445 section 5.3: 24 and 128 random bits at least; here 40 and 128)."""
    return ids.short_id(8), ids.token_hex(128)


def encode(candidates: Iterable[Candidate], *, most: int = SHOWN_CANDIDATES) -> str:
    """The `most` of highest priority, best first."""
    best = sorted(candidates, key=lambda one: -one.priority)[:most]
    return " ".join(map(encode_one, best))


def encode_one(candidate: Candidate) -> str:
    fields = (
        candidate.id or ids.short_id(8),
        candidate.component,
        candidate.protocol,
        candidate.host,
        candidate.port,
        candidate.priority,
        candidate.username,
        candidate.password,
        _TO_TEXT[candidate.type],
        candidate.interface,
        candidate.generation,
        candidate.foundation,
    )
    if ":" in candidate.host:
        return _IP6 + ",".join(map(str, fields))
    return ":".join(map(str, fields))


def decode(cas: str) -> tuple[Candidate, ...]:
    """Those words of `cas` that are candidates this node can use, each once."""
    found: dict[Candidate, None] = {}
    for word in cas.split():
        if len(found) == MOST_CANDIDATES:
            break
        if is_candidate(word):
            try:
                found[decode_one(word)] = None
            except BadCandidateError:
                continue
    return tuple(found)


def other_words(cas: str) -> list[str]:
    """The words that are no candidates."""
    return [word for word in cas.split() if not is_candidate(word)]


def is_candidate(word: str) -> bool:
    return word.startswith(_IP6) or word.count(":") >= _FIELDS - 1


def decode_one(word: str) -> Candidate:
    """Raises `BadCandidateError`. Fields after the twelfth are ignored, as tincan does."""
    fields = word.removeprefix(_IP6).split(",") if word.startswith(_IP6) else word.split(":")
    if len(fields) < _FIELDS:
        raise BadCandidateError(f"A candidate has {_FIELDS} fields, this one {len(fields)}.")
    if not all(map(_WORD.fullmatch, fields[:3] + fields[4:_FIELDS])):
        raise BadCandidateError("A field of the candidate has characters that none may have.")
    return Candidate(
        id=fields[0],
        component=_number(fields[1], 1, 256),
        protocol=_protocol(fields[2]),
        host=_host(fields[3], is_ip6=word.startswith(_IP6)),
        port=_number(fields[4], 1, 65535),
        priority=_number(fields[5], 0, 2**32 - 1),
        username=fields[6],
        password=fields[7],
        type=_type(fields[8]),
        interface=fields[9],
        generation=_number(fields[10], 0, 2**32 - 1),
        foundation=fields[11],
    )


def _number(text: str, least: int, most: int) -> int:
    if _NUMBER.fullmatch(text) is None or not least <= int(text) <= most:
        raise BadCandidateError(f"A number of the candidate is not between {least} and {most}.")
    return int(text)


def _host(text: str, *, is_ip6: bool) -> str:
    try:
        address = IPv6Address(text) if is_ip6 else IPv4Address(text)
    except ValueError as error:
        raise BadCandidateError("The address of the candidate is none.") from error
    if address.is_multicast or address.is_unspecified or address.is_loopback or str(address) == _BROADCAST:
        raise BadCandidateError("The address of the candidate is no place to send to.")
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        raise BadCandidateError("The address of the candidate names an interface of the peer.")
    return str(address)


def _type(text: str) -> CandidateType:
    if text not in _FROM_TEXT:
        raise BadCandidateError("The type of the candidate is none of local, stun, prflx and relay.")
    return _FROM_TEXT[text]


def _protocol(text: str) -> str:
    if text != "udp":
        raise BadCandidateError("Only candidates over udp can be used.")
    return text
