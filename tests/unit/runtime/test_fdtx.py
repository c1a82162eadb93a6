"""Descriptors on the move."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from tests.parts.descriptors import open_descriptors
from wayhouse.runtime.exceptions import ConnectionClosed, Timeout
from wayhouse.runtime.fdtx import MAX_FDS, Errno, FdTx


@pytest.fixture
def ends(tmp_path):
    here, there = FdTx(None), FdTx(None)
    path = here.listen(str(tmp_path / "new"))
    there.connect(path, 5)
    here.accept(5)
    yield here, there
    here.close()
    there.close()


def open_fds() -> int:
    return open_descriptors()


def test_a_text_and_its_descriptors_arrive_together(ends) -> None:
    here, there = ends
    read, write = os.pipe()
    here.put("first", read)
    here.put("second åäö")
    os.close(read)
    text, (fd, filler) = there.get(100, 2)
    assert (text, filler) == ("first", -1)
    os.write(write, b"x")
    assert os.read(fd, 1) == b"x"
    assert not os.get_inheritable(fd)
    os.close(fd)
    os.close(write)
    assert there.get(100, 0) == ("second åäö", [])
    here.put("", 0)
    text, (fd,) = there.get(100, 1)
    os.close(fd)
    assert text == ""


def test_fix_as_many_descriptors_as_the_kernel_takes_and_no_more(ends) -> None:
    """The original wrote beyond its stack from the ninth on, and took no notice of errors."""
    here, there = ends
    here.put("many", *[0] * MAX_FDS)
    _, fds = there.get(100, MAX_FDS)
    assert len(set(fds)) == MAX_FDS
    for fd in fds:
        os.close(fd)
    with pytest.raises(ValueError, match="254"):
        here.put("too many", *[0] * (MAX_FDS + 1))
    with pytest.raises(Errno):
        here.put("no such descriptor", 99_999)


def test_what_does_not_fit_leaks_nothing(ends) -> None:
    here, there = ends
    before = open_fds()
    here.put("two", 0, 1)
    with pytest.raises(ValueError, match="larger"):
        there.get(100, 1)
    here.put("a long text", 0)
    with pytest.raises(ValueError, match="larger"):
        there.get(3, 5)
    assert open_fds() == before
    with pytest.raises(ValueError, match="descriptors"):
        there.get(3, 500)
    with pytest.raises(ValueError, match="empty"):
        here.put("")


def test_a_full_queue_and_an_empty_one_meet_their_deadlines(ends) -> None:
    here, there = ends
    with pytest.raises(Timeout, match="timed out"):
        there.get(10, 0, timeout=0.01)

    def fill() -> None:
        for _ in range(100_000):
            here.put("x" * 10_000, timeout=0.01)

    with pytest.raises(Timeout):
        fill()


def test_the_end_of_the_peer(ends) -> None:
    here, there = ends
    there.close()
    with pytest.raises(ConnectionClosed):
        here.get(10, 1)
    with pytest.raises(ConnectionClosed):
        here.put("x")
    with pytest.raises(ConnectionClosed):
        there.fileno()


def test_the_socket_is_its_owners_alone_and_goes_with_it(tmp_path) -> None:
    one = FdTx(None)
    path = Path(one.listen(str(tmp_path / "d"), "name"))
    assert path == tmp_path / "d" / "name"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    with pytest.raises(Exception, match="file already exists"):
        FdTx(None).listen(str(tmp_path / "d"), "name")
    with pytest.raises(Timeout, match="timed out"):
        one.accept(0.01)
    one.close()
    assert not path.exists()
    with pytest.raises(Errno):
        FdTx(None).listen(str(tmp_path / "d"), "x" * 200)


def test_fix_connecting_waits_for_the_file_and_for_the_listener(tmp_path) -> None:
    """The original gave up when the file was there but nobody listened yet."""
    with pytest.raises(Timeout):
        FdTx(None).connect(str(tmp_path / "sock"), 0.03)
    stale = FdTx(None)
    stale.listen(str(tmp_path), "sock")
    stale._socket.close()  # type: ignore[union-attr]  # a file without a listener
    here, there = FdTx(None), FdTx(None)

    def later() -> None:
        (tmp_path / "sock").unlink()
        here.listen(str(tmp_path), "sock")

    timer = threading.Timer(0.05, later)
    timer.start()
    there.connect(str(tmp_path / "sock"), 5)
    timer.join()
    here.accept(5)
    assert there.peer().pid == os.getpid()
    for end in (here, there):
        end.close()
    with pytest.raises(Errno):
        there.connect(str(tmp_path / ("y" * 200)), 1)
