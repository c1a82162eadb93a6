"""What the blocking and the asyncio supervisor share: carries out what the machine decides, tells it what happened.

Called by `Supervisor` and `AsyncSupervisor`, which give it a `Watcher` of descriptors and the time. Rules: processes are
known by pidfd, never by a pid that may be another's by now; what a child says counts only if it comes from its own tree.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec

from wayhouse.base.errors import UnavailableError
from wayhouse.runtime.process_table import adopt_orphans
from wayhouse.runtime.supervision import facts, launch
from wayhouse.runtime.supervision.child_output import ChildOutput, Sink
from wayhouse.runtime.supervision.child_spec import AutoShutdown, ChildSpec, Intensity, Strategy
from wayhouse.runtime.supervision.hearing import Hearing
from wayhouse.runtime.supervision.limits import ControlGroups, Group
from wayhouse.runtime.supervision.machine import Supervision
from wayhouse.runtime.supervision.place import Place

Listener = Callable[[Any], object]
"""Called with each fact; what it raises ends the supervisor."""


class Watcher(Protocol):
    """Calls back when a descriptor can be read from or has hung up."""

    def watch(self, fd: int, call: Callable[[], object]) -> None: ...

    def unwatch(self, fd: int) -> None: ...


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """`orphans`: become the parent of what children leave behind, and wait for it; only for a process that starts no other
    children than these. `zygote`: what starts functions named by text. `groups`: where control groups are made."""

    strategy: Strategy = "one_for_one"
    intensity: Intensity = Intensity()
    auto_shutdown: AutoShutdown = "never"
    orphans: bool = False
    zygote: Any = None
    groups: str = "/sys/fs/cgroup"


def ignore(*_: object) -> None:
    """For facts and lines that nobody wants."""


class Driver:
    """After each call, `deadline()` says when `tick` is due and `over` whether all has ended."""

    def __init__(
        self,
        specs: Sequence[ChildSpec],
        options: Options,
        watcher: Watcher,
        *,
        on_fact: Listener = ignore,
        on_line: Sink = ignore,
    ) -> None:
        self.machine = Supervision(
            specs,
            strategy=options.strategy,
            intensity=options.intensity,
            auto_shutdown=options.auto_shutdown,
        )
        self.places = {name: Place(child.spec) for name, child in self.machine.children.items()}
        self.groups = ControlGroups(f"wayhouse-{os.getpid()}", options.groups)
        self._options, self._watcher = options, watcher
        self._on_fact, self._on_line = on_fact, on_line
        self._launch = launch.launcher(options.zygote)
        self._working = False
        self._hearing = Hearing(
            self.machine,
            self.places,
            orphans=options.orphans,
            now=self.now,
            on_fact=on_fact,
            watch_main=lambda place: self._watch_process(place, place.main, place.pidfd),
        )
        if options.orphans:
            adopt_orphans()

    # ---- what the owner asks for

    def start_all(self) -> None:
        self.machine.start_all(self.now())
        self.work()

    def start(self, name: str) -> None:
        self.machine.start(name, self.now())
        self.work()

    def stop(self, name: str) -> None:
        self.machine.stop(name, self.now())
        self.work()

    def restart(self, name: str) -> None:
        self.machine.restart(name, self.now())
        self.work()

    def reload(self, name: str) -> None:
        self.machine.reload(name, self.now())
        self.work()

    def stop_all(self) -> None:
        self.machine.stop_all(self.now())
        self.work()

    def tick(self) -> None:
        self.machine.tick(self.now())
        self.work()

    @property
    def over(self) -> bool:
        return self.machine.over

    def deadline(self) -> float | None:
        """In the time of `now()`."""
        return self.machine.deadline()

    def now(self) -> float:
        return time.monotonic()

    def kill_all(self) -> None:
        """At once, without order, what still runs; and wait for it."""
        for place in self.places.values():
            if place.main:
                self._unwatch_incarnation(place)
                place.signal(9)
                place.kill_elders()
                place.reap(place.main)
                place.end()

    def close(self) -> None:
        """When all is over."""
        for place in self.places.values():
            self._unwatch_lasting(place)
            place.close()
        self.groups.close()
        if self._options.orphans:
            adopt_orphans(wanted=False)

    # ---- carrying out

    def work(self) -> None:
        """Do what the machine wants, and tell what it says."""
        if self._working:  # a listener called back
            return
        self._working = True
        try:
            while actions := self.machine.outbox():
                for action in actions:
                    self._do(action)
                self._tell_all()
        finally:
            self._working = False
        self._tell_all()

    def _tell_all(self) -> None:
        for fact in self.machine.events():
            self._on_fact(fact)

    def _do(self, action: facts.Action) -> None:
        place = self.places[action.name]
        if isinstance(action, facts.Start):
            self._start(place)
        elif isinstance(action, facts.Signal):
            place.signal(action.number)
        elif isinstance(action, facts.Kill):
            place.signal(9)
            place.kill_elders()
        elif place.bank is not None:
            place.bank.clear()

    def _start(self, place: Place) -> None:
        name = place.spec.name
        try:
            self._open_lasting(place)
            birth = self._birth(place)
            place.begin(birth, self._launch, self._line)
        except (UnavailableError, OSError) as error:
            self._drop_group(place)
            reason = error.strerror or str(error) if isinstance(error, OSError) else str(error)
            return self.machine.start_failed(name, reason, self.now())
        self._watch_incarnation(place)
        return self.machine.started(name, place.main, self.now())

    def _birth(self, place: Place) -> launch.Birth:
        spec = place.spec
        data_bytes = None
        if spec.limits is not None:
            place.group = self.groups.make(spec.name, spec.limits)
            if place.group.missing:
                self._on_fact(facts.LimitsMissing(spec.name, place.group.missing, place.group.reason))
            if spec.limits.fallback and "memory" in place.group.missing:
                data_bytes = spec.limits.memory_bytes
        return launch.Birth(
            env=spec.env,
            cwd=spec.cwd,
            session=spec.own_session,
            ignores=spec.ignores,
            parent=0 if spec.survives else os.getpid(),
            groups=place.group.folders,
            data_bytes=data_bytes,
        )

    def _drop_group(self, place: Place) -> None:
        self.groups.remove(place.group)
        place.group = Group()

    # ---- watching

    def _open_lasting(self, place: Place) -> None:
        new = place.notify is None and place.bank is None
        place.open_lasting()
        if new:
            self._watch_lasting(place)

    def _watch_lasting(self, place: Place) -> None:
        if place.notify is not None:
            self._watcher.watch(place.notify.fileno(), lambda: self._hear(place))
        if place.bank is not None:
            self._watcher.watch(place.bank.fileno(), place.bank.sweep)

    def _unwatch_lasting(self, place: Place) -> None:
        for thing in (place.notify, place.bank):
            if thing is not None:
                self._watcher.unwatch(thing.fileno())

    def _watch_incarnation(self, place: Place) -> None:
        self._watch_process(place, place.main, place.pidfd)
        for pid, fd in place.elders.items():
            self._watch_process(place, pid, fd)
        for output in place.outputs:
            self._watch_output(output)
        if place.ready_fd >= 0:
            self._watcher.watch(place.ready_fd, lambda: self._look_ready(place))

    def _unwatch_incarnation(self, place: Place) -> None:
        fds = [place.pidfd, place.ready_fd, *place.elders.values(), *(one.fileno() for one in place.outputs)]
        for fd in fds:
            if fd >= 0:
                self._watcher.unwatch(fd)

    def _watch_process(self, place: Place, pid: int, fd: int) -> None:
        self._watcher.watch(fd, lambda: self._process_ended(place, pid))

    def _watch_output(self, output: ChildOutput) -> None:
        def read() -> None:
            if not output.read():
                self._watcher.unwatch(output.fileno())

        self._watcher.watch(output.fileno(), read)

    def _line(self, name: str, stream: str, line: str) -> None:
        self.places[name].tail.add(line)
        self._on_line(name, stream, line)

    def _look_ready(self, place: Place) -> None:
        said = place.said_ready()
        if said is None:
            self._watcher.unwatch(place.ready_fd)
        elif said:
            self.machine.ready(place.spec.name, self.now())
            self.work()

    def _watch_all(self) -> None:
        for place in self.places.values():
            self._watch_lasting(place)
            if place.main:
                self._watch_incarnation(place)

    # ---- ends

    def _hear(self, place: Place) -> None:
        self._hearing.hear(place)
        self.work()

    def _process_ended(self, place: Place, pid: int) -> None:
        self._hearing.hear_out(place)  # first what it said: it may have handed over to a successor
        if pid in place.elders:
            fd = place.elders.pop(pid)
            self._watcher.unwatch(fd)
            os.close(fd)
            place.reap(pid)
        elif pid == place.main and not place.main_ended:
            self._main_ended(place)
        if place.main_ended and not place.elders:
            self._incarnation_over(place)
        self.work()

    def _main_ended(self, place: Place) -> None:
        self._watcher.unwatch(place.pidfd)
        if place.main == place.leader and not place.elders:
            place.kill_session()
        place.status = place.reap(place.main)
        place.main_ended = True
        place.kill_elders()  # they were to end soon; two incarnations at a time must not be

    def _incarnation_over(self, place: Place) -> None:
        name, status = place.spec.name, place.status
        os.close(place.pidfd)
        place.pidfd = -1
        self._unwatch_incarnation(place)
        place.end()
        self._drop_group(place)
        self.machine.exited(name, status, self.now())

    def reap_orphans(self) -> None:
        """Wait for what was left to us. Only with the option `orphans`."""
        while (found := _ended_child()) is not None:
            place = next((one for one in self.places.values() if found in one.pids), None)
            if place is not None:
                self._process_ended(place, found)
                continue
            zygote = self._options.zygote
            if zygote is not None and zygote.pid == found:
                return
            _, status = os.waitpid(found, 0)
            self._on_fact(facts.OrphanReaped(found, os.waitstatus_to_exitcode(status)))

    # ---- moving to another process

    def freeze(self) -> None:
        """Look at nothing any more; `thaw` undoes it."""
        for place in self.places.values():
            self._unwatch_incarnation(place)
            self._unwatch_lasting(place)

    def thaw(self) -> None:
        self._watch_all()
        self.tick()

    def pack(self) -> tuple[dict[str, Any], list[int]]:
        """(plain data, descriptors, which stay ours). Raises `ConflictError` when a child cannot survive."""
        fds: list[int] = []
        places = {}
        for name, place in self.places.items():
            state, own = place.pack()
            places[name] = {"state": state, "first": len(fds), "count": len(own)}
            fds += own
        return {"machine": self.machine.snapshot(), "places": places}, fds

    def unpack(self, state: dict[str, Any], fds: Sequence[int]) -> None:
        """Go on where another process was. It owns `fds`. Raises `ValueError` for a state that is not understood."""
        try:
            self.machine.restore(state["machine"])
            for name, packed in state["places"].items():
                own = list(fds[packed["first"] : packed["first"] + packed["count"]])
                self.places[name].unpack(packed["state"], own, self._line)
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise ValueError(f"the state of a supervisor is incomplete: {error}") from error

    def take_over(self, state: dict[str, Any], fds: Sequence[int], spare: Sequence[str]) -> None:
        """`unpack` and go on: start what is new, stop what nobody describes any more."""
        self.unpack(state, fds)
        self._watch_all()
        for name in self.places:
            if name not in state["places"]:
                self.machine.start(name, self.now())
        for name in spare:
            self.machine.stop(name, self.now())
        self.tick()

    def detach(self) -> None:
        """Another process supervises now: close our copies. Call `freeze` before."""
        for place in self.places.values():
            place.detach()


def _ended_child() -> int | None:
    """A child of this process that has ended and was not waited for."""
    try:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return None if found is None else found.si_pid


def spare_specs(specs: Sequence[ChildSpec], state: dict[str, Any]) -> list[ChildSpec]:
    """Descriptions for children of a state that have none any more: good enough to stop them."""
    known = {spec.name for spec in specs}
    return [
        ChildSpec(name=name, command=("/bin/false",), restart="temporary", survives=True, again_s=0)
        for name in state.get("places", {})
        if name not in known
    ]
