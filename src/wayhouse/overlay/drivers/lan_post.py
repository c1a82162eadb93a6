"""Carries introductions between the nodes of one local network: one TCP connection for each question and its answer.

Used by `mdns.py`. Rule: strict limits of size, time and number, whoever comes; and no packet of it passes a router (its hop limit is 1), so only
neighbours can speak with it at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import secrets
import socket
from collections import Counter
from collections.abc import Callable

from wayhouse.base.errors import UnavailableError, WayhouseError
from wayhouse.base.tasks import Tasks
from wayhouse.overlay.introduction import (
    GREETING,
    MAX_FRAME,
    MAX_REPLY,
    NONCE,
    Answer,
    Introduction,
    Question,
    Seal,
    frame_length,
)

CONVERSATION_LIMIT_S = 5.0
CONNECT_LIMIT_S = 1.5
MOST_GUESTS, MOST_GUESTS_OF_ONE = 32, 8

Listener = Callable[[str, Introduction, str], None]
"""Is told the sender's uid, what it said, and the host it came from."""


class LanPost:
    """`status` is what everybody who asks is told."""

    def __init__(self, seal: Seal, uid: str, status: str, tasks: Tasks, hear: Listener) -> None:
        self.port = 0
        self.refused = 0
        self._seal, self._uid, self._status = seal, uid, status
        self._tasks, self._hear = tasks, hear
        self._server: asyncio.Server | None = None
        self._guests: Counter[str] = Counter()

    async def open(self) -> None:
        """Listen at a free port. Raises `OSError`."""
        sock = _listening_socket()
        self.port = sock.getsockname()[1]
        self._server = await asyncio.start_server(self._welcome, sock=sock, limit=MAX_REPLY)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def ask(self, host: str, port: int, receiver: str, kind: str = "", data: str = "") -> str:
        """The status of the peer, which has got the message then. Raises `UnavailableError`, and `BadStanzaError`."""
        try:
            async with asyncio.timeout(CONVERSATION_LIMIT_S):
                reader, writer = await self._connected(host, port)
                try:
                    return await self._converse(reader, writer, receiver, (kind, data))
                finally:
                    writer.transport.abort()
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            raise UnavailableError(f"{receiver[:8]} does not answer at {host}.") from error

    async def _connected(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
        )[0]
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            _stay_near(sock)
            async with asyncio.timeout(CONNECT_LIMIT_S):
                await asyncio.get_running_loop().sock_connect(sock, address)
            return await asyncio.open_connection(sock=sock, limit=MAX_REPLY)
        except BaseException:
            sock.close()
            raise

    async def _converse(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        receiver: str,
        message: tuple[str, str],
    ) -> str:
        question = Question(self._seal, self._uid, receiver, secrets.token_bytes(NONCE))
        said = Introduction(self._status, self.port, *message)
        writer.write(question.ask(await reader.readexactly(GREETING), said))
        length = frame_length(await reader.readexactly(4), MAX_REPLY)
        return question.read(await reader.readexactly(length))

    def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = writer.get_extra_info("peername")
        host = _host(address) if address else ""
        if not host or self._guests.total() >= MOST_GUESTS or self._guests[host] >= MOST_GUESTS_OF_ONE:
            self.refused += 1
            writer.transport.abort()
            return
        self._guests[host] += 1
        self._tasks.spawn(self._serve(reader, writer, host), name="overlay introduction")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> None:
        try:
            async with asyncio.timeout(CONVERSATION_LIMIT_S):
                answer = Answer(self._seal, self._uid, secrets.token_bytes(NONCE))
                writer.write(answer.greeting)
                length = frame_length(await reader.readexactly(4), MAX_FRAME)
                sender, said = answer.read(await reader.readexactly(length))
                writer.write(answer.reply(self._status))
                if sender != self._uid:
                    self._hear(sender, said, host)
                await reader.read(1)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, WayhouseError):
            self.refused += 1
        finally:
            writer.transport.abort()
            self._guests[host] -= 1
            if self._guests[host] <= 0:
                del self._guests[host]


def _listening_socket() -> socket.socket:
    """For IPv4 and IPv6, or for what this machine has."""
    try:
        sock = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        everywhere = "::"
    except OSError as error:
        if error.errno != errno.EAFNOSUPPORT:
            raise
        sock, everywhere = socket.socket(socket.AF_INET, socket.SOCK_STREAM), ""
    try:
        _stay_near(sock)
        sock.bind((everywhere, 0))
    except BaseException:
        sock.close()
        raise
    return sock


def _stay_near(sock: socket.socket) -> None:
    """No router forwards what this socket sends: not even the first packet of an answer reaches who is not a neighbour."""
    for level, option in (
        (socket.IPPROTO_IP, socket.IP_TTL),
        (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS),
    ):
        with contextlib.suppress(OSError):
            sock.setsockopt(level, option, 1)


def _host(address: tuple[str, int] | tuple[str, int, int, int]) -> str:
    """As it can be connected to: a link-local address with its interface, a mapped IPv4 one plain."""
    host = address[0].partition("%")[0].removeprefix("::ffff:")
    is_local = len(address) == 4 and address[3] and host.lower().startswith("fe80:")
    return f"{host}%{address[3]}" if is_local and len(address) == 4 else host
