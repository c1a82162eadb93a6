import platform

import pytest

from wayhouse import __version__
from wayhouse.base import codec
from wayhouse.host.drivers.sysfs import Sysfs
from wayhouse.host.machine_id import NodeId
from wayhouse.host.masking import MASK
from wayhouse.host.service import Host, Surroundings


@pytest.fixture
def host(tree, tmp_path, clock):
    surroundings = Surroundings(
        features=("hostapd-control", "audio"),
        environ={"API_TOKEN": "x", "PATH": "/bin"},
        settings={"access": {"login_attempts": 5}},
        legacy_settings={"registry_password": "x"},
    )
    return Host(clock, NodeId(tmp_path / "node-id"), files=Sysfs(tree), surroundings=surroundings)


async def test_facts(host, tree, clock):
    assert (await host.hardware()).cpu == platform.machine()
    assert (await host.hardware()).board == "APU 1.0"
    software = await host.software()
    assert (software.pd_version, software.kernel_version) == (__version__, f"Linux-{platform.release()}")
    (tree / "proc/uptime").write_text("20000.5 1")
    (tree / "sys/devices/virtual/dmi/id/bios_vendor").write_text("changed")
    assert await host.software() == software
    clock.advance(1.1)
    again = await host.software()
    assert (again.uptime, again.bios_vendor) == (20000, "changed")


async def test_status_and_telemetry_are_json(host):
    assert (await host.status())["mem"]["total"] > 0
    report = await host.telemetry()
    assert set(report) == {"time", "chutes", "network", "system"}
    assert codec.encode_json([report, await host.status()])


def test_what_the_gateway_says_about_itself(host):
    assert host.features() == ["audio", "hostapd-control"]
    assert host.environment() == {"API_TOKEN": MASK, "PATH": "/bin"}
    assert host.settings() == {"access_login_attempts": 5, "registry_password": MASK}
    assert host.pdid() == ""
    host.node.change("node-1")
    assert host.pdid() == "node-1"


async def test_it_works_on_this_machine_with_nothing_given(clock, tmp_path):
    host = Host(clock, NodeId(tmp_path / "node-id"))
    assert (await host.hardware()).memory > 0
    assert (await host.software()).uptime > 0
    assert host.features() == []
    assert "PATH" in host.environment()
