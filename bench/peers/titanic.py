"""Peers of the benchmark of durable requests, all on our broker, so that only the Titanics differ.

`python -m bench.peers.titanic files|guide|echo BROKER FOLDER`. `files`: each request a file of its own and a line in a queue file, nothing
synced, and nothing but that. `guide`: what the ZeroMQ guide's Titanic does, written from RFC 9 and its description: the same files, a pipe with
room for one to the dispatcher, which for each that comes reads the whole queue file and asks `mmi.service` before it sends, and marks a line as
done. `echo`: a worker that both may send to.
"""

from __future__ import annotations

import sys
import threading
import uuid
from pathlib import Path

import zmq

from wayhouse.bus import mdp
from wayhouse.bus.drivers.frames import AnySocket, receive, send

BEAT_S = 2.5
DONE, PENDING = b"+", b"-"


def serve(endpoint: str, service: bytes, answer: object, credit: int | None = None) -> None:
    """Answer each request with what `answer` gives for its frames."""
    assert callable(answer)
    socket: AnySocket = zmq.Context.instance().socket(zmq.DEALER)
    socket.connect(endpoint)
    send(socket, mdp.build_ready(service, marks=mdp.ReadyMarks(credit=credit)))
    while True:
        if not socket.poll(BEAT_S * 1000):
            send(socket, mdp.build_heartbeat())
        while (frames := receive(socket)) is not None:
            message = mdp.parse_at_worker(frames)
            if message.command == mdp.REQUEST:
                send(socket, mdp.build_worker_reply(message.client, answer(message.body)))


def keep(folder: Path, frames: list[bytes]) -> bytes:
    name = uuid.uuid4().hex
    with (folder / f"{name}.req").open("wb") as file:
        file.writelines(frame + b"\n" for frame in frames)
    return name.encode()


def files(endpoint: str, folder: Path) -> None:
    with (folder / "queue").open("ab", buffering=0) as queue:

        def accept(body: list[bytes]) -> list[bytes]:
            name = keep(folder, body)
            queue.write(PENDING + name + b"\n")
            return [b"200", name]

        serve(endpoint, b"titanic.request", accept)


def guide(endpoint: str, folder: Path) -> None:
    context: zmq.Context[AnySocket] = zmq.Context.instance()
    here, there = context.socket(zmq.PAIR), context.socket(zmq.PAIR)
    for end in (here, there):
        end.setsockopt(zmq.SNDHWM, 1)
        end.setsockopt(zmq.RCVHWM, 1)
    here.bind("inproc://pipe")
    there.connect("inproc://pipe")

    def accept(body: list[bytes]) -> list[bytes]:
        name = keep(folder, body)
        there.send(name)
        return [b"200", name]

    threading.Thread(target=serve, args=(endpoint, b"titanic.request", accept), daemon=True).start()
    client = context.socket(zmq.DEALER)
    client.connect(endpoint)
    while True:
        if here.poll(1000):
            with (folder / "queue").open("ab") as queue:
                queue.write(PENDING + here.recv() + b"\n")
        _dispatch(folder, client)


def _dispatch(folder: Path, client: AnySocket) -> None:
    with (folder / "queue").open("r+b") as queue:
        at = 0
        for line in queue.readlines():
            if line.startswith(PENDING) and _do(folder, line[1:].strip().decode(), client):
                queue.seek(at)
                queue.write(DONE)
            at += len(line)


def _do(folder: Path, name: str, client: AnySocket) -> bool:
    service, *body = (folder / f"{name}.req").read_bytes().split(b"\n")[:-1]
    if _call(client, b"mmi.service", [service]) != [b"200"]:
        return False
    (folder / f"{name}.rep").write_bytes(b"\n".join(_call(client, service, body)))
    return True


def _call(client: AnySocket, service: bytes, body: list[bytes]) -> list[bytes]:
    send(client, mdp.build_request(service, body))
    return mdp.parse_reply(client.recv_multipart()).body


def main() -> None:
    role, endpoint, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    folder.mkdir(parents=True, exist_ok=True)
    if role == "echo":
        serve(endpoint, b"echo", list, credit=64)
    else:
        {"files": files, "guide": guide}[role](endpoint, folder)


if __name__ == "__main__":
    main()
