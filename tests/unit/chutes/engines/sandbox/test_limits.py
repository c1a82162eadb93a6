"""Control groups of both versions, on a directory that looks like them."""

# covers: chutes/engines/sandbox/usage.py

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wayhouse.chutes.engines.sandbox.limits import Limits, weight
from wayhouse.chutes.engines.sandbox.usage import tree_usage
from wayhouse.chutes.ports import ContainerSpec

SPEC = ContainerSpec(
    name="a", chute="a", service="a", image="a", change_id=1, memory_bytes=64 << 20, pids=10, cpu_shares=1024
)


def test_without_control_groups(tmp_path: Path) -> None:
    limits = Limits("x", tmp_path)
    assert limits.kinds == frozenset()
    applied = limits.apply("id", SPEC)
    assert applied.groups == ()
    assert applied.resources | {"data": 64 << 20, "nproc": 10, "core": 0} == applied.resources
    assert limits.usage("id") is None
    limits.drop("id")


def test_version_1(tmp_path: Path) -> None:
    for kind in ("memory", "pids", "cpu", "cpuacct"):
        for place in (tmp_path / kind, tmp_path / kind / "wayhouse-x"):
            place.mkdir()
            (place / "cgroup.procs").touch()
    limits = Limits("x", tmp_path)
    assert limits.kinds == {"memory", "pids", "cpu", "cpuacct"}
    applied = limits.apply("id", SPEC)
    assert len(applied.groups) == 4
    assert "data" not in applied.resources
    own = tmp_path / "memory" / "wayhouse-x" / "id"
    assert (own / "memory.limit_in_bytes").read_text() == str(64 << 20)
    assert (tmp_path / "pids" / "wayhouse-x" / "id" / "pids.max").read_text() == "11"
    assert (tmp_path / "cpu" / "wayhouse-x" / "id" / "cpu.shares").read_text() == "1024"
    (own / "memory.usage_in_bytes").write_text("5000")
    (tmp_path / "pids" / "wayhouse-x" / "id" / "pids.current").write_text("3")
    (tmp_path / "cpuacct" / "wayhouse-x" / "id" / "cpuacct.usage").write_text("1500000000")
    usage = limits.usage("id")
    assert usage is not None
    assert (usage.cpu_s, usage.memory_bytes, usage.pids) == (1.5, 5000, 3)


@pytest.mark.skipif(os.geteuid() != 0, reason="the top of the hierarchy is root's")
def test_version_2(tmp_path: Path) -> None:
    parent = tmp_path / "wayhouse-x"
    for place in (tmp_path, parent, parent / "id"):
        place.mkdir(exist_ok=True)
        (place / "cgroup.controllers").write_text("cpu memory pids")
        (place / "cgroup.procs").touch()
    (parent / "cgroup.subtree_control").write_text("cpu memory pids io")
    limits = Limits("x", tmp_path)
    (parent / "cgroup.subtree_control").unlink()
    applied = limits.apply("id", SPEC)
    assert applied.groups == (str(parent / "id"),)
    if "memory" in limits.kinds:
        assert (parent / "id" / "memory.max").read_text() == str(64 << 20)
        assert (parent / "id" / "memory.swap.max").read_text() == "0"
    (parent / "id" / "cpu.stat").write_text("usage_usec 2500000\nuser_usec 1\n")


def test_weights_follow_runc() -> None:
    assert [weight(shares) for shares in (1, 2, 1024, 262144, 999999)] == [1, 1, 39, 10000, 10000]


def test_a_tree_of_processes_can_be_measured() -> None:
    usage = tree_usage(os.getpid())
    assert usage.pids >= 1
    assert usage.memory_bytes > 1_000_000
    assert usage.cpu_s > 0
    assert tree_usage(2**22 + 1).pids == 0
