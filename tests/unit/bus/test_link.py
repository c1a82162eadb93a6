"""A worker's link as a machine: registration, heartbeats, liveness, credit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.bus import mdp
from wayhouse.bus.commands import Open, Send
from wayhouse.bus.link import Job, Link
from wayhouse.bus.model import MalformedError

BEAT = Send([b"", b"MDPW01", b"\x04"])
READY = Send([b"", b"MDPW01", b"\x01", b"echo"])


def link_of(**options: object) -> Link:
    link = Link(b"echo", 0.0, marks=False, **options)  # type: ignore[arg-type]
    assert link.outbox()[0] == Open()
    return link


def request(client: bytes, *body: bytes, version: int = mdp.V01) -> list[bytes]:
    return mdp.build_worker_request(version, client, body)


def test_it_registers_and_says_what_it_can() -> None:
    assert Link(b"echo", 0.0, marks=False).outbox() == [Open(), READY]
    assert Link(b"echo", 0.0, credit=64).outbox()[1] == Send([*READY.frames, b"credit=64", b"beats"])
    assert Link(b"echo", 0.0, once=True).outbox()[1] == Send([*READY.frames, b"once", b"beats"])
    assert Link(b"echo", 0.0, version=mdp.V02, marks=False).outbox()[1] == Send([b"MDPW02", b"\x01", b"echo"])
    quiet = Link(b"echo", 0.0, credit=8, once=True, beats=False)
    assert quiet.outbox()[1] == Send([*READY.frames, b"credit=8", b"once"])
    with pytest.raises(MalformedError):
        Link(b"", 0.0)


def test_a_connection_that_is_known_to_be_gone_is_made_anew_soon() -> None:
    link = link_of()
    link.receive(request(b"c", b"1"), 0.1)
    (job,) = link.jobs()
    link.broke(1.0)
    link.broke(1.05)
    assert not link.reply(job, [b"late"], 1.06)
    link.tick(1.1)
    assert link.outbox() == [Open(), READY]
    link.end(2.0)
    link.broke(2.0)
    assert link.deadline() is None


@pytest.mark.parametrize("version", [mdp.V01, mdp.V02])
def test_requests_are_answered_in_any_order(version: int) -> None:
    link = link_of(version=version)
    link.receive(request(b"c1", b"1", version=version), 0.1)
    link.receive(request(b"c2", b"2", version=version), 0.1)
    first, second = link.jobs()
    assert (first.body, second.body, link.held) == ([b"1"], [b"2"], 2)
    assert link.reply(second, [b"r2"], 0.2)
    assert link.reply(first, [b"r1"], 0.2)
    assert not link.reply(first, [b"again"], 0.2)
    assert link.outbox() == [
        Send(mdp.build_worker_reply(b"c2", [b"r2"], version)), Send(mdp.build_worker_reply(b"c1", [b"r1"], version)),
    ]  # fmt: skip


def test_one_client_may_have_several_requests_here() -> None:
    link = link_of()
    link.receive(request(b"c", b"1"), 0.1)
    link.receive(request(b"c", b"2"), 0.1)
    first, second = link.jobs()
    assert link.reply(first, [b"r"], 0.2)
    assert link.reply(second, [b"r"], 0.2)
    assert link.held == 0


def test_parts_need_the_later_protocol() -> None:
    old, new = link_of(), link_of(version=mdp.V02)
    for link, version in ((old, mdp.V01), (new, mdp.V02)):
        link.receive(request(b"c", b"1", version=version), 0.1)
    (job,) = new.jobs()
    assert new.reply(job, [b"p"], 0.1, final=False)
    assert new.reply(job, [b"f"], 0.1)
    (job,) = old.jobs()
    with pytest.raises(MalformedError):
        old.reply(job, [b"p"], 0.1, final=False)


def test_heartbeats_go_on_while_it_works_and_fill_only_silence() -> None:
    link = link_of()
    link.receive(request(b"c", b"1"), 1.0)
    (job,) = link.jobs()
    for moment in (2.5, 5.0, 7.5, 10.0, 100.0):
        assert link.deadline() is not None
        link.tick(moment)
        assert link.outbox() == [BEAT]
    link.reply(job, [b"r"], 101.0)
    link.outbox()
    link.tick(102.0)
    assert link.outbox() == []
    assert link.deadline() == 103.5


def test_a_broker_that_falls_silent_is_left_with_growing_pauses() -> None:
    link, now, pauses = link_of(), 0.0, []
    for _ in range(6):
        while True:
            now = link.deadline() or 0.0
            link.tick(now)
            commands = link.outbox()
            if commands != [BEAT]:
                break
        assert commands == []
        assert link.liveness(now) == 0
        pauses.append((link.deadline() or 0.0) - now)
        now = link.deadline() or 0.0
        link.tick(now)
        assert link.outbox() == [Open(), READY]
        assert link.liveness(now) == 3
    assert pauses == [2.5, 5.0, 10.0, 20.0, 32.0, 32.0]
    link.receive([b"", b"MDPW01", b"\x04"], now)
    assert link._pause_s == 0.0


def test_disconnect_means_a_new_connection_soon() -> None:
    link = link_of()
    link.receive(request(b"c", b"1"), 1.0)
    (job,) = link.jobs()
    link.receive([b"", b"MDPW01", b"\x05"], 2.0)
    assert not link.reply(job, [b"r"], 2.0)
    assert link.deadline() == pytest.approx(2.1)
    link.tick(2.2)
    assert link.outbox() == [Open(), READY]
    assert not link.reply(job, [b"r"], 2.3)
    link.receive(request(b"c", b"1"), 2.4)
    assert not link.reply(job, [b"r"], 2.4)
    assert link.reply(link.jobs()[0], [b"r"], 2.4)


def test_a_broker_may_be_silent_towards_a_worker_at_work() -> None:
    link = link_of()
    link.receive(request(b"c", b"1"), 1.0)
    (job,) = link.jobs()
    link.tick(60.0)
    assert link.outbox() == [BEAT]
    link.reply(job, [b"r"], 60.5)
    link.tick(63.0)
    assert link.liveness(63.0) == 2


def test_the_end_is_told() -> None:
    link = link_of()
    link.end(1.0)
    link.end(1.0)
    assert link.outbox() == [Send([b"", b"MDPW01", b"\x05"])]
    link.receive(request(b"c", b"1"), 1.0)
    link.tick(100.0)
    assert (link.jobs(), link.outbox(), link.deadline()) == ([], [], None)


@given(
    st.lists(
        st.tuples(
            st.lists(
                st.binary(max_size=8) | st.sampled_from([b"", b"MDPW01", b"MDPW02", b"\1", b"\2", b"\5"]),
                max_size=7,
            ),
            st.sampled_from([0.0, 1.0, 9.0]),
        )
    )
)
def test_nothing_that_comes_stops_it(messages: list[tuple[list[bytes], float]]) -> None:
    link, now = link_of(), 0.0
    for frames, passed in messages:
        now += passed
        link.receive(frames, now)
        link.tick(now)
        for job in link.jobs():
            assert isinstance(job, Job)
            link.reply(job, [b"r"], now)
    done = []
    for moment in (now + 1000, now + 2000, now + 3000):
        link.tick(moment)
        link.receive(request(b"c", b"alive"), moment)
        done += [job.body for job in link.jobs()]
    assert [b"alive"] in done
