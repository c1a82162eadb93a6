import json

from wayhouse.devices.counts import Counts


def test_they_are_statistics_of_the_driver():
    counts = Counts("fake")
    counts.count("polls")
    counts.count("polls")
    counts.set_devices(7)
    told, status = counts.statistics.worker_statistics([b"all"])
    assert status == b"200"
    assert json.loads(told)["fake.snmp.polls"]["value"] == 2
    assert counts.now() == {
        "readings": 0, "polls": 2, "scans": 0, "commands": 0, "failures": 0, "devices": 7,
    }  # fmt: skip
