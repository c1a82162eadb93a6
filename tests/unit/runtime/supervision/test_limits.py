"""Control groups: against invented trees, and the real one where it can be written."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from wayhouse.runtime.supervision import limits as limits_module
from wayhouse.runtime.supervision.child_spec import Limits
from wayhouse.runtime.supervision.limits import ControlGroups, Group, join

ALL = Limits(memory_bytes=64 << 20, cpu=0.5, pids=20)
V1 = {
    "memory": ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"),
    "cpu": ("cpu.cfs_quota_us", "cpu.cfs_period_us"),
    "pids": ("pids.max",),
}
V2 = ("memory.max", "memory.swap.max", "cpu.max", "pids.max", "cgroup.controllers", "cgroup.kill")


@pytest.fixture
def kernel(monkeypatch):
    """mkdir makes the files of a group, and rmdir takes them along, as the kernel does."""
    mkdir, rmdir = os.mkdir, os.rmdir

    def make(path, mode=0o777) -> None:
        mkdir(path, mode)
        parts = Path(path).parts
        kind = next((kind for kind in V1 if kind in parts), None)
        for name in ("cgroup.procs", *(V1[kind] if kind else (*V2, "cgroup.subtree_control"))):
            Path(path, name).touch()

    def remove(path) -> None:
        for name in os.listdir(path):
            if not os.path.isdir(os.path.join(path, name)):
                os.unlink(os.path.join(path, name))
        rmdir(path)

    write = limits_module._write

    def append(path, text) -> None:
        if path.endswith("subtree_control"):
            text = f"{Path(path).read_text()} {text[1:]}"
        write(path, text)

    monkeypatch.setattr(limits_module, "_write", append)
    monkeypatch.setattr(limits_module.os, "mkdir", make)
    monkeypatch.setattr(limits_module.os, "rmdir", remove)


def test_version_1(tmp_path, kernel) -> None:
    for kind in ("memory", "pids"):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / "cgroup.procs").touch()
    groups = ControlGroups("w", str(tmp_path))
    group = groups.make("app/1", ALL)
    folder = tmp_path / "memory" / "w" / "child-app%2f1"
    assert str(folder) in group.folders
    assert (folder / "memory.limit_in_bytes").read_text() == str(64 << 20)
    assert (tmp_path / "pids" / "w" / "child-app%2f1" / "pids.max").read_text() == "20"
    assert group.missing == ("cpu",)
    assert group.reason
    join(group.folders)
    assert (folder / "cgroup.procs").read_text() == "0"
    (folder / "cgroup.procs").write_text("")
    groups.remove(group)
    groups.close()
    assert not (tmp_path / "memory" / "w").exists()


def test_version_2(tmp_path, kernel) -> None:
    (tmp_path / "cgroup.controllers").touch()
    (tmp_path / "cgroup.subtree_control").touch()
    groups = ControlGroups("w", str(tmp_path))
    groups.make("a", Limits())
    group = groups.make("a", ALL)
    assert group.missing == ()
    (folder,) = group.folders
    assert Path(folder, "memory.max").read_text() == str(64 << 20)
    assert Path(folder, "memory.swap.max").read_text() == "0"
    assert Path(folder, "cpu.max").read_text() == "50000 100000"
    assert Path(folder, "pids.max").read_text() == "20"
    groups.remove(group)
    assert not Path(folder).exists()


def test_where_nothing_can_be_made(tmp_path) -> None:
    group = ControlGroups("w", str(tmp_path / "none")).make("a", ALL)
    assert group.folders == ()
    assert group.missing == ("cpu", "memory", "pids")
    assert "no control group" in group.reason
    assert ControlGroups("w", str(tmp_path)).make("a", Limits()) == Group()


def real() -> str:
    groups = ControlGroups(f"wayhouse-test-{os.getpid()}")
    made = groups.make("probe", Limits(pids=5))
    groups.remove(made)
    groups.close()
    return made.reason


@pytest.mark.skipif(bool(real()), reason=f"no control group can be made here: {real()}")
def test_the_real_ones_limit_and_are_removed() -> None:
    groups = ControlGroups(f"wayhouse-test-{os.getpid()}")
    group = groups.make("forks", Limits(pids=3))
    child = subprocess.Popen(
        [
            "sh",
            "-c",
            'for f in "$@"; do echo 0 > $f/cgroup.procs; done; for i in 1 2 3 4 5 6; do sleep 60 & done; wait',
            "sh",
            *group.folders,
        ],
        stderr=subprocess.PIPE,
    )
    assert b"ork" in child.stderr.readline()  # cannot fork
    again = groups.make("forks", Limits(pids=3))  # in use: what is in it is killed
    assert child.wait(10) == -9 or child.returncode == 2
    for _ in range(100):
        if again.folders:
            break
        time.sleep(0.02)
        again = groups.make("forks", Limits(pids=3))
    assert again.folders
    groups.remove(again)
    groups.close()
    child.stderr.close()
    assert not any(os.path.exists(folder) for folder in group.folders)
    assert not any(os.path.exists(os.path.dirname(folder)) for folder in group.folders)
