"""A worker's link to its broker as a pure machine: registration, heartbeats, liveness, requests in and replies out.

Called by `worker.py`, `async_worker.py` and Titanic's sockets. Rules: heartbeats go on whatever the worker does; a broker that is silent while the worker
is idle is given up, and a new connection is tried after a pause that grows; a reply to a request of an earlier registration
is not sent, since its broker has given the request to another by then.
"""

from __future__ import annotations

import msgspec

from wayhouse.bus import mdp
from wayhouse.bus.commands import Command, Open, Send
from wayhouse.bus.model import HEARTBEAT_S, LIVENESS, RECONNECT_S, Frames, MalformedError

FIRST_RETURN_S = 0.1
"""Pause after a DISCONNECT, which says that the broker lives; it doubles up to `reconnect_s`."""
LONGEST_RECONNECT_S = 32.0


class Job(msgspec.Struct, frozen=True, gc=False):
    """A request. `client` is the broker's word for who asked; `registration` counts how often the worker has registered."""

    registration: int
    client: bytes
    body: Frames


class Link:
    """`marks`: tell the broker of credit and heartbeats in frames behind READY, which brokers of the Guide ignore. `beats`: heartbeats go on
    also while a request is at work."""

    def __init__(
        self,
        service: bytes,
        now: float,
        *,
        version: int = mdp.V01,
        credit: int = 1,
        marks: bool = True,
        once: bool = False,
        beats: bool = True,
    ) -> None:
        self.service = service
        self.heartbeat_s = HEARTBEAT_S
        self.reconnect_s = RECONNECT_S
        self.liveness_most = LIVENESS
        self.version = version
        self.registration = 0
        self.malformed = 0
        wanted = mdp.ReadyMarks(credit if credit > 1 else None, once, beats)
        self._ready = mdp.build_ready(service, version, wanted if marks else None)
        self._held: dict[bytes, int] = {}
        self._jobs: list[Job] = []
        self._outbox: list[Command] = []
        self._is_ended = False
        self._is_connected = False
        self._pause_s = 0.0
        self._connect_at = now
        self.heartbeat_at = now
        self._heard_at = now
        self.connect(now)

    @property
    def held(self) -> int:
        """Requests that are not answered yet."""
        return sum(self._held.values())

    def liveness(self, now: float) -> int:
        """How many more silent intervals the broker has, as RasPy's worker counts them."""
        if not self._is_connected:
            return 0
        return max(0, self.liveness_most - int((now - self._heard_at) / self.heartbeat_s))

    def connect(self, now: float) -> None:
        """A new connection and READY, now."""
        self.registration += 1
        self._held.clear()
        self._jobs.clear()
        self._is_connected = True
        self._heard_at = now
        self._outbox.append(Open())
        self._send(self._ready, now)

    def receive(self, frames: Frames, now: float) -> None:
        if self._is_ended or not self._is_connected:
            return
        try:
            message = mdp.parse_at_worker(frames)
        except MalformedError:
            self.malformed += 1
            return
        self._heard_at = now
        if message.command == mdp.DISCONNECT:
            self._leave(now, FIRST_RETURN_S, self.reconnect_s)
        elif message.command == mdp.REQUEST:
            self._pause_s = 0.0
            self._held[message.client] = self._held.get(message.client, 0) + 1
            self._jobs.append(Job(self.registration, message.client, message.body))
        else:
            self._pause_s = 0.0

    def broke(self, now: float) -> None:
        """The connection is known to be gone."""
        if not self._is_ended and self._is_connected:
            self._leave(now, FIRST_RETURN_S, self.reconnect_s)

    def beat_every(self, interval_s: float, now: float) -> None:
        self.heartbeat_s = interval_s
        self.heartbeat_at = min(self.heartbeat_at, now + interval_s)

    def jobs(self) -> list[Job]:
        """What came and is to be done."""
        jobs, self._jobs = self._jobs, []
        return jobs

    def reply(self, job: Job, body: Frames, now: float, *, final: bool = True) -> bool:
        """False when it came too late. Raises `MalformedError` for a part in MDP 0.1."""
        frames = mdp.build_worker_reply(job.client, body, self.version, final=final)
        if job.registration != self.registration or job.client not in self._held or not self._is_connected:
            return False
        if final:
            self._held[job.client] -= 1
            if not self._held[job.client]:
                del self._held[job.client]
            if not self._held:
                self._heard_at = now  # a broker may be silent towards a worker at work: its time begins now
        self._send(frames, now)
        return True

    def send(self, frames: Frames, now: float) -> None:
        """Any other message."""
        self._send(frames, now)

    def outbox(self) -> list[Command]:
        out, self._outbox = self._outbox, []
        return out

    def deadline(self) -> float | None:
        if self._is_ended:
            return None
        if not self._is_connected:
            return self._connect_at
        if self._held:
            return self.heartbeat_at
        return min(self.heartbeat_at, self._heard_at + self.heartbeat_s * self.liveness_most)

    def tick(self, now: float) -> None:
        if self._is_ended:
            return
        if not self._is_connected:
            if now >= self._connect_at:
                self.connect(now)
            return
        if not self._held and now >= self._heard_at + self.heartbeat_s * self.liveness_most:
            self._leave(now, self.reconnect_s, LONGEST_RECONNECT_S)
        elif now >= self.heartbeat_at:
            self._send(mdp.build_heartbeat(self.version), now)

    def end(self, now: float) -> None:
        """DISCONNECT, and nothing more."""
        if not self._is_ended and self._is_connected:
            self._send(mdp.build_disconnect(self.version), now)
        self._is_ended = True
        self._jobs.clear()

    def _leave(self, now: float, first_s: float, longest_s: float) -> None:
        self._is_connected = False
        self.registration += 1
        self._held.clear()
        self._jobs.clear()
        self._pause_s = min(longest_s, self._pause_s * 2 or first_s)
        self._connect_at = now + self._pause_s

    def _send(self, frames: Frames, now: float) -> None:
        self._outbox.append(Send(frames))
        self.heartbeat_at = now + self.heartbeat_s
