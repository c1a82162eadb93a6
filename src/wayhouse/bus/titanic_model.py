"""The words of durable requests: what was asked, uuids, packed frames, settings.

Used by every `titanic*` file. Rules: a uuid is 16 bytes here and text only on the wire, so nothing that a client sends can name a
file; what is stored is bytes as they came.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Sequence

import msgspec

from wayhouse.bus.mdp import MARK, MAX_NAME
from wayhouse.bus.model import Frames, MalformedError

REQUEST, REPLY, CLOSE, STORE = b"titanic.request", b"titanic.reply", b"titanic.close", b"titanic.store"
STATUS = b"titanic.status"
"""Ours alone: [uuid...] -> [`200`][status of each...]; who finds it may use marks, too."""
LIST = b"titanic.list"
"""Ours, too: [filter][limit] -> [`200`][JSON], see `titanic_list`."""
SERVICES = (STATUS, REQUEST, REPLY, CLOSE, STORE, LIST)

DAY_S = 86_400.0
_UUID = re.compile(rb"[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_LENGTH = struct.Struct("!I")


class Order(msgspec.Struct, frozen=True):
    """What `titanic.request` was asked to do. `once`: never send it to a worker twice, even if that means never to learn what
    became of it. `ttl_s`: how long it may take. `uuid`: chosen by the client, so that asking again is not asking twice."""

    service: bytes
    body: Frames
    once: bool = False
    ttl_s: float | None = None
    uuid: bytes | None = None


class Waiting(msgspec.Struct, frozen=True, gc=False):
    """A request on disk that has no answer yet. `expires` is in the store's own time (seconds)."""

    seq: int
    service: bytes
    once: bool
    expires: float


class TitanicSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Times in seconds, sizes in bytes."""

    request_ttl_s: float = 7 * DAY_S
    """How long a request may wait for its answer when it does not say itself; then its reply is 500."""
    reply_ttl_s: float = 7 * DAY_S
    """How long a reply is kept when nobody closes it."""
    lanes: int = 256
    """Requests in dispatch at a time."""
    lanes_per_service: int = 8
    """The same, of one service; 1 keeps a service's requests in strict order."""
    patience_s: float = 30.0
    """How long to wait for an answer before a request is sent anew; doubled with each attempt."""
    patience_known_s: float = 900.0
    """The same, with a broker that tells when it has lost a worker or a request."""
    retry_s: float = 0.25
    retry_max_s: float = 60.0
    check_s: float = 1.0
    """For how long a service that was there counts as there, and the longest pause between two looks at one that was not."""
    closed_ttl_s: float = DAY_S
    """For how long a uuid is known after its request was closed, so that asking again does not do it again."""
    max_closed: int = 100_000
    """How many such uuids are kept, the newest."""
    max_open: int = 100_000
    """Requests without an answer."""
    max_disk_bytes: int = 1 << 30
    max_body_bytes: int = 16 << 20
    max_key_bytes: int = 1024
    """Of a name, a section or a key of `titanic.store`; and a value has `max_body_bytes` at most."""
    history: int = 16
    """Revisions kept of a key."""
    tombstones: int = 10_000
    """For how many revisions what is deleted stays in the history."""
    page: int = 1000
    """Items of one answer."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"`{name}` of Titanic must be above 0")


def parse_uuid(frame: bytes) -> bytes | None:
    """The 16 bytes of 32 hexadecimal digits, with or without the four dashes, in any case; None for anything else."""
    return bytes.fromhex(frame.replace(b"-", b"").decode("ascii")) if _UUID.fullmatch(frame) else None


def parse_order(frames: Sequence[bytes], limit: int = 16 << 20) -> Order:
    """The body of `titanic.request`: [target service][body...]. The service frame may carry the marks `once`, `ttl=<seconds>` and
    `uuid=<32 hex digits>` behind NULs. Raises `MalformedError`."""
    if not frames:
        raise MalformedError("Name a service in the first frame, then the frames of its request.")
    service, *marks = frames[0].split(MARK)
    if not 0 < len(service) <= MAX_NAME:
        raise MalformedError(f"A service's name has 1 to {MAX_NAME} bytes.")
    if sum(map(len, frames)) > limit:
        raise MalformedError(f"A request may have {limit} bytes.")
    body = list(frames[1:]) or [b""]
    if not marks:
        return Order(service, body)
    return _marked(service, body, marks)


def build_label(
    service: bytes, *, once: bool = False, ttl_s: float | None = None, uuid: bytes | None = None
) -> bytes:
    """The first frame of `titanic.request`."""
    marks = [b"once"] if once else []
    marks += [f"ttl={float(ttl_s)!r}".encode()] if ttl_s is not None else []
    marks += [b"uuid=" + uuid.hex().encode()] if uuid is not None else []
    return MARK.join([service, *marks])


def pack(frames: Sequence[bytes]) -> bytes:
    """Frames as one value: the length of each in 4 bytes, big-endian, before it."""
    if len(frames) == 1:
        return _LENGTH.pack(len(frames[0])) + frames[0]
    return b"".join(part for frame in frames for part in (_LENGTH.pack(len(frame)), frame))


def unpack(packed: bytes) -> Frames:
    """Raises `MalformedError` for what `pack` did not make."""
    frames, at = list[bytes](), 0
    while at + _LENGTH.size <= len(packed):
        end = at + _LENGTH.size + _LENGTH.unpack_from(packed, at)[0]
        frames.append(packed[at + _LENGTH.size : end])
        at = end
    if at != len(packed):
        raise MalformedError("These are no packed frames.")
    return frames


def _marked(service: bytes, body: Frames, marks: Sequence[bytes]) -> Order:
    once, ttl, uuid = False, None, None
    for mark in marks:
        name, _, value = mark.partition(b"=")
        if mark == b"once":
            once = True
        elif name == b"ttl":
            ttl = parse_seconds(value)
        elif name == b"uuid" and (uuid := parse_uuid(value)):
            continue
        else:
            raise MalformedError(
                f"The marks are `once`, `ttl=<seconds>` and `uuid=<32 hex digits>`, not {mark[:48]!r}."
            )
    return Order(service, body, once, ttl, uuid)


def parse_seconds(value: bytes) -> float:
    """Raises `MalformedError` for what is no number above 0."""
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise MalformedError(f"These should be seconds above 0: {value[:32]!r}.")
    return seconds
