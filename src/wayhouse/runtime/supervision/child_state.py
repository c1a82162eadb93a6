"""One child of the supervision machine: where it stands and which of its deadlines is next. Pure, like the machine."""

from __future__ import annotations

import math
import signal
from typing import Any

from wayhouse.runtime.supervision import facts
from wayhouse.runtime.supervision.child_spec import ChildSpec

IDLE, WAITING, STARTING, UP, STOPPING = "idle", "waiting", "starting", "up", "stopping"
KILL_AGAIN_S = 0.5

_MOVED = (
    "state",
    "pid",
    "incarnation",
    "wanted",
    "asked",
    "failing",
    "reloading",
    "leaving",
    "ready_once",
    "ended_well",
    "over",
    "streak",
    "due",
    "start_by",
    "watch_by",
    "watchdog_s",
    "again_at",
    "kill_at",
    "extend_until",
    "up_since",
    "number",
    "status_text",
)


class Child:
    """`live` from the wish to start it until its end was seen; `pid` is 0 while it is not known."""

    def __init__(self, spec: ChildSpec) -> None:
        self.spec = spec
        self.state = IDLE
        self.incarnation = 0
        self.streak = 0
        self.wanted = self.ended_well = self.over = self.ready_once = False
        self.due: float | None = None
        self.reset(ended_well=False)

    def reset(self, *, ended_well: bool) -> None:
        """No incarnation."""
        self.state, self.pid, self.ended_well = IDLE, 0, ended_well
        self.asked = self.failing = self.reloading = self.leaving = False
        self.start_by: float | None = None
        self.watch_by: float | None = None
        self.up_since: float | None = None
        self.extend_until: float = math.inf
        self.again_at = self.kill_at = math.inf
        self.watchdog_s = self.spec.watchdog_s
        self.number = int(signal.SIGTERM)
        self.status_text = ""

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def live(self) -> bool:
        return self.state in {STARTING, UP, STOPPING}

    @property
    def satisfies(self) -> bool:
        """What depends on it may start: it is ready, or has done its work."""
        return self.state == UP or (self.state == IDLE and self.over and self.ended_well)

    def up_for(self, now: float) -> float:
        return 0.0 if self.up_since is None else now - self.up_since

    def begin_start(self, now: float) -> None:
        self.state, self.due, self.over = STARTING, None, False
        self.incarnation += 1
        if self.spec.readiness != "none":
            self.start_by = now + self.spec.start_timeout_s
            self.extend_until = self.start_by + self.spec.extend_most_s

    def become_ready(self, now: float) -> None:
        self.state, self.start_by, self.up_since, self.ready_once = UP, None, now, True
        self.feed_watchdog(now)

    def feed_watchdog(self, now: float) -> None:
        if self.state == UP:
            self.watch_by = None if self.watchdog_s is None else now + self.watchdog_s

    def begin_stop(self, now: float, with_signal: int = signal.SIGTERM) -> None:
        """What was begun goes on, but one that leaves by its own wish is told now."""
        if self.state != STOPPING:
            self.state, self.number = STOPPING, with_signal
            self.press_from(now)
        elif self.leaving:
            self.leaving, self.again_at = False, now

    def leave(self, now: float) -> None:
        """It stops by its own wish: no signal but the last one."""
        self.state, self.leaving = STOPPING, True
        self.press_from(now)
        self.again_at = math.inf

    def press_from(self, now: float) -> None:
        self.again_at, self.kill_at = now, now + self.spec.shutdown_s
        self.extend_until = self.kill_at + self.spec.extend_most_s

    def press(self, now: float) -> list[facts.Action]:
        """The signals that are due."""
        if now >= self.kill_at:
            self.kill_at = now + KILL_AGAIN_S
            self.again_at = math.inf
            return [facts.Kill(self.name)]
        if now >= self.again_at:
            again_s = self.spec.again_s if self.number == signal.SIGTERM else 0
            self.again_at = now + again_s if again_s else math.inf
            return [facts.Signal(self.name, self.number)]
        return []

    def extend(self, now: float, seconds: float) -> None:
        """EXTEND_TIMEOUT_USEC; never shortens, and bounded in all."""
        wished = min(now + seconds, self.extend_until)
        if self.state == STARTING and self.start_by is not None:
            self.start_by = max(self.start_by, wished)
        elif self.state == STOPPING:
            self.kill_at = max(self.kill_at, wished)

    def deadline(self) -> float | None:
        if self.state == STARTING:
            return self.start_by
        if self.state == UP:
            return self.watch_by
        if self.state == STOPPING and self.pid:
            return min(self.again_at, self.kill_at)
        return None

    def snapshot(self) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in _MOVED}
        return {name: None if value == math.inf else value for name, value in values.items()}

    def restore(self, state: dict[str, Any]) -> None:
        for name in _MOVED:
            value = state[name]
            endless = value is None and name in {"again_at", "kill_at", "extend_until"}
            setattr(self, name, math.inf if endless else value)
