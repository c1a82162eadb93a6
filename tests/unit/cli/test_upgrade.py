"""`wayhouse upgrade`: what it says when the daemon was succeeded, when nothing changed, and when there is none."""

import contextlib
import json
import os

import pytest

from wayhouse.runtime.control import Control
from wayhouse.runtime.exceptions import AveException, Restarting


class Daemon(Control):
    """Tells its steps and then ends the stream as `ends` says; a real one moves the connection to its successor."""

    def __init__(self, path, ends):
        super().__init__(str(path))
        self._ends = ends

    @Control.rpc
    def version(self):
        return "1.2.3"

    @Control.rpc
    def upgrade(self):
        yield "starting the successor"
        raise self._ends


@pytest.fixture
def daemon(tmp_path):
    (tmp_path / "run").mkdir()
    with contextlib.ExitStack() as stack:
        yield lambda ends: stack.enter_context(Daemon(tmp_path / "run" / "control.sock", ends).in_thread())


def test_it_says_who_serves_now(bare, daemon, tmp_path):
    daemon(Restarting("moved"))
    told = bare("--data", tmp_path, "upgrade")
    assert (told.code, told.err) == (0, "Starting the successor.\n")
    assert told.out == f"Wayhouse 1.2.3 serves now, as process {os.getpid()}. Nothing was interrupted.\n"
    who = {"version": "1.2.3", "pid": os.getpid()}
    assert json.loads(bare("--data", tmp_path, "upgrade", "--json").out) == {"before": who, "now": who}


def test_it_says_why_nothing_changed(bare, daemon, tmp_path):
    daemon(
        AveException({"message": "The successor ended before it could start.", "type": "UpgradeFailedError"})
    )
    told = bare("--data", tmp_path, "upgrade")
    assert told.code == 1
    assert "The successor ended before it could start. The gateway runs as before." in told.err
    assert told.out == ""


def test_there_must_be_one(bare, tmp_path):
    assert bare("--data", tmp_path, "upgrade").code == 3
