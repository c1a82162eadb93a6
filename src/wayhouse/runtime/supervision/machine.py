"""Supervision as a pure machine: OTP's words (strategies, intensity, reverse stop) for operating system processes.

Called by a driver (`driver.py`) that starts processes, sends signals and hands in what it sees; no I/O and no clock here,
`now` is any monotonic number of seconds. Rules: a child never has two incarnations; children start in the order of their
dependencies, by readiness, and stop one after the other in reverse; nothing starts once everything was asked to stop.
"""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from wayhouse.base.errors import ConflictError, NotFoundError
from wayhouse.runtime.supervision import facts
from wayhouse.runtime.supervision.child_spec import AutoShutdown, ChildSpec, Intensity, Strategy, in_order
from wayhouse.runtime.supervision.child_state import IDLE, STARTING, STOPPING, UP, WAITING, Child
from wayhouse.runtime.supervision.notify_message import Notice

STATE_VERSION = 1
NOT_STARTED = 127
"""The status of a child that could not be started, as a shell has it."""


class Outcome(msgspec.Struct, frozen=True):
    """Why it all ended: `name` and `status` are those of the child that was the reason, if one was."""

    failed: bool = False
    name: str = ""
    status: int | None = 0


class Supervision:
    """Feed it; then take `outbox()` and `events()`, and call `tick` when `deadline()` has come."""

    def __init__(
        self,
        specs: Sequence[ChildSpec],
        *,
        strategy: Strategy = "one_for_one",
        intensity: Intensity | tuple[int, float] = (5, 60.0),
        auto_shutdown: AutoShutdown = "never",
    ) -> None:
        self.children = {spec.name: Child(spec) for spec in in_order(specs)}
        self.strategy, self.auto_shutdown = strategy, auto_shutdown
        self.intensity = intensity if isinstance(intensity, Intensity) else Intensity(*intensity)
        self.outcome = Outcome()
        self.stopping = False
        self._halted: set[str] = set()
        self._restarts: deque[float] = deque(maxlen=self.intensity.count + 1)
        self._outbox: list[facts.Action] = []
        self._events: list[Any] = []
        self._said_over = False

    # ---- what its owner asks for

    def start_all(self, now: float) -> None:
        self._demand_running()
        for child in self.children.values():
            self._want(child, now)
        self._turn(now)

    def start(self, name: str, now: float) -> None:
        """And what it depends on. Raises `NotFoundError`, `ConflictError` after `stop_all`."""
        self._demand_running()
        self._want_tree(self.child(name), now)
        self._turn(now)

    def stop(self, name: str, now: float) -> None:
        """It alone; it stays stopped, whatever happens to others."""
        child = self.child(name)
        child.wanted = False
        if child.live:
            self._begin_stop(child, now)
        else:
            self._rest(child)
        self._turn(now)

    def restart(self, name: str, now: float) -> None:
        """It alone, at once; this counts as no failure."""
        self._demand_running()
        child = self.child(name)
        self._want_tree(child, now)
        child.streak = 0
        if child.live:
            self._begin_stop(child, now)
        self._turn(now)

    def reload(self, name: str, now: float, number: int = signal.SIGHUP) -> None:
        """Raises `ConflictError` while it does not run."""
        child = self.child(name)
        if child.state not in {UP, STARTING} or not child.pid:
            raise ConflictError(f"Child {name!r} does not run.")
        self._outbox.append(facts.Signal(name, number))

    def stop_all(self, now: float) -> None:
        """In reverse order, one after the other. Nothing is started any more."""
        self.stopping = True
        for child in self.children.values():
            child.wanted = False
            if not child.live:
                self._rest(child)
        self._halted = set(self.children)
        self._turn(now)

    # ---- what the driver has seen

    def started(self, name: str, pid: int, now: float) -> None:
        child = self.child(name)
        child.pid = pid
        self._events.append(facts.ChildUp(name, pid, child.incarnation))
        if child.state == STOPPING:
            child.press_from(now)
        elif child.spec.readiness == "none":
            self._up(child, now)
        self._turn(now)

    def start_failed(self, name: str, reason: str, now: float) -> None:
        self._events.append(facts.ChildNotStarted(name, reason))
        self._ended(self.child(name), NOT_STARTED, now)
        self._turn(now)

    def ready(self, name: str, now: float) -> None:
        child = self.child(name)
        if child.state == STARTING and child.pid:
            self._up(child, now)
        elif child.state == UP and child.reloading:
            child.reloading = False
            self._events.append(facts.ChildReloaded(name))
        self._turn(now)

    def exited(self, name: str, status: int | None, now: float) -> None:
        """The incarnation is over, all of its main processes are."""
        child = self.child(name)
        if child.live:
            self._events.append(facts.ChildExited(name, child.pid, status, child.asked))
            self._ended(child, status, now)
        self._turn(now)

    def moved(self, name: str, pid: int, now: float) -> None:
        """MAINPID: another process of its tree is the child from now on."""
        child = self.child(name)
        if child.live and pid != child.pid:
            child.pid = pid
            child.feed_watchdog(now)
            self._events.append(facts.ChildMoved(name, pid))
            if child.state == STOPPING and not child.leaving:
                child.again_at = now
        self._turn(now)

    def notified(self, name: str, notice: Notice, now: float) -> None:
        """What a child says about itself; MAINPID and descriptors are the driver's, who looks at who sent it."""
        child = self.child(name)
        if not child.live or not child.pid:
            return
        if notice.status is not None:
            child.status_text = notice.status
            self._events.append(facts.ChildStatus(name, notice.status))
        if notice.reloading and child.state == UP:
            child.reloading = True
            self._events.append(facts.ChildReloading(name))
        if notice.extend_s is not None:
            child.extend(now, notice.extend_s)
        self._hear_watchdog(child, notice, now)
        if notice.ready:
            self.ready(name, now)
        if notice.stopping and child.state in {UP, STARTING}:
            self._events.append(facts.ChildLeaving(name))
            child.leave(now)
        self._turn(now)

    def tick(self, now: float) -> None:
        """Do what is due."""
        for child in self.children.values():
            if child.state == STARTING and child.start_by is not None and now >= child.start_by:
                child.failing = True
                self._events.append(facts.ChildLate(child.name))
                child.begin_stop(now)
            elif child.state == UP and child.watch_by is not None and now >= child.watch_by:
                self._hung(child, now)
        self._turn(now)

    # ---- what comes out

    def outbox(self) -> list[facts.Action]:
        taken, self._outbox = self._outbox, []
        return taken

    def events(self) -> list[Any]:
        taken, self._events = self._events, []
        return taken

    def deadline(self) -> float | None:
        """When `tick` is to be called, None for no need."""
        times = [time for child in self.children.values() if (time := self._due(child)) is not None]
        return min(times, default=None)

    @property
    def over(self) -> bool:
        return self.stopping and not any(child.live for child in self.children.values())

    # ---- inside

    def child(self, name: str) -> Child:
        """Raises `NotFoundError`."""
        try:
            return self.children[name]
        except KeyError:
            raise NotFoundError(f"There is no child {name!r}.") from None

    def _demand_running(self) -> None:
        if self.stopping:
            raise ConflictError("The supervisor stops: nothing is started any more.")

    def _want_tree(self, child: Child, now: float) -> None:
        for name in child.spec.depends_on:
            other = self.children[name]
            if not (other.wanted or other.satisfies):
                self._want_tree(other, now)
        self._want(child, now)

    def _want(self, child: Child, now: float) -> None:
        child.wanted = True
        if not child.live:
            self._wait(child, now)

    def _up(self, child: Child, now: float) -> None:
        child.become_ready(now)
        self._events.append(facts.ChildReady(child.name))

    def _hung(self, child: Child, now: float) -> None:
        child.failing = True
        self._events.append(facts.ChildHung(child.name))
        child.begin_stop(now, with_signal=signal.SIGABRT)

    def _hear_watchdog(self, child: Child, notice: Notice, now: float) -> None:
        if notice.watchdog_s is not None:
            child.watchdog_s = notice.watchdog_s or None
            child.feed_watchdog(now)
        if notice.watchdog == "trigger" and child.state == UP:
            self._hung(child, now)
        elif notice.watchdog is not None:
            child.feed_watchdog(now)

    def _begin_stop(self, child: Child, now: float) -> None:
        child.asked = True
        child.begin_stop(now)

    def _rest(self, child: Child) -> None:
        """It stays where it is, unless somebody asks."""
        child.state, child.due, child.streak = IDLE, None, 0
        self._outbox.append(facts.Forget(child.name))

    def _ended(self, child: Child, status: int | None, now: float) -> None:
        bad = child.failing or status != 0
        asked = child.asked or child.name in self._halted
        was_ready, was_live_s = child.ready_once, child.up_for(now)
        child.reset(ended_well=not bad)
        if asked:
            self._wait(child, now) if child.wanted else self._rest(child)
        elif bad and child.spec.must_start and not was_ready:
            self._give_up(child, "it ended before it was ready", status, now)
        elif child.spec.restart == "permanent" or (child.spec.restart == "transient" and bad):
            self._again(child, status, was_live_s, now)
        else:
            self._done(child, status, now)

    def _wait(self, child: Child, due: float) -> None:
        child.state, child.due = WAITING, due

    def _again(self, child: Child, status: int | None, was_up_s: float, now: float) -> None:
        while self._restarts and now - self._restarts[0] > self.intensity.seconds:
            self._restarts.popleft()
        self._restarts.append(now)
        if len(self._restarts) > self.intensity.count:
            return self._give_up(child, "it ends again and again", status, now)
        child.streak = 1 if was_up_s >= child.spec.backoff.steady_s else child.streak + 1
        delay = child.spec.backoff.delay_s(child.streak)
        self._wait(child, now + delay)
        self._events.append(facts.ChildBackingOff(child.name, delay))
        self._halt(child, now)
        return None

    def _halt(self, culprit: Child, now: float) -> None:
        """Those who have to stop and start with it."""
        names = list(self.children)
        if self.strategy == "one_for_one":
            return
        if self.strategy == "rest_for_one":
            names = names[names.index(culprit.name) + 1 :]
        for name in names:
            child = self.children[name]
            if child is not culprit and child.live and child.spec.restart == "temporary":
                child.wanted = False
        self._halted |= set(names) | {culprit.name}

    def _give_up(self, child: Child, reason: str, status: int | None, now: float) -> None:
        child.wanted = False
        self.outcome = Outcome(True, child.name, status)
        self._events.append(facts.GaveUp(child.name, reason, status))
        self.stop_all(now)

    def _done(self, child: Child, status: int | None, now: float) -> None:
        child.wanted = False
        child.over = True
        self._rest(child)
        if not child.spec.significant or self.auto_shutdown == "never":
            return
        others = [one for one in self.children.values() if one.spec.significant]
        if self.auto_shutdown == "any_significant" or all(one.over for one in others):
            self.outcome = Outcome(not child.ended_well, child.name, status)
            self.stop_all(now)

    def _turn(self, now: float) -> None:
        self._halt_next(now)
        for child in self.children.values():
            if child.state == WAITING and self._may_start(child) and now >= (child.due or now):
                child.begin_start(now)
                self._outbox.append(facts.Start(child.name, child.incarnation))
            elif child.state == STOPPING and child.pid:
                self._outbox += child.press(now)
        if self.over and not self._said_over:
            self._said_over = True
            self._events.append(facts.AllStopped(self.outcome.failed))

    def _halt_next(self, now: float) -> None:
        for name in reversed(self.children):
            child = self.children[name]
            if name in self._halted and child.live:
                return self._begin_stop(child, now)
        if not self.stopping:
            self._halted.clear()
        return None

    def _may_start(self, child: Child) -> bool:
        if not child.wanted or child.name in self._halted or self.stopping:
            return False
        return all(self.children[name].satisfies for name in child.spec.depends_on)

    def _due(self, child: Child) -> float | None:
        if child.state == WAITING:
            return child.due if self._may_start(child) else None
        return child.deadline()

    # ---- moving to another process

    def snapshot(self) -> dict[str, Any]:
        """Plain data: all that a successor needs to go on."""
        children = {name: child.snapshot() for name, child in self.children.items()}
        restarts, halted = list(self._restarts), sorted(self._halted)
        return {"version": STATE_VERSION, "restarts": restarts, "halted": halted, "children": children}

    def restore(self, state: dict[str, Any]) -> Iterable[str]:
        """Go on where another one was; answers the names of children that it had and this one has no description of.

        Raises `ValueError` for a state that is not understood. Times must be of the same clock.
        """
        if state.get("version") != STATE_VERSION:
            raise ValueError(f"a state of version {state.get('version')!r} is not understood")
        try:
            self._restarts.extend(map(float, state["restarts"]))
            self._halted = set(state["halted"]) & set(self.children)
            for name, child in state["children"].items():
                if name in self.children:
                    self.children[name].restore(child)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"the state of a supervisor is incomplete: {error}") from error
        return [name for name in state["children"] if name not in self.children]
