"""A small tree of /sys and /proc with two radios on PCI, one on USB and one elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from wayhouse.base.clock import ManualClock

PCI = "sys/devices/pci0000:00/0000:00:02.{n}/0000:0{n}:00.0"


def write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text + "\n")


def radio(root: Path, phy: str, device: str, mac: str) -> None:
    (root / device).mkdir(parents=True, exist_ok=True)
    write(root, f"{device}/ieee80211/{phy}/macaddress", mac)
    (root / f"{device}/ieee80211/{phy}/device").symlink_to(root / device)
    (root / "sys/class/ieee80211").mkdir(parents=True, exist_ok=True)
    (root / f"sys/class/ieee80211/{phy}").symlink_to(root / f"{device}/ieee80211/{phy}")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    dmi = "sys/devices/virtual/dmi/id"
    for name, text in {
        "sys_vendor": "PC Engines",
        "product_name": "APU",
        "product_version": "1.0",
        "bios_vendor": "coreboot",
        "bios_version": "SageBios_PCEngines_APU-45",
        "bios_date": "04/05/2014",
    }.items():
        write(root, f"{dmi}/{name}", text)
    write(root, "proc/meminfo", "MemTotal:        2016792 kB\nMemFree:         1000 kB")
    write(root, "proc/uptime", "15351.27 30000.11")
    write(root, "etc/os-release", 'NAME="X"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"')
    radio(root, "phy0", PCI.format(n=6), "04:f0:21:0f:78:28")
    radio(root, "phy1", PCI.format(n=4), "04:f0:21:2f:b7:c1")
    for n, device in ((6, "0x002a"), (4, "0x003c")):
        write(root, f"{PCI.format(n=n)}/vendor", "0x168c")
        write(root, f"{PCI.format(n=n)}/device", device)
    usb = "sys/devices/pci0000:00/0000:00:14.0/usb1/1-1"
    write(root, f"{usb}/idVendor", "0cf3")
    write(root, f"{usb}/idProduct", "9271")
    radio(root, "phy2", f"{usb}/1-1:1.0", "00:0f:00:11:22:33")
    radio(root, "phy3", "sys/devices/platform/soc/fe300000.mmcnr", "dc:a6:32:00:00:01")
    return root
