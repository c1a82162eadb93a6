"""Facts about hardware and software, from the texts of /sys and /proc. Pure: the reader is an argument.

The texts come from firmware and kernel, so every one may be missing or odd; the answers then say so and never fail.
"""

from __future__ import annotations

import re
from typing import Protocol

from wayhouse.host.model import Hardware, Software, WifiCard

DMI = "sys/devices/virtual/dmi/id"
UNKNOWN = "????"
_PCI = re.compile(r"[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-9a-f]")
_USB = re.compile(r"[0-9]+-[0-9.]+(?::[0-9.]+)?")


class Reader(Protocol):
    def text(self, path: str) -> str | None: ...

    def names(self, path: str) -> list[str]: ...

    def target(self, path: str) -> tuple[str, ...]: ...


def hardware(read: Reader, *, machine: str) -> Hardware:
    """`machine` is the processor's architecture, as `uname -m` says it."""
    board = (read.text(f"{DMI}/product_name") or "", read.text(f"{DMI}/product_version") or "")
    return Hardware(
        vendor=read.text(f"{DMI}/sys_vendor"),
        board=" ".join(board),
        cpu=machine,
        memory=memory_bytes(read.text("proc/meminfo") or ""),
        wifi=wifi_cards(read),
    )


def software(read: Reader, *, kernel: str, version: str) -> Software:
    """`kernel` is the release (`uname -r`), `version` this product's."""
    return Software(
        bios_vendor=read.text(f"{DMI}/bios_vendor"),
        bios_version=read.text(f"{DMI}/bios_version"),
        bios_date=read.text(f"{DMI}/bios_date"),
        kernel_version=f"Linux-{kernel}",
        os_version=read.text("proc/version_signature") or pretty_name(read.text("etc/os-release") or ""),
        pd_version=version,
        uptime=uptime_s(read.text("proc/uptime") or ""),
    )


def memory_bytes(meminfo: str) -> int:
    """`MemTotal` of /proc/meminfo, which counts in KiB; 0 if it is not there."""
    match = re.search(r"^MemTotal:\s+([0-9]{1,15}) kB", meminfo, re.MULTILINE | re.ASCII)
    return int(match[1]) * 1024 if match else 0


def uptime_s(text: str) -> int:
    match = re.match(r"[0-9]{1,12}", text)
    return int(match[0]) if match else 0


def pretty_name(os_release: str) -> str | None:
    """`PRETTY_NAME` of os-release(5)."""
    match = re.search(r"^PRETTY_NAME=(.+)$", os_release, re.MULTILINE)
    return match[1].strip().strip("\"'") or None if match else None


def wifi_cards(read: Reader) -> tuple[WifiCard, ...]:
    """The radios of the host, numbered per bus in the order of their slots."""
    found = sorted(_card(read, phy) for phy in read.names("sys/class/ieee80211"))
    counts: dict[str, int] = {}
    cards = []
    for bus, slot, mac, vendor, device in found:
        number = counts[bus] = counts.get(bus, -1) + 1
        cards.append(WifiCard(f"{bus}-wifi-{number}", mac, vendor, device, slot))
    return tuple(cards)


def _card(read: Reader, phy: str) -> tuple[str, str, str, str, str]:
    """(bus, slot, MAC address, vendor, device) of one entry of /sys/class/ieee80211."""
    base = f"sys/class/ieee80211/{phy}"
    bus, slot = slot_of(read.target(f"{base}/device"))
    vendor, device = read.text(f"{base}/device/vendor"), read.text(f"{base}/device/device")
    if bus == "usb":
        vendor, device = _usb_id(read, base, "idVendor"), _usb_id(read, base, "idProduct")
    return bus, slot, read.text(f"{base}/macaddress") or UNKNOWN, vendor or UNKNOWN, device or UNKNOWN


def _usb_id(read: Reader, base: str, name: str) -> str | None:
    """The radio is an interface of a USB device, which has the numbers."""
    text = read.text(f"{base}/device/../{name}")
    return f"0x{text}" if text else None


def slot_of(device: tuple[str, ...]) -> tuple[str, str]:
    """(bus, slot) from the path of a device in /sys: the last part that is an address on a bus."""
    for part in reversed(device):
        if _PCI.fullmatch(part):
            return "pci", f"pci/{part}"
        if _USB.fullmatch(part):
            return "usb", f"usb/{part}"
    return "other", f"other/{device[-1]}" if device else UNKNOWN
