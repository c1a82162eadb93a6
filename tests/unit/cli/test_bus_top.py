"""What is worked out between two looks at the bus."""

from wayhouse.bus.overview import BrokerFigures, BusOverview, BusProcess, CloneFigures, ServiceFigures
from wayhouse.cli.bus_top import compare, compared, lines


def look(uptime_s=10.0, sequence=9, *, done=100, queued=0, requests=1000, ready=True):
    services = [
        ServiceFigures(name="idle", workers=1, done=5),
        ServiceFigures(name="slow", workers=1, busy=1, held=4, queued=queued, done=done),
        ServiceFigures(name="jam", queued=40),
    ]
    return BusOverview(
        endpoints={},
        processes=[BusProcess(name="bus", pid=1, is_ready=ready)],
        broker=BrokerFigures(
            uptime_s=uptime_s,
            counters={"requests": requests, "replies": 1},
            now={"services": 3, "workers": 2, "queued": 40 + queued, "held": 4, "bytes": 2048},
            services=services,
            clone=CloneFigures(keys=7, bytes=100, subscribers=2, sequence=sequence),
        ),
        durable={"waiting": 3, "sent": 0, "answered": 1, "failed": 0, "bytes": 4096},
    )


def test_rates_are_in_the_brokers_time():
    first, second = compared([look(), look(12.0, done=150, requests=1500, queued=10)])
    assert first.per_s == {}
    assert {one.done_per_s for one in first.services} == {None}
    assert second.per_s == {"requests": 250.0, "replies": 0.0}
    assert [(one.name, one.done_per_s) for one in second.services] == [
        ("jam", 0.0),
        ("slow", 25.0),
        ("idle", 0.0),
    ]


def test_a_broker_that_was_started_anew_has_no_rates():
    assert compare(look(100.0), look(1.0)).per_s == {}
    assert compare(look(10.0, 9), look(11.0, 3)).updates_per_s is None
    assert compare(look(100.0), look(100.0)).per_s == {}
    again = compare(look(10.0, done=100), look(12.0, done=3))
    assert [one.done_per_s for one in again.services if one.name == "slow"] == [None]


def test_what_is_shown():
    told = lines(compare(look(), look(11.0, 12, done=107, queued=20)), bar="#")
    assert told[0] == "Broker   up 11 s, 3 services, 2 workers, 60 queued, 4 held (2.0 KiB)"
    assert told[2] == "Clone    7 keys (100 B), 2 subscribers, 3 updates/s"
    assert told[3] == "Durable  3 waiting, 0 sent, 1 answered, 0 failed (4.0 KiB)"
    assert told[5].split() == ["SERVICE", "WORKERS", "BUSY", "QUEUE", "HELD", "DONE/S", "DONE", "FAILED"]
    assert [line.split()[:5] for line in told[6:]] == [
        ["jam", "0", "0", "40", "#" * 12],
        ["slow", "1", "1", "20", "#" * 6],
        ["idle", "1", "0", "0", "0"],
    ]
    assert "7.0" in told[7]


def test_nothing_is_there():
    away = lines(compare(None, look(ready=False)), bar="#")
    assert away[0].startswith("Away: bus.")
    nothing = BusOverview(endpoints={}, processes=[])
    assert lines(compare(None, nothing), bar="#")[-1] == "No services."
