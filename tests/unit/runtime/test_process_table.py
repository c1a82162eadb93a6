"""What /proc knows."""

from __future__ import annotations

import os
import subprocess

from wayhouse.runtime import process_table as table
from wayhouse.runtime.process import Process


def test_children_and_names() -> None:
    child = subprocess.Popen(["sleep", "60"])
    try:
        assert child.pid in table.get_children(os.getpid())
        assert table.get_proc_name(child.pid) == "sleep"
    finally:
        child.kill()
        child.wait()
    assert table.get_proc_name(child.pid) == ""
    assert table.get_children(child.pid) == []


def test_descriptors_are_listed_without_the_listing_itself() -> None:
    read, write = os.pipe()
    found = table.list_fds()
    assert found[read] == found[write]
    assert found[read].startswith("pipe:")
    os.close(read)
    os.close(write)


def in_child(check) -> int:
    process = Process(check)
    process.start()
    return process.join(10)


def test_all_but_the_kept_are_closed() -> None:
    def check() -> None:
        fds = [os.dup(0) for _ in range(5)]
        table.close_all_fds([fds[1], fds[3], 1])
        assert sorted(table.list_fds()) == [0, 1, 2, fds[1], fds[3]]

    assert in_child(check) == 0


def test_what_was_made_inheritable_stays() -> None:
    def check() -> None:
        mine, theirs, kept = os.dup(0), os.dup(0), os.dup(0)
        os.set_inheritable(theirs, True)
        table.close_private_fds([kept])
        assert sorted(table.list_fds()) == [0, 1, 2, theirs, kept]
        assert mine not in table.list_fds()

    assert in_child(check) == 0
