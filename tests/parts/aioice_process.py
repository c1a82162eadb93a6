"""A peer that is not ours: aioice, an ICE agent of the regular kind, in a host of a NAT lab. Speaks the JSON lines of `path_process`.

python -m tests.parts.aioice_process <server> <controlling: 0|1> <username> <password>
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import aioice

_TYPES = ("host", "srflx", "relay")


def say(**message: Any) -> None:
    sys.stdout.write(json.dumps(message | {"at": time.monotonic()}) + "\n")
    sys.stdout.flush()


async def main(server: str, *, is_controlling: bool, username: str, password: str) -> None:
    connection = aioice.Connection(ice_controlling=is_controlling, stun_server=(server, 3478), use_ipv6=False)
    connection._local_username, connection._local_password = username, password
    await connection.gather_candidates()
    found = [
        {
            "host": one.host,
            "port": one.port,
            "type": one.type,
            "priority": one.priority,
            "foundation": one.foundation,
            "username": username,
            "password": password,
        }
        for one in connection.local_candidates
    ]
    say(candidates=found, is_last=True)
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    await _learn(connection, await lines.readline())
    learning = loop.create_task(_learn_all(connection, lines))
    await connection.connect()
    say(up="direct", endpoint="socket")
    beat = loop.create_task(_beat(connection))
    heard = loop.create_task(_hear(connection))
    await learning
    beat.cancel()
    heard.cancel()
    await connection.close()


async def _learn_all(connection: aioice.Connection, lines: asyncio.StreamReader) -> None:
    """Until it is told to close."""
    while line := await lines.readline():
        if "close" in json.loads(line):
            return
        await _learn(connection, line)


async def _learn(connection: aioice.Connection, line: bytes) -> None:
    for one in json.loads(line).get("remote", ()):
        connection.remote_username, connection.remote_password = one["username"], one["password"]
        kind = one["type"] if one["type"] in _TYPES else "host"
        await connection.add_remote_candidate(
            aioice.Candidate(one["foundation"], 1, "udp", one["priority"], one["host"], one["port"], kind)
        )


async def _beat(connection: aioice.Connection) -> None:
    while True:
        await connection.sendto(b"\1\0\0\0from aioice", 1)
        await asyncio.sleep(0.02)


async def _hear(connection: aioice.Connection) -> None:
    data, _ = await connection.recvfrom()
    say(heard=data[:4].hex())
    while True:
        await connection.recvfrom()


if __name__ == "__main__":
    asyncio.run(
        main(sys.argv[1], is_controlling=sys.argv[2] == "1", username=sys.argv[3], password=sys.argv[4])
    )
