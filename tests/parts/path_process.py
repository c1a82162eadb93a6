"""One end of a path, as a process in a host of a NAT lab: JSON lines in ({"remote": [...]}, {"restart": true}, {"report": true}, {"close": true}) and
out (candidates, up, lost, heard, gap, report).

While there is a path, it sends a numbered datagram every 20 ms; like a tunnel it borrows the socket and gives back what is not its own.

    python -m tests.parts.path_process <settings as JSON> <controlling: 0|1> <certificate> [<username> <password>]
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from wayhouse.base.tasks import Tasks
from wayhouse.overlay.drivers.addresses import AddressWatch
from wayhouse.overlay.drivers.ice import IcePath
from wayhouse.overlay.model import Candidate, PathSettings
from wayhouse.overlay.ports import Address, Endpoint, UdpEndpoint

_BEAT_S = 0.02


class _Talker:
    """The process's own end."""

    def __init__(self, path: IcePath) -> None:
        self._path = path
        self._endpoint: Endpoint | None = None
        self._others: dict[socket.socket, Callable[[bytes, Address], None]] = {}
        self._last = 0.0

    def say(self, **message: Any) -> None:
        sys.stdout.write(json.dumps(message | {"at": time.monotonic()}) + "\n")
        sys.stdout.flush()

    def path_candidates(self, candidates: Sequence[Candidate], *, is_last: bool) -> None:
        self.say(candidates=[msgspec.to_builtins(one) for one in candidates], is_last=is_last)

    def path_up(self, endpoint: Endpoint, local: Candidate, remote: Candidate) -> None:
        if isinstance(endpoint, UdpEndpoint) and endpoint.sock not in self._others:
            self._others[endpoint.sock] = self._path.lend(endpoint.sock)
            asyncio.get_running_loop().add_reader(endpoint.sock, self._readable, endpoint.sock)
        self._endpoint = endpoint
        kind = "relayed" if endpoint.is_relayed else "direct"
        way = (
            "outlet" if not isinstance(endpoint, UdpEndpoint) else "channel" if endpoint.channel else "socket"
        )
        self.say(up=f"{kind} {local.type} {local.host} {remote.type} {remote.host}", endpoint=way)

    def path_lost(self, reason: str) -> None:
        self.say(lost=reason)

    def path_data(self, data: bytes) -> None:
        self._note(data)

    def _readable(self, sock: socket.socket) -> None:
        while True:
            try:
                data, address = sock.recvfrom(2000)
            except OSError:
                return
            content = data[4:] if data[:1] == b"@" else data
            if content[:4] == b"\1\0\0\0":
                self._note(content)
            else:
                self._others[sock](data, address)

    def _note(self, data: bytes) -> None:
        assert data[:4] == b"\1\0\0\0", data
        now = time.monotonic()
        if not self._last:
            self.say(heard=data.hex())
        elif now - self._last > 0.3:
            self.say(gap=now - self._last)
        self._last = now

    async def beat(self) -> None:
        number = 0
        while True:
            await asyncio.sleep(_BEAT_S)
            number += 1
            data = b"\1\0\0\0%08d" % number
            endpoint = self._endpoint
            if isinstance(endpoint, UdpEndpoint):
                if endpoint.channel is not None:
                    data = endpoint.channel.to_bytes(2, "big") + len(data).to_bytes(2, "big") + data
                try:
                    endpoint.sock.sendto(data, endpoint.address)
                except OSError:
                    continue
            elif endpoint is not None:
                endpoint.outlet(data)


async def _main(
    settings: PathSettings, certificate: Path, *, is_controlling: bool, credentials: Sequence[str]
) -> None:
    settings = msgspec.structs.replace(settings, relay_ca=certificate.read_text())
    watch = AddressWatch()
    async with Tasks() as tasks:
        own = (credentials[0], credentials[1]) if credentials else None
        path = IcePath(settings, tasks, is_controlling=is_controlling, credentials=own, watch=watch)
        talker = _Talker(path)
        path.start(talker)
        beat = tasks.spawn(talker.beat(), name="beat")
        lines = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(lines), sys.stdin
        )
        while line := await lines.readline():
            message = json.loads(line)
            if "remote" in message:
                path.add_remote(msgspec.convert(message["remote"], list[Candidate]))
            elif "restart" in message:
                path.restart()
            elif "report" in message:
                talker.say(report=msgspec.to_builtins(path.report()))
            else:
                break
        beat.cancel()
        loop = asyncio.get_running_loop()
        for sock in talker._others:
            loop.remove_reader(sock)
        await path.close()
    watch.close()


if __name__ == "__main__":
    told = msgspec.convert(json.loads(sys.argv[1]), PathSettings)
    asyncio.run(_main(told, Path(sys.argv[3]), is_controlling=sys.argv[2] == "1", credentials=sys.argv[4:6]))
