"""Real sockets on free ports of this machine: what answers, what hangs up, what says nonsense."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from wayhouse.chutes.drivers import probe
from wayhouse.chutes.drivers.probe import SocketPorts, SocketProber

HERE = "127.0.0.1"
Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def listening(answer: Answer) -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await answer(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, HERE, 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind((HERE, 0))
        return int(trial.getsockname()[1])


async def stay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """What a forwarder does whose app is not there yet."""


async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-x\r\n")
    await reader.read()


def saying(text: bytes, seen: list[bytes] | None = None) -> Answer:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if seen is not None:
            seen.append(head)
        writer.write(text)
        await writer.drain()

    return answer


@pytest.mark.parametrize("answer", [stay, greet])
async def test_a_connection_that_stays_open_counts(answer: Answer) -> None:
    async with listening(answer) as port:
        assert await SocketProber().tcp(HERE, port) == ""


async def test_a_connection_that_is_closed_at_once_does_not() -> None:
    async with listening(hang_up) as port:
        assert await SocketProber().tcp(HERE, port) == f"port {port}: the connection is closed at once"


async def test_nobody_there() -> None:
    port = free_port()
    assert await SocketProber().tcp(HERE, port) == f"port {port}: Connection refused"
    assert await SocketProber().http(HERE, port, "/") == "GET /: Connection refused"


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", ""),
        (b"HTTP/1.0 302 Found\r\n\r\n", ""),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "GET /x: answered 404"),
        (b"HTTP/1.1 500\r\n\r\n", "GET /x: answered 500"),
        (b"HTTP/1.1 99999999999999999999 X\r\n\r\n", "GET /x: answered 99999999999999999999"),
        (b"", "GET /x: answered no HTTP"),
        (b"hello 200\r\n", "GET /x: answered no HTTP"),
        (b"SSH-2.0-x\r\n", "GET /x: answered no HTTP"),
        (b"\xff" * 200_000, "GET /x: answered no HTTP"),
        (b"HTTP/1.1 " + b"9" * 5000 + b"\r\n", "GET /x: answered no HTTP"),
    ],
)
async def test_what_is_healthy_over_http(said: bytes, verdict: str) -> None:
    async with listening(saying(said)) as port:
        assert await SocketProber().http(HERE, port, "/x") == verdict


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/a?b=c&d=%20", b"/a?b=c&d=%20"),
        ("/ü b", b"/%C3%BC%20b"),
        ("/x\r\nHost: evil", b"/x%0D%0AHost:%20evil"),
    ],
)
async def test_a_path_cannot_leave_its_line(path: str, target: bytes) -> None:
    seen: list[bytes] = []
    async with listening(saying(b"HTTP/1.1 200 OK\r\n\r\n", seen)) as port:
        assert await SocketProber().http(HERE, port, path) == ""
    assert seen[0].split(b"\r\n")[0] == b"GET " + target + b" HTTP/1.1"


async def test_one_that_says_nothing_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "ANSWER_S", 0.05)
    async with listening(stay) as port:
        assert await SocketProber().http(HERE, port, "/") == "GET /: no answer"


@pytest.mark.parametrize(("kind", "protocol"), [(socket.SOCK_STREAM, "tcp"), (socket.SOCK_DGRAM, "udp")])
def test_a_port_is_free_or_not(kind: int, protocol: str) -> None:
    with socket.socket(socket.AF_INET, kind) as holder:
        holder.bind((HERE, 0))
        port = holder.getsockname()[1]
        if kind == socket.SOCK_STREAM:
            holder.listen()
        assert not SocketPorts().is_free(port, protocol)
    assert SocketPorts().is_free(port, protocol)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_port_that_only_root_may_open_is_not_called_taken() -> None:
    """The engine may open it although this process may not; a real holder is told by the engine then."""
    code = (
        "import os; from wayhouse.chutes.drivers.probe import SocketPorts; os.setuid(65534); "
        "print(SocketPorts().is_free(81, 'tcp'))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "True"
