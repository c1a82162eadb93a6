"""`wayhouse link` by somebody who may not make interfaces: it says so at once, on the real kernel.

# covers: overlay/drivers/tun_right.py
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = [sys.executable, "-m", "wayhouse.cli.main"]
SETPRIV = shutil.which("setpriv")
pytestmark = [
    pytest.mark.external,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be without a right on purpose"),
    pytest.mark.skipif(SETPRIV is None, reason="needs setpriv (util-linux)"),
    pytest.mark.skipif(not Path("/dev/net/tun").exists(), reason="needs /dev/net/tun"),
]


def link(tmp_path: Path, *more: str) -> subprocess.Popen[str]:
    without = ["--bounding-set=-net_admin", "--inh-caps=-net_admin"]
    command = [
        str(SETPRIV),
        *without,
        *PROGRAM,
        "link",
        "--data",
        str(tmp_path / "d"),
        "--control-port",
        "0",
        "--tun",
        "wh-try",
        *more,
    ]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def test_it_says_what_is_missing_and_how_to_give_it(tmp_path: Path) -> None:
    process = link(tmp_path)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 1
    assert told.startswith(
        "wayhouse: The interface wh-try cannot be made: CAP_NET_ADMIN is missing. Run it as root"
    )
    assert "controllers are heard" not in told
    assert not (tmp_path / "d").exists()


def test_without_an_interface_it_needs_no_right(tmp_path: Path) -> None:
    process = link(tmp_path, "--no-tun")
    assert process.stderr is not None
    try:
        assert any("controllers are heard on UDP port" in line for line in process.stderr)
    finally:
        process.terminate()
        process.communicate(timeout=30)
