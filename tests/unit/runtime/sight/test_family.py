"""The tree of processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.parts.armed import python
from wayhouse.runtime.sight.family import Label, family, parse_limit, parse_pss, parse_uptime, tree
from wayhouse.runtime.sight.proc_stat import Stat

LIMITS = "Limit   Soft Limit   Hard Limit   Units\nMax open files            1024                 4096      files\n"


def stat(pid: int, ppid: int, started: int = 0) -> Stat:
    return Stat(pid, f"p{pid}", "S", ppid, 0.0, 1, started or pid, 0)


def test_this_process_and_its_children() -> None:
    code = (
        "import subprocess, time\n"
        "child = subprocess.Popen(['sleep', '60'])\nprint('ready', flush=True)\n"
        "try: time.sleep(60)\nfinally: child.kill()\n"
    )
    with python(code, "--token", "S3CR3T") as pid:
        label = Label(name="parent", role="test", belongs_to="app", ready=True, below="child")
        parent, sleeper = family({pid: label}, pss=True)
        assert (parent.pid, parent.ppid, parent.depth) == (pid, os.getpid(), 0)
        assert (parent.name, parent.role, parent.belongs_to, parent.ready) == ("parent", "test", "app", True)
        assert (sleeper.ppid, sleeper.depth, sleeper.name) == (pid, 1, "sleep")
        assert (sleeper.role, sleeper.belongs_to, sleeper.ready) == ("child", "app", None)
        assert sleeper.command == "sleep 60"
        assert parent.command.endswith("--token <redacted>")
        assert parent.descriptors
        assert parent.descriptor_limit
        assert parent.rss_bytes >= (parent.pss_bytes or 0) > 0
        assert 0 <= parent.uptime_s < 600
        os.kill(sleeper.pid, 9)


def test_those_that_are_gone_are_left_out() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert family({child.pid: Label()}) == []


def test_what_the_kernel_does_not_tell_is_none(tmp_path: Path) -> None:
    """Files that vanish or may not be read, in a /proc of our own."""
    place = tmp_path / "42"
    place.mkdir()
    (place / "stat").write_text("42 (x) S 1 1 1 0 0 0 0 0 0 0 0 0 0 0 20 0 1 0 500 0 3 0 0\n")
    (tmp_path / "43").mkdir()
    (tmp_path / "version").touch()
    (found,) = family({42: Label(), 43: Label()}, pss=True, proc=tmp_path)
    assert (found.name, found.command, found.uptime_s) == ("x", "", 0.0)
    assert (found.pss_bytes, found.descriptors, found.descriptor_limit) == (None, None, None)


def test_parents_come_before_their_children_and_the_older_first() -> None:
    stats = {
        one.pid: one for one in (stat(1, 0), stat(20, 10), stat(10, 1, 5), stat(11, 10, 9), stat(30, 1, 2))
    }
    rows = [
        (one.pid, depth) for one, _, depth in tree(stats, {10: Label(), 30: Label(), 20: Label(name="x")})
    ]
    assert rows == [(30, 0), (10, 0), (11, 1), (20, 1)]


def test_a_label_of_its_own_goes_before_an_inherited_one() -> None:
    stats = {one.pid: one for one in (stat(1, 0), stat(2, 1), stat(3, 2), stat(4, 1))}
    labels = {1: Label(role="gateway"), 2: Label(role="shim", belongs_to="a", below="app")}
    assert [(one.pid, label.role, label.belongs_to) for one, label, _ in tree(stats, labels)] == [
        (1, "gateway", ""),
        (2, "shim", "a"),
        (3, "app", "a"),
        (4, "helper", ""),
    ]


@settings(max_examples=200)
@given(
    st.dictionaries(st.integers(0, 12), st.integers(0, 12)),
    st.sets(st.integers(0, 12)),
)
def test_any_parents_make_a_tree(parents: dict[int, int], roots: set[int]) -> None:
    """Circles too: two reads of /proc need not fit together."""
    stats = {pid: stat(pid, ppid, 1) for pid, ppid in parents.items()}
    found = [one.pid for one, _, _ in tree(stats, {pid: Label() for pid in roots})]
    assert len(found) == len(set(found))
    assert set(found) <= set(stats)


def test_limits_and_shares() -> None:
    assert parse_limit(LIMITS) == 1024
    assert parse_limit(LIMITS.replace("1024", "unlimited")) is None
    assert parse_pss("Rss:  10 kB\nPss:        7 kB\n") == 7 * 1024
    assert parse_uptime("12.50 3.00\n") == 12.5


@settings(max_examples=200)
@given(
    st.one_of(st.text(), st.sampled_from([LIMITS, "Pss: x kB", "1.x"]).flatmap(lambda one: st.just(one[:30])))
)
def test_any_text_is_a_number_or_none(text: str) -> None:
    assert parse_limit(text) is None or parse_limit(text) >= 0  # type: ignore[operator]
    assert parse_pss("Pss:" + text) is None or parse_pss("Pss:" + text) >= 0  # type: ignore[operator]
    assert parse_uptime(text) >= 0
