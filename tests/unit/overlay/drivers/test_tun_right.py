"""Whether an interface can be made, with what the kernel says played; on the real one in `tests/e2e/test_overlay_link_rights.py`."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from wayhouse.overlay.drivers import tun_right
from wayhouse.overlay.drivers.tun_right import NoTunnelError, demand_interface

ALL, NONE, JUST_THAT = "000001ffffffffff", "0000000000000000", "0000000000001000"


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """`error` is what the wish for an interface is answered with, `held` the capabilities; `asked` are the wishes."""
    says: dict[str, Any] = {
        "error": 0,
        "asked": [],
        "device": tmp_path / "tun",
        "status": tmp_path / "status",
    }
    says["device"].touch()
    says["status"].write_text(f"Name:\tx\nCapEff:\t{JUST_THAT}\n")

    def ioctl(_fd: int, _number: int, data: bytes) -> None:
        says["asked"].append((data[:16].rstrip(b"\0"), data[16]))
        if says["error"]:
            raise OSError(says["error"], os.strerror(says["error"]))

    monkeypatch.setattr(tun_right, "DEVICE", says["device"])
    monkeypatch.setattr(tun_right, "STATUS", says["status"])
    monkeypatch.setattr(tun_right.fcntl, "ioctl", ioctl)
    return says


def test_it_can(kernel: dict[str, Any]) -> None:
    demand_interface("ipop")
    demand_interface("old", is_ethernet=True)
    assert kernel["asked"] == [(b"ipop", 1), (b"old", 2)]
    for text in (f"CapEff:\t{ALL}\n", "CapEff:\n", "CapEff:\tnonsense\n", "", "CapInh:\t0\n"):
        kernel["status"].write_text(text)
        demand_interface("ipop")


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.EPERM, "CAP_NET_ADMIN is missing. Run it as root (sudo)"),
        (errno.EACCES, "AmbientCapabilities=CAP_NET_ADMIN"),
        (errno.EBUSY, "another program has it"),
        (errno.EINVAL, "(Invalid argument). Take another name"),
    ],
)
def test_what_is_missing_is_said(kernel: dict[str, Any], number: int, told: str) -> None:
    kernel["error"] = number
    with pytest.raises(NoTunnelError) as caught:
        demand_interface("ipop")
    assert told in caught.value.message
    assert "ipop" in caught.value.message


def test_one_that_is_there_for_this_user_is_not_enough(kernel: dict[str, Any]) -> None:
    kernel["status"].write_text(f"CapEff:\t{NONE}\n")
    with pytest.raises(NoTunnelError, match="cannot be given addresses: CAP_NET_ADMIN is missing"):
        demand_interface("ipop")


def test_without_the_device(kernel: dict[str, Any]) -> None:
    kernel["device"].unlink()
    with pytest.raises(NoTunnelError, match="modprobe tun"):
        demand_interface("ipop")
    kernel["device"].mkdir()
    with pytest.raises(NoTunnelError, match=r"cannot be opened.*--no-tun"):
        demand_interface("ipop")
    assert kernel["asked"] == []
