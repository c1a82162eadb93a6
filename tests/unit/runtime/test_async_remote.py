# covers: runtime/async_server.py, runtime/rpc/async_engine.py, runtime/rpc/async_stream.py
"""The asyncio client and server, with each other and with the synchronous ones."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.parts.ave_v0 import OldClient, OldServer
from tests.parts.rpc_server import Sample, listener
from wayhouse.runtime.async_remote import AsyncRemote
from wayhouse.runtime.async_server import AsyncServer
from wayhouse.runtime.control import Attachment, Control, Descriptor, current_call
from wayhouse.runtime.exceptions import (
    AveException,
    ConnectionClosed,
    ConnectionRefused,
    ConnectionTimeout,
    Exit,
)
from wayhouse.runtime.remote import RemoteControl


class Owner:
    """Methods of an object that is no Control."""

    def __init__(self) -> None:
        self.cancelled = asyncio.Event()
        self.gate = asyncio.Event()
        self.made = 0
        self.closed = asyncio.Event()

    @Control.rpc
    def add(self, a: int, b: int) -> int:
        return a + b

    @Control.rpc
    async def wait(self) -> str:
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return "waited"

    @Control.rpc
    async def left(self) -> float | None:
        await asyncio.sleep(0)
        call = current_call()
        return call.remaining() if call is not None else -1.0

    @Control.rpc
    @Control.threaded
    def threaded(self, value: Any) -> Any:
        return value

    @Control.rpc
    async def ticks(self, until: int, size: int = 0) -> AsyncIterator[Any]:
        try:
            for number in range(until):
                self.made += 1
                await asyncio.sleep(0)
                yield [number, "x" * size] if size else number
        finally:
            self.closed.set()

    @Control.rpc
    async def fail(self) -> AsyncIterator[int]:
        yield 1
        raise ValueError("no more")

    @Control.rpc
    async def boom(self) -> None:
        raise ValueError("async boom")

    @Control.rpc
    async def leave(self) -> None:
        raise Exit("enough")

    @Control.rpc
    def size(self, blob: Any) -> int:
        return len(blob)

    @Control.rpc
    def read(self, source: Descriptor) -> str:
        return os.read(source.fileno(), 20).decode()


@pytest.fixture
async def served() -> AsyncIterator[tuple[Owner, AsyncServer, Any]]:
    owner, sock = Owner(), listener()
    async with AsyncServer(owner, sock, keys={0: "k"}) as server:
        yield owner, server, sock.getsockname()


@pytest.fixture(params=[0, 1])
async def remote(served: Any, request: Any) -> AsyncIterator[AsyncRemote]:
    async with AsyncRemote(served[2], "k", 20, wire=request.param) as found:
        yield found


async def test_calls_together(remote: AsyncRemote, served: Any) -> None:
    answers = await asyncio.gather(*(remote.add(number, 1) for number in range(500)), remote.threaded("t"))
    assert answers == [*range(1, 501), "t"]
    assert remote.authenticated
    assert await remote.add(1, 1, __async__=True) is None
    with pytest.raises(AveException, match="async boom") as caught:
        await remote.boom()
    assert caught.value.trace[0][2] == "boom"
    with pytest.raises(AveException, match="no such RPC"):
        await remote.missing()


async def test_a_waiting_coroutine_holds_nobody_up(served: Any) -> None:
    owner, _, address = served
    async with AsyncRemote(address, "k", 20) as remote:
        waiting = asyncio.gather(*(remote.wait() for _ in range(5)))
        assert await remote.add(1, 2) == 3
        owner.gate.set()
        assert await waiting == ["waited"] * 5


async def test_cancelling_here_cancels_there(served: Any) -> None:
    owner, _, address = served
    async with AsyncRemote(address, "k", 20) as remote:
        with pytest.raises(ConnectionTimeout):
            await remote.call("wait", __timeout__=0.05)
        await asyncio.wait_for(owner.cancelled.wait(), 10)
        owner.cancelled.clear()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await remote.wait()
        await asyncio.wait_for(owner.cancelled.wait(), 10)
        assert await remote.add(1, 2) == 3
        assert 0 < await remote.left() <= 20


async def test_a_timeout_on_the_old_wire_ends_the_connection(served: Any) -> None:
    async with AsyncRemote(served[2], "k", 20, wire=0) as remote:
        with pytest.raises(ConnectionTimeout):
            await remote.call("wait", __timeout__=0.05)
        with pytest.raises(ConnectionClosed):
            await remote.add(1, 2)


async def test_streams_and_credit(served: Any) -> None:
    owner, _, address = served
    async with AsyncRemote(address, "k", 20) as remote:
        assert [item async for item in remote.stream("ticks", 2000)] == list(range(2000))
        items = remote.stream("fail")
        assert await anext(items) == 1
        with pytest.raises(AveException, match="no more"):
            await anext(items)
        owner.made = 0
        owner.closed.clear()
        async with remote.stream("ticks", 10**9, 10_000) as slow:
            for number in range(100):
                assert (await anext(slow))[0] == number
            for _ in range(50):
                await remote.add(1, 1)
            assert owner.made < 200
        await asyncio.wait_for(owner.closed.wait(), 10)


async def test_subscriptions(served: Any) -> None:
    _, server, address = served
    async with AsyncRemote(address, "k", 20) as remote:
        news = remote.subscribe("t")
        first = asyncio.ensure_future(anext(news))
        await remote.add(1, 1)
        server.notify("t", {"a": 1})
        assert (await first).data == {"a": 1}
        await news.aclose()


async def test_attachments_and_descriptors(tmp_path: Path) -> None:
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(tmp_path / "s"))
    sock.listen()
    (tmp_path / "f").write_text("from a file")
    async with (
        AsyncServer(Owner(), sock, keys={0: "k"}),
        AsyncRemote(str(tmp_path / "s"), "k", 20, descriptors=True) as remote,
    ):
        sizes = await asyncio.gather(*(remote.size(Attachment(b"x" * 100_000)) for _ in range(20)))
        assert sizes == [100_000] * 20
        with (tmp_path / "f").open() as file:
            assert await remote.read(Descriptor(file)) == "from a file"


async def test_with_the_synchronous_ones_and_the_originals(served: Any) -> None:
    _, _, address = served

    def ask() -> tuple[Any, ...]:
        with RemoteControl(address, "k", 20) as ours, OldClient(address, "k") as old:
            return ours.add(1, 2), old.call("add", 3, 4), list(ours.stream("ticks", 3)), old.call("wait_not")

    assert await asyncio.to_thread(ask) == (
        3,
        {"result": 7},
        [0, 1, 2],
        {"exception": "no such RPC: wait_not"},
    )
    with Sample(listener()).in_thread() as running:
        async with AsyncRemote(running.address, "primary", 20) as remote:
            assert await remote.later("x") == "x"
            assert [item async for item in remote.stream("count", 100)] == list(range(100))
    with OldServer("k") as old:
        async with AsyncRemote(old.address, "k", 20) as remote:
            assert await asyncio.gather(remote.echo(1), remote.echo(2)) == [1, 2]


async def test_the_end_is_told(served: Any) -> None:
    _, server, address = served
    async with AsyncRemote(address, "k", 20) as one, AsyncRemote(address, "k", 20) as two:
        waiting = asyncio.ensure_future(two.wait())
        await two.add(1, 1)
        with pytest.raises(Exit, match="enough"):
            await one.leave()
        with pytest.raises(Exit, match="enough"):
            await waiting
        with pytest.raises(ConnectionClosed):
            await two.add(1, 1)
        assert server.engine.conversations == {}


async def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = free.getsockname()
    with pytest.raises(ConnectionRefused):
        await AsyncRemote(address).connect()
    with pytest.raises(ConnectionTimeout):
        await AsyncRemote(address, None, 0.15, optimist=True).connect()
    with pytest.raises(ConnectionClosed):
        await AsyncRemote(address).add(1, 2)


async def test_many_answers_that_are_not_read_do_not_stop_others(served: Any) -> None:
    _, server, address = served
    deaf = socket.create_connection(address)
    deaf.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        deaf.sendall(b"\0\0\0\1x" + (b"\0\0\0\2{}" * 20_000))
    async with AsyncRemote(address, "k", 20) as remote:
        for _ in range(20):
            assert await remote.add(1, 2) == 3
    assert all(len(one.wire.outbox) < 4 * 1024 * 1024 for one in server.engine.conversations.values())
    deaf.close()
