"""STUN messages (RFC 8489) with the attributes of ICE (RFC 8445), TURN (RFC 8656) and NAT discovery (RFC 5780).

Used by every machine of this folder. Rule: `decode` takes any bytes of a stranger and either gives a message or raises `BadStunError`; what
follows MESSAGE-INTEGRITY is not believed.
"""

from __future__ import annotations

import hashlib
import hmac
import socket
import struct
import zlib
from collections.abc import Sequence

import msgspec

from wayhouse.base.errors import BadInputError

COOKIE = 0x2112A442
HEADER = 20
TRANSACTION = 12

REQUEST, INDICATION, SUCCESS, ERROR = 0x000, 0x010, 0x100, 0x110
BINDING, ALLOCATE, REFRESH, SEND, DATA, CREATE_PERMISSION, CHANNEL_BIND = 1, 3, 4, 6, 7, 8, 9

MAPPED_ADDRESS, CHANGE_REQUEST, USERNAME, MESSAGE_INTEGRITY, ERROR_CODE = 0x01, 0x03, 0x06, 0x08, 0x09
UNKNOWN_ATTRIBUTES, CHANNEL_NUMBER, LIFETIME, XOR_PEER_ADDRESS, DATA_VALUE = 0x0A, 0x0C, 0x0D, 0x12, 0x13
REALM, NONCE, XOR_RELAYED_ADDRESS, REQUESTED_ADDRESS_FAMILY = 0x14, 0x15, 0x16, 0x17
REQUESTED_TRANSPORT, XOR_MAPPED_ADDRESS, PRIORITY, USE_CANDIDATE = 0x19, 0x20, 0x24, 0x25
FINGERPRINT, ICE_CONTROLLED, ICE_CONTROLLING, OTHER_ADDRESS = 0x8028, 0x8029, 0x802A, 0x802C
NOMINATION = 0xC001
"""A counter beside USE-CANDIDATE: of two nominations the higher counts, so a better pair can be nominated later (as WebRTC does it)."""

_UNDERSTOOD = frozenset(
    {
        *(
            MAPPED_ADDRESS,
            CHANGE_REQUEST,
            USERNAME,
            MESSAGE_INTEGRITY,
            ERROR_CODE,
            UNKNOWN_ATTRIBUTES,
            CHANNEL_NUMBER,
        ),
        *(
            LIFETIME,
            XOR_PEER_ADDRESS,
            DATA_VALUE,
            REALM,
            NONCE,
            XOR_RELAYED_ADDRESS,
            REQUESTED_ADDRESS_FAMILY,
        ),
        *(REQUESTED_TRANSPORT, XOR_MAPPED_ADDRESS, PRIORITY, USE_CANDIDATE),
    }
)
_MOST_ATTRIBUTES = 64
_FINGERPRINT_XOR = 0x5354554E
_COOKIE_BYTES = COOKIE.to_bytes(4, "big")

Host = tuple[str, int]
"""An IP address as text, and a port."""


class BadStunError(BadInputError):
    """The datagram is no STUN message that could be believed."""

    code = "bad-stun"
    title = "The datagram is no STUN message"


class Message(msgspec.Struct, frozen=True):
    """`attributes` in their order, without what comes after MESSAGE-INTEGRITY; `signed` are the bytes that the integrity covers."""

    method: int
    kind: int
    transaction: bytes
    attributes: tuple[tuple[int, bytes], ...]
    signed: bytes = b""
    integrity: bytes = b""

    def get(self, attribute: int) -> bytes | None:
        """The first of its kind; later ones do not count (RFC 8489 section 14)."""
        return next((value for kind, value in self.attributes if kind == attribute), None)

    def number(self, attribute: int) -> int | None:
        value = self.get(attribute)
        return None if value is None or len(value) > 8 else int.from_bytes(value, "big")

    def text(self, attribute: int) -> str | None:
        value = self.get(attribute)
        return None if value is None else value.decode("utf-8", "replace")

    def address(self, attribute: int) -> Host | None:
        """Of an attribute that is XORed; None when absent. Raises `BadStunError`."""
        value = self.get(attribute)
        return None if value is None else unpack_address(_xor(value, self.transaction))

    def plain_address(self, attribute: int) -> Host | None:
        value = self.get(attribute)
        return None if value is None else unpack_address(value)

    def error(self) -> tuple[int, str]:
        """The code and reason of an error response; (0, "") when it has none."""
        value = self.get(ERROR_CODE)
        if value is None or len(value) < 4:
            return 0, ""
        reason = "".join(
            letter for letter in value[4:].decode("utf-8", "replace")[:128] if letter.isprintable()
        )
        return (value[2] & 7) * 100 + value[3], reason

    def is_signed_by(self, key: bytes) -> bool:
        return bool(self.integrity) and hmac.compare_digest(
            self.integrity, hmac.digest(key, self.signed, "sha1")
        )

    def unknown(self) -> tuple[int, ...]:
        """Attributes that must be understood and are not."""
        return tuple(kind for kind, _ in self.attributes if kind < 0x8000 and kind not in _UNDERSTOOD)


def is_stun(data: bytes) -> bool:
    """By its first bytes; WireGuard's messages and ChannelData never look so."""
    return len(data) >= HEADER and data[0] < 4 and data[4:8] == _COOKIE_BYTES


def encode(
    method: int,
    kind: int,
    transaction: bytes,
    attributes: Sequence[tuple[int, bytes]] = (),
    *,
    key: bytes | None = None,
    has_fingerprint: bool = False,
) -> bytes:
    """With `key` the message is signed (MESSAGE-INTEGRITY, HMAC-SHA1)."""
    body = b"".join(_attribute(number, value) for number, value in attributes)
    head = (method | kind).to_bytes(2, "big")
    tail = _COOKIE_BYTES + transaction
    if key is not None:
        signed = head + (len(body) + 24).to_bytes(2, "big") + tail + body
        body += _attribute(MESSAGE_INTEGRITY, hmac.digest(key, signed, "sha1"))
    if has_fingerprint:
        covered = head + (len(body) + 8).to_bytes(2, "big") + tail + body
        body += _attribute(FINGERPRINT, (zlib.crc32(covered) ^ _FINGERPRINT_XOR).to_bytes(4, "big"))
    return head + len(body).to_bytes(2, "big") + tail + body


def decode(data: bytes) -> Message:
    """Raises `BadStunError`."""
    if not is_stun(data) or int.from_bytes(data[2:4], "big") != len(data) - HEADER or len(data) % 4:
        raise BadStunError("this is no STUN message")
    attributes: list[tuple[int, bytes]] = []
    signed = integrity = b""
    at = HEADER
    while at + 4 <= len(data):
        number, length = struct.unpack_from("!HH", data, at)
        value = data[at + 4 : at + 4 + length]
        if len(value) != length or len(attributes) > _MOST_ATTRIBUTES:
            raise BadStunError("an attribute is cut off, or there are too many")
        if number == FINGERPRINT:
            _check_fingerprint(data, at, value)
            break
        if number == MESSAGE_INTEGRITY and not integrity:
            if length != 20:
                raise BadStunError("MESSAGE-INTEGRITY has 20 bytes")
            signed = data[:2] + (at + 24 - HEADER).to_bytes(2, "big") + data[4:at]
            integrity = value
        elif not integrity:
            attributes.append((number, value))
        at += 4 + length + -length % 4
    kind = int.from_bytes(data[:2], "big")
    return Message(kind & 0x3EEF, kind & 0x110, data[8:HEADER], tuple(attributes), signed, integrity)


def pack_address(host: Host) -> bytes:
    family, number = (2, socket.AF_INET6) if ":" in host[0] else (1, socket.AF_INET)
    return struct.pack("!BBH", 0, family, host[1]) + socket.inet_pton(number, host[0])


def unpack_address(value: bytes) -> Host:
    """Raises `BadStunError`."""
    size, number = {1: (8, socket.AF_INET), 2: (20, socket.AF_INET6)}.get(
        value[1] if len(value) > 1 else 0, (0, socket.AF_INET)
    )
    if not size or len(value) != size:
        raise BadStunError("the address is neither IPv4 nor IPv6")
    return socket.inet_ntop(number, value[4:]), int.from_bytes(value[2:4], "big")


def xor_address(host: Host, transaction: bytes) -> bytes:
    return _xor(pack_address(host), transaction)


def error_value(code: int, reason: str) -> bytes:
    return bytes((0, 0, code // 100, code % 100)) + reason.encode()


def long_term_key(username: str, realm: str, password: str) -> bytes:
    """RFC 8489 section 9.2.2."""
    return hashlib.md5(f"{username}:{realm}:{password}".encode(), usedforsecurity=False).digest()


def _attribute(number: int, value: bytes) -> bytes:
    return struct.pack("!HH", number, len(value)) + value + bytes(-len(value) % 4)


def _check_fingerprint(data: bytes, at: int, value: bytes) -> None:
    expected = zlib.crc32(data[:2] + (at + 8 - HEADER).to_bytes(2, "big") + data[4:at]) ^ _FINGERPRINT_XOR
    if at + 8 != len(data) or value != expected.to_bytes(4, "big"):
        raise BadStunError("the fingerprint does not fit the message")


def _xor(value: bytes, transaction: bytes) -> bytes:
    """XORs port and address of an address attribute; it is its own inverse."""
    mask = bytes((0, 0)) + _COOKIE_BYTES[:2] + _COOKIE_BYTES + transaction
    return bytes(one ^ two for one, two in zip(value, mask, strict=False)) + value[len(mask) :]
