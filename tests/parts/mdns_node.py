"""A node that is introduced on the local network, as a process of its own (so that it can be in a namespace): what it hears, it prints.

`python mdns_node.py UID OVERLAY SECRET STATUS HELLO_S`; each line on its input is `UID KIND DATA` to send, or `stop`.
"""

from __future__ import annotations

import asyncio
import sys

from wayhouse.base.errors import WayhouseError
from wayhouse.base.tasks import Tasks
from wayhouse.overlay.drivers.mdns import MdnsSignaller
from wayhouse.overlay.model import SignalEvent


def say(*words: object) -> None:
    sys.stdout.write(" ".join(str(word) for word in words) + "\n")
    sys.stdout.flush()


def show(event: SignalEvent) -> None:
    words = [
        getattr(event, name) for name in ("uid", "status", "kind", "data", "reason") if hasattr(event, name)
    ]
    say(type(event).__name__, *words)


async def main(uid: str, overlay: str, secret: str, status: str, hello_s: str) -> None:
    reader = asyncio.StreamReader()
    pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    before = asyncio.all_tasks()
    async with Tasks() as tasks:
        one = MdnsSignaller(
            overlay, tasks, secret=secret.encode() or None, hello_s=float(hello_s), look_s=0.3
        )
        one.start(uid, status, show)
        while (line := (await reader.readline()).decode().strip()) and line != "stop":
            try:
                one.send(*line.split(" ", 2))
            except WayhouseError as error:
                say("refused", error)
        await one.stop()
    await asyncio.sleep(0)
    say("tasks left:", len(asyncio.all_tasks() - before))
    pipe.close()


asyncio.run(main(*sys.argv[1:]))
