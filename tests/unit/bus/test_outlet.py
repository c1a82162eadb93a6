"""What is published: the newest value of each key, whatever happens to the clone."""

from __future__ import annotations

import asyncio

import pytest

from wayhouse.bus import outlet
from wayhouse.bus.async_publisher import AsyncKvPublisherClient, AsyncKvSubscriberClient
from wayhouse.bus.drivers.clone_sockets import Endpoints
from wayhouse.bus.outlet import Outlet
from wayhouse.bus.server import BusServer, ServerSettings


async def test_only_the_newest_value_of_a_key_is_kept_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlet, "MAX_KEYS", 2)
    kept = Outlet(lambda: AsyncKvPublisherClient(endpoints=Endpoints("", "", "tcp://127.0.0.1:1")))
    for number in range(5):
        kept.put("/a/b", b"%d" % number)
    kept.put("/a/c", b"1")
    kept.put("/a/d", b"1")
    assert (len(kept), kept.refused) == (2, 1)
    kept.put("/a/c", b"")
    kept.put("/a/d", b"1")
    kept.put("/event/x", b"passes", 5.0)
    assert (len(kept), kept.refused) == (2, 1)


async def test_a_clone_that_was_started_anew_gets_it_all() -> None:
    server = BusServer(ServerSettings(port=0))
    assert server.clone is not None
    endpoints = server.clone.endpoints
    running = asyncio.create_task(asyncio.to_thread(server.run))
    kept = Outlet(lambda: AsyncKvPublisherClient(endpoints=endpoints))
    sending = asyncio.create_task(kept.run())
    try:
        async with (
            asyncio.timeout(20),
            AsyncKvSubscriberClient(subtree="/a/", endpoints=endpoints) as seen,
        ):
            for number in range(100):
                kept.put(f"/a/{number}", b"%d" % number)
            while len(seen.kvmap) < 100:
                await asyncio.sleep(0.01)
            before = seen.sequence
            kept.send_all()
            while seen.sequence < before + 100:
                await asyncio.sleep(0.01)
    finally:
        sending.cancel()
        await asyncio.wait([sending])
        server.shutdown()
        await running
