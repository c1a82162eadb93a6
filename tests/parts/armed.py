"""Processes that are armed for tracing and then do what a test wants: hang, spin, deadlock. Ended by pid."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ARM = (
    "import os, pathlib, sys, threading, time\n"
    "from wayhouse.runtime.sight import trace_box\n"
    "box = trace_box.arm(pathlib.Path(sys.argv[1]), name=sys.argv[2], role=sys.argv[3])\n"
    "def ready():\n"
    "    print('ready', flush=True)\n"
)
NOBODY = 65534

SPINNING = """
def spins_for_ever(password):
    ready()
    while True: pass
spins_for_ever('hunter2')
"""
SLEEPING = """
def sleeps_in_c():
    ready(); time.sleep(600)
sleeps_in_c()
"""
DEADLOCKED = """
first, second = threading.Lock(), threading.Lock()
def holds_one_and_wants_the_other(mine, other, met):
    with mine:
        met.wait()
        with other: pass
met = threading.Barrier(3)
for mine, other in ((first, second), (second, first)):
    threading.Thread(target=holds_one_and_wants_the_other, args=(mine, other, met), daemon=True).start()
met.wait()
ready()
threading.Event().wait()
"""


DROP = f"os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})\n"
"""What root starts may go on as somebody without privileges; the interpreter itself may lie where only root can start it."""


@contextlib.contextmanager
def child(
    directory: Path, code: str, *, name: str = "child", role: str = "test", before: str = ""
) -> Iterator[int]:
    """The pid of an armed process that runs `code`, which calls `ready()` when it is where the test wants it."""
    imports, arm, rest = ARM.partition("box =")
    with python(imports + before + arm + rest + code, str(directory), name, role) as pid:
        yield pid


@contextlib.contextmanager
def python(code: str, *arguments: str) -> Iterator[int]:
    """The pid of a Python process that has printed "ready"."""
    process = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, cwd="/")
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"ready\n"
        yield process.pid
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def as_nobody(imports: str, work: str, *arguments: object) -> str:
    """What `work` prints or raises (type and text), run as another user without privileges. The caller is root."""
    lines = "".join(f"    {line}\n" for line in work.splitlines())
    code = f"import os, sys\n{imports}\n{DROP}try:\n{lines}except Exception as error:\n    print(type(error).__name__, error)\n"
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        cwd="/",
    )
    assert done.returncode == 0
    return done.stdout
