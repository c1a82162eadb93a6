"""What `mmi.stats` tells of services, workers and the clone."""

from __future__ import annotations

import pytest

from wayhouse.bus import figures, mdp
from wayhouse.bus.broker import Broker
from wayhouse.bus.figures import Figures
from wayhouse.bus.model import BrokerSettings
from wayhouse.bus.overview import BrokerFigures, CloneFigures
from wayhouse.bus.overview import figures as read

CLONE = CloneFigures(keys=1, bytes=2, subscribers=3, sequence=4)


class Told:
    def __init__(self) -> None:
        self.broker = Broker(BrokerSettings(max_queued_per_service=2), 10.0, clone=lambda: CLONE)

    def worker(self, peer: bytes, frames: list[bytes], now: float) -> None:
        self.broker.receive([peer, *frames], now)

    def request(self, service: bytes, now: float) -> None:
        self.broker.receive([b"C", *mdp.build_request(service, [b"x"])], now)

    def stats(self, now: float) -> BrokerFigures:
        self.broker.outbox()
        self.request(b"mmi.stats", now)
        [[_, *frames]] = self.broker.outbox()
        return read(mdp.parse_reply(frames).body)


def test_services_and_workers_as_they_work() -> None:
    told = Told()
    told.worker(b"1", mdp.build_ready(b"echo"), 11.0)
    told.worker(b"2", mdp.build_ready(b"echo", marks=mdp.ReadyMarks(credit=4)), 12.0)
    told.request(b"echo", 13.0)
    stats = told.stats(20.0)
    assert (stats.uptime_s, stats.clone, stats.is_cut) == (10.0, CLONE, False)
    [echo] = stats.services
    assert (echo.name, echo.workers, echo.idle, echo.busy, echo.held, echo.credit) == ("echo", 2, 1, 1, 1, 5)
    busy, idle = stats.workers
    assert (busy.identity, busy.held, busy.busy_s, busy.idle_s, busy.done) == ("31", 1, 7.0, None, 0)
    assert (idle.identity, idle.credit, idle.busy_s, idle.idle_s, idle.seen_s) == ("32", 4, None, 8.0, 8.0)
    (key,) = told.broker.workers[b"1"].held
    told.worker(b"1", mdp.build_worker_reply(key, [b"y"]), 21.0)
    stats = told.stats(25.0)
    assert (stats.services[0].done, stats.services[0].busy) == (1, 0)
    assert [(one.done, one.idle_s) for one in stats.workers] == [(1, 4.0), (0, 13.0)]


def test_what_failed_is_counted_at_its_service() -> None:
    told = Told()
    for _ in range(3):
        told.request(b"nobody", 11.0)
    [nobody] = told.stats(12.0).services
    assert (nobody.queued, nobody.failed) == (2, 1)
    told.broker.tick(73.0)
    told.worker(b"1", mdp.build_ready(b"once", marks=mdp.ReadyMarks(once=True)), 80.0)
    told.worker(b"2", mdp.build_ready(b"once", marks=mdp.ReadyMarks(once=True)), 80.0)
    told.request(b"once", 80.0)
    told.worker(b"1", mdp.build_disconnect(), 81.0)
    assert [(one.name, one.failed) for one in told.stats(82.0).services] == [("once", 1)]


def test_more_than_is_shown_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "MAX_SHOWN", 2)
    told = Told()
    for name in (b"a", b"b", b"c"):
        told.request(name, 11.0)
    told.request(b"c", 11.0)
    stats = told.stats(12.0)
    assert ([one.name for one in stats.services], stats.is_cut) == (["a", "c"], True)


def test_stats_are_made_anew_now_and_then_only() -> None:
    told = Told()
    before = told.stats(11.0)
    told.request(b"nobody", 11.01)
    assert told.stats(11.02) == before
    assert told.stats(11.06).now["queued"] == 1


def test_figures_are_of_the_broker_alone() -> None:
    broker = Broker(now=5.0)
    own = Figures(
        broker.services, broker.workers, broker.counters, broker._dispatcher.account, lambda: None, 5.0
    )
    assert own.stats(6.0) == BrokerFigures(
        uptime_s=1.0, counters=own.stats(6.0).counters, now=own.present(), services=[], workers=[]
    )
