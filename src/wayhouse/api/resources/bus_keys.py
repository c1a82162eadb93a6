"""The keys of the clone: look through them, publish, delete, follow. A part of the resource of the bus.

Rules: looking takes a copy of the subtree and keeps nothing; who follows slowly gets the newest value of each key.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from wayhouse.api import wire
from wayhouse.api import wire_bus as words
from wayhouse.api.resources.bus_asking import BusAsking, NoAnswerError
from wayhouse.api.table import Call, Frames, Incoming
from wayhouse.base import codec
from wayhouse.base.errors import BadInputError, TooManyRequestsError

if TYPE_CHECKING:  # the command line reads the tables of rows, and should not load the services
    from wayhouse.bus.service import Bus

COPY_S = 5.0
MOST_KEYS = 10_000
MOST_BYTES = 16 * 1024 * 1024
"""Of the values in one answer."""
MOST_LOOKING, MOST_FOLLOWING = 8, 100
MOST_KEY_BYTES = 1024


class Changes:
    """What has changed under a prefix and was not fetched yet: the newest of each key."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._waiting: dict[str, bytes | None] = {}
        self._turn = asyncio.Event()

    def put(self, key: str, body: bytes | None) -> None:
        if key.startswith(self._prefix):
            self._waiting.pop(key, None)
            self._waiting[key] = body
            self._turn.set()

    def clear(self) -> None:
        self._waiting.clear()

    async def fetch(self) -> tuple[str, bytes | None]:
        while not self._waiting:
            self._turn.clear()
            await self._turn.wait()
        key = next(iter(self._waiting))
        return key, self._waiting.pop(key)


class BusKeys(BusAsking):
    def __init__(self, bus: Bus) -> None:
        super().__init__(bus)
        self._looking = asyncio.Semaphore(MOST_LOOKING)
        self._following = 0

    async def keys(self, call: Call) -> words.KeyList:
        limit = call.query_number("limit", 1000, most=MOST_KEYS) or 0
        found = await self._copy(call.query.get("prefix", ""))
        shown, size = list[words.KeyView](), 0
        for key in sorted(found)[:limit]:
            shown.append(words.key_view(key, found[key]))
            size += min(shown[-1].bytes, words.MOST_SHOWN)
            if size > MOST_BYTES:
                break
        return words.KeyList(keys=shown, total=len(found), is_cut=len(shown) < len(found))

    async def publish(self, call: Call) -> wire.Success:
        """It is on its way when this answers. What is published so is published again when the bus was started anew."""
        key, order = _key(call), call.body(words.KeyOrder)
        body = words.data_of(order.value)
        if not body:
            raise BadInputError("An empty value would delete the key; use DELETE for that.", path="value")
        self.demand_up()
        refused = self._bus.outlet.refused
        self._bus.publish(key, body, order.ttl_s)
        if self._bus.outlet.refused > refused:
            raise TooManyRequestsError(
                "The gateway publishes too many keys; delete some, or give them a ttl_s."
            )
        return wire.Success(True)

    async def delete_key(self, call: Call) -> wire.Success:
        key = _key(call)
        self.demand_up()
        self._bus.publish(key, b"")
        return wire.Success(True)

    async def follow_keys(self, call: Call, _incoming: Incoming) -> Frames:
        self.demand_up()
        if self._following >= MOST_FOLLOWING:
            raise TooManyRequestsError(
                f"{MOST_FOLLOWING} others follow keys already. Close some, then try again."
            )
        with_values = bool(call.query_number("values", 0, most=1))
        return self._frames(call.query.get("prefix", ""), with_values=with_values)

    async def _frames(self, prefix: str, *, with_values: bool) -> Frames:
        changes = Changes(prefix)
        self._following += 1
        try:
            async with self._bus.subscriber(_folder(prefix), changes.put) as subscriber:
                await subscriber.synchronised()
                if not with_values:
                    changes.clear()
                total = sum(key.startswith(prefix) for key in subscriber.kvmap)
                yield _text(words.KeyFrame(total=total))
                while True:
                    key, body = await changes.fetch()
                    yield _text(words.KeyFrame(change=words.key_view(key, body)))
        finally:
            self._following -= 1

    async def _copy(self, prefix: str) -> dict[str, bytes]:
        """Raises `BusAwayError`, `NoAnswerError`."""
        self.demand_up()
        try:
            async with (
                asyncio.timeout(COPY_S),
                self._looking,
                self._bus.subscriber(_folder(prefix)) as subscriber,
            ):
                await subscriber.synchronised()
                found = subscriber.kvmap.items()
                return {key: one.body or b"" for key, one in found if key.startswith(prefix)}
        except TimeoutError:
            raise NoAnswerError(
                "The key/value clone did not give its keys in time. Ask for fewer of them with a longer prefix, or try again."
            ) from None


def _folder(prefix: str) -> str:
    """The subtree that holds all keys with this prefix; all of them where it does not begin with a slash."""
    return prefix.rpartition("/")[0] if prefix.startswith("/") else ""


def _key(call: Call) -> str:
    """Raises `BadInputError`."""
    key = call.query.get("key", "")
    parts = key.split("/")
    if len(parts) < 2 or parts[0] or not all(parts[1:]) or not key.isprintable():
        raise BadInputError(
            "Say which key: `?key=/house/mode`, percent-encoded. A key is a path that begins with a slash and has no empty parts.",
            path="key",
        )
    if len(key.encode()) > MOST_KEY_BYTES:
        raise BadInputError(f"A key has at most {MOST_KEY_BYTES} bytes.", path="key")
    return key


def _text(frame: words.KeyFrame) -> str:
    return codec.encode_json(frame).decode()
