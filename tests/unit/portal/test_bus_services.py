"""Which services the page shows, whatever there are."""

from __future__ import annotations

import msgspec

from wayhouse.base.errors import UnavailableError
from wayhouse.bus.model import NoReplyError
from wayhouse.bus.overview import BrokerFigures, ServiceFigures
from wayhouse.portal.bus_services import PER_PAGE, listed


class Rest:
    """The broker's list of all, or what it does instead of answering."""

    def __init__(self, answer=None):
        self.answer, self.asked = answer, []

    async def call(self, service, request, *, timeout_s):
        self.asked.append(service)
        if isinstance(self.answer, Exception):
            raise self.answer
        return [msgspec.json.encode(self.answer), b"200"]


def figures(names, **more):
    services = [ServiceFigures(name=name, workers=1, done=5) for name in names]
    return BrokerFigures(services=services, now={"services": len(services)}, **more)


NAMES = [f"here.s{number:03}" for number in range(120)]


async def test_pages_of_all_and_of_those_that_are_wanted():
    rest = Rest()
    first = await listed(rest, figures(NAMES), "", 1)
    assert [row.figures.name for row in first.rows] == NAMES[:PER_PAGE]
    assert (first.total, first.number, first.pages) == (120, 1, 3)
    last = await listed(rest, figures(NAMES), "", 99)
    assert (len(last.rows), last.number) == (20, 3)
    some = await listed(rest, figures(NAMES), "S01", 2)
    assert [row.figures.name for row in some.rows] == NAMES[10:20]
    assert (some.total, some.number, some.pages, some.query) == (120, 1, 1, "S01")
    both = await listed(rest, figures(NAMES), "here 119", 1)
    assert [row.figures.name for row in both.rows] == NAMES[119:]
    none = await listed(rest, figures(NAMES), "nothing", 1)
    assert (none.rows, none.pages, none.total) == ([], 1, 120)
    assert rest.asked == []


async def test_those_that_the_figures_leave_out_are_found_too():
    more = [{"name": name, "workers": 2, "idle": 1, "queued": 3} for name in NAMES]
    found = await listed(Rest(more), figures(NAMES[:10], is_cut=True), "s0", 1)
    assert [row.figures.name for row in found.rows] == NAMES[:PER_PAGE]
    assert [row.is_counted for row in found.rows] == [True] * 10 + [False] * 40
    assert found.rows[9].figures.done == 5
    other = found.rows[10].figures
    assert (other.workers, other.busy, other.queued) == (2, 1, 3)
    assert not found.is_cut


async def test_a_broker_that_does_not_tell_of_the_rest():
    for answer in (NoReplyError("x"), UnavailableError("x"), {"no": "list"}):
        broker = msgspec.structs.replace(figures(NAMES[:10], is_cut=True), now={"services": 120})
        found = await listed(Rest(answer), broker, "", 1)
        assert (len(found.rows), found.is_cut) == (10, True)
