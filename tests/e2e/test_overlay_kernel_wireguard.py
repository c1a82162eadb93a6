"""Debian's kernel WireGuard, in a virtual machine: against the built-in engine, and as a tunnel of ours. `WAYHOUSE_SECONDS=600` makes it thorough."""

from __future__ import annotations

import os

import pytest

from tests.parts.vm_lab import VirtualMachine, missing

pytestmark = [pytest.mark.external, pytest.mark.skipif(bool(missing()), reason=missing())]
SECONDS = float(os.environ.get("WAYHOUSE_SECONDS", "60"))
BOOT_S = 240.0
"""Emulated, on a machine that has other work."""


def test_the_engine_and_the_kernel_understand_each_other(tmp_path) -> None:
    """Either begins, over both families, with PSKs, new keys all the time, loss and reordering; TCP loses nothing."""
    said = VirtualMachine(tmp_path).run(
        "tests/parts/vm/kernel_wireguard.py", f"{SECONDS:g}", longest_s=BOOT_S + 4 * SECONDS
    )
    assert "all is well" in said


def test_the_kernel_as_a_tunnel(tmp_path) -> None:
    """Ports of ICE through nftables, relays through loopback, NAT, lost paths and keys; the other side is a kernel or the engine."""
    said = VirtualMachine(tmp_path).run(
        "tests/parts/vm/kernel_tunnels.py", f"{SECONDS / 30:g}", longest_s=BOOT_S + 8 * SECONDS
    )
    assert "all is well" in said
