"""What this process publishes on the key/value clone: the newest value of each key, sent in the background.

Called by `service`. Rules: `put` never waits and never fails; of a key that changes faster than it can be sent, the newest value is; a
clone that was started anew gets all that is kept.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from wayhouse.base.errors import WayhouseError
from wayhouse.bus.async_publisher import AsyncKvPublisherClient

log = logging.getLogger(__name__)

MAX_KEYS = 100_000
AGAIN_S = 1.0
Value = tuple[bytes, float | None]


class Outlet:
    """`connect` makes a client that sends; it is called again after each failure."""

    def __init__(self, connect: Callable[[], AsyncKvPublisherClient]) -> None:
        self._connect = connect
        self._kept: dict[str, Value] = {}
        self._unsent: dict[str, Value] = {}
        self._turn = asyncio.Event()
        self.refused = 0
        """Values of keys beyond `MAX_KEYS`."""

    def __len__(self) -> int:
        return len(self._kept)

    def put(self, key: str, body: bytes, ttl_s: float | None = None) -> None:
        """`key` is a path such as `/device/localhost.fake.lamp`; an empty body deletes it."""
        if not body:
            self._kept.pop(key, None)
        elif ttl_s is None:
            if key not in self._kept and len(self._kept) >= MAX_KEYS:
                self.refused += 1
                return
            self._kept[key] = (body, None)
        self._unsent[key] = (body, ttl_s)
        self._turn.set()

    def send_all(self) -> None:
        """The clone has lost them."""
        self._unsent = {**self._kept, **self._unsent}
        self._turn.set()

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            async with self._connect() as client:
                try:
                    await self._feed(client)
                except WayhouseError as error:
                    log.debug("the key/value clone takes nothing: %s", error)
            await asyncio.sleep(AGAIN_S)

    async def _feed(self, client: AsyncKvPublisherClient) -> None:
        while True:
            await self._turn.wait()
            self._turn.clear()
            while self._unsent:
                key, (body, ttl_s) = next(iter(self._unsent.items()))
                subtree, _, name = key.rpartition("/")
                await client.send(subtree, name, body, ttl_s=ttl_s)
                if self._unsent.get(key) == (body, ttl_s):
                    del self._unsent[key]
