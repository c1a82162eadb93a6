"""Real processes: started, initialized, waited for, orphaned, killed."""
# covers: runtime/fork.py

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

import pytest

from wayhouse.runtime import fork
from wayhouse.runtime.exceptions import ProcessError, Timeout, Unjoinable, Unstarted, Unwaitable
from wayhouse.runtime.pipe import Pipe
from wayhouse.runtime.process import Process
from wayhouse.runtime.process_table import get_proc_name


def forever() -> None:
    while True:  # short sleeps: a signal just before a long one would be noticed after it only
        time.sleep(0.01)


@pytest.fixture
def started():
    """Start processes that are killed and waited for in the end."""
    made: list[Process] = []

    def start(process: Process, **how) -> Process:
        made.append(process)
        process.start(**how)
        return process

    yield start
    for process in made:
        with contextlib.suppress(Unstarted, Unwaitable, ProcessError):
            process.kill(signal.SIGKILL)
            process.join(5)


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ({"target": 3}, "target is not a callable"),
        ({}, "target is not a callable"),
        ({"target": forever, "logging": 1}, "logging is not a boolean"),
        ({"target": forever, "proc_name": 1}, "proc_name is not a string"),
    ],
)
def test_arguments_of_a_wrong_type(how, text) -> None:
    with pytest.raises(Exception, match=text):
        Process(**how)


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (lambda: None, 0),
        (lambda: 1 / 0, 1),
        (lambda: sys.exit(7), 7),
        (lambda: sys.exit("text"), 1),
        (sys.exit, 0),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), -9),
        (lambda: os._exit(200), 200),
    ],
)
def test_fix_join_answers_how_it_ended_and_remembers(started, target, status) -> None:
    process = started(Process(target))
    assert process.join(10) == status
    assert process.join(0) == status
    assert process.join_nohang() == (process.pid, status)
    assert not process.is_alive()


def test_fix_asking_whether_it_lives_does_not_lose_the_status(started) -> None:
    process = started(Process(sys.exit, (3,)))
    select.select([process], [], [], 10)
    assert not process.is_alive()
    assert process.join(0) == 3
    assert process.fileno() == -1


def test_who_may_wait_for_whom(started) -> None:
    process = Process(forever)
    for ask in (process.join, process.is_alive, process.join_nohang, process.terminate, lambda: process.pid):
        with pytest.raises(Unstarted):
            ask()
    started(process, synchronize=True)
    assert process.is_alive()
    assert process.join_nohang() == (0, 0)
    with pytest.raises(Timeout, match="timed out"):
        process.join(0.01)
    with pytest.raises(ProcessError, match="started before"):
        process.start()

    def in_another() -> None:
        with pytest.raises(Unwaitable):
            process.join()
        with pytest.raises(Unjoinable):
            other.join()

    other = Process(in_another)
    started(other)
    assert other.join(10) == 0
    process.terminate()
    assert process.join(10) == signal.SIGTERM
    process.terminate()  # gone: nothing happens, to nobody else either


def test_somebody_else_waited(started) -> None:
    process = started(Process(lambda: None))
    os.waitpid(process.pid, 0)
    with pytest.raises(Unwaitable):
        process.join(5)


def test_a_synchronized_start_returns_when_handlers_and_name_are_there(started) -> None:
    process = started(Process(forever, proc_name="ave-a-rather-long-name"), synchronize=True)
    assert get_proc_name(process.pid) == "ave-a-rather-lo"
    process.kill(signal.SIGTERM)
    assert process.join(10) == 15


def test_a_signal_that_comes_too_early_waits_for_its_handler(started) -> None:
    class Slow(Process):
        def initialize(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)
            super().initialize()

        run = staticmethod(forever)

        def handle_SIGTERM(self, signum, frame) -> None:  # noqa: N802
            os._exit(42)

    assert started(Slow()).join(10) == 42


def test_fix_a_child_that_dies_early_does_not_hang_its_parent() -> None:
    class Early(Process):
        run = staticmethod(forever)

        def redirect(self) -> None:
            os._exit(1)

    class Faulty(Process):
        run = staticmethod(forever)

        def redirect(self) -> None:
            raise OSError("no log file")

    for daemonize in (True, False):
        for kind, text in ((Early, "ended before"), (Faulty, "OSError: no log file")):
            process = kind()
            with pytest.raises(ProcessError, match=text):
                process.start(daemonize=daemonize, synchronize=True)
            if not daemonize:
                assert process.join(5) == 1


def test_a_daemon_has_no_parent_and_its_own_session() -> None:
    pipe = Pipe()

    class Tell(Process):
        def close_fds(self, exclude) -> None:
            super().close_fds([*exclude, pipe.w])

        def run(self) -> None:
            pipe.put([os.getpid(), os.getppid(), os.getsid(0), os.getcwd()])
            forever()

    process = Tell()
    process.start(daemonize=True, synchronize=True)
    try:
        pid, parent, session, folder = pipe.get(5)
        assert pid == process.pid
        assert parent != os.getpid()
        assert session not in {pid, os.getsid(0)}
        assert folder == "/"
        with pytest.raises(Unwaitable):
            process.join()
        with pytest.raises(Unwaitable):
            process.is_alive()
        process.terminate()
        assert select.select([process], [], [], 5)[0]
    finally:
        process.kill(signal.SIGKILL)
        pipe.close()
    unknown = Process(lambda: None)
    unknown.start(daemonize=True)
    with pytest.raises(Unstarted, match="PID is not known"):
        unknown.terminate()


def test_descriptors_are_closed_unless_kept(started) -> None:
    read, write = os.pipe()
    kept = os.dup(0)

    class Look(Process):
        def close_fds(self, exclude) -> None:
            super().close_fds([*exclude, kept])

        def run(self) -> None:
            assert set(self.list_fds()) == {0, 1, 2, kept}

    assert started(Look()).join(10) == 0
    for fd in (read, write, kept):
        os.close(fd)
    with pytest.raises(Exception, match="exclude is not a list"):
        Process(forever).close_fds("3")  # type: ignore[arg-type]


def test_copies_of_the_parents_objects_close_nothing_in_the_child(started) -> None:
    class Cycle:
        def __init__(self) -> None:
            self.me, self.socket = self, socket.socketpair()

    Cycle()  # garbage that only the collector finds

    def check() -> None:
        fds = [os.dup(0) for _ in range(20)]
        gc.collect()
        assert set(fds) <= set(Process.list_fds())

    assert started(Process(check)).join(10) == 0


def test_a_child_ends_with_its_parent(started) -> None:
    pipe = Pipe()

    class Grandchild(Process):
        def close_fds(self, exclude) -> None:
            super().close_fds([*exclude, pipe.w])

        run = staticmethod(forever)

    class Child(Process):
        def close_fds(self, exclude) -> None:
            super().close_fds([*exclude, pipe.w])

        def run(self) -> None:
            grandchild = Grandchild()
            grandchild.start(synchronize=True)
            pipe.put(grandchild.pid)
            forever()

    process = started(Child())
    pidfd = os.pidfd_open(pipe.get(5))
    process.kill(signal.SIGKILL)
    assert select.select([pidfd], [], [], 5)[0]
    os.close(pidfd)
    pipe.close()


def test_a_child_whose_parent_is_gone_already_ends_too(started) -> None:
    class Orphan(Process):
        run = staticmethod(forever)

        def initialize(self) -> None:
            self._starter = 1  # as if the parent had ended between the fork and here
            super().initialize()

    assert started(Orphan()).join(10) == 15


def test_the_trace_is_logged_and_the_process_lives(started, tmp_path) -> None:
    log = tmp_path / "log"

    class Logging(Process):
        run = staticmethod(forever)

        def redirect(self) -> None:
            os.dup2(os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND), 2)

    process = started(Logging(logging=True), synchronize=True)
    end = time.monotonic() + 5
    while "in forever" not in log.read_text() and time.monotonic() < end:
        process.kill(signal.SIGUSR1)
        time.sleep(0.01)
    assert f"ave-Logging {process.pid} -- " in log.read_text()
    assert "in forever" in log.read_text()
    assert process.is_alive()


def test_failures_are_logged_with_their_trace(started, tmp_path) -> None:
    class Failing(Process):
        def redirect(self) -> None:
            os.dup2(os.open(tmp_path / self.proc_name, os.O_CREAT | os.O_WRONLY | os.O_APPEND), 2)

        def run(self) -> None:
            self.dump_fds()
            raise ValueError("oh")

    class FailingExit(Failing):
        def exit(self, code) -> None:
            raise ValueError("ah")

    assert started(Failing(logging=True, proc_name="a")).join(10) == 1
    text = (tmp_path / "a").read_text()
    assert "Exception in target():" in text
    assert "ValueError: oh" in text
    assert "0 -> " in text
    assert started(FailingExit(logging=True, proc_name="b")).join(10) == 2
    assert "ValueError: ah" in (tmp_path / "b").read_text()


def test_nothing_buffered_is_written_twice(tmp_path) -> None:
    script = (
        "import sys\nfrom wayhouse.runtime.process import Process\n"
        "print('once', end='')\np = Process(lambda: print('child'))\np.start()\np.join()\n"
    )
    from wayhouse.runtime import cmd

    assert cmd.run([sys.executable, "-c", script], pty=False)[1] == "oncechild\n"


def test_a_process_with_threads_is_not_forked_unless_told() -> None:
    done = threading.Event()
    other = threading.Thread(target=done.wait, name="worker")
    other.start()
    found: list[BaseException] = []

    def from_a_thread() -> None:
        try:
            Process(forever).start()
        except ProcessError as error:
            found.append(error)

    class Trusting(Process):
        threads_allowed = True
        run = staticmethod(lambda: None)

    try:
        with pytest.raises(ProcessError, match="worker"):
            Process(forever).start()
        starter = threading.Thread(target=from_a_thread)
        starter.start()
        starter.join()
        assert "main thread" in str(found[0])
        process = Trusting()
        process.start()
        assert process.join(10) == 0
    finally:
        done.set()
        other.join()


def test_detaching_from_a_parent_that_is_gone_returns() -> None:
    process = Process(lambda: None)
    process.start()
    process.join(10)
    fork.detach(process.pid)
