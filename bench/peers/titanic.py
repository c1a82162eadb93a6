"""A Titanic as the ZeroMQ guide builds it: each request a file of its own and a line in a queue file, nothing synced.

`python -m bench.peers.titanic BROKER FOLDER` serves `titanic.request` on our broker, so that only the Titanics differ. It has no
dispatcher: accepting alone is measured, and the guide's would only slow it down.
"""

from __future__ import annotations

import sys
import uuid
from pathlib import Path

import zmq

from wayhouse.bus import mdp
from wayhouse.bus.drivers.frames import AnySocket, receive, send

BEAT_S = 2.5


def main() -> None:
    endpoint, folder = sys.argv[1], Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    context: zmq.Context[AnySocket] = zmq.Context()
    socket = context.socket(zmq.DEALER)
    socket.connect(endpoint)
    send(socket, mdp.build_ready(b"titanic.request"))
    with (folder / "queue").open("ab", buffering=0) as queue:
        while True:
            if not socket.poll(BEAT_S * 1000):
                send(socket, mdp.build_heartbeat())
            while (frames := receive(socket)) is not None:
                message = mdp.parse_at_worker(frames)
                if message.command == mdp.REQUEST:
                    name = _keep(folder, message.body)
                    queue.write(b"-" + name + b"\n")
                    send(socket, mdp.build_worker_reply(message.client, [b"200", name]))


def _keep(folder: Path, frames: list[bytes]) -> bytes:
    name = uuid.uuid4().hex
    with (folder / f"{name}.req").open("wb") as file:
        file.writelines(frame + b"\n" for frame in frames)
    return name.encode()


if __name__ == "__main__":
    main()
