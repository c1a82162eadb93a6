"""The kernel's WireGuard where there is none: what is said. What it does is in tests/e2e/test_overlay_kernel_wireguard.py."""

from __future__ import annotations

import subprocess

import pytest

from wayhouse.base.errors import OutsideError
from wayhouse.overlay.drivers.kernel_wireguard import Card


def test_without_nft_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(OutsideError, match="install the package nftables"):
        Card("wh-test", bytes(range(32)))


@pytest.mark.external
def test_an_interface_that_is_not_ours_stays() -> None:
    """Also where the kernel has no WireGuard, or we may not make interfaces."""
    made = subprocess.run(
        ["ip", "link", "add", "wh-taken", "type", "veth", "peer", "name", "wh-taken-2"], capture_output=True
    )
    if made.returncode:
        pytest.skip("needs root and iproute2")
    try:
        with pytest.raises(OutsideError, match="wh-taken"):
            Card("wh-taken", bytes(range(32)))
        assert not subprocess.run(["ip", "link", "show", "wh-taken"], capture_output=True).returncode
    finally:
        subprocess.run(["ip", "link", "del", "wh-taken"], check=True)
