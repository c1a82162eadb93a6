"""A terminal that closes, and a SIGHUP that somebody sends."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

PROGRAM = """
import os, signal, sys
from wayhouse.gateway.terminal import Terminal
terminal = Terminal()
out = int(sys.argv[1])
signal.signal(signal.SIGHUP, lambda *_: os.write(out, b"gone\\n" if terminal.is_gone() else b"there\\n"))
os.write(out, b"ready\\n")
while True:
    signal.pause()
"""


def test_it_is_told_from_a_signal() -> None:
    reader, writer = os.pipe()
    pid, master = pty.fork()
    if pid == 0:
        os.set_inheritable(writer, True)
        os.execv(sys.executable, [sys.executable, "-c", PROGRAM, str(writer)])
    os.close(writer)
    with os.fdopen(reader) as told:
        try:
            assert told.readline() == "ready\n"
            os.kill(pid, 1)
            assert told.readline() == "there\n"
            os.close(master)
            assert told.readline() == "gone\n"
        finally:
            os.kill(pid, 9)
            os.waitpid(pid, 0)


def test_who_never_had_one_does_not_lose_it() -> None:
    program = "from wayhouse.gateway.terminal import Terminal; print(Terminal().is_gone())"
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, start_new_session=True, check=True
    )
    assert ended.stdout == "False\n"
