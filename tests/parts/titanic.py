"""A broker and a Titanic as processes, a client and workers in the test's own thread."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import zmq

from wayhouse.bus import mdp
from wayhouse.bus.drivers.frames import AnySocket, drain, send


class Bus:
    """A broker, a Titanic, a client and workers, all driven from this thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.endpoint = f"ipc://{folder}/bus.sock"
        self.context: zmq.Context[AnySocket] = zmq.Context()
        self.sockets: list[AnySocket] = []
        self.processes: list[subprocess.Popen[bytes]] = []
        self.broker = self.start_broker()
        self.client = self.connect()
        try:
            self.until(lambda: self.ask(b"mmi.ping", [b""], wait_s=0.2) == [b"200"])
        except BaseException:
            self.close()
            raise

    def start(self, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments], stderr=(self.folder / "log").open("ab")
        )
        self.processes.append(process)
        return process

    def start_broker(self) -> subprocess.Popen[bytes]:
        return self.start("wayhouse.bus.server", "--runtime", str(self.folder), "--port", "0", "--no-clone")

    def start_titanic(self) -> subprocess.Popen[bytes]:
        return self.start(
            "wayhouse.bus.titanic_server", "--broker", self.endpoint, "--data", str(self.folder)
        )

    def connect(self) -> AnySocket:
        socket: AnySocket = self.context.socket(zmq.DEALER)
        socket.setsockopt(zmq.LINGER, 0)
        socket.connect(self.endpoint)
        self.sockets.append(socket)
        return socket

    def worker(self, service: bytes) -> AnySocket:
        socket = self.connect()
        send(socket, mdp.build_ready(service, marks=mdp.ReadyMarks(credit=16)))
        return socket

    def ask(self, service: bytes, body: list[bytes], wait_s: float = 5.0) -> list[bytes] | None:
        for _ in drain(self.client):
            pass
        send(self.client, mdp.build_request(service, body))
        while self.client.poll(wait_s * 1000):
            reply = mdp.parse_reply(self.client.recv_multipart())
            if reply.service == service:
                return reply.body
        return None

    def until(self, holds: Callable[[], object], within_s: float = 20.0) -> None:
        end = time.monotonic() + within_s
        while not holds():
            assert time.monotonic() < end, (self.folder / "log").read_text()
            time.sleep(0.01)

    def wait_for_titanic(self) -> None:
        self.until(lambda: self.ask(b"mmi.service", [b"titanic.request"]) == [b"200"])

    def close(self) -> None:
        for socket in self.sockets:
            socket.close()
        self.context.term()
        for process in self.processes:
            process.kill()
            process.wait()


def work(socket: AnySocket, done: Counter[bytes]) -> None:
    """Answers each request with `did <body>`."""
    for frames in drain(socket):
        message = mdp.parse_at_worker(frames)
        if message.command == mdp.REQUEST:
            done[message.body[0]] += 1
            send(socket, mdp.build_worker_reply(message.client, [b"did " + message.body[0]]))
        elif message.command == mdp.HEARTBEAT:
            send(socket, mdp.build_heartbeat())
