"""Batches over real sockets on loopback."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from wayhouse.overlay.engine import udp_batch


@pytest.fixture(params=[socket.AF_INET, socket.AF_INET6])
def ends(request) -> Iterator[tuple[socket.socket, socket.socket]]:
    host = "127.0.0.1" if request.param == socket.AF_INET else "::1"
    made = []
    for _ in range(2):
        sock = socket.socket(request.param, socket.SOCK_DGRAM)
        sock.bind((host, 0))
        udp_batch.prepare(sock)
        made.append(sock)
    yield made[0], made[1]
    for sock in made:
        sock.close()


def received(sock: socket.socket) -> list[bytes]:
    buffer, found = memoryview(bytearray(65536)), []
    while True:
        try:
            count, size, _ = udp_batch.receive(sock, buffer)
        except BlockingIOError:
            return found
        found += [bytes(buffer[at : min(at + size, count)]) for at in range(0, count, size)]


@pytest.mark.parametrize("singles", [0, 5])
def test_a_batch_arrives_as_its_datagrams(ends, singles) -> None:
    batches = udp_batch.Batches(ends[0], ends[1].getsockname())
    batches.singles = singles
    data = bytes(range(200)) * 5 + b"end"
    assert batches.send(memoryview(data), 200) == 0
    assert received(ends[1]) == [data[:200]] * 5 + [b"end"]
    assert batches.send(memoryview(b"alone"), 5) == 0
    assert received(ends[1]) == [b"alone"]
    udp_batch.restore(ends[1])


def test_a_way_without_batches_gets_them_one_by_one(ends) -> None:
    batches = udp_batch.Batches(ends[0], ends[1].getsockname())
    data = bytes(65000)
    assert batches.send(memoryview(data), 40000) == 0  # a segment is greater than what a batch may have
    assert received(ends[1]) == [data[:40000], data[40000:]] or batches.singles


def test_what_cannot_be_sent_is_counted(ends) -> None:
    nowhere = ("203.0.113.1", 0) if ends[0].family == socket.AF_INET else ("2001:db8::1", 0)
    batches = udp_batch.Batches(ends[0], nowhere)
    assert batches.send(memoryview(bytes(30)), 10) == 3
    assert batches.send(memoryview(bytes(10)), 10) == 1


def test_refused_datagrams_are_no_error(ends) -> None:
    with socket.socket(ends[0].family, socket.SOCK_DGRAM) as closed:
        closed.bind((ends[0].getsockname()[0], 0))
        address = closed.getsockname()
    ends[0].connect(address)  # so that the kernel tells
    batches = udp_batch.Batches(ends[0], address)
    assert [batches.send(memoryview(b"x"), 1) for _ in range(5)] == [0] * 5


def test_sizes() -> None:
    assert udp_batch.most_segments(100) == 64
    assert udp_batch.most_segments(1456) == 44
    assert udp_batch.most_segments(65507) == 1
    assert udp_batch.most_segments(70000) == 1
