"""Signs of life for a manager that asked for them."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

from wayhouse.gateway.heartbeat import beat


async def test_it_beats_only_where_somebody_watches(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.setblocking(False)
        await beat({"NOTIFY_SOCKET": path})
        await beat({"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "20000", "WATCHDOG_PID": str(os.getpid() + 1)})
        beating = asyncio.create_task(beat({"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "20000"}))
        loop = asyncio.get_running_loop()
        for _ in range(3):
            assert await asyncio.wait_for(loop.sock_recv(manager, 100), 10) == b"WATCHDOG=1"
        beating.cancel()
