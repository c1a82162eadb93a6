"""Daemons, found by their pid files."""
# covers: runtime/pid_file.py

from __future__ import annotations

import contextlib
import os
import signal
import stat
import subprocess
import time

import pytest

from wayhouse.runtime.daemon import Daemon
from wayhouse.runtime.exceptions import ProcessError
from wayhouse.runtime.pid_file import PidFile


class Sleeper(Daemon):
    def run(self) -> None:
        self.log("running")
        while True:
            time.sleep(0.01)

    def rerun(self) -> None:
        self.log("running again")
        self.run()


@pytest.fixture
def daemon(tmp_path):
    made = Sleeper(str(tmp_path / "pid"), str(tmp_path / "log"))
    yield made
    with contextlib.suppress(Exception):
        made.stop()


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ((3, None), "pid_path is not a string"),
        (("p", 3), "log_file is not a file"),
        (("p", None, 1), "stdin is not a file"),
        (("p", None, None, "x"), "stdout is not a file"),
        (("p", None, None, None, b""), "stderr is not a file"),
    ],
)
def test_arguments_of_a_wrong_type(args, text) -> None:
    with pytest.raises(Exception, match=text):
        Sleeper(*args)


def wait_for(path, text: str) -> None:
    end = time.monotonic() + 5
    while text not in path.read_text() and time.monotonic() < end:
        time.sleep(0.005)
    assert text in path.read_text()


def test_start_and_stop(daemon, tmp_path) -> None:
    assert daemon.get_pid() == 0
    for act in (daemon.stop, daemon.restart):
        with pytest.raises(Exception, match=r"pid file .* does not exist"):
            act()
    pid = daemon.start()
    assert pid == daemon.get_pid() == daemon.pid
    assert stat.S_IMODE((tmp_path / "pid").stat().st_mode) == 0o644
    with pytest.raises(Exception, match=r"pid file .* exist"):
        daemon.start()
    wait_for(tmp_path / "log", f"ave-Sleeper {pid} -- running\n")
    assert sorted(set(os.listdir(f"/proc/{pid}/fd")) & {"0", "1", "2"}) == ["0", "1", "2"]
    assert os.readlink(f"/proc/{pid}/fd/1") == "/dev/null"
    daemon.stop()
    assert not (tmp_path / "pid").exists()
    assert not os.path.exists(f"/proc/{pid}/fd/0")
    daemon.start()


def test_restart_overlaps(daemon, tmp_path) -> None:
    first = daemon.start()
    second = daemon.restart()
    assert first != second == daemon.get_pid()
    os.kill(first, 0)
    os.kill(first, signal.SIGTERM)
    wait_for(tmp_path / "log", "got signal 15")
    wait_for(tmp_path / "log", "running again")
    assert daemon.get_pid() == second  # the old one left the file alone


def test_fix_a_recycled_pid_is_not_stopped(daemon, tmp_path) -> None:
    """The original signalled whoever had the number by now, for ever."""
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        (tmp_path / "pid").write_text(f"{stranger.pid}\n")
        daemon.stop()
        assert stranger.poll() is None
        assert not (tmp_path / "pid").exists()
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.parametrize("garbage", ["", "x", "-1", "9" * 30])
def test_garbage_in_the_file(daemon, tmp_path, garbage) -> None:
    (tmp_path / "pid").write_text(garbage)
    assert daemon.get_pid() == 0
    with pytest.raises(Exception, match="exist"):
        daemon.start()
    daemon.stop()
    assert not (tmp_path / "pid").exists()


def test_fix_one_that_does_not_listen_is_killed_in_the_end(tmp_path) -> None:
    class Stubborn(Sleeper):
        def handle_SIGTERM(self, signum, frame) -> None:  # noqa: N802
            self.log("no")

    daemon = Stubborn(str(tmp_path / "pid"), str(tmp_path / "log"))
    daemon.start()
    daemon.stop(timeout=0.1)
    assert "-- no\n" in (tmp_path / "log").read_text()
    assert daemon.get_pid() == 0


def test_what_keeps_it_from_starting_is_told(tmp_path) -> None:
    with pytest.raises(ProcessError, match="FileNotFoundError"):
        Sleeper(str(tmp_path / "no" / "pid"), None).start()
    with pytest.raises(ProcessError, match="IsADirectoryError"):
        Sleeper(str(tmp_path / "pid"), str(tmp_path)).start()


def test_streams_and_the_end_of_run(tmp_path) -> None:
    class Short(Daemon):
        def run(self) -> None:
            os.write(1, b"out")
            os.write(2, b"err")

    with (tmp_path / "out").open("w") as out, (tmp_path / "err").open("w") as err:
        Short(str(tmp_path / "pid"), err, None, out, err).start()
    wait_for(tmp_path / "out", "out")
    wait_for(tmp_path / "err", "err")
    end = time.monotonic() + 5
    while (tmp_path / "pid").exists() and time.monotonic() < end:
        time.sleep(0.005)
    assert not (tmp_path / "pid").exists()


def test_a_daemon_without_run_says_so(tmp_path) -> None:
    daemon = Daemon(str(tmp_path / "pid"), None)
    for ask in (daemon.run, daemon.rerun):
        with pytest.raises(TypeError, match="must give"):
            ask()


def test_a_pid_file_is_held_for_life(tmp_path) -> None:
    file = PidFile(str(tmp_path / "pid"))
    assert not file.is_held()
    file.claim()
    assert file.is_held()
    assert PidFile(file.path).read() == os.getpid()
    file.remove(1)
    assert file.exists()
    os.close(file._fd)
    assert not file.is_held()
    file.remove(os.getpid())
    assert not file.exists()
    with pytest.raises(FileNotFoundError):
        PidFile(str(tmp_path / "no" / "pid")).claim()
