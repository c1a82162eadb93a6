"""All processes of a product, and the best that can be known of each."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import msgspec
import pytest

from tests.parts.armed import SLEEPING, SPINNING, child
from wayhouse.runtime.sight import overview
from wayhouse.runtime.sight.family import Label, Member
from wayhouse.runtime.sight.overview import NoSuchProcessError, choose, look, look_at_all, see


def member(pid: int, name: str = "", role: str = "", belongs_to: str = "") -> Member:
    return Member(
        pid=pid, ppid=1, depth=0, name=name, role=role, belongs_to=belongs_to, ready=None, state="S", uptime_s=0.0,
        rss_bytes=0, pss_bytes=None, cpu_s=0.0, threads=1, descriptors=None, descriptor_limit=None, command="",
    )  # fmt: skip


def test_armed_processes_and_known_ones(tmp_path: Path) -> None:
    foreign = subprocess.Popen(["sleep", "60"])
    try:
        with child(tmp_path, SPINNING, name="busy", role="shim") as pid:
            found = see(tmp_path, {foreign.pid: Label(role="container", belongs_to="app")})
            assert {(one.pid, one.name, one.role) for one in found} == {
                (pid, "busy", "shim"),
                (foreign.pid, "sleep", "container"),
            }
            told = {one.pid: one for one in look_at_all(tmp_path, found)}
            assert (told[pid].how, told[foreign.pid].how) == ("signal", "kernel")
            assert "spins_for_ever" in told[pid].text
            assert "sleeping" in told[foreign.pid].text
            assert told[pid].note == told[foreign.pid].note == ""
            known = see(tmp_path, {pid: Label(name="better", ready=True)})
            assert [(one.name, one.ready) for one in known] == [("better", True)]
    finally:
        foreign.kill()
        foreign.wait()


def test_one_that_does_not_answer_is_told_by_the_kernel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with child(tmp_path, SLEEPING) as pid:
        os.kill(pid, signal.SIGSTOP)
        (one,) = see(tmp_path)
        assert one.state == "T"
        found = look(tmp_path, one)
        assert found.how == "kernel"
        assert "did not answer in time" in found.note
        assert "stopped" in found.text
    gone = look(tmp_path, one)
    assert (gone.text, gone.note) == ("", f"Process {pid} has ended.")


def test_by_name_role_app_and_pid() -> None:
    members = [member(1, "gateway", "gateway"), member(2, "a-main", "shim", "a"), member(3, "sh", "app", "a")]
    assert choose(members, None) == members
    for who, pids in (("gateway", [1]), ("a", [2, 3]), ("shim", [2]), (3, [3]), ("3", [3])):
        assert [one.pid for one in choose(members, who)] == pids
    for nobody in ("b", "", 4, "x" * 10_000):
        with pytest.raises(NoSuchProcessError, match="There are: a-main, gateway, sh") as refused:
            choose(members, nobody)
        assert len(refused.value.message) < 300


def test_a_text_has_a_limit() -> None:
    found = overview.traced(member(1), "own", "x" * (overview.MAX_TEXT + 1))
    assert found.text.endswith("x\n... and more\n")
    assert len(msgspec.json.encode(found)) < overview.MAX_TEXT + 1000
