"""Processes forked by a small one, on behalf of a large one."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading

import pytest

from wayhouse.runtime.exceptions import ProcessError, Timeout
from wayhouse.runtime.process_table import get_children, get_proc_name
from wayhouse.runtime.zygote import Zygote


@pytest.fixture(scope="module")
def zygote():
    made = Zygote(["json"])
    made.start()
    yield made
    made.close()


def test_a_named_function_runs_with_arguments_and_descriptors(zygote) -> None:
    read, write = os.pipe()
    child = zygote.spawn("os:system", ["exit 0"], proc_name="ave-one")
    assert child.join(10) == 0
    child = zygote.spawn(
        "multiprocessing.connection:Connection.__init__", [], [write]
    )  # a wrong number of arguments
    assert child.join(10) == 1
    os.close(write)
    assert os.read(read, 1) == b""  # nobody else kept it
    os.close(read)


def test_it_is_killed_and_waited_for_like_any_other(zygote) -> None:
    child = zygote.spawn("time:sleep", [60], proc_name="ave-sleeper")
    assert get_proc_name(child.pid) == "ave-sleeper"
    assert child.pid in get_children(zygote.pid)
    assert child.is_alive()
    with pytest.raises(Timeout):
        child.join(0.01)
    child.kill(signal.SIGKILL)
    assert select.select([child], [], [], 10)[0]
    assert child.join(10) == child.join(0) == -9
    assert not child.is_alive()
    child.terminate()  # gone: nothing happens


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("no_such_module:f", "ModuleNotFoundError"),
        ("os:nothing", "AttributeError"),
        ("os", "package.module:function"),
    ],
)
def test_what_cannot_be_found_is_told(zygote, target, text) -> None:
    with pytest.raises(ProcessError, match=text):
        zygote.spawn(target)


def test_too_much_is_refused(zygote) -> None:
    with pytest.raises(ValueError, match="at most"):
        zygote.spawn("os:getpid", ["x" * 200_000])
    with pytest.raises(ValueError, match="at most"):
        zygote.spawn("os:getpid", [], [0] * 300)


def test_answers_find_their_askers_in_any_order(zygote) -> None:
    children = [zygote.spawn("os:_exit", [number]) for number in range(20)]
    found: dict[int, int] = {}

    def wait(number: int) -> None:
        found[number] = children[number].join(10)

    threads = [threading.Thread(target=wait, args=(number,)) for number in reversed(range(20))]
    for thread in threads:
        thread.start()
    assert zygote.spawn("os:_exit", [0]).join(10) == 0  # from a process with threads
    for thread in threads:
        thread.join()
    assert found == {number: number for number in range(20)}


def test_a_child_that_waits_for_its_work_may_be_killed(zygote) -> None:
    assert zygote.spawn("os:_exit", [0]).join(10) == 0
    for pid in get_children(zygote.pid):
        with contextlib.suppress(ProcessLookupError):
            fd = os.pidfd_open(pid)
            os.kill(pid, signal.SIGKILL)
            assert select.select([fd], [], [], 10)[0]
            os.close(fd)
    assert zygote.spawn("os:_exit", [3]).join(10) == 3


def test_the_child_that_waits_for_its_work_ends_before_the_zygote() -> None:
    made = Zygote()
    made.start()
    assert made.spawn("os:_exit", [3]).join(10) == 3
    assert made.spawn("os:_exit", [3]).join(10) == 3  # the one after it is there, then
    spare = [os.pidfd_open(pid) for pid in get_children(made.pid)]
    made.close()
    for fd in spare:
        assert select.select([fd], [], [], 0)[0]
        os.close(fd)


def test_all_end_with_the_zygote() -> None:
    made = Zygote()
    made.start()
    child = made.spawn("time:sleep", [60])
    spare = [os.pidfd_open(pid) for pid in get_children(made.pid) if pid != child.pid]
    made.kill(signal.SIGKILL)
    for fd in spare:
        assert select.select([fd], [], [], 10)[0]
        os.close(fd)
    with contextlib.suppress(OSError):
        child.terminate()
    assert select.select([child], [], [], 10)[0]
    with pytest.raises(ProcessError, match="the zygote is gone"):
        child.join(10)
    with pytest.raises(ProcessError, match="the zygote is gone"):
        made.spawn("os:getpid")
    made.close()
