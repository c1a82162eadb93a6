import os
from typing import NamedTuple

import pytest

from wayhouse.base import codec
from wayhouse.host.drivers.psutil import Psutil, cpu_load, is_skipped, plain


class Times(NamedTuple):
    user: float
    idle: float
    iowait: float
    guest: float


def test_status_has_the_fields_of_the_api():
    status = Psutil().status()
    assert list(status) == ["cpu_load", "mem", "disk", "network"]
    assert len(status["cpu_load"]) == os.cpu_count()
    assert all(0 <= load <= 100 for load in status["cpu_load"])
    assert set(status["mem"]) == {"total", "available", "free", "cached", "buffers"}
    assert set(status["disk"]["/"]) == {"total", "used"}
    assert "lo" not in status["network"]
    counters = {
        "bytes_sent",
        "bytes_recv",
        "packets_sent",
        "packets_recv",
        "errin",
        "errout",
        "dropin",
        "dropout",
    }
    for facts in status["network"].values():
        assert (
            {"isup", "speed", "mtu"} | counters
            <= set(facts)
            <= {"isup", "speed", "mtu", "ipv4", "netmask", "mac"} | counters
        )
    assert codec.encode_json(status)


def test_telemetry_parts_are_plain_data():
    meters = Psutil()
    system, interfaces = meters.system(), meters.interfaces()
    assert set(system) == {
        "boot_time",
        "cpu_count",
        "cpu_stats",
        "cpu_times",
        "disk_io_counters",
        "disk_usage",
        "net_io_counters",
        "swap_memory",
        "virtual_memory",
    }
    assert system["virtual_memory"]["total"] > 0
    loopback = next(interface for interface in interfaces if interface["name"] == "lo")
    assert set(loopback) == {
        "isup",
        "duplex",
        "speed",
        "mtu",
        "flags",
        "addresses",
        "io_counters",
        "name",
        "type",
    }
    assert {"family": 2, "address": "127.0.0.1"}.items() <= loopback["addresses"][0].items()
    assert codec.encode_json([system, interfaces])


def test_a_process_and_none():
    facts = Psutil().process(os.getpid())
    assert set(facts) == {
        "cpu_num",
        "cpu_times",
        "create_time",
        "memory_info",
        "num_ctx_switches",
        "num_threads",
    }
    assert facts["memory_info"]["rss"] > 0
    assert codec.encode_json(facts)
    for pid in (2**22 + 1, -1, 2**80):
        assert Psutil().process(pid) is None


@pytest.mark.parametrize(
    ("before", "after", "load"),
    [
        (Times(0, 0, 0, 0), Times(1, 2, 1, 0), 25),
        (Times(0, 0, 0, 0), Times(4, 0, 0, 4), 100),
        (Times(5, 5, 5, 0), Times(5, 5, 5, 0), 0),
        (Times(5, 5, 5, 0), Times(1, 1, 1, 0), 0),
        (Times(5, 5, 5, 0), Times(5, 4, 7, 0), 0),
    ],
)
def test_load_between_two_readings(before, after, load):
    assert cpu_load([before], [after]) == [load]


def test_inner_interfaces_are_left_out():
    assert all(map(is_skipped, ["lo", "br-lan", "docker0", "wlan0", "veth12ab", "eth0.5"]))
    assert not any(map(is_skipped, ["eth0", "wlan1", "br-123"]))


def test_plain():
    assert plain(Times(1, 2, 3, 4)) == {"user": 1, "idle": 2, "iowait": 3, "guest": 4}
    assert plain(None) is None
