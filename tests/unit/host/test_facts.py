from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.base import codec
from wayhouse.host import facts
from wayhouse.host.drivers.sysfs import Sysfs
from wayhouse.host.model import Hardware


def test_hardware(tree):
    found = codec.to_builtins(facts.hardware(Sysfs(tree), machine="x86_64"))
    assert found["vendor"] == "PC Engines"
    assert found["board"] == "APU 1.0"
    assert found["cpu"] == "x86_64"
    assert found["memory"] == 2016792 * 1024
    assert [card["id"] for card in found["wifi"]] == [
        "other-wifi-0",
        "pci-wifi-0",
        "pci-wifi-1",
        "usb-wifi-0",
    ]
    assert found["wifi"][1] == {
        "id": "pci-wifi-0",
        "macAddr": "04:f0:21:2f:b7:c1",
        "vendorId": "0x168c",
        "deviceId": "0x003c",
        "slot": "pci/0000:04:00.0",
    }
    assert found["wifi"][3] == {
        "id": "usb-wifi-0",
        "macAddr": "00:0f:00:11:22:33",
        "vendorId": "0x0cf3",
        "deviceId": "0x9271",
        "slot": "usb/1-1:1.0",
    }
    assert found["wifi"][0]["vendorId"] == "????"


def test_software(tree):
    found = codec.to_builtins(facts.software(Sysfs(tree), kernel="6.1.0", version="0.1.0"))
    assert found == {
        "biosVendor": "coreboot",
        "biosVersion": "SageBios_PCEngines_APU-45",
        "biosDate": "04/05/2014",
        "kernelVersion": "Linux-6.1.0",
        "osVersion": "Debian GNU/Linux 12 (bookworm)",
        "pdVersion": "0.1.0",
        "uptime": 15351,
    }
    (tree / "proc/version_signature").write_text("Ubuntu 4.4.0-101.124-generic 4.4.95\n")
    assert (
        facts.software(Sysfs(tree), kernel="x", version="y").os_version
        == "Ubuntu 4.4.0-101.124-generic 4.4.95"
    )


def test_a_machine_that_says_nothing(tmp_path):
    nothing = Sysfs(tmp_path)
    assert facts.hardware(nothing, machine="") == Hardware(None, " ", "", 0, ())
    software = facts.software(nothing, kernel="6.1", version="0")
    assert (software.bios_vendor, software.os_version, software.uptime) == (None, None, 0)


def test_slots():
    assert facts.slot_of(()) == ("other", "????")
    assert facts.slot_of(("sys", "devices", "virtual", "mac80211_hwsim", "hwsim0")) == (
        "other",
        "other/hwsim0",
    )


@settings(max_examples=200, deadline=None)
@given(st.text())
def test_no_text_of_the_kernel_crashes_it(text):
    assert facts.memory_bytes(text) >= 0
    assert facts.memory_bytes("MemTotal: " + text) >= 0
    assert facts.uptime_s(text) >= 0
    assert facts.pretty_name("PRETTY_NAME=" + text) != ""
    assert facts.slot_of(tuple(text.split()))[0] in {"pci", "usb", "other"}
