"""Messages with descriptors: whole or not at all, whatever comes over the socket."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.runtime.exceptions import ConnectionClosed, Timeout
from wayhouse.runtime.succession.passage import FDS_AT_ONCE, Passage

Ends = tuple[Passage, Passage]


@pytest.fixture
def ends() -> Iterator[Ends]:
    one, other = socket.socketpair()
    found = Passage(one), Passage(other)
    yield found
    for end in found:
        end.close()


async def test_messages_come_whole_with_their_own_descriptors(ends: Ends) -> None:
    ours, its = ends
    pipes = [os.pipe() for _ in range(3)]
    large = os.urandom(3_000_000)
    sending = asyncio.create_task(send_all(ours, large, pipes))
    assert await its.receive(timeout=5) == (b"", [])
    body, fds = await its.receive(timeout=5)
    assert body == large
    assert [os.read(fd, 10) for fd in fds] == [b"0", b"1"]
    body, (fd,) = await its.receive(timeout=5)
    assert (body, os.read(fd, 10)) == (b"last", b"2")
    assert not os.get_inheritable(fd)
    await sending
    for number in (*fds, fd, *(end for pipe in pipes for end in pipe)):
        os.close(number)


async def send_all(ours: Passage, large: bytes, pipes: list[tuple[int, int]]) -> None:
    for number, (_, writer) in enumerate(pipes):
        os.write(writer, b"%d" % number)
    await ours.send(b"", timeout=5)
    await ours.send(large, [pipes[0][0], pipes[1][0]], timeout=5)
    await ours.send(b"last", [pipes[2][0]], timeout=5)


async def test_as_many_descriptors_as_the_kernel_takes(ends: Ends) -> None:
    ours, its = ends
    await ours.send(b"x", [0] * FDS_AT_ONCE, timeout=5)
    _, fds = await its.receive(timeout=5)
    assert len(fds) == FDS_AT_ONCE
    for fd in fds:
        os.close(fd)
    with pytest.raises(ValueError, match="do not fit"):
        await ours.send(b"x", [0] * (FDS_AT_ONCE + 1), timeout=5)


async def test_waiting_has_an_end(ends: Ends) -> None:
    ours, its = ends
    with pytest.raises(Timeout):
        await its.receive(timeout=0.01)
    with pytest.raises(Timeout):
        await ours.send(bytes(50_000_000), timeout=0.01)


async def test_what_was_sent_before_the_end_still_comes(ends: Ends) -> None:
    ours, its = ends
    await ours.send(b"last words", timeout=5)
    ours.close()
    assert await its.receive(timeout=5) == (b"last words", [])
    with pytest.raises(ConnectionClosed):
        await its.receive(timeout=5)
    with pytest.raises(ConnectionClosed):
        await its.send(b"too late", timeout=5)


async def test_descriptors_that_nobody_took_are_closed() -> None:
    one, other = socket.socketpair()
    ours, its = Passage(one), Passage(other)
    reader, writer = os.pipe()
    await ours.send(b"first", timeout=5)
    await ours.send(b"second", [writer], timeout=5)
    os.close(writer)
    assert await its.receive(timeout=5) == (b"first", [])
    its.close()
    assert os.read(reader, 1) == b""  # the last writing end is gone
    os.close(reader)
    ours.close()


@given(st.binary(max_size=200))
@settings(max_examples=60, deadline=None)
def test_no_bytes_hang_or_crash_it(data: bytes) -> None:
    async def body() -> None:
        one, other = socket.socketpair()
        passage = Passage(other)
        one.sendall(data)
        one.close()
        with pytest.raises(ConnectionClosed):
            await receive_all(passage)
        passage.close()

    asyncio.run(body())


async def receive_all(passage: Passage) -> None:
    while True:
        await passage.receive(timeout=5)
