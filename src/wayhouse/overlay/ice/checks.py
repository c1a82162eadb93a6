"""The messages of connectivity checks (RFC 8445 section 7), made and read.

Used by `agent`.
"""

from __future__ import annotations

from wayhouse.overlay.ice import stun
from wayhouse.overlay.ice.pair import Pair, Sent
from wayhouse.overlay.ice.priorities import peer_reflexive
from wayhouse.overlay.ice.stun import Host, Message


def request(pair: Pair, sent: Sent, transaction: bytes, username: str, tiebreaker: int) -> bytes:
    """`username` is ours. A relayed base keeps its low priority, so that the peer knows it for a relay."""
    role = stun.ICE_CONTROLLING if sent.is_controlling else stun.ICE_CONTROLLED
    priority = pair.base.priority if pair.base.is_relayed else peer_reflexive(pair.base.priority)
    attributes = [
        (stun.USERNAME, f"{pair.credentials.username}:{username}".encode()),
        (stun.PRIORITY, priority.to_bytes(4, "big")),
        (role, tiebreaker.to_bytes(8, "big")),
    ]
    if sent.nomination:
        attributes += [(stun.USE_CANDIDATE, b""), (stun.NOMINATION, sent.nomination.to_bytes(4, "big"))]
    key = pair.credentials.password.encode()
    return stun.encode(stun.BINDING, stun.REQUEST, transaction, attributes, key=key, has_fingerprint=True)


def wishes(message: Message) -> tuple[int, int | None]:
    """The priority of a check, and its nomination: None without USE-CANDIDATE, 0 from those who do not count."""
    priority = (message.number(stun.PRIORITY) or 0) & 0xFFFFFFFF
    if message.get(stun.USE_CANDIDATE) is None:
        return priority, None
    return priority, (message.number(stun.NOMINATION) or 0) & 0xFFFFFFFF


def success(message: Message, password: bytes, source: Host) -> bytes:
    mapped = stun.xor_address(source, message.transaction)
    return _answer(message, stun.SUCCESS, password, [(stun.XOR_MAPPED_ADDRESS, mapped)])


def conflict(message: Message, password: bytes) -> bytes:
    return _answer(message, stun.ERROR, password, [(stun.ERROR_CODE, stun.error_value(487, "Role Conflict"))])


def not_understood(message: Message, password: bytes) -> bytes:
    unknown = b"".join(number.to_bytes(2, "big") for number in message.unknown())
    error = stun.error_value(420, "Unknown Attribute")
    values = [(stun.ERROR_CODE, error), (stun.UNKNOWN_ATTRIBUTES, unknown)]
    return _answer(message, stun.ERROR, password, values)


def _answer(message: Message, kind: int, password: bytes, attributes: list[tuple[int, bytes]]) -> bytes:
    transaction = message.transaction
    return stun.encode(stun.BINDING, kind, transaction, attributes, key=password, has_fingerprint=True)
