"""What the kernel tells of a foreign process."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.parts.armed import python
from wayhouse.runtime.sight.kernel_view import MAX_THREADS, kernel_view, parse_call


def test_a_program_that_sleeps() -> None:
    process = subprocess.Popen(["sleep", "60"], env={"SECRET": "S3CR3T"})
    try:
        while "sleeping" not in (text := kernel_view(process.pid)) or "'sleep'" not in text:
            assert process.poll() is None
        if platform.machine() == "x86_64":
            assert "nanosleep" in text
        assert "S3CR3T" not in text
    finally:
        process.kill()
        process.wait()
    assert kernel_view(process.pid) == ""


def test_all_threads_up_to_a_limit() -> None:
    code = (
        "import threading\n"
        "for _ in range(110): threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        "print('ready', flush=True)\nthreading.Event().wait()\n"
    )
    with python(code) as pid:
        lines = [line for line in kernel_view(pid).splitlines() if not line.startswith(" ")]
    assert len(lines) == MAX_THREADS + 1
    assert lines[-1] == "and 11 threads more"


def test_threads_that_vanish(tmp_path: Path) -> None:
    (tmp_path / "42" / "task" / "42").mkdir(parents=True)
    assert kernel_view(42, tmp_path) == ""
    (tmp_path / "42" / "task" / "42" / "stat").write_text(
        "42 (a\x1bb) Q 1 1 1 0 0 0 0 0 0 0 0 0 0 0 20 0 1 0 500 0 3 0 0\n"
    )
    assert kernel_view(42, tmp_path) == "thread 42 'a?b': state Q\n"


def test_calls_have_names() -> None:
    assert parse_call("7 0x1234 0x1 0xffff 0x0 0x0 0x0 0x7ffd 0x7f", "x86_64") == "poll"
    assert parse_call("98 0x1", "aarch64") == "futex"
    assert parse_call("999 0x1", "x86_64") == "call 999"
    assert parse_call("7 0x1", "vax") == "call 7"
    assert parse_call("running", "x86_64") == ""
    assert parse_call("-1 0x7ffd 0x7f", "x86_64") == ""


@given(st.text())
def test_any_text_is_a_call_or_none(text: str) -> None:
    found = parse_call(text, "x86_64")
    assert "0x" not in found
