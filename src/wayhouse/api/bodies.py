"""Request bodies: read with a limit, decoded as the row says, or handed on in chunks where a row takes archives."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from wayhouse.api.table import Endpoint
from wayhouse.base import codec
from wayhouse.base.errors import BadInputError, TooLargeError, UnsupportedMediaError

Receive = Callable[[], Awaitable[dict[str, Any]]]

ARCHIVES = {
    "application/x-tar",
    "application/tar",
    "application/gzip",
    "application/x-gzip",
    "application/zstd",
    "application/x-zstd",
    "application/octet-stream",
}


def is_archive(headers: dict[str, str]) -> bool:
    return _media(headers) in ARCHIVES


async def chunks(receive: Receive) -> AsyncIterator[bytes]:
    """The raw body as it comes in. A sender that goes away in the middle ends it with `BadInputError`."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadInputError("The connection was lost before the whole body had come.")
        if message.get("body"):
            yield message["body"]
        if not message.get("more_body"):
            return


async def read_body(row: Endpoint[Any], headers: dict[str, str], receive: Receive, *, most: int) -> Any:
    """The JSON body of `row`, decoded. Raises `BadInputError`, `TooLargeError` or `UnsupportedMediaError`."""
    if row.archive and _media(headers) not in {"application/json", ""}:
        raise UnsupportedMediaError(
            f"Send a tar archive (application/x-tar, also gzip or zstd) or JSON, not {_media(headers)}."
        )
    data = await _read(headers, receive, most)
    if row.body is None:
        return None
    try:
        return codec.decode_json(data, row.body)
    except BadInputError:
        if row.optional_body:
            return None
        raise


async def _read(headers: dict[str, str], receive: Receive, most: int) -> bytes:
    length = headers.get("content-length", "")
    if length.isascii() and length.isdigit() and int(length[:20]) > most:
        raise _too_large(most)
    return await gather(chunks(receive), most=most)


async def gather(parts: AsyncIterator[bytes], *, most: int) -> bytes:
    """All of a body that should be small. Raises `TooLargeError`."""
    data = bytearray()
    async for part in parts:
        data += part
        if len(data) > most:
            raise _too_large(most)
    return bytes(data)


def _too_large(most: int) -> TooLargeError:
    return TooLargeError(f"The body is larger than {most} bytes (api.max_body_bytes).")


def _media(headers: dict[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()
