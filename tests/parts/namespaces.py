"""Whether network namespaces can be made here, and why not; and waiting for a server in one."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import time

import pytest

PATH = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin"
"""Where system programs are."""


def missing(*programs: str) -> str:
    """Why there can be no lab here; empty when there can."""
    if os.geteuid() != 0:
        return "needs root"
    absent = [name for name in ("ip", "nft", *programs) if shutil.which(name, path=PATH) is None]
    if absent:
        return f"needs {', '.join(absent)}"
    name = f"natlab-{secrets.token_hex(4)}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, env={"PATH": PATH})
    subprocess.run(["ip", "netns", "del", name], capture_output=True, env={"PATH": PATH})
    return "" if made.returncode == 0 else "network namespaces cannot be made here"


def needs_lab(*programs: str) -> None:
    """Skips the test when there can be no lab."""
    if reason := missing(*programs):
        pytest.skip(reason)


def until_stun(address: str) -> None:
    """Returns when a STUN server answers on port 3478, seen from the calling thread's namespace."""
    deadline = time.monotonic() + 15.0
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.settimeout(0.1)
        while time.monotonic() < deadline:
            probe.sendto(b"\0\1\0\0\x21\x12\xa4\x42" + secrets.token_bytes(12), (address, 3478))
            with contextlib.suppress(OSError):
                probe.recv(2000)
                return
    raise AssertionError(f"no STUN at {address}")
