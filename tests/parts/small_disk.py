"""A disk of a few KiB that really runs full: a tmpfs in namespaces of its own, for code in a child process."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

PRELUDE = """
import os, pathlib, sys
disk = pathlib.Path(sys.argv[1])
filler = disk / "filler"
def fill():
    with open(filler, "ab", buffering=0) as file:
        for size in (4096, 1):
            try:
                while True: file.write(b"x" * size)
            except OSError: pass
def names(folder):
    return sorted(one.name for one in folder.iterdir() if one != filler)
"""


def on_a_small_disk(code: str, folder: str, *, kib: int = 256) -> str:
    """What `code` prints. It knows `disk` (the folder), `fill()`, `filler` (a file to be removed) and `names(folder)`."""
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("needs unshare (package util-linux)")
    mount = f'mount -t tmpfs -o size={kib}k none "$1" || exit 77; exec "$0" -c "$2" "$1"'
    command = [unshare, "-Urm", "sh", "-c", mount, sys.executable, folder, PRELUDE + code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode == 77 or "unshare failed" in done.stderr:
        pytest.skip(f"needs namespaces of users: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return done.stdout
