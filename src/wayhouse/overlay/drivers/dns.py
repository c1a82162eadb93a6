"""A small DNS server for the overlays' names, over UDP and TCP, on the addresses it is given and nowhere else.

Used by the link process. Rules: it answers from `NameBook`s alone, asks nobody, and refuses what is outside; a message that cannot be read is answered
with FORMERR or not at all, and never stops it; answers are short, so nobody is hit by more than was asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import struct
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address
from typing import cast

from dnslib import (  # type: ignore[import-untyped]
    AAAA,
    CLASS,
    OPCODE,
    PTR,
    QTYPE,
    RCODE,
    RR,
    SOA,
    A,
    DNSError,
    DNSHeader,
    DNSRecord,
)

from wayhouse.base.errors import OutsideError
from wayhouse.overlay.names import NameBook, reverse_address

log = logging.getLogger(__name__)

TTL_S = 30
LONGEST_QUERY = 1024
MOST_RECORDS = 4
"""In a query: the question and what EDNS and a signature need."""
MOST_UDP = 512
"""RFC 1035 section 2.3.4."""
MOST_CONNECTIONS = 32
IDLE_S = 5.0
_HEADER = struct.Struct("!HHHHHH")
_RESPONSE = 0x8000
Books = Callable[[], Sequence[NameBook]]


def answer(data: bytes, books: Sequence[NameBook], *, longest: int = 65_535) -> bytes | None:
    """The answer to one message; None for what must not be answered (too short, or itself an answer)."""
    if len(data) < _HEADER.size:
        return None
    number, flags, questions, answers, authority, additional = _HEADER.unpack_from(data)
    if flags & _RESPONSE:
        return None
    counts_fit = questions == 1 and not answers and not authority and additional < MOST_RECORDS
    if (flags >> 11) & 0xF != OPCODE.QUERY:
        return _failure(number, flags, RCODE.NOTIMP)
    if not counts_fit or len(data) > LONGEST_QUERY:
        return _failure(number, flags, RCODE.FORMERR)
    try:
        query = DNSRecord.parse(data)
        name = str(query.q.qname).removesuffix(".").lower()
    except (DNSError, ValueError, LookupError, struct.error, RecursionError):
        return _failure(number, flags, RCODE.FORMERR)
    return _packed(_reply(query, name, books), longest)


def _failure(number: int, flags: int, code: int) -> bytes:
    return _HEADER.pack(number, _RESPONSE | (flags & 0x7900) | code, 0, 0, 0, 0)


def _reply(query: DNSRecord, name: str, books: Sequence[NameBook]) -> DNSRecord:
    reply = DNSRecord(DNSHeader(id=query.header.id, qr=1, aa=1, ra=0, rd=query.header.rd), q=query.q)
    address = reverse_address(name)
    if query.q.qclass not in (CLASS.IN, 255):
        reply.header.rcode = RCODE.REFUSED
    elif address is not None:
        book = next((one for one in books if one.is_own(address)), None)
        _answer_reverse(reply, book, book.name_of(address) if book else None)
    else:
        _answer_name(reply, name, next((one for one in books if one.has(name)), None))
    if reply.header.rcode == RCODE.REFUSED:
        reply.header.aa = 0
    return reply


def _answer_reverse(reply: DNSRecord, book: NameBook | None, found: str | None) -> None:
    if book is None:
        reply.header.rcode = RCODE.REFUSED
    elif found is None:
        reply.header.rcode = RCODE.NXDOMAIN
    elif reply.q.qtype in (QTYPE.PTR, QTYPE.ANY):
        reply.add_answer(RR(reply.q.qname, QTYPE.PTR, ttl=TTL_S, rdata=PTR(found)))


def _answer_name(reply: DNSRecord, name: str, book: NameBook | None) -> None:
    if book is None:
        reply.header.rcode = RCODE.REFUSED
        return
    host = book.host(name)
    if host is not None:
        for address in host.addresses:
            kind = QTYPE.A if isinstance(address, IPv4Address) else QTYPE.AAAA
            if reply.q.qtype in (kind, QTYPE.ANY):
                data = A(str(address)) if kind == QTYPE.A else AAAA(str(address))
                reply.add_answer(RR(reply.q.qname, kind, ttl=TTL_S, rdata=data))
    elif name != book.zone:
        reply.header.rcode = RCODE.NXDOMAIN
    if not reply.rr:
        reply.add_auth(RR(book.zone, QTYPE.SOA, ttl=TTL_S, rdata=_soa(book.zone)))


def _soa(zone: str) -> SOA:
    """How long a "no" may be kept is its last number (RFC 2308)."""
    return SOA(f"ns.{zone}", f"nobody.{zone}", (1, 3600, 600, 86_400, TTL_S))


def _packed(reply: DNSRecord, longest: int) -> bytes:
    packed: bytes = reply.pack()
    if len(packed) > longest:
        packed = reply.truncate().pack()
    return packed


class DnsServer:
    """`books` gives the names as they are now. `port` 0 takes a free one, the same for all addresses."""

    def __init__(self, books: Books, addresses: Sequence[str], port: int = 53) -> None:
        self._books = books
        self._addresses = tuple(addresses)
        self.port = port
        self._datagrams: list[asyncio.DatagramTransport] = []
        self._servers: list[asyncio.Server] = []
        self._talks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Raises `OutsideError` when a port is taken or an address is not there; then nothing is bound."""
        loop = asyncio.get_running_loop()
        try:
            for address in self._addresses:
                server = await asyncio.start_server(self._converse, address, self.port, limit=4096)
                self._servers.append(server)
                self.port = server.sockets[0].getsockname()[1]
                transport, _ = await loop.create_datagram_endpoint(
                    lambda: _Datagrams(self._answer), local_addr=(address, self.port)
                )
                self._datagrams.append(transport)
        except OSError as error:
            await self.stop()
            raise OutsideError(
                f"The overlay's names cannot be served at {address} port {self.port}: {error.strerror or error}."
            ) from error

    async def stop(self) -> None:
        for transport in self._datagrams:
            transport.close()
        for server in self._servers:
            server.close()
        talks = tuple(self._talks)
        for talk in talks:
            talk.cancel()
        await asyncio.gather(*talks, return_exceptions=True)
        self._datagrams.clear()
        self._servers.clear()

    def _answer(self, data: bytes, longest: int) -> bytes | None:
        try:
            return answer(data, self._books(), longest=longest)
        except Exception:
            log.exception("a DNS message could not be answered")
            return None

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, in a task of the server's."""
        task = asyncio.current_task()
        if task is None or len(self._talks) >= MOST_CONNECTIONS:
            writer.close()
            return
        self._talks.add(task)
        try:
            await self._talk(reader, writer)
        except (TimeoutError, OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._talks.discard(task)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Messages with their length in front (RFC 7766), until it is idle or says what cannot be answered."""
        while True:
            async with asyncio.timeout(IDLE_S):
                length = int.from_bytes(await reader.readexactly(2), "big")
                if length > LONGEST_QUERY:
                    return
                reply = self._answer(await reader.readexactly(length), 65_535)
                if reply is None:
                    return
                writer.write(len(reply).to_bytes(2, "big") + reply)
                await writer.drain()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, reply: Callable[[bytes, int], bytes | None]) -> None:
        self._reply = reply
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        reply = self._reply(data, MOST_UDP)
        if reply is not None and self._transport is not None:
            self._transport.sendto(reply, addr)
