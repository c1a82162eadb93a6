"""Asks the STUN and TURN servers of some settings, and gives a `NetReport`.

Used by the link process for `wayhouse overlay netcheck`. Takes a few seconds at most; never raises because of a server.
"""

from __future__ import annotations

import asyncio
import socket

from wayhouse.base.tasks import Tasks
from wayhouse.overlay.drivers.addresses import local_addresses
from wayhouse.overlay.drivers.relays import Relay, Relays, resolve
from wayhouse.overlay.ice import channel, stun
from wayhouse.overlay.ice.stun import BadStunError, Host
from wayhouse.overlay.model import PathSettings, TurnServer
from wayhouse.overlay.netcheck import (
    FILTER,
    IPV4,
    IPV6,
    Answer,
    Inquiry,
    NetReport,
    Question,
    ServerCheck,
    judge,
)

_LIMIT_S = 8.0
_RELAY_LIMIT_S = 4.0
_FAMILIES = {IPV4: socket.AF_INET, FILTER: socket.AF_INET, IPV6: socket.AF_INET6}


async def check_net(settings: PathSettings) -> NetReport:
    """What the machine can expect of its paths."""
    stun_servers = [(name, host) for name, port in settings.stun for host in await resolve(name, port)]
    turn_servers = [
        (server, host) for server in settings.turn for host in await resolve(server.host, server.port)
    ]
    unknown = [name for name, _ in settings.stun if all(name != known for known, _ in stun_servers)]
    async with Tasks() as tasks:
        probes = [_RelayProbe(server, host, tasks, settings.relay_ca) for server, host in turn_servers]
        for probe in probes:
            probe.start()
        asker = _Asker([(_base_of(host), host) for _, host in stun_servers])
        try:
            await asker.run()
            checks = [
                _stun_check(name, host, asker.inquiry.answers.get(Question(_base_of(host), host)))
                for name, host in stun_servers
            ]
            checks += [await probe.result() for probe in probes]
        finally:
            asker.close()
            for probe in probes:
                await probe.close()
    checks += [
        ServerCheck(kind="stun", host=name, address="", error="the name is not known") for name in unknown
    ]
    addresses = [one.host for one in local_addresses(settings.ignored_interfaces)]
    return judge(asker.inquiry, checks, addresses, asker.port)


def _base_of(host: Host) -> str:
    return IPV6 if ":" in host[0] else IPV4


def _stun_check(name: str, host: Host, answer: Answer | None) -> ServerCheck:
    if answer is None:
        return ServerCheck(kind="stun", host=name, address=host[0], error="no answer")
    mapped = f"{answer.mapped[0]} port {answer.mapped[1]}"
    return ServerCheck(
        kind="stun", host=name, address=host[0], rtt_ms=round(answer.rtt * 1000, 2), mapped=mapped
    )


class _Asker:
    """The sockets of an `Inquiry`."""

    def __init__(self, servers: list[tuple[str, Host]]) -> None:
        self.inquiry = Inquiry(servers)
        self.port = 0
        self._loop = asyncio.get_running_loop()
        self._socks: dict[str, socket.socket] = {}
        self._woken = asyncio.Event()
        for base, family in _FAMILIES.items():
            self._open(base, family)

    def _open(self, base: str, family: socket.AddressFamily) -> None:
        try:
            sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        except OSError:  # a machine without this family
            return
        self._socks[base] = sock
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(("", 0))
        if base == IPV4:
            self.port = int(sock.getsockname()[1])
        self._loop.add_reader(sock, self._readable, base)

    async def run(self) -> None:
        now = self._loop.time()
        until = now + _LIMIT_S
        self.inquiry.start(now)
        while True:
            self._flush()
            deadline = self.inquiry.deadline()
            if self.inquiry.is_done or deadline is None or now > until:
                return
            self._woken.clear()
            try:
                async with asyncio.timeout_at(deadline):
                    await self._woken.wait()
            except TimeoutError:
                pass
            now = self._loop.time()
            self.inquiry.tick(now)

    def close(self) -> None:
        for sock in self._socks.values():
            self._loop.remove_reader(sock)
            sock.close()
        self._socks.clear()

    def _flush(self) -> None:
        for ask in self.inquiry.outbox():
            sock = self._socks.get(ask.base)
            if sock is not None:
                try:
                    sock.sendto(ask.data, ask.server)
                except OSError:  # no route: as if nobody answered
                    continue

    def _readable(self, base: str) -> None:
        try:
            data, address = self._socks[base].recvfrom(1 << 16)
            self.inquiry.hear(base, stun.decode(data), (address[0], address[1]), self._loop.time())
        except (OSError, BadStunError):
            return
        self._woken.set()


class _RelayProbe:
    """One allocation at one server, and how long it took; it is a `RelayUser`."""

    def __init__(self, server: TurnServer, host: Host, tasks: Tasks, authority: str) -> None:
        self._server, self._host = server, host
        self._loop = asyncio.get_running_loop()
        self._relays = Relays(self, tasks, authority)
        self._sock: socket.socket | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._done = asyncio.Event()
        self._began = 0.0
        self._took: float | None = None
        self._mapped = ""

    def start(self) -> None:
        self._began = self._loop.time()
        family = socket.AF_INET6 if ":" in self._host[0] else socket.AF_INET
        try:
            self._sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        except OSError:
            self._done.set()
            return
        self._loop.add_reader(self._sock, self._readable)
        self._relays.start([(self._server, self._host)])

    async def result(self) -> ServerCheck:
        try:
            async with asyncio.timeout_at(self._began + _RELAY_LIMIT_S):
                await self._done.wait()
        except TimeoutError:
            pass
        return ServerCheck(
            kind=f"turn {self._server.transport}",
            host=self._server.host,
            address=self._host[0],
            rtt_ms=None if self._took is None else round(self._took * 1000, 2),
            mapped=self._mapped,
            error="" if self._took is not None else self._relays.last_error or "no answer",
        )

    async def close(self) -> None:
        await self._relays.close()
        if self._timer is not None:
            self._timer.cancel()
        if self._sock is not None:
            self._loop.remove_reader(self._sock)
            self._sock.close()
            self._sock = None

    def _readable(self) -> None:
        if self._sock is None:
            return
        try:
            data, address = self._sock.recvfrom(1 << 16)
            if not channel.is_channel_data(data):
                self._relays.hear((address[0], address[1]), stun.decode(data))
        except (OSError, BadStunError):
            return

    def _tick(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._relays.tick(self._loop.time())
        deadline = self._relays.deadline()
        if deadline is not None and not self._done.is_set():
            self._timer = self._loop.call_at(deadline, self._tick)

    # drivers/relays.RelayUser

    def send_udp(self, server: Host, data: bytes) -> None:
        if self._sock is not None:
            try:
                self._sock.sendto(data, server)
            except OSError:  # no route: as if nobody answered
                return

    def relay_up(self, relay: Relay) -> None:
        if self._took is None:
            self._took = self._loop.time() - self._began
        mapped = relay.allocation.mapped if relay.allocation is not None else None
        self._mapped = "" if mapped is None else f"{mapped[0]} port {mapped[1]}"
        self._done.set()

    def relay_down(self, relay: Relay) -> None:
        self._done.set()

    def relay_data(self, relay: Relay, source: Host, data: bytes) -> None:
        """Nobody sends here: nobody was told of the address."""

    def relay_busy(self) -> None:
        if self._relays.last_error:
            self._done.set()
        self._loop.call_soon(self._tick)

    def has_path(self) -> bool:
        return True
