"""A worker's end of MDP as a machine, for a service that takes many requests at once: READY, heartbeats, signing on again.

Called by the driver of Titanic's sockets, one for each `titanic.*` service. Rules: no I/O, `now` is an argument; when the broker falls
silent or says DISCONNECT, `wants_socket` asks for a new connection, as RFC 7 wants it, each time after a longer pause.
"""

from __future__ import annotations

from wayhouse.bus import mdp
from wayhouse.bus.model import HEARTBEAT_S, LIVENESS, RECONNECT_S, Frames, MalformedError

FIRST_PAUSE_S = 0.05


class WorkerLink:
    """`opened` when there is a new socket, `receive` what it brings, `tick`, and send what `outbox` gives."""

    def __init__(self, service: bytes, marks: mdp.ReadyMarks, heartbeat_s: float = HEARTBEAT_S) -> None:
        self.service = service
        self._marks = marks
        self._heartbeat_s = heartbeat_s
        self._pause = FIRST_PAUSE_S
        self._reopen_at: float | None = None
        self._silent_at = self._beat_at = 0.0
        self._outbox: list[Frames] = []

    def opened(self, now: float) -> None:
        self._reopen_at = None
        self._silent_at = now + LIVENESS * self._heartbeat_s
        self._beat_at = now + self._heartbeat_s
        self._outbox = [mdp.build_ready(self.service, marks=self._marks)]

    def broke(self, now: float) -> None:
        """The connection is gone."""
        if self._reopen_at is None:
            self._reopen_at = now + self._pause
            self._pause = min(2 * self._pause, RECONNECT_S)

    def wants_socket(self, now: float) -> bool:
        return self._reopen_at is not None and now >= self._reopen_at

    def receive(self, frames: Frames, now: float) -> mdp.BrokerMessage | None:
        """The request in `frames`, if there is one. What is malformed is ignored."""
        try:
            message = mdp.parse_at_worker(frames)
        except MalformedError:
            return None
        if message.command == mdp.DISCONNECT:
            self.broke(now)
            return None
        self._silent_at = now + LIVENESS * self._heartbeat_s
        self._pause = FIRST_PAUSE_S
        return message if message.command == mdp.REQUEST else None

    def tick(self, now: float) -> None:
        if self._reopen_at is None and now >= self._silent_at:
            self.broke(now)
        if self._reopen_at is None and now >= self._beat_at:
            self._beat_at = now + self._heartbeat_s
            self._outbox.append(mdp.build_heartbeat())

    def deadline(self) -> float:
        return self._reopen_at if self._reopen_at is not None else min(self._silent_at, self._beat_at)

    def outbox(self) -> list[Frames]:
        out, self._outbox = self._outbox, []
        return out
