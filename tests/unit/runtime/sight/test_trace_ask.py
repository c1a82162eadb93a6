"""Asking processes that hang."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from tests.parts.armed import DEADLOCKED, DROP, SLEEPING, SPINNING, as_nobody, child
from wayhouse.runtime.sight.proc_stat import boot_id, read_stat
from wayhouse.runtime.sight.trace_ask import NoTraceError, collect

ASK = "from pathlib import Path; from wayhouse.runtime.sight.trace_ask import collect"
WORK = "print(collect(Path(sys.argv[1]), int(sys.argv[2])))"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.mark.parametrize(
    ("code", "function"),
    [(SPINNING, "spins_for_ever"), (SLEEPING, "sleeps_in_c"), (DEADLOCKED, "holds_one_and_wants_the_other")],
)
def test_a_stuck_process_is_asked(tmp_path: Path, code: str, function: str) -> None:
    with child(tmp_path, code) as pid:
        size = (tmp_path / str(pid)).stat().st_size
        for _ in range(3):
            text = collect(tmp_path, pid, timeout_s=30)
            assert f"in {function}" in text
            assert text.count("Current thread") == 1
            assert text.count("in holds_one_and_wants_the_other") == (2 if code is DEADLOCKED else 0)
            assert "hunter2" not in text
            assert (tmp_path / str(pid)).stat().st_size == size, "the file does not grow"


def test_two_that_ask_at_once_take_turns(tmp_path: Path) -> None:
    with child(tmp_path, DEADLOCKED) as pid:
        told: list[str] = []
        threads = [
            threading.Thread(target=lambda: told.append(collect(tmp_path, pid, timeout_s=60)))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(told) == 8
        assert all(text.count("Current thread") == 1 and text.count("Thread ") == 2 for text in told)


def test_a_stopped_process_does_not_answer(tmp_path: Path) -> None:
    with child(tmp_path, SLEEPING) as pid:
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(NoTraceError, match="did not answer in time \\(state T\\)"):
            collect(tmp_path, pid, timeout_s=0.2)
        os.kill(pid, signal.SIGCONT)
        assert "sleeps_in_c" in collect(tmp_path, pid, timeout_s=30)


def test_nobody_is_signalled_who_did_not_offer_it(tmp_path: Path) -> None:
    """SIGUSR2 would end a process that does not catch it."""
    process = subprocess.Popen(["sleep", "60"])
    try:
        with pytest.raises(NoTraceError, match="has not offered"):
            collect(tmp_path, process.pid)
        stat = read_stat(process.pid)
        assert stat is not None
        head = {
            "pid": process.pid,
            "started": stat.started,
            "boot": boot_id(),
            "name": "",
            "role": "",
            "belongs_to": "",
        }
        path = tmp_path / str(process.pid)
        for document, why in (
            (head, "does not listen for the signal"),
            ({**head, "started": stat.started + 1}, "is gone"),
            ({**head, "boot": "another"}, "is gone"),
            ({**head, "pid": os.getpid()}, "has not offered"),
            ([], "has not offered"),
        ):
            path.write_text(json.dumps(document) + "\n")
            with pytest.raises(NoTraceError, match=why):
                collect(tmp_path, process.pid)
        path.rename(tmp_path / "other")
        path.symlink_to(tmp_path / "other")
        with pytest.raises(NoTraceError, match="has not offered"):
            collect(tmp_path, process.pid)
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
    with pytest.raises(NoTraceError, match=r"has not offered|gone"):
        collect(tmp_path, process.pid)


@as_root
def test_a_user_cannot_make_root_signal_a_process_that_is_not_theirs(tmp_path: Path) -> None:
    with child(tmp_path / "mine", SLEEPING) as pid:
        theirs = tmp_path / "theirs"
        theirs.mkdir()
        forged = theirs / str(pid)
        forged.write_bytes((tmp_path / "mine" / str(pid)).read_bytes())
        os.chown(forged, 65534, 65534)
        with pytest.raises(NoTraceError, match="is not its own"):
            collect(theirs, pid)
        forged.unlink()
        os.link(tmp_path / "mine" / str(pid), forged)
        with pytest.raises(NoTraceError, match="has not offered"):
            collect(theirs, pid)


@as_root
def test_another_user_may_not_ask(tmp_path: Path) -> None:
    with child(tmp_path / "trace", SLEEPING) as pid:
        tmp_path.chmod(0o755)
        with _open_above(tmp_path):
            assert as_nobody(ASK, WORK, tmp_path / "trace", pid).startswith("NotYoursError Process")
            (tmp_path / "trace").chmod(0o755)
            (tmp_path / "trace" / str(pid)).chmod(0o666)
            assert "another user's" in as_nobody(ASK, WORK, tmp_path / "trace", pid)


@as_root
def test_root_asks_a_user_s_process_and_the_user_too(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with _open_above(tmp_path), child(tmp_path / "trace", SLEEPING, before=DROP) as pid:
        assert "sleeps_in_c" in collect(tmp_path / "trace", pid, timeout_s=30)
        assert "sleeps_in_c" in as_nobody(ASK, WORK, tmp_path / "trace", pid)


@contextlib.contextmanager
def _open_above(path: Path):
    """Let others reach `path`: pytest makes the directories above for root alone."""
    above = [one for one in path.parents if "pytest" in one.name]
    before = [one.stat().st_mode for one in above]
    for one in above:
        one.chmod(0o755)
    try:
        yield
    finally:
        for one, mode in zip(above, before, strict=True):
            one.chmod(mode)
