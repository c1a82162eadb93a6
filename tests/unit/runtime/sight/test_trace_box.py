"""The file that a process offers."""

from __future__ import annotations

import json
import logging
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.parts.armed import SLEEPING, child
from wayhouse.runtime.sight import trace_box
from wayhouse.runtime.sight.trace_box import Head, boxes, parse_head, sweep


def test_a_box_says_whose_it_is_and_is_private(tmp_path: Path) -> None:
    folder = tmp_path / "run" / "trace"
    with child(folder, SLEEPING, name="keeper", role="keeper") as pid:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / str(pid)).stat().st_mode) == 0o600
        found = boxes(folder)
        assert set(found) == {pid}
        assert (found[pid].name, found[pid].role, found[pid].is_alive) == ("keeper", "keeper", True)
    assert boxes(folder) == {}, "it was killed"
    assert (folder / str(pid)).exists()
    sweep(folder)
    assert list(folder.iterdir()) == []


def test_a_clean_end_removes_it_and_a_late_signal_ends_nobody(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, signal, sys\nfrom wayhouse.runtime.sight import trace_box\n"
        "with trace_box.armed(pathlib.Path(sys.argv[1]), name='x', role='y'):\n"
        "    assert len(os.listdir(sys.argv[1])) == 1\n"
        "assert os.listdir(sys.argv[1]) == []\nos.kill(os.getpid(), signal.SIGUSR2)\nprint('alive')\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, timeout=60)
    assert (done.returncode, done.stdout) == (0, b"alive\n")


def test_a_forked_child_leaves_the_box_to_its_parent(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, signal, sys\nfrom wayhouse.runtime.sight import trace_box\n"
        "box = trace_box.arm(pathlib.Path(sys.argv[1]), name='x', role='y')\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    box.close(); os.kill(os.getpid(), signal.SIGUSR2); os._exit(7)\n"
        "assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7\n"
        "path = pathlib.Path(sys.argv[1], str(os.getpid()))\n"
        "assert path.read_bytes().count(b'\\n') == 1\n"
        "again = trace_box.arm(pathlib.Path(sys.argv[1]), name='z', role='y')\n"
        "box.close(); assert b'\"z\"' in path.read_bytes(); again.close(); again.close()\n"
        "assert not path.exists()\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], timeout=60).returncode == 0


def test_a_process_starts_without_a_box_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    with caplog.at_level(logging.WARNING), trace_box.armed(tmp_path / "file", name="x", role="y"):
        assert "cannot be traced when it is stuck" in caplog.text
    assert signal.getsignal(signal.SIGUSR2) is signal.SIG_DFL


def test_somebody_else_s_directory_is_not_used(tmp_path: Path) -> None:
    os.chown(tmp_path, 65534, 65534)
    with pytest.raises(PermissionError):
        trace_box.make_private(tmp_path)
    os.chown(tmp_path, 0, 0)
    tmp_path.chmod(0o755)
    trace_box.make_private(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700


def test_only_stale_files_are_swept(tmp_path: Path) -> None:
    head = {"pid": os.getpid(), "started": 1, "boot": "", "name": "x", "role": "y", "belongs_to": ""}
    (tmp_path / str(os.getpid())).write_text(json.dumps(head) + "\n")
    (tmp_path / f"{os.getpid()}.part").write_text("just being made")
    (tmp_path / "4194305").write_text("no head, no process")
    (tmp_path / "4194305.part").touch()
    (tmp_path / "notes").touch()
    (tmp_path / ("9" * 100)).touch()
    assert boxes(tmp_path) == {}, "this pid had another start time"
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{os.getpid()}.part", "notes"]


def test_what_is_no_plain_file_of_that_name_is_nobody_s(tmp_path: Path) -> None:
    head = json.dumps(Head(1, 1, "", "x", "y")._asdict()) + "\n"
    (tmp_path / "1").write_text(head)
    (tmp_path / "2").write_text(head)
    (tmp_path / "3").symlink_to(tmp_path / "1")
    os.mkfifo(tmp_path / "4")
    (tmp_path / "5").mkdir()
    assert trace_box.read_head(tmp_path / "1") is not None
    assert [trace_box.read_head(tmp_path / name) for name in "23456"] == [None] * 5
    assert boxes(tmp_path / "none") == {}
    assert boxes(tmp_path / "1") == {}


@settings(max_examples=200)
@given(
    st.one_of(
        st.binary(),
        st.dictionaries(
            st.sampled_from(Head._fields),
            st.one_of(st.integers(), st.text(), st.none(), st.lists(st.integers())),
        ).map(lambda one: json.dumps(one).encode() + b"\n"),
    )
)
def test_any_bytes_are_a_head_or_none(data: bytes) -> None:
    found = parse_head(data)
    assert found is None or (found.pid > 0 and isinstance(found.name, str))
