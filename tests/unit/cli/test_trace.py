import os
import signal

import pytest

from tests.parts.armed import SPINNING, child
from wayhouse.runtime.sight.trace_box import FOLDER


@pytest.fixture
def stuck(bare, tmp_path, monkeypatch):
    monkeypatch.setenv("WAYHOUSE_DATA", str(tmp_path))
    with child(tmp_path / "run" / FOLDER, SPINNING, name="gateway", role="gateway") as pid:
        yield pid


def test_a_gateway_that_is_stuck(bare, stuck):
    told = bare("trace")
    assert told.code == 0
    assert told.out.startswith(f"== gateway, pid {stuck}, told on a signal\n")
    assert "in spins_for_ever" in told.out
    assert "hunter2" not in told.out
    assert "does not answer" in told.err
    assert bare("trace", stuck).out == bare("trace", "gateway").out


def test_for_programs(bare, stuck):
    told = bare("trace", "--json")
    (row,) = told.json_lines
    assert (row["pid"], row["name"], row["how"], told.err) == (stuck, "gateway", "signal", "")


def test_one_that_is_not_there(bare, stuck):
    told = bare("trace", "nobody")
    assert (told.code, told.out) == (1, "")
    assert "There are: gateway" in told.err


def test_one_that_does_not_answer_says_why(bare, stuck):
    os.kill(stuck, signal.SIGSTOP)
    told = bare("trace")
    assert "told by the kernel" in told.out
    assert "did not answer in time" in told.out
    assert "stopped" in told.out
