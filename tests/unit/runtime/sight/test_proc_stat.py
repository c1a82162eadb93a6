"""One line of the kernel's about a process."""

from __future__ import annotations

import os
import subprocess

from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.runtime.sight import proc_stat
from wayhouse.runtime.sight.proc_stat import PAGE_BYTES, TICKS_PER_S, parse_stat, parse_status

LINE = (
    "42 (a) b (c) S 7 42 42 0 -1 4194560 0 0 0 0 150 50 0 0 20 0 3 0 12345 1000 10 18446744073709551615 1 1\n"
)


def test_a_name_may_hold_anything() -> None:
    found = parse_stat(LINE)
    assert found == (42, "a) b (c", "S", 7, 200 / TICKS_PER_S, 3, 12345, 10 * PAGE_BYTES)


def test_this_process() -> None:
    found = proc_stat.read_stat(os.getpid())
    assert found is not None
    assert (found.pid, found.ppid) == (os.getpid(), os.getppid())
    assert found.threads == len(proc_stat.list_threads(os.getpid()))
    assert found.started > 0
    assert found.rss_bytes > 1_000_000
    assert proc_stat.read_status(os.getpid())["Uid"].split()[0] == str(os.getuid())
    assert proc_stat.read_status(os.getpid(), os.getpid())["Pid"] == str(os.getpid())


def test_a_process_that_is_gone() -> None:
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert proc_stat.read_stat(child.pid) is None, "it only waits to be reaped"
    child.wait()
    assert proc_stat.read_stat(child.pid) is None
    assert proc_stat.read_status(child.pid) == {}
    assert proc_stat.list_threads(child.pid) == []


def test_the_boot_has_a_name(tmp_path) -> None:
    assert len(proc_stat.boot_id()) == 36
    assert proc_stat.boot_id(tmp_path) == ""


def test_status_lines() -> None:
    assert parse_status("Name:\tx\nUid:\t0\t1\t2\t3\nnonsense\n") == {"Name": "x", "Uid": "0 1 2 3"}


@settings(max_examples=200)
@given(
    st.one_of(
        st.text(),
        st.lists(st.one_of(st.sampled_from(LINE.split(" ")), st.text(max_size=30)), max_size=30).map(
            " ".join
        ),
    )
)
def test_any_text_is_a_stat_or_none(text: str) -> None:
    found = parse_stat(text)
    assert found is None or (found.pid >= 0 and found.threads >= 0)
    parse_status(text)
