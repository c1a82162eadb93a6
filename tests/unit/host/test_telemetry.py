from wayhouse.base import codec
from wayhouse.host import telemetry
from wayhouse.host.model import ChuteAtWork
from wayhouse.host.ports import NoChutes


class Meters:
    """A machine with one network and one process."""

    def interfaces(self):
        return [
            {"name": "vwlan0000", "isup": True, "type": None},
            {"name": "eth0", "isup": True, "type": None},
        ]

    def system(self):
        return {"cpu_count": 2}

    def process(self, pid):
        return {"num_threads": 3} if pid == 77 else None


class Two:
    async def chutes_at_work(self):
        return [
            ChuteAtWork("hello", "running", 77, {"vwlan0000": "wifi-ap", "gone": "vlan"}),
            ChuteAtWork("wiki", "exited"),
            ChuteAtWork("brief", "running", 78),
        ]


async def test_the_report(clock):
    report = await telemetry.report(Meters(), Two(), clock)
    assert report == {
        "time": clock.wall(),
        "chutes": [
            {
                "name": "hello",
                "state": "running",
                "process": {"num_threads": 3},
                "network": [{"name": "vwlan0000", "isup": True, "type": "wifi-ap"}],
            },
            {"name": "wiki", "state": "exited", "process": None, "network": []},
            {"name": "brief", "state": "running", "process": None, "network": []},
        ],
        "network": Meters().interfaces(),
        "system": {"cpu_count": 2},
    }
    assert codec.encode_json(report)


async def test_without_chutes(clock):
    assert (await telemetry.report(Meters(), NoChutes(), clock))["chutes"] == []
