import pytest

from wayhouse.access.audit import FLOOD_LINES, MAX_FLOODS, Audit
from wayhouse.access.model import INTERNAL
from wayhouse.access.store import AccessStore


@pytest.fixture
def audit(database, clock):
    return Audit(AccessStore(database), clock)


async def test_a_line_says_who_did_what(audit, clock, flush):
    audit.record(INTERNAL, "user.add", "bob", client="10.0.0.1")
    audit.record(None, "sign-in", "bob", outcome="refused", client="10.0.0.2")
    await flush()
    refused, added = audit.entries()
    assert (added.who, added.via, added.client, added.action) == (
        "__paradrop__@localhost",
        "internal",
        "10.0.0.1",
        "user.add",
    )
    assert (added.target, added.outcome, added.time) == ("bob", "ok", clock.wall())
    assert (refused.who, refused.outcome) == ("-", "refused")


async def test_a_flood_of_refusals_is_counted_not_written(audit, clock, flush):
    for _ in range(FLOOD_LINES + 30):
        audit.record(None, "sign-in", "bob", outcome="refused", client="10.0.0.1")
    audit.record(None, "sign-in", "bob", outcome="refused", client="10.0.0.2")
    audit.record(INTERNAL, "sign-in", "bob", client="10.0.0.1")
    clock.advance(61)
    audit.record(None, "sign-in", "bob", outcome="refused", client="10.0.0.1")
    await flush()
    entries = audit.entries()
    assert len(entries) == FLOOD_LINES + 3
    assert entries[0].outcome == "refused (and 30 more before)"


async def test_memory_is_bounded(audit):
    for number in range(MAX_FLOODS + 50):
        audit.record(None, "sign-in", outcome="refused", client=f"10.0.{number // 250}.{number % 250}")
    assert len(audit._floods) == MAX_FLOODS


async def test_pages(audit, flush):
    for number in range(5):
        audit.record(INTERNAL, "x", str(number))
    await flush()
    first = audit.entries(limit=2)
    assert [entry.target for entry in first] == ["4", "3"]
    assert [entry.target for entry in audit.entries(limit=10**9, before=first[-1].id)] == ["2", "1", "0"]
    assert len(audit.entries(limit=-5)) == 1


async def test_a_crafted_name_cannot_forge_a_line(audit, flush):
    audit.record(None, "sign-in", "a\nb\x1b[2J\udcff" + "x" * 1000, outcome="refused", client="\r" * 9)
    await flush()
    entry = audit.entries()[0]
    assert entry.target.startswith("a?b?[2J?x")
    assert len(entry.target) == 200
    assert entry.client == "?" * 9
