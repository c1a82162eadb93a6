"""A storm of messages that make no sense, or half of it, against a broker, while somebody else calls a service through it."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path

import zmq

from wayhouse.bus import mdp
from wayhouse.bus.client import MajorDomoClient
from wayhouse.bus.drivers.frames import AnySocket, drain
from wayhouse.bus.worker import MajorDomoWorker

PEERS = 6
POOL = 3000
STAYS = 500
"""Messages until a peer is another one."""
HEADS = (b"", b"MDPC01", b"MDPW01", b"MDPC02", b"MDPW02", b"\0", b"MDPX99")
NAMES = (
    b"a",
    b"b",
    b"storm.one",
    b"storm.two",
    b"mmi.service",
    b"mmi.discovery",
    b"mmi.stats",
    b"mmi.",
    b"x" * 300,
    b"\xff",
)
MARKS = (b"\0once", b"\0ttl=0.5", b"\0ttl=-1", b"\0ttl=nan", b"\0never", b"\0")


class Noise:
    """Messages by chance: built well, then damaged or not."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self.pool = [self._message() for _ in range(POOL)]

    def __call__(self) -> list[bytes]:
        return self._chance.choice(self.pool)

    def _message(self) -> list[bytes]:
        frames, chance = self._good(), self._chance
        for _ in range(chance.choice([0, 0, 1, 1, 2])):
            place = chance.randrange(len(frames) + 1)
            kind = chance.randrange(4)
            if kind == 0:
                frames.insert(place, chance.choice([*HEADS, chance.randbytes(chance.randrange(40))]))
            elif kind == 1 and len(frames) > 1:
                del frames[place - 1]
            elif kind == 2 and place < len(frames):
                frames[place] = chance.randbytes(len(frames[place]))
            else:
                frames = frames[: max(1, place)]
        return frames

    def _good(self) -> list[bytes]:
        chance = self._chance
        version, name = chance.choice([1, 2]), chance.choice(NAMES)
        body = [chance.randbytes(chance.choice([0, 1, 16, 200])) for _ in range(chance.randrange(4))]
        kind = chance.randrange(8)
        if kind < 3:
            label = name + chance.choice([b"", b"\0ttl=0.5", chance.choice(MARKS)])
            return mdp.build_request(label, body, version)
        if kind == 3:
            ready = mdp.build_ready(
                b"storm.one", version, mdp.ReadyMarks(chance.choice([None, 1, 64]), beats=True)
            )
            return [
                *ready[:-1],
                *([chance.choice([b"credit=0", b"credit=x", b"once"])] if chance.random() < 0.5 else []),
            ]
        if kind == 4:
            return mdp.build_ready(chance.choice(NAMES[:4]), version)
        if kind == 5:
            return mdp.build_worker_reply(chance.randbytes(13), body, version)
        return mdp.build_heartbeat(version) if kind == 6 else mdp.build_disconnect(version)


class Bystander:
    """A worker and a client that want nothing but each other, in threads of their own; `longest_s` is how long a call took at most,
    `unanswered` how many were not answered."""

    def __init__(self, endpoint: str) -> None:
        self.calls = self.unanswered = 0
        self.longest_s = 0.0
        self._worker = MajorDomoWorker(endpoint, "bystander")
        self._client = MajorDomoClient(endpoint)
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._serve), threading.Thread(target=self._call)]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._stopped.set()
        self._threads[1].join()
        self._worker.shutdown()
        self._threads[0].join()
        self._worker.destroy()
        self._client.destroy()

    def _serve(self) -> None:
        request = self._worker.recv()
        while request is not None:
            request = self._worker.recv(request)

    def _call(self) -> None:
        while not self._stopped.wait(0.01):
            begun = time.monotonic()
            body = b"%d" % self.calls
            answer = self._client.send("bystander", [body])
            self.calls += 1
            self.unanswered += answer != [body]
            self.longest_s = max(self.longest_s, time.monotonic() - begun)


def storm(endpoint: str, count: int, seed: int = 1) -> None:
    """Send `count` messages from several peers; one of them never reads what it is sent."""
    context: zmq.Context[AnySocket] = zmq.Context()
    noise, chance = Noise(seed), random.Random(seed)
    peers = [_peer(context, endpoint) for _ in range(PEERS)]
    try:
        for number in range(count):
            place = chance.randrange(PEERS)
            peers[place].send_multipart(noise())
            if place:
                for _ in drain(peers[place]):
                    pass
            if number % STAYS == 0:
                peers[place].close()
                peers[place] = _peer(context, endpoint)
    finally:
        for peer in peers:
            peer.setsockopt(zmq.LINGER, 5000)
            peer.close()
        context.term()


def resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def _peer(context: zmq.Context[AnySocket], endpoint: str) -> AnySocket:
    peer: AnySocket = context.socket(zmq.DEALER)
    peer.setsockopt(zmq.LINGER, 5000)
    peer.setsockopt(zmq.SNDTIMEO, 10_000)
    peer.connect(endpoint)
    return peer
