"""The machine of supervision: no process, no clock; a world of invented children drives it through hours in milliseconds."""
# covers: runtime/supervision/child_spec.py, runtime/supervision/child_state.py, runtime/supervision/facts.py

from __future__ import annotations

import signal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from wayhouse.base.errors import BadInputError, ConflictError, NotFoundError
from wayhouse.runtime.supervision import facts
from wayhouse.runtime.supervision.child_spec import Backoff, ChildSpec, Intensity, Limits, in_order
from wayhouse.runtime.supervision.machine import NOT_STARTED, Outcome, Supervision
from wayhouse.runtime.supervision.notify_message import Notice


def spec(name: str, **how) -> ChildSpec:
    how.setdefault("backoff", Backoff(first_s=1, factor=2, most_s=8, steady_s=100))
    return ChildSpec(name=name, command=("x",), **how)


class World:
    """Does what the machine wants, as a driver would; `started` and `signals` say what that was."""

    def __init__(self, *specs: ChildSpec, start: bool = True, **how) -> None:
        self.machine = Supervision(specs, **how)
        self.now = 1000.0
        self.pids: dict[str, int] = {}
        self.started: list[str] = []
        self.signals: list[tuple[str, int]] = []
        self.facts: list = []
        self.restarts: list[float] = []
        self.failing: set[str] = set()
        self.next_pid = 1
        if start:
            self.machine.start_all(self.now)
            self.work()

    def work(self) -> None:
        while actions := self.machine.outbox():
            for action in actions:
                self.do(action)
        new = self.machine.events()
        self.restarts += [self.now for fact in new if isinstance(fact, facts.ChildBackingOff)]
        self.facts += new

    def do(self, action) -> None:
        if isinstance(action, facts.Start):
            assert action.name not in self.pids, "two incarnations"
            self.started.append(action.name)
            if action.name in self.failing:
                self.machine.start_failed(action.name, "no", self.now)
                return
            self.pids[action.name] = self.next_pid
            self.machine.started(action.name, self.next_pid, self.now)
            self.next_pid += 1
        elif isinstance(action, facts.Signal):
            assert action.name in self.pids
            self.signals.append((action.name, action.number))
        elif isinstance(action, facts.Kill):
            self.signals.append((action.name, 9))

    def exit(self, name: str, status: int | None = 1) -> None:
        del self.pids[name]
        self.machine.exited(name, status, self.now)
        self.work()

    def ready(self, *names: str) -> None:
        for name in names:
            self.machine.ready(name, self.now)
            self.work()

    def say(self, name: str, **what) -> None:
        self.machine.notified(name, Notice(**what), self.now)
        self.work()

    def ask(self, what: str, *args) -> None:
        getattr(self.machine, what)(*args, self.now)
        self.work()

    def wait(self, seconds: float) -> None:
        """Time passes, with a tick whenever the machine wants one."""
        end = self.now + seconds
        while (due := self.machine.deadline()) is not None and due <= end:
            self.now = max(self.now, due)
            self.machine.tick(self.now)
            self.work()
        self.now = end

    def took(self) -> tuple[list[str], list[tuple[str, int]]]:
        taken = (self.started, self.signals)
        self.started, self.signals = [], []
        return taken

    def saw(self, kind) -> list:
        return [fact for fact in self.facts if isinstance(fact, kind)]


# ---- descriptions


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ({}, "command or a target"),
        ({"command": ("x",), "target": "a:b"}, "not both"),
        ({"command": ("x",), "name": ""}, "printable"),
        ({"command": ("x",), "name": "a\nb"}, "printable"),
        ({"target": "ab"}, "package.module:function"),
        ({"target": print, "survives": True}, "cannot survive"),
        ({"command": ("x",), "shutdown_s": -1}, "negative"),
        ({"command": ("x",), "watchdog_s": 1}, "readiness notify"),
        ({"command": ("x", "a\0b")}, "NUL"),
        ({"command": ("x",), "env": {"A": "\0"}}, "NUL"),
    ],
)
def test_descriptions_that_cannot_work(how, text) -> None:
    with pytest.raises(BadInputError, match=text):
        ChildSpec(**{"name": "a", **how})


def test_numbers_that_cannot_work() -> None:
    for bad in ({"first_s": -1}, {"factor": 0.5}, {"most_s": 0}):
        with pytest.raises(BadInputError):
            Backoff(**bad)
    with pytest.raises(BadInputError):
        Limits(pids=0)


def test_no_secret_in_the_repr() -> None:
    assert "hunter2" not in repr(ChildSpec(name="a", command=("x", "hunter2"), env={"P": "hunter2"}))


def test_backoff_grows_to_its_most() -> None:
    backoff = Backoff(first_s=1, factor=3, most_s=20)
    assert [backoff.delay_s(n) for n in (1, 2, 3, 4, 10**6)] == [1, 3, 9, 20, 20]
    assert Backoff(first_s=0, factor=1, most_s=0).delay_s(10**6) == 0


def test_order_follows_dependencies() -> None:
    specs = [spec("c", depends_on=("b",)), spec("a"), spec("b", depends_on=("a",))]
    assert [one.name for one in in_order(specs)] == ["a", "b", "c"]
    with pytest.raises(BadInputError, match="circle"):
        in_order([spec("a", depends_on=("b",)), spec("b", depends_on=("a",))])
    with pytest.raises(BadInputError, match="not there"):
        in_order([spec("a", depends_on=("z",))])
    with pytest.raises(BadInputError, match="same name"):
        in_order([spec("a"), spec("a")])


# ---- starting and stopping


def test_start_by_readiness_and_stop_in_reverse() -> None:
    world = World(
        spec("bus", readiness="notify"), spec("app", depends_on=("bus",), readiness="pipe"), spec("other")
    )
    assert world.took()[0] == ["bus", "other"]
    world.ready("bus")
    assert world.took()[0] == ["app"]
    world.ready("app")
    world.ask("stop_all")
    assert world.took()[1] == [("other", 15)]
    world.exit("other", -15)
    assert world.took()[1] == [("app", 15)]
    world.exit("app", 0)
    world.exit("bus", 3)
    assert world.machine.over
    assert world.facts[-1] == facts.AllStopped(failed=False)
    assert world.machine.outcome == Outcome()
    with pytest.raises(ConflictError):
        world.machine.start("bus", world.now)
    with pytest.raises(ConflictError):
        world.machine.restart("bus", world.now)


def test_sigterm_is_repeated_and_sigkill_follows() -> None:
    world = World(spec("a", shutdown_s=1.2))
    world.ask("stop", "a")
    world.wait(5)
    assert world.took()[1][:4] == [("a", 15), ("a", 15), ("a", 15), ("a", 9)]
    world.exit("a", -9)
    assert world.machine.deadline() is None
    assert not world.machine.over


def test_sigterm_once_and_sigkill_at_once() -> None:
    world = World(spec("once", shutdown_s=3, again_s=0), spec("brutal", shutdown_s=0))
    world.ask("stop", "once")
    world.ask("stop", "brutal")
    world.wait(2)
    assert [one for one in world.took()[1] if one[0] == "once"] == [("once", 15)]
    assert ("brutal", 15) not in world.signals


def test_a_stopped_child_stays_stopped() -> None:
    world = World(spec("a"), spec("b"))
    world.ask("stop", "a")
    world.exit("a")
    world.wait(100)
    assert world.took()[0] == ["a", "b"]
    world.ask("start", "a")
    assert world.took()[0] == ["a"]
    world.ask("stop", "a")
    world.ask("start", "a")  # changed our mind: again when it has ended
    world.exit("a")
    assert world.took()[0] == ["a"]


def test_starting_one_starts_what_it_needs() -> None:
    world = World(spec("bus"), spec("app", depends_on=("bus",)), start=False)
    world.ask("start", "app")
    assert world.took()[0] == ["bus", "app"]


def test_an_asked_restart_is_no_failure() -> None:
    world = World(spec("a"), intensity=(1, 60))
    for _ in range(10):
        world.ask("restart", "a")
        world.exit("a", 1)
        assert "a" in world.pids
    assert not world.saw(facts.GaveUp)


def test_reload() -> None:
    world = World(spec("a", readiness="notify"))
    world.ready("a")
    world.ask("reload", "a")
    assert world.took()[1] == [("a", signal.SIGHUP)]
    world.say("a", reloading=True)
    world.say("a", ready=True, status="fine")
    assert [type(fact).__name__ for fact in world.facts[-3:]] == [
        "ChildReloading",
        "ChildStatus",
        "ChildReloaded",
    ]
    world.ask("stop", "a")
    with pytest.raises(ConflictError):
        world.machine.reload("a", world.now)


def test_unknown_names() -> None:
    machine = Supervision([spec("a")])
    for verb in ("start", "stop", "restart", "reload"):
        with pytest.raises(NotFoundError):
            getattr(machine, verb)("zzz", 0.0)


# ---- ends and restarts


@pytest.mark.parametrize(
    ("restart", "status", "again"),
    [
        ("permanent", 0, True),
        ("permanent", 1, True),
        ("transient", 0, False),
        ("transient", 3, True),
        ("transient", -9, True),
        ("transient", None, True),
        ("temporary", 1, False),
    ],
)
def test_who_is_started_again(restart, status, again) -> None:
    world = World(spec("a", restart=restart))
    world.exit("a", status)
    world.wait(10)
    assert world.took()[0] == (["a", "a"] if again else ["a"])


def test_backoff_and_its_end() -> None:
    world = World(spec("a"), intensity=(100, 1))
    for delay in (1, 2, 4, 8, 8):
        world.exit("a")
        assert world.saw(facts.ChildBackingOff)[-1].delay_s == delay
        world.wait(delay)
    world.wait(101)
    world.exit("a")
    assert world.saw(facts.ChildBackingOff)[-1].delay_s == 1


def test_intensity() -> None:
    world = World(spec("first"), spec("a"), intensity=Intensity(2, 60))
    for _ in range(2):
        world.exit("a", 7)
        world.wait(10)
    world.exit("a", 7)
    assert world.saw(facts.GaveUp) == [facts.GaveUp("a", "it ends again and again", 7)]
    assert world.took()[1] == [("first", 15)]
    world.exit("first", 0)
    assert world.machine.over
    assert world.machine.outcome == Outcome(failed=True, name="a", status=7)


def test_intensity_counts_within_its_time_only() -> None:
    world = World(spec("a"), intensity=(1, 10))
    for _ in range(20):
        world.exit("a")
        world.wait(11)
    assert not world.saw(facts.GaveUp)


def test_one_for_one_leaves_others_alone() -> None:
    world = World(spec("a"), spec("b", depends_on=("a",)))
    world.exit("a")
    world.wait(5)
    assert world.took() == (["a", "b", "a"], [])


def test_rest_for_one() -> None:
    world = World(spec("a"), spec("b"), spec("c"), spec("d", restart="temporary"), strategy="rest_for_one")
    world.took()
    world.exit("b")
    assert world.took() == ([], [("d", 15)])
    world.wait(3)
    world.exit("d")
    world.exit("c")
    assert world.took()[0] == ["b", "c"]
    assert set(world.pids) == {"a", "b", "c"}


def test_one_for_all() -> None:
    world = World(spec("a"), spec("b", depends_on=("a",)), spec("c"), strategy="one_for_all")
    world.took()
    world.exit("b")
    assert world.took()[1] == [("c", 15)]
    world.exit("c")
    assert world.took()[1] == [("a", 15)]
    world.exit("a")
    assert world.took()[0] == ["a", "c"]  # b waits for its back-off
    world.wait(1)
    assert world.took()[0] == ["b"]
    assert len(world.saw(facts.ChildBackingOff)) == 1


def test_a_crash_amid_a_group_that_stops_counts_once() -> None:
    world = World(spec("a"), spec("b"), spec("c"), strategy="one_for_all", intensity=(1, 60))
    world.exit("a")
    world.exit("b", 3)  # by itself, before it was asked
    world.exit("c", -15)
    world.wait(1)
    assert set(world.pids) == {"a", "b", "c"}


def test_must_start() -> None:
    world = World(spec("other"), spec("a", must_start=True, readiness="notify"))
    world.exit("a", 5)
    assert world.machine.outcome == Outcome(failed=True, name="a", status=5)
    again = World(spec("a", must_start=True, readiness="notify"))
    again.ready("a")
    again.exit("a", 5)
    again.wait(1)
    again.exit("a", 5)  # not ready this time, but it was once
    assert not again.saw(facts.GaveUp)


def test_what_cannot_be_started_is_tried_again() -> None:
    world = World(spec("a"), start=False, intensity=(3, 60))
    world.failing.add("a")
    world.ask("start_all")
    world.wait(60)
    assert world.took()[0] == ["a"] * 4
    assert world.machine.outcome == Outcome(failed=True, name="a", status=NOT_STARTED)


def test_significant_children_end_it_all() -> None:
    world = World(
        spec("a"), spec("b", restart="transient", significant=True), auto_shutdown="any_significant"
    )
    world.exit("b", 0)
    world.exit("a", -15)
    assert world.machine.over
    assert not world.machine.outcome.failed
    both = {"restart": "temporary", "significant": True}
    world = World(spec("a", **both), spec("b", **both), auto_shutdown="all_significant")
    world.exit("a", 0)
    assert not world.machine.stopping
    world.exit("b", 4)
    assert world.machine.over
    assert world.machine.outcome == Outcome(failed=True, name="b", status=4)


def test_what_did_its_work_lets_others_start() -> None:
    world = World(spec("setup", restart="temporary", readiness="notify"), spec("a", depends_on=("setup",)))
    world.exit("setup", 0)
    assert world.took()[0] == ["setup", "a"]
    world = World(spec("setup", restart="temporary", readiness="notify"), spec("a", depends_on=("setup",)))
    world.exit("setup", 1)
    assert world.took()[0] == ["setup"]


# ---- deadlines that children may move


def test_late_children_are_stopped_and_count_as_failed() -> None:
    world = World(
        spec("a", readiness="notify", start_timeout_s=10, shutdown_s=2, restart="transient"),
        intensity=(1, 60),
    )
    world.wait(9)
    world.say("a", extend_s=5)
    world.wait(4)
    assert not world.saw(facts.ChildLate)
    world.wait(1)
    assert world.saw(facts.ChildLate)
    world.exit("a", 0)
    assert world.saw(facts.ChildBackingOff)


def test_extensions_are_bounded() -> None:
    world = World(spec("a", shutdown_s=1, extend_most_s=10))
    world.ask("stop", "a")
    for _ in range(100):
        world.say("a", extend_s=1e9)
        world.wait(0.5)
    assert ("a", 9) in world.signals


def test_watchdog() -> None:
    world = World(spec("a", readiness="notify", watchdog_s=2, shutdown_s=3))
    world.wait(1)
    world.ready("a")
    for _ in range(5):
        world.wait(1.5)
        world.say("a", watchdog="1")
    world.took()
    world.wait(2)
    assert world.saw(facts.ChildHung)
    world.wait(3)
    assert world.took()[1] == [("a", signal.SIGABRT), ("a", 9)]
    world.exit("a", 0)
    assert world.saw(facts.ChildBackingOff)


def test_watchdog_triggered_and_switched_off() -> None:
    world = World(spec("a", readiness="notify", watchdog_s=2))
    world.ready("a")
    world.say("a", watchdog_s=0.0)
    world.wait(100)
    assert not world.saw(facts.ChildHung)
    world.say("a", watchdog="trigger")
    assert world.took()[1] == [("a", signal.SIGABRT)]


def test_a_child_that_leaves_by_itself() -> None:
    world = World(spec("a", shutdown_s=4, restart="transient"))
    world.say("a", stopping=True)
    world.wait(3)
    assert world.signals == []
    world.ask("stop", "a")
    assert world.signals == [("a", 15)]
    world.wait(1)
    assert world.signals[-1] == ("a", 9)


def test_moved() -> None:
    world = World(spec("a"))
    world.ask("stop", "a")
    world.took()
    world.machine.moved("a", 77, world.now)
    world.work()
    assert world.took()[1] == [("a", 15)]
    assert world.facts[-1] == facts.ChildMoved("a", 77)
    world.exit("a", 0)
    assert world.facts[-1] == facts.ChildExited("a", 77, 0, expected=True)


# ---- moving the machine itself


def test_a_snapshot_goes_on() -> None:
    specs = [spec("a", readiness="notify"), spec("b", depends_on=("a",)), spec("c")]
    world = World(*specs, intensity=(2, 60))
    world.ready("a")
    world.exit("c")
    world.wait(1)
    world.exit("c")
    other = World(*specs[:2], spec("c"), spec("new"), intensity=(2, 60), start=False)
    assert list(other.machine.restore(world.machine.snapshot())) == []
    other.now, other.pids = world.now, dict(world.pids)
    other.wait(2)
    assert other.took()[0] == ["c"]
    other.exit("c")
    assert other.machine.outcome.failed  # the restarts before were counted, too


def test_snapshots_that_are_not_understood() -> None:
    good = Supervision([spec("a")]).snapshot()
    for bad in (
        {},
        {"version": 99},
        {"version": 1},
        {**good, "children": {"a": {}}},
        {**good, "restarts": 3},
    ):
        with pytest.raises(ValueError, match=r"not understood|incomplete"):
            Supervision([spec("a")]).restore(bad)


# ---- whatever happens

NAMES = ("a", "b", "c", "d")


class Anything(RuleBasedStateMachine):
    @initialize(
        strategy=st.sampled_from(["one_for_one", "rest_for_one", "one_for_all"]),
        count=st.integers(0, 4),
        how=st.lists(
            st.fixed_dictionaries(
                {
                    "restart": st.sampled_from(["permanent", "transient", "temporary"]),
                    "readiness": st.sampled_from(["none", "notify"]),
                    "must_start": st.booleans(),
                    "significant": st.booleans(),
                    "shutdown_s": st.sampled_from([0.0, 0.3, 5.0]),
                }
            ),
            min_size=len(NAMES),
            max_size=len(NAMES),
        ),
        edges=st.sets(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=4),
        auto=st.sampled_from(["never", "any_significant", "all_significant"]),
    )
    def begin(self, strategy, count, how, edges, auto) -> None:
        specs = [
            spec(name, depends_on=tuple(NAMES[b] for a, b in sorted(edges) if a == place and b < a), **one)
            for place, (name, one) in enumerate(zip(NAMES, how, strict=True))
        ]
        self.world = World(*specs, strategy=strategy, intensity=(count, 30), auto_shutdown=auto)
        self.seen = 0
        self.stopped_at: int | None = None
        self.check()

    def check(self) -> None:
        world = self.world
        if world.machine.stopping and self.stopped_at is None:
            self.stopped_at = len(world.started)
        if self.stopped_at is not None:
            assert len(world.started) == self.stopped_at, "started after the stop"

    @rule(name=st.sampled_from(NAMES), status=st.sampled_from([0, 1, -9, None]))
    def exit(self, name, status) -> None:
        if name in self.world.pids:
            self.world.exit(name, status)
            self.check()

    @rule(name=st.sampled_from(NAMES))
    def ready(self, name) -> None:
        self.world.ready(name)
        self.check()

    @rule(name=st.sampled_from(NAMES), verb=st.sampled_from(["start", "stop", "restart"]))
    def ask(self, name, verb) -> None:
        if verb == "stop" or not self.world.machine.stopping:
            self.world.ask(verb, name)
            if verb == "stop":
                assert not self.world.machine.children[name].wanted
            self.check()

    @rule(name=st.sampled_from(NAMES), what=st.sampled_from(["ready", "stopping", "reloading"]))
    def say(self, name, what) -> None:
        self.world.say(name, **{what: True})
        self.check()

    @rule(name=st.sampled_from(NAMES))
    def move(self, name) -> None:
        self.world.next_pid += 1
        self.world.machine.moved(name, self.world.next_pid, self.world.now)
        self.world.work()

    @rule(seconds=st.sampled_from([0.1, 1, 10, 100]))
    def wait(self, seconds) -> None:
        self.world.wait(seconds)
        self.check()

    @rule(name=st.sampled_from(NAMES))
    def fail(self, name) -> None:
        self.world.failing ^= {name}

    @precondition(lambda self: not self.world.machine.stopping)
    @rule()
    def move_the_machine(self) -> None:
        before = self.world.machine
        specs = [child.spec for child in before.children.values()]
        self.world.machine = Supervision(
            specs,
            strategy=before.strategy,
            intensity=before.intensity,
            auto_shutdown=before.auto_shutdown,
        )
        self.world.machine.restore(before.snapshot())
        assert self.world.machine.snapshot() == before.snapshot()
        assert self.world.machine.deadline() == before.deadline()

    @invariant()
    def those_that_live_are_those_that_run(self) -> None:
        live = {name for name, child in self.world.machine.children.items() if child.live}
        assert live == set(self.world.pids)

    @invariant()
    def restarts_stay_within_the_intensity(self) -> None:
        count = self.world.machine.intensity.count
        times = self.world.restarts
        assert all(last - first > 30 for first, last in zip(times, times[count:], strict=False))
        if self.world.saw(facts.GaveUp):
            assert self.world.machine.stopping

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        world = self.world
        world.ask("stop_all")
        order = list(world.machine.children)
        last = len(order)
        for _ in range(len(order)):
            if not world.pids:
                break
            told = [
                order.index(name) for name in world.pids if world.machine.children[name].state == "stopping"
            ]
            current = max(order.index(name) for name in world.pids)
            assert current in told, "the last one is told to stop first"
            assert current < last
            last = current
            world.wait(400)  # longer than any extension
            assert (order[current], 9) in world.signals
            world.exit(order[current], -9)
        assert world.machine.over
        assert isinstance(world.facts[-1], facts.AllStopped)
        assert world.machine.deadline() is None


Anything.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestAnything = Anything.TestCase
