"""What goes over the wire about the bus, beside the words of its overview, which go as they are.

Read by OpenAPI, the typed client and the commands. Rule: bytes are text wherever they are UTF-8, and base64 under that name where
they are not, in both directions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec

MOST_WAIT_S = 55.0
MOST_SHOWN = 64 * 1024
"""Of one value in a list of keys."""

Seconds = Annotated[float, msgspec.Meta(gt=0, le=10 * 365 * 86400)]
Wait = Annotated[float, msgspec.Meta(gt=0, le=MOST_WAIT_S)]
Id = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]


class Base64(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bytes that are no text."""

    base64: bytes


Piece = str | Base64
"""A frame or a value."""


class CallOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask `service` with the frames of `request`. `wait`: where nobody serves it now, for a worker to come, too; `once`: rather no answer
    than to be done twice; `durable`: it is kept on disk until it is done, however long its service is away; `id`: of a durable request, so
    that asking again with it is not asking twice."""

    service: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    request: list[Piece] = []
    timeout_s: Wait = 10.0
    wait: bool = False
    once: bool = False
    durable: bool = False
    id: Id | None = None


class CallReply(msgspec.Struct, frozen=True, kw_only=True):
    """`status`: as a number, where the reply has one; `id`: of a durable request."""

    reply: list[Piece]
    status: int | None
    took_s: float
    id: str | None = None


class KeyView(msgspec.Struct, frozen=True, kw_only=True):
    """A key of the clone; `value` is null when it was deleted, and only the beginning if `is_cut`; `bytes`: of all of it."""

    key: str
    value: Piece | None
    bytes: int
    is_cut: bool = False


class KeyList(msgspec.Struct, frozen=True, kw_only=True):
    """By name. `total`: of keys with this prefix; `is_cut`: not all of them are here."""

    keys: list[KeyView]
    total: int
    is_cut: bool


class KeyFrame(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Of the stream of keys: first `total`, how many there are now; then each `change`."""

    total: int | None = None
    change: KeyView | None = None


class KeyOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`ttl_s`: it is deleted after so many seconds."""

    value: Piece
    ttl_s: Seconds | None = None


class StoreNames(msgspec.Struct, frozen=True, kw_only=True):
    """Services, sections or keys in order; `is_cut`: there are more behind the last."""

    names: list[str]
    is_cut: bool


class StoredValue(msgspec.Struct, frozen=True, kw_only=True):
    """`ttl_s`: seconds until it expires, null: never."""

    service: str
    section: str
    key: str
    value: Piece
    revision: int
    ttl_s: float | None = None


class StoreOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`if_revision`: only if the key is at this revision (0: does not exist)."""

    value: Piece
    ttl_s: Seconds | None = None
    if_revision: Annotated[int, msgspec.Meta(ge=0, lt=10**18)] | None = None


class StoredRevision(msgspec.Struct, frozen=True, kw_only=True):
    """`what`: set, deleted or expired; `at`: Unix seconds."""

    revision: int
    at: float
    what: str
    value: Piece


def piece(data: bytes) -> Piece:
    """Text if it is."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return Base64(data)


def data_of(one: Piece) -> bytes:
    return one.base64 if isinstance(one, Base64) else one.encode("utf-8", "surrogatepass")


def pieces(frames: Sequence[bytes]) -> list[Piece]:
    return [piece(frame) for frame in frames]


def key_view(key: str, body: bytes | None) -> KeyView:
    """`body` None: it was deleted. A value that is long is cut off."""
    name = key.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    if body is None or len(body) <= MOST_SHOWN:
        return KeyView(key=name, value=None if body is None else piece(body), bytes=len(body or b""))
    whole = piece(body)
    cut = Base64(body[:MOST_SHOWN]) if isinstance(whole, Base64) else whole[:MOST_SHOWN]
    return KeyView(key=name, value=cut, bytes=len(body), is_cut=True)
