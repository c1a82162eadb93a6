"""A TURN server without a network: it answers as RFC 8656 wants it, and relays between its own allocations at addresses that are nowhere.

`TurnCore` is pure, for machines in virtual time; `TurnOnLoopback` listens on UDP and TCP for drivers.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter
from collections.abc import Hashable
from typing import Self

from wayhouse.overlay.ice import channel, stun
from wayhouse.overlay.ice.stun import Host, Message

Client = Hashable
Sends = list[tuple[Client, bytes]]


@dataclasses.dataclass
class _Allocation:
    relayed: Host
    is_stream: bool
    permitted: set[str] = dataclasses.field(default_factory=set)
    channels: dict[int, Host] = dataclasses.field(default_factory=dict)


class TurnCore:
    """`refuse` is answered to allocations; `asked` counts the methods of signed requests."""

    def __init__(self, user: str = "user", password: str = "secret", realm: str = "lab") -> None:
        self.key = stun.long_term_key(user, realm, password)
        self.realm = realm
        self.nonce = b"nonce-1"
        self.lifetime = 600
        self.refuse: tuple[int, str] | None = None
        self.is_deaf = False
        self.asked: Counter[int] = Counter()
        self.allocations: dict[Client, _Allocation] = {}
        self._count = 0

    def receive(self, client: Client, data: bytes, mapped: Host, *, is_stream: bool = False) -> Sends:
        if self.is_deaf:
            return []
        if not stun.is_stun(data):
            return self._channel_data(client, data)
        message = stun.decode(data)
        if message.method == stun.BINDING:
            return [
                (
                    client,
                    self._success(
                        message, [(stun.XOR_MAPPED_ADDRESS, stun.xor_address(mapped, message.transaction))]
                    ),
                )
            ]
        if not message.is_signed_by(self.key) or message.get(stun.NONCE) != self.nonce:
            code = 438 if message.is_signed_by(self.key) else 401
            return [(client, self._challenge(message, code))]
        self.asked[message.method] += 1
        return [(client, self._do(client, message, mapped, is_stream=is_stream))]

    def forget(self) -> None:
        """As after a restart of the server."""
        self.allocations.clear()

    def _do(self, client: Client, message: Message, mapped: Host, *, is_stream: bool) -> bytes:
        if message.method == stun.ALLOCATE:
            return self._allocate(client, message, mapped, is_stream=is_stream)
        if client not in self.allocations:
            return self._error(message, 437, "Allocation Mismatch")
        if message.method == stun.REFRESH:
            if message.number(stun.LIFETIME) == 0:
                del self.allocations[client]
            return self._success(message, [(stun.LIFETIME, self.lifetime.to_bytes(4, "big"))])
        peer, number = message.address(stun.XOR_PEER_ADDRESS), message.get(stun.CHANNEL_NUMBER)
        if message.method != stun.CHANNEL_BIND or peer is None or number is None:
            return self._error(message, 400, "Bad Request")
        if peer[0].startswith("198.18."):
            return self._error(message, 403, "Forbidden")
        self.allocations[client].permitted.add(peer[0])
        self.allocations[client].channels[int.from_bytes(number[:2], "big")] = peer
        return self._success(message, [])

    def _allocate(self, client: Client, message: Message, mapped: Host, *, is_stream: bool) -> bytes:
        if self.refuse is not None:
            return self._error(message, *self.refuse)
        if client in self.allocations:
            return self._error(message, 437, "Allocation Mismatch")
        self._count += 1
        family = message.get(stun.REQUESTED_ADDRESS_FAMILY)
        relayed = (
            "2001:db8::77" if family is not None and family[0] == 2 else "203.0.113.77",
            40000 + self._count,
        )
        self.allocations[client] = _Allocation(relayed, is_stream)
        attributes = [
            (stun.XOR_RELAYED_ADDRESS, stun.xor_address(relayed, message.transaction)),
            (stun.XOR_MAPPED_ADDRESS, stun.xor_address(mapped, message.transaction)),
            (stun.LIFETIME, self.lifetime.to_bytes(4, "big")),
        ]
        return self._success(message, attributes)

    def _channel_data(self, client: Client, data: bytes) -> Sends:
        number, content = channel.unwrap(data)
        mine = self.allocations.get(client)
        peer = mine.channels.get(number) if mine is not None else None
        for other, theirs in self.allocations.items():
            if mine is not None and theirs.relayed == peer and mine.relayed[0] in theirs.permitted:
                return [(other, self.inbound(other, mine.relayed, content))]
        return []

    def inbound(self, client: Client, source: Host, content: bytes) -> bytes:
        """What the server sends to this client for a datagram that came to its relayed address."""
        theirs = self.allocations[client]
        number = next((number for number, peer in theirs.channels.items() if peer == source), None)
        if number is not None:
            return channel.wrap(number, content, is_stream=theirs.is_stream)
        transaction = bytes(12)
        attributes = [
            (stun.XOR_PEER_ADDRESS, stun.xor_address(source, transaction)),
            (stun.DATA_VALUE, content),
        ]
        return stun.encode(stun.DATA, stun.INDICATION, transaction, attributes)

    def _challenge(self, message: Message, code: int) -> bytes:
        attributes = [
            (stun.ERROR_CODE, stun.error_value(code, "Unauthorized")),
            (stun.REALM, self.realm.encode()),
            (stun.NONCE, self.nonce),
        ]
        return stun.encode(message.method, stun.ERROR, message.transaction, attributes)

    def _success(self, message: Message, attributes: list[tuple[int, bytes]]) -> bytes:
        return stun.encode(message.method, stun.SUCCESS, message.transaction, attributes, key=self.key)

    def _error(self, message: Message, code: int, reason: str) -> bytes:
        attributes = [(stun.ERROR_CODE, stun.error_value(code, reason))]
        return stun.encode(message.method, stun.ERROR, message.transaction, attributes, key=self.key)


class TurnOnLoopback:
    """A context: `port` is the same for UDP and TCP, on 127.0.0.1."""

    def __init__(self) -> None:
        self.core = TurnCore()
        self.port = 0
        self.connections = 0
        self._writers: dict[Client, asyncio.StreamWriter] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])
        loop = asyncio.get_running_loop()
        self._udp, _ = await loop.create_datagram_endpoint(
            lambda: _Udp(self), local_addr=("127.0.0.1", self.port)
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self._udp.close()
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def drop(self) -> None:
        """Every TCP connection ends."""
        for writer in self._writers.values():
            writer.transport.abort()

    def datagram(self, data: bytes, address: Host) -> None:
        self.carry(self.core.receive(("udp", address), data, address))

    def carry(self, sends: Sends) -> None:
        for client, data in sends:
            if client in self._writers:
                self._writers[client].write(data)
            else:
                self._udp.sendto(data, client[1])  # type: ignore[index]

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        address = writer.get_extra_info("peername")
        client = ("tcp", address)
        self._writers[client] = writer
        frames = channel.Frames()
        try:
            while data := await reader.read(65536):
                for frame in frames.feed(data):
                    self.carry(self.core.receive(client, frame, address, is_stream=True))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self.core.allocations.pop(client, None)
            del self._writers[client]
            writer.close()
            self._tasks.discard(task)


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: TurnOnLoopback) -> None:
        self._server = server

    def datagram_received(self, data: bytes, address: Host) -> None:
        self._server.datagram(data, address)
