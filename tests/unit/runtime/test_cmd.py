"""Programs on real terminals and pipes."""
# covers: runtime/spawn.py

from __future__ import annotations

import io
import os
import signal
import threading
import time

import pytest

from tests.parts.descriptors import open_descriptors
from wayhouse.runtime import cmd, process_table
from wayhouse.runtime.exceptions import RunError, Timeout

both = pytest.mark.parametrize("pty", [True, False])


def sh(script: str) -> list[str]:
    return ["sh", "-c", script]


def open_fds() -> int:
    return open_descriptors()


def test_a_string_is_split_without_quoting_and_a_terminal_turns_lines() -> None:
    assert cmd.run('echo "a   b"') == (0, '"a b"\r\n', "")
    assert cmd.run('echo "a   b"', pty=False) == (0, '"a b"\n', "")


@both
def test_output_and_errors_are_one_stream(pty) -> None:
    status, out, rest = cmd.run(sh("echo one; echo two >&2; echo three; exit 2"), pty=pty)
    assert (status, out.split(), rest) == (2, ["one", "two", "three"], "")


@both
@pytest.mark.parametrize(
    ("script", "status"), [("exit 200", 200), ("kill -9 $$", -9), ("kill -TERM $$", -15)]
)
def test_fix_the_status_tells_how_it_ended(pty, script, status) -> None:
    """The original answered -56, and 0 for every signal."""
    assert cmd.run(sh(script), pty=pty)[0] == status


@both
@pytest.mark.parametrize(
    ("command", "cwd", "text"),
    [
        ("no-such-program -x", "", "No such file or directory"),
        (["/etc/passwd"], "", "Permission denied"),
        ("true", "/no/such/place", "No such file or directory"),
    ],
)
def test_fix_what_cannot_be_started_is_an_error_of_the_caller(pty, command, cwd, text) -> None:
    """In the original the error went up the stack of the forked child, which became a second caller."""
    before, me = open_fds(), os.getpid()
    children = process_table.get_children(me)
    with pytest.raises(RunError, match=text) as caught:
        cmd.run(command, cwd=cwd, pty=pty)
    assert os.getpid() == me
    assert caught.value.cmd == command
    assert open_fds() == before
    assert set(process_table.get_children(me)) <= set(children)


@pytest.mark.parametrize("command", ["", "  ", [], ["a\0b"], [1]])
def test_what_is_no_command(command) -> None:
    with pytest.raises(RunError, match="a command is"):
        cmd.run(command)


@both
def test_a_deadline_kills_the_whole_session_and_keeps_the_output(pty) -> None:
    children = process_table.get_children(os.getpid())
    with pytest.raises(Timeout, match="command timed out") as caught:
        cmd.run(sh("trap '' HUP TERM; sleep 60 & echo started; wait"), timeout=0.3, pty=pty)
    assert caught.value.cmd[0] == "sh"
    assert "started" in caught.value.out
    assert set(process_table.get_children(os.getpid())) <= set(children)


@both
def test_a_closed_output_does_not_hide_a_program_that_goes_on(pty) -> None:
    with pytest.raises(Timeout):
        cmd.run(sh("exec </dev/null >/dev/null 2>&1; sleep 60"), timeout=0.3, pty=pty)


@both
def test_what_is_left_in_the_session_is_hung_up_on(pty) -> None:
    begun = time.monotonic()
    assert cmd.run(sh("sleep 60 & echo $!"), pty=pty)[0] == 0
    assert time.monotonic() - begun < 30


@both
def test_a_daemon_survives(pty, tmp_path) -> None:
    script = f"setsid sh -c 'echo $$ > {tmp_path}/pid; exec sleep 60' </dev/null >/dev/null 2>&1 & sleep 0.01; until [ -s {tmp_path}/pid ]; do :; done"
    assert cmd.run(sh(script), pty=pty)[0] == 0
    pid = int((tmp_path / "pid").read_text())
    os.kill(pid, signal.SIGKILL)  # raises if it is gone


@both
def test_the_program_has_a_session_and_nothing_of_ours(pty) -> None:
    read, write = os.pipe()
    os.set_inheritable(write, True)
    try:
        out = cmd.run(sh(f"[ -e /proc/$$/fd/{write} ] && echo leaked; ulimit -n"), pty=pty)[1]
    finally:
        os.close(read)
        os.close(write)
    assert "leaked" not in out
    pid, _, _, _, group, session, *_ = cmd.run("cat /proc/self/stat", pty=pty)[1].split()
    assert pid == group == session


def test_a_terminal_is_a_controlling_one() -> None:
    assert cmd.run(sh("echo direct > /dev/tty")) == (0, "direct\r\n", "")


@both
def test_output_goes_to_a_file_and_to_stderr_as_it_comes(pty, tmp_path, capsys) -> None:
    with (tmp_path / "text").open("w") as text, (tmp_path / "bytes").open("wb") as data:
        cmd.run(sh("printf å"), output_file=text, pty=pty, debug=True)
        cmd.run(sh("printf å"), output_file=data, pty=pty)
    assert (tmp_path / "text").read_text() == (tmp_path / "bytes").read_text() == "å"
    assert capsys.readouterr().err == "sh -c printf å\nå"
    cmd.run("echo quiet", pty=pty)
    assert capsys.readouterr() == ("", "")
    with pytest.raises(Exception, match="output_file is not a file"):
        cmd.run("true", output_file=io.StringIO(), pty=pty)


@both
def test_all_output_is_read_and_nothing_leaks(pty) -> None:
    before = open_fds()
    for _ in range(30):
        assert len(cmd.run(["head", "-c", "20000", "/dev/zero"], pty=pty)[1]) == 20_000
    assert open_fds() == before
    assert cmd.run(["printf", r"\377"], pty=pty)[1] == "\ufffd"


@both
def test_it_works_beside_other_threads(pty) -> None:
    done = threading.Event()
    other = threading.Thread(target=done.wait)
    other.start()
    try:
        assert cmd.run("echo x", pty=pty)[0] == 0
    finally:
        done.set()
        other.join()


def test_in_the_background() -> None:
    pid, fd = cmd.run_bg(sh("echo hi; pwd"), cwd="/")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert os.read(fd, 100) == b"hi\r\n/\r\n"
    assert not os.get_inheritable(fd)
    os.close(fd)
