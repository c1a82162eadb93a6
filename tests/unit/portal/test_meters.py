from __future__ import annotations

from wayhouse.portal.meters import disks_of, strip_of


def test_a_status_in_few_numbers():
    status = {
        "cpu_load": [10, 150],
        "mem": {"total": 1000, "available": 250},
        "disk": {"/": {"total": 100, "used": 25}, "/data": {"total": 100, "used": 90}},
    }
    strip = strip_of(status, 60)
    assert (strip.cpu, strip.cores) == (55.0, [10.0, 100.0])
    assert (strip.memory.used, strip.memory.percent) == (750, 75.0)
    assert (strip.disk.name, strip.disk.percent) == ("/", 25.0)
    assert [disk.name for disk in disks_of(status)] == ["/data", "/"]


def test_an_empty_status():
    strip = strip_of({}, 0)
    assert (strip.cpu, strip.cores, strip.memory.percent, strip.disk.total) == (0.0, [], 0.0, 0)
