"""Real processes under the blocking supervisor: killed, hung, late, moved to successors, with descriptors that outlive them."""
# covers: runtime/supervision/driver.py, runtime/supervision/hearing.py

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import sys
import threading
import time

import msgspec
import pytest

from tests.parts.descriptors import open_descriptors
from wayhouse.base.errors import ConflictError, NotFoundError
from wayhouse.runtime import systemd
from wayhouse.runtime.supervision import facts
from wayhouse.runtime.supervision.child_spec import Backoff, ChildSpec, Intensity, Limits
from wayhouse.runtime.supervision.driver import Options
from wayhouse.runtime.supervision.hearing import may_be_named
from wayhouse.runtime.supervision.machine import Outcome
from wayhouse.runtime.supervisor import PollWatcher, Supervisor

QUICK = Backoff(first_s=0.01, factor=1.5, most_s=0.1)
HEAD = "import os, sys, time, signal, socket\nfrom wayhouse.runtime import systemd\nenv = os.environ\n"
WAIT = "\nwhile True: time.sleep(0.01)\n"
PATIENCE_S = 20


def python(name: str, code: str, **how) -> ChildSpec:
    how.setdefault("backoff", QUICK)
    return ChildSpec(name=name, command=(sys.executable, "-c", HEAD + code), **how)


def sleeper(name: str, **how) -> ChildSpec:
    return ChildSpec(name=name, command=("sleep", "60"), backoff=QUICK, **how)


class Seen(list):
    """All facts and lines."""

    def of(self, kind, name: str | None = None) -> list:
        return [fact for fact in self if isinstance(fact, kind) and name in {None, getattr(fact, "name", "")}]

    def line(self, *parts: str) -> None:
        self.append(parts)

    def lines(self) -> list[str]:
        return [fact[2] for fact in self if isinstance(fact, tuple)]


@pytest.fixture
def make():
    made: list[Supervisor] = []
    gc.collect()

    def supervise(*specs: ChildSpec, **how) -> tuple[Supervisor, Seen]:
        seen = Seen()
        made.append(Supervisor(None, specs, Options(**how), on_fact=seen.append, on_line=seen.line))
        made[-1].start()
        return made[-1], seen

    yield supervise
    for one in made:
        with one:
            pass


def until(it: Supervisor, what) -> None:
    end = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < end, "it does not happen"
        it.step(0.05)


def test_crashes_are_seen_and_repaired(make) -> None:
    it, seen = make(sleeper("a"), sleeper("b"))
    first, other = it.pid("a"), it.pid("b")
    os.kill(first, signal.SIGKILL)
    until(it, lambda: len(seen.of(facts.ChildUp, "a")) == 2)
    assert seen.of(facts.ChildExited) == [facts.ChildExited("a", first, -9, expected=False)]
    assert it.pid("a") != first
    assert it.pid("b") == other


def test_a_crash_loop_ends(make) -> None:
    it, seen = make(sleeper("a"), python("b", "sys.exit(7)"), intensity=Intensity(3, 60))
    assert it.wait() == Outcome(failed=True, name="b", status=7)
    assert len(seen.of(facts.ChildUp, "b")) == 4
    assert seen[-1] == facts.AllStopped(failed=True)


def test_start_by_readiness_and_stop_in_reverse(make, tmp_path) -> None:
    path = tmp_path / "order"
    code = (
        f"file = open({str(path)!r}, 'a', buffering=1)\n"
        "def stop(*_): file.write(f'{sys.argv[1]} stops {time.monotonic()}\\n'); time.sleep(0.1); "
        "file.write(f'{sys.argv[1]} stopped {time.monotonic()}\\n'); os._exit(0)\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        "time.sleep(0.1)\n"
        "file.write(f'{sys.argv[1]} ready {time.monotonic()}\\n')\n"
    )
    pipe = "os.write(int(env['READY_FD']), b'\\n')"
    notify = "systemd.ready(env)"

    def child(name: str, say: str, **how) -> ChildSpec:
        command = (sys.executable, "-c", HEAD + code + say + WAIT, name)
        return ChildSpec(name=name, command=command, again_s=0, **how)

    it, seen = make(
        child("c", pipe, readiness="pipe", depends_on=("b",)),
        child("a", notify, readiness="notify"),
        child("b", pipe, readiness="pipe", depends_on=("a",)),
    )
    until(it, lambda: seen.of(facts.ChildReady, "c"))
    it.shutdown()
    assert it.wait() == Outcome()
    events = [line.split() for line in path.read_text().splitlines()]
    assert [(name, what) for name, what, _ in events] == [
        *((name, "ready") for name in "abc"),
        *((name, what) for name in "cba" for what in ("stops", "stopped")),
    ]
    times = [float(when) for _, _, when in events]
    assert times == sorted(times)


def test_those_that_do_not_listen_are_killed(make) -> None:
    it, seen = make(
        python("deaf", "signal.signal(15, signal.SIG_IGN); print('up', flush=True)" + WAIT, shutdown_s=0.2)
    )
    until(it, lambda: seen.lines() == ["up"])
    it.stop("deaf")
    until(it, lambda: seen.of(facts.ChildExited))
    assert seen.of(facts.ChildExited)[0].status == -9


def test_the_late_and_the_hung(make) -> None:
    it, seen = make(
        python("late", WAIT, readiness="notify", start_timeout_s=0.2, restart="temporary"),
        python(
            "hung",
            "systemd.ready(env)\nassert systemd.watchdog_s(env) == 0.3\n"
            "for _ in range(5): time.sleep(0.1); systemd.watchdog(env)" + WAIT,
            readiness="notify",
            watchdog_s=0.3,
            restart="temporary",
        ),
    )
    until(it, lambda: len(seen.of(facts.ChildExited)) == 2)
    assert seen.of(facts.ChildLate, "late")
    assert seen.of(facts.ChildHung, "hung")
    assert seen.of(facts.ChildExited, "hung")[0].status == -signal.SIGABRT


def test_reload_and_restart(make) -> None:
    it, seen = make(
        python(
            "a",
            "def again(*_):\n systemd.reloading(env); systemd.ready(env)\n"
            "signal.signal(signal.SIGHUP, again); systemd.ready(env, 'well')" + WAIT,
            readiness="notify",
        )
    )
    until(it, lambda: seen.of(facts.ChildReady))
    assert seen.of(facts.ChildStatus)[0].text == "well"
    it.reload()
    until(it, lambda: seen.of(facts.ChildReloaded))
    before = it.pid("a")
    it.restart("a")
    until(it, lambda: len(seen.of(facts.ChildReady)) == 2)
    assert it.pid("a") != before
    assert not seen.of(facts.ChildBackingOff)
    with pytest.raises(NotFoundError):
        it.stop("zzz")


def test_output_comes_by_lines(make) -> None:
    it, seen = make(
        python(
            "a",
            "print('one'); print('two', file=sys.stderr, flush=True); sys.stdout.write('half')",
            restart="temporary",
        ),
        ChildSpec(name="quiet", command=("echo", "x"), output="null", restart="temporary"),
    )
    until(it, lambda: len(seen.of(facts.ChildExited)) == 2)
    assert sorted(seen.lines()) == ["half", "one", "two"]
    assert sorted(it.tail("a")) == ["half", "one", "two"]


def test_much_output_blocks_nobody(make) -> None:
    it, seen = make(python("a", "for _ in range(100): sys.stdout.write('x' * 99999)", restart="temporary"))
    until(it, lambda: seen.of(facts.ChildExited))
    assert sum(map(len, seen.lines())) == 100 * 99999


def test_what_cannot_be_started(make) -> None:
    it, seen = make(ChildSpec(name="a", command=("/no",), restart="temporary"))
    until(it, lambda: seen.of(facts.ChildNotStarted))
    assert "/no: No such file" in seen.of(facts.ChildNotStarted)[0].reason


# ---- descriptors that outlive the child

BANK = """
given = systemd.listen_fds(env)
print(len(given), [name for name, _ in given], flush=True)
if not given:
    ours = [socket.create_server(('127.0.0.1', 0)) for _ in range(2)]
    systemd.store_fds(env, 'web', [one.fileno() for one in ours])
    left, right = socket.socketpair()
    systemd.store_fds(env, 'gone', [left.fileno()])
    left.close(); right.close()
    print(ours[0].getsockname()[1], flush=True)
else:
    listener = socket.socket(fileno=given[0][1])
    peer, _ = listener.accept()
    peer.sendall(b'still here')
"""


def test_the_bank_after_a_kill(make) -> None:
    it, seen = make(python("a", BANK + WAIT, bank=2))
    until(it, lambda: len(seen.lines()) == 2)
    port = int(seen.lines()[1])
    until(it, lambda: seen.of(facts.DescriptorsRefused))  # the third is beyond the limit
    client = socket.create_connection(("127.0.0.1", port))  # nobody has accepted it yet
    os.kill(it.pid("a"), signal.SIGKILL)
    until(it, lambda: len(seen.lines()) >= 3)
    assert seen.lines()[2] == "2 ['web', 'web']"
    client.settimeout(PATIENCE_S)
    assert client.recv(100) == b"still here"
    client.close()
    it.stop("a")
    until(it, lambda: len(seen.of(facts.ChildExited)) == 2)
    with pytest.raises(ConnectionRefusedError):  # nothing is kept for one that is stopped
        socket.create_connection(("127.0.0.1", port))


def test_last_words_are_heard(make) -> None:
    code = (
        "given = systemd.listen_fds(env)\nprint(len(given), flush=True)\n"
        "if given: signal.pause()\n"
        "for n in range(150): systemd.store_fds(env, str(n), [0])\nos._exit(1)"
    )
    it, seen = make(python("a", code, bank=1000, output="pipe"))
    until(it, lambda: len(seen.lines()) == 2)
    assert seen.lines() == ["0", "150"]


def test_hung_up_peers_leave_the_bank(make) -> None:
    code = (
        "left, right = socket.socketpair()\nsystemd.store_fds(env, 'x', [left.fileno()])\n"
        "left.close()\nsystemd.status(env, 'stored')\nsys.stdin.readline()\n"
        "signal.pause()"
    )
    it, seen = make(python("a", code.replace("sys.stdin.readline()\n", ""), bank=9))
    until(it, lambda: seen.of(facts.ChildStatus))
    assert len(it._driver.places["a"].bank) == 1
    os.kill(it.pid("a"), signal.SIGKILL)
    until(it, lambda: len(seen.of(facts.ChildStatus)) == 2)
    assert len(it._driver.places["a"].bank) == 1  # the first one's peer died with it


# ---- who may speak


def test_strangers_are_not_heard(make) -> None:
    it, seen = make(python("a", WAIT, readiness="notify"), python("b", WAIT, readiness="notify"))
    address = it._driver.places["a"].notify.address
    systemd.ready({"NOTIFY_SOCKET": address})
    until(it, lambda: seen.of(facts.MessageRefused))
    assert "not of this child" in seen.of(facts.MessageRefused)[0].reason
    assert not seen.of(facts.ChildReady)
    read, write = os.pipe()
    systemd.store_fds({"NOTIFY_SOCKET": address}, "x", [write])
    os.close(write)
    until(it, lambda: len(seen.of(facts.MessageRefused)) == 2)
    assert os.read(read, 1) == b""  # what came along was closed
    os.close(read)


def test_a_child_of_the_child_may_speak_but_not_stop_it(make) -> None:
    code = "pid = os.fork()\nif not pid: systemd.stopping(env); systemd.ready(env); os._exit(0)\nos.waitpid(pid, 0)"
    wait = "signal.pause()"
    it, seen = make(
        python("a", code.replace("os._exit", "time.sleep(0.3); os._exit") + "\n" + wait, readiness="notify")
    )
    until(it, lambda: seen.of(facts.ChildReady))
    assert not seen.of(facts.ChildLeaving)


@pytest.mark.parametrize("named", ["1", "os.getppid()", "4194300"])
def test_main_processes_that_are_not_its_own(make, named) -> None:
    it, seen = make(
        python("a", f"systemd.main_pid(env, {named})\nsystemd.ready(env)" + WAIT, readiness="notify")
    )
    until(it, lambda: seen.of(facts.ChildReady))
    assert "not of this child" in seen.of(facts.MessageRefused)[0].reason
    assert not seen.of(facts.ChildMoved)
    assert not may_be_named(1)


def test_a_barrier_is_answered(make) -> None:
    code = (
        "read, write = os.pipe()\nsystemd.notify('BARRIER=1', env, [write])\nos.close(write)\n"
        "os.read(read, 1)\nprint('through', flush=True)"
    )
    it, seen = make(python("a", code + WAIT, readiness="notify"))
    until(it, lambda: seen.lines() == ["through"])


# ---- successors

MOVE = """
read, write = os.pipe()
pid = os.fork()
if not pid:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(5))
    signal.signal(signal.SIGHUP, lambda *_: os._exit(6))
    systemd.notify(f"MAINPID={os.getpid()}\\nREADY=1\\nSTATUS=new", env)
    os.write(write, b"x")
    while True: time.sleep(0.01)
systemd.ready(env)
os.read(read, 1)
if len(sys.argv) > 1: time.sleep(60)
systemd.stopping(env)
"""


@pytest.mark.parametrize("orphans", [True, False])
def test_a_successor_is_the_child_now(make, orphans) -> None:
    it, seen = make(python("a", MOVE, readiness="notify", shutdown_s=3), orphans=orphans)
    until(it, lambda: seen.of(facts.ChildMoved))
    old, new = seen.of(facts.ChildUp)[0].pid, seen.of(facts.ChildMoved)[0].pid
    until(it, lambda: not os.path.exists(f"/proc/{old}"))
    it.step(0.05)
    assert it.pid("a") == new != old
    assert not seen.of(facts.ChildExited)
    assert not seen.of(facts.ChildLeaving)
    it.reload("a")
    until(it, lambda: seen.of(facts.ChildExited))
    assert seen.of(facts.ChildExited)[0] == facts.ChildExited(
        "a", new, 6 if orphans else None, expected=False
    )
    until(it, lambda: len(seen.of(facts.ChildUp)) == 2)


def test_one_that_hands_over_and_dies_at_once(make) -> None:
    code = "pid = os.fork()\nif not pid:\n signal.pause()\nsystemd.main_pid(env, pid)\nos._exit(0)"
    it, seen = make(python("a", code, readiness="notify"), orphans=True)
    until(it, lambda: seen.of(facts.ChildMoved))
    for _ in range(5):
        it.step(0.02)
    assert not seen.of(facts.ChildExited)
    it.shutdown()
    it.wait()
    assert seen.of(facts.ChildExited)[0].status == -15


def test_no_two_incarnations_when_the_successor_dies_first(make) -> None:
    spec = python("a", MOVE, readiness="notify")
    spec = msgspec.structs.replace(spec, command=(*spec.command, "stay"))
    it, seen = make(spec)
    until(it, lambda: seen.of(facts.ChildMoved))
    old = seen.of(facts.ChildUp)[0].pid
    os.kill(it.pid("a"), signal.SIGKILL)
    until(it, lambda: len(seen.of(facts.ChildUp)) == 2)
    assert not os.path.exists(f"/proc/{old}")


def test_it_may_be_handed_back(make) -> None:
    code = (
        "def heard():\n read, write = os.pipe()\n systemd.notify('BARRIER=1', env, [write])\n os.close(write)\n os.read(read, 1)\n"
        "pid = os.fork()\nif not pid:\n signal.pause()\nsystemd.main_pid(env, pid)\nsystemd.main_pid(env, os.getpid())\n"
        "heard()\nos.kill(pid, 9)\nos.waitpid(pid, 0)\nsystemd.ready(env)"
    )
    it, seen = make(python("a", code + WAIT, readiness="notify"))
    until(it, lambda: seen.of(facts.ChildReady))
    assert [fact.pid for fact in seen.of(facts.ChildMoved)][1] == seen.of(facts.ChildUp)[0].pid == it.pid("a")
    assert not seen.of(facts.ChildExited)
    assert not it._driver.places["a"].elders


def test_orphans_are_waited_for(make) -> None:
    code = "pid = os.fork()\nif not pid:\n if os.fork(): os._exit(0)\n time.sleep(0.1)\n os._exit(3)\nos.waitpid(pid, 0)"
    it, seen = make(python("a", code + WAIT), orphans=True)
    until(it, lambda: seen.of(facts.OrphanReaped))
    assert seen.of(facts.OrphanReaped)[0].status == 3


# ---- limits


def test_limits_or_a_fact(make, tmp_path) -> None:
    it, seen = make(
        python(
            "a",
            "import resource; print(resource.getrlimit(resource.RLIMIT_DATA)[0], flush=True)" + WAIT,
            limits=Limits(memory_bytes=1 << 29, fallback=True),
        ),
        groups=str(tmp_path),
    )
    until(it, seen.lines)
    assert seen.lines() == [str(1 << 29)]
    assert seen.of(facts.LimitsMissing)[0].kinds == ("memory",)


# ---- the loop


def test_signals_end_it() -> None:
    with Supervisor(None, [sleeper("a"), sleeper("b")]) as it:
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()
        it.start()
        assert it.run() == Outcome()
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    with pytest.raises(ConflictError):
        it.run()
    it.shutdown()  # nothing happens


def test_shutdown_from_another_thread() -> None:
    with Supervisor(None, [sleeper("a")]) as it:
        it.start()
        thread = threading.Thread(target=it.shutdown)
        thread.start()
        assert it.wait() == Outcome()
        thread.join()


def test_nothing_stays_open() -> None:
    def once() -> int:
        seen = Seen()
        specs = [python("a", "systemd.ready(env)" + WAIT, readiness="notify", bank=3), sleeper("b")]
        with Supervisor(None, specs, on_fact=seen.append) as it:
            it.start()
            until(it, lambda: seen.of(facts.ChildReady, "a"))
            os.kill(it.pid("b"), 9)
            until(it, lambda: len(seen.of(facts.ChildUp, "b")) == 2)
        gc.collect()
        return open_descriptors()

    assert once() == once()


def test_a_number_that_is_anothers_by_now_is_not_called() -> None:
    watcher = PollWatcher()
    called: list[str] = []
    one, two = os.pipe(), os.pipe()
    for _, write in (one, two):
        os.write(write, b"x")

    def first(mine: str, other: int) -> None:
        called.append(mine)
        watcher.unwatch(other)
        watcher.watch(other, lambda: called.append("new"))

    watcher.watch(one[0], lambda: first("one", two[0]))
    watcher.watch(two[0], lambda: first("two", one[0]))
    watcher.wait(0)
    assert len(called) == 1
    for fd in (*one, *two):
        os.close(fd)


# ---- to another process


def hand_over(link: socket.socket, state: dict, fds: list[int]) -> None:
    data = msgspec.msgpack.encode(state)
    socket.send_fds(link, [data], fds)


def take(link: socket.socket) -> tuple[dict, list[int]]:
    data, fds, _, _ = socket.recv_fds(link, 1 << 20, 200)
    return msgspec.msgpack.decode(data), list(fds)


TALK = "print('born', flush=True)\nsystemd.ready(env)\nsys.stdout.write('ha'); sys.stdout.flush()\n"


def survivors() -> list[ChildSpec]:
    return [
        python(
            "talker",
            TALK + "signal.signal(signal.SIGHUP, lambda *_: print('lf', flush=True))" + WAIT,
            readiness="notify",
            survives=True,
            bank=3,
        ),
        sleeper("b", survives=True),
    ]


def old_supervisor(link: socket.socket) -> None:
    seen = Seen()
    specs = [*survivors(), sleeper("dropped", survives=True)]
    it = Supervisor(None, specs, on_fact=seen.append, on_line=seen.line)
    it.start()
    until(it, lambda: seen.of(facts.ChildReady, "talker") and seen.lines())
    os.kill(it.pid("b"), 9)
    until(it, lambda: len(seen.of(facts.ChildUp, "b")) == 2)
    until(it, lambda: it._driver.places["talker"].outputs[0].pending == b"ha")
    hand_over(link, *it.handover())
    it.resume()  # as if the successor were late
    it.step(0.01)
    state, fds = it.handover()
    hand_over(link, state, fds)
    it.release()


def test_a_successor_goes_on_supervising() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            old_supervisor(theirs)
            code = 0
        finally:
            os._exit(code)
    theirs.close()
    _, early = take(ours)
    for fd in early:
        os.close(fd)
    state, fds = take(ours)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    ours.close()
    seen = Seen()
    specs = [*survivors(), sleeper("new")]
    with Supervisor.adopt(specs, state, fds, on_fact=seen.append, on_line=seen.line) as it:
        talker = it.pid("talker")
        assert talker
        assert it._driver.machine.children["b"].incarnation == 2
        assert it._driver.machine.children["b"].streak == 1
        assert it.pid("new")
        it.reload("talker")
        until(it, lambda: "half" in seen.lines())  # a line of which one half was read by the old supervisor
        assert it.tail("talker") == ["born", "half"]
        until(it, lambda: seen.of(facts.ChildExited, "dropped"))
        os.kill(talker, signal.SIGKILL)
        until(it, lambda: len(seen.of(facts.ChildReady, "talker")) == 1)  # notifications reach the new one
        assert seen.of(facts.ChildExited, "talker") == [
            facts.ChildExited("talker", talker, None, expected=False)
        ]


def test_states_that_are_not_understood() -> None:
    for state in ({}, {"machine": {}, "places": {}}, {"machine": {"version": 1}, "places": {"a": {}}}):
        with pytest.raises(ValueError, match=r"understood|incomplete"):
            Supervisor.adopt([], state, [])


def test_one_that_would_die_is_not_handed_over(make) -> None:
    it, seen = make(sleeper("a"))
    with pytest.raises(ConflictError):
        it.handover()
    os.kill(it.pid("a"), 9)
    until(it, lambda: len(seen.of(facts.ChildUp)) == 2)  # it goes on


def test_a_pidfd_is_ready_for_others_too() -> None:
    with Supervisor(None, [sleeper("a")]) as it:
        it.start()
        fd = os.pidfd_open(it.pid("a"))
        with contextlib.closing(os.fdopen(fd, "rb")):
            assert not select.select([fd], [], [], 0)[0]
