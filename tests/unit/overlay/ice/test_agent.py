"""Agents behind every kind of NAT, in virtual time: who meets, how soon, what happens after cuts and moves; and hostile messages."""

# covers: overlay/ice/choice.py, overlay/ice/effects.py, overlay/ice/checks.py, overlay/ice/pair.py

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.parts.ice_world import World
from wayhouse.overlay.ice import stun
from wayhouse.overlay.ice.agent import Agent
from wayhouse.overlay.ice.effects import PathLost
from wayhouse.overlay.ice.pair import Base, Credentials, PairState
from wayhouse.overlay.model import Candidate, CandidateType, PathPolicy


def meeting(kinds: str, **more: object) -> World:
    world = World()
    for name, kind in zip("ab", kinds.split(), strict=True):
        world.add(name, kind, is_controlling=name == "a", **more)  # type: ignore[arg-type]
    world.introduce()
    return world


@pytest.mark.parametrize(
    ("kinds", "state"),
    [
        ("none none", "direct"),
        ("cone cone", "direct"),
        ("none symmetric", "direct"),
        ("symmetric none", "direct"),
        ("cone symmetric", "relayed"),
        ("symmetric symmetric", "relayed"),
        ("blocked cone", "relayed"),
        ("blocked blocked", "relayed"),
    ],
)
def test_who_meets_how(kinds: str, state: str) -> None:
    world = meeting(kinds)
    assert world.until(world.both(state)) < 1.5
    world.run(60)
    assert world.both(state)()
    assert all("lost" not in [what for _, what in node.log] for node in world.nodes)


def test_same_lan() -> None:
    world = World()
    for name in "ab":
        world.add(name, "symmetric", is_controlling=name == "a", lan=7, has_relay=False)
    world.introduce()
    world.until(world.both("direct"))
    assert world.nodes[0].agent.selected is not None
    assert world.nodes[0].agent.selected.remote.type is CandidateType.HOST


def test_without_a_relay_symmetric_ends_do_not_meet_and_say_so() -> None:
    world = meeting("symmetric symmetric", has_relay=False)
    world.run(40)
    assert [node.state() for node in world.nodes] == ["none", "none"]
    assert [[what for _, what in node.log] for node in world.nodes] == [["lost"], ["lost"]]
    assert all(pair.state is PairState.FAILED for pair in world.nodes[0].agent.pairs())


@pytest.mark.parametrize("kinds", ["cone cone", "none none"])
def test_policies(kinds: str) -> None:
    relay = meeting(kinds, policy=PathPolicy.RELAY)
    relay.until(relay.both("relayed"))
    relay.run(30)
    assert relay.both("relayed")()
    direct = meeting(kinds, policy=PathPolicy.DIRECT)
    direct.until(direct.both("direct"))
    off = meeting(kinds, policy=PathPolicy.OFF)
    off.run(5)
    assert off.carried == 0
    assert off.nodes[0].agent.pairs() == []


def test_a_direct_path_never_uses_the_peers_relay() -> None:
    """The peer's relay is seen first as an unknown address; its low priority says what it is."""
    world = World()
    one = world.add("a", "symmetric", is_controlling=True, policy=PathPolicy.DIRECT, has_relay=False)
    two = world.add("b", "symmetric", is_controlling=False)
    one.agent.add_remote([world.candidates(two)[0]], world.now)
    two.agent.add_remote(world.candidates(one), world.now)
    world.run(10)
    assert one.state() == "none"
    assert two.state() == "none"


def test_candidates_come_one_by_one() -> None:
    world = World()
    one, two = (world.add(name, "cone", is_controlling=name == "a") for name in "ab")
    for mine, theirs in itertools.zip_longest(world.candidates(one), world.candidates(two)):
        two.agent.add_remote([mine], world.now)
        world.run(0.2)
        one.agent.add_remote([theirs], world.now)
        world.run(0.2)
    world.until(world.both("direct"))


def test_checks_that_come_before_the_introduction_are_remembered() -> None:
    world = World()
    one, two = (world.add(name, "none", is_controlling=name == "a", has_relay=False) for name in "ab")
    one.agent.add_remote(world.candidates(two), world.now)
    world.run(0.3)
    assert one.state() == "direct"
    assert two.state() == "none"
    nowhere = world.candidate(one, CandidateType.HOST, ("192.0.2.99", 9))
    two.agent.add_remote([nowhere], world.now)
    assert world.until(world.both("direct")) < 0.2


def test_a_block_and_its_end() -> None:
    world = meeting("cone cone")
    world.until(world.both("direct"))
    world.run(30)
    world.is_blocked = True
    assert world.until(world.both("relayed")) < 4
    world.run(120)
    world.is_blocked = False
    assert world.until(world.both("direct")) < 10
    assert all("lost" not in [what for _, what in node.log] for node in world.nodes)


@pytest.mark.parametrize("kinds", ["cone cone", "symmetric symmetric", "none blocked"])
def test_a_cut_is_noticed_in_five_seconds_and_ended_in_three(kinds: str) -> None:
    world = meeting(kinds)
    world.until(lambda: world.nodes[0].state() != "none" and world.nodes[1].state() != "none")
    for pause in (7.0, 7.3, 7.9, 8.4, 400.0):
        world.run(pause)
        world.cut.add("a")
        assert world.until(world.both("none")) < 5
        world.run(pause)
        world.cut.clear()
        assert world.until(lambda: all(node.state() != "none" for node in world.nodes)) < 3


def test_a_lossy_line_is_kept() -> None:
    world = meeting("cone cone", has_relay=False)
    world.until(world.both("direct"))
    count = itertools.count()
    world.drop = lambda: next(count) % 5 == 0
    world.run(600)
    assert [len(node.log) for node in world.nodes] == [1, 1]


def test_a_nat_that_forgets_everything() -> None:
    world = meeting("cone cone", has_relay=False)
    world.until(world.both("direct"))
    world.run(5)
    box = world.nodes[0].nat
    assert box is not None
    box.forget()
    world.run(0.1)
    world.until(world.both("direct"))
    assert world.nodes[0].state() == "direct"


@pytest.mark.parametrize("mover", [0, 1])
def test_moving_to_another_address_is_quick(mover: int) -> None:
    """Either side moves: the other follows as soon as its old address is silent."""
    world = meeting("none none", has_relay=False)
    world.until(world.both("direct"))
    world.run(20)
    node, other = world.nodes[mover], world.nodes[1 - mover]
    node.host = ("198.51.100.200", 999)
    node.agent.restart(world.now)

    def has_followed() -> bool:
        selected = other.agent.selected
        return selected is not None and selected.remote.host == node.host

    assert world.until(has_followed) < 1.2
    world.run(10)
    assert all(what != "lost" for one in world.nodes for _, what in one.log)


def test_a_peer_that_begins_anew() -> None:
    """The old path is kept until the new life of the peer has one; what is late of the old life changes nothing."""
    world = meeting("none none", has_relay=False)
    world.until(world.both("direct"))
    one, two = world.nodes
    late = world.candidates(two)
    two.agent = Agent(is_controlling=False, username="anew", password="another password of some length")
    two.agent.add_base(Base("udp4", is_ipv6=False, is_relayed=False, priority=1 << 30), world.now)
    one.agent.add_remote(world.candidates(two), world.now)
    two.agent.add_remote(world.candidates(one), world.now)
    assert one.state() == "direct"
    world.until(
        lambda: (
            two.state() == "direct"
            and one.agent.selected is not None
            and one.agent.selected.credentials.username == "anew"
        )
    )
    one.agent.add_remote(late, world.now)
    world.run(20)
    assert one.agent.remote_credentials == Credentials("anew", "another password of some length")
    assert one.state() == "direct"
    assert "another password" not in repr(one.agent.remote_credentials)


def test_both_think_they_are_in_control() -> None:
    for role in (True, False):
        world = World()
        for name in "ab":
            world.add(name, "cone", is_controlling=role)
        world.introduce()
        world.until(world.both("direct"))
        assert {node.agent.is_controlling for node in world.nodes} == {True, False}


def test_fixed_credentials_as_tincan_has_them() -> None:
    world = World()
    for name in "ab":
        world.add(name, "cone", is_controlling=name == "a", credentials=("ufrag", "pwd"))
    world.introduce()
    world.until(world.both("direct"))


def test_a_base_that_goes() -> None:
    world = meeting("symmetric symmetric")
    world.until(world.both("relayed"))
    for node in world.nodes:
        node.agent.remove_base("relay", world.now)
    world.run(6)
    assert [node.state() for node in world.nodes] == ["none", "none"]
    assert world.nodes[0].log[-1][1] == "lost"


def test_the_controlled_side_follows() -> None:
    """It has a better pair of its own, and uses what is nominated."""
    world = meeting("none none")
    world.until(world.both("direct"))
    world.run(10)
    one, two = world.nodes
    nominated = [pair for pair in two.agent.pairs() if pair.nomination is not None]
    assert two.agent.selected is max(nominated, key=lambda pair: pair.nomination or 0)
    assert one.agent.selected is not None
    assert two.agent.selected is not None
    assert two.agent.selected.remote.host == one.host


def test_a_peer_that_nominates_every_pair() -> None:
    """Aggressive nomination, as in libjingle: the best pair counts. With a counter the last nomination does."""
    agent = lone()
    agent.add_remote([candidate("192.0.2.1", 1, priority=5), candidate("192.0.2.1", 2, priority=9)], 0)
    agent.tick(0)
    for send in agent.outbox():
        answer = stun.encode(stun.BINDING, stun.SUCCESS, stun.decode(send.data).transaction, key=b"password")
        agent.hear("udp4", stun.decode(answer), send.host, 0.05)
    for port in (2, 1):
        agent.hear("udp4", request(b"our password", (stun.USE_CANDIDATE, b"")), ("192.0.2.1", port), 0.1)
    assert agent.selected is not None
    assert agent.selected.remote.host == ("192.0.2.1", 2)
    counted = request(b"our password", (stun.USE_CANDIDATE, b""), (stun.NOMINATION, b"\0\0\0\5"))
    agent.hear("udp4", counted, ("192.0.2.1", 1), 0.2)
    assert agent.selected.remote.host == ("192.0.2.1", 1)


@pytest.mark.parametrize("delay_s", [0.35, 0.6])
def test_a_very_long_line(delay_s: float) -> None:
    world = World(delay_s)
    for name in "ab":
        world.add(name, "cone", is_controlling=name == "a")
    world.introduce()
    world.until(world.both("direct"))
    world.run(10)
    before = [len(node.log) for node in world.nodes]
    world.run(200)
    assert [len(node.log) for node in world.nodes] == before


def test_an_idle_link_costs_little() -> None:
    world = meeting("cone cone")
    world.until(world.both("direct"))
    world.run(120)
    before = world.carried
    world.run(100)
    assert (world.carried - before) / 100 < 5


def candidate(host: str, port: int, **more: object) -> Candidate:
    values = {
        "username": "them",
        "password": "password",
        "type": CandidateType.HOST,
        "priority": 1,
        "foundation": "1",
    }
    return Candidate(host=host, port=port, **(values | more))  # type: ignore[arg-type]


def lone() -> Agent:
    agent = Agent(is_controlling=False, username="us", password="our password")
    agent.add_base(Base("udp4", is_ipv6=False, is_relayed=False, priority=1 << 30), 0)
    return agent


def request(key: bytes, *attributes: tuple[int, bytes], username: str = "us:them") -> stun.Message:
    values = [(stun.USERNAME, username.encode()), *attributes]
    return stun.decode(stun.encode(stun.BINDING, stun.REQUEST, bytes(12), values, key=key))


def test_strangers_get_no_answer() -> None:
    agent = lone()
    for message in (
        request(b"guessed"),
        request(b"our password", username="other:them"),
        stun.decode(stun.encode(stun.BINDING, stun.REQUEST, bytes(12))),
        stun.decode(stun.encode(stun.ALLOCATE, stun.REQUEST, bytes(12))),
        stun.decode(stun.encode(stun.BINDING, stun.INDICATION, bytes(12))),
        stun.decode(stun.encode(stun.BINDING, stun.SUCCESS, bytes(12))),
    ):
        agent.hear("udp4", message, ("192.0.2.1", 1), 0)
    agent.hear("nowhere", request(b"our password"), ("192.0.2.1", 1), 0)
    assert agent.outbox() == []
    assert agent.refused == 5


def test_an_attribute_that_must_be_understood() -> None:
    agent = lone()
    agent.hear("udp4", request(b"our password", (0x7ABC, b"")), ("192.0.2.1", 1), 0)
    (send,) = agent.outbox()
    answer = stun.decode(send.data)
    assert answer.error()[0] == 420
    assert answer.get(stun.UNKNOWN_ATTRIBUTES) == b"\x7a\xbc"


def test_answers_must_come_from_there_and_be_signed() -> None:
    agent = lone()
    agent.add_remote([candidate("192.0.2.1", 1)], 0)
    agent.tick(0)
    (send,) = agent.outbox()
    transaction = stun.decode(send.data).transaction
    for key, source in ((b"wrong", ("192.0.2.1", 1)), (b"password", ("192.0.2.2", 1))):
        agent.hear(
            "udp4", stun.decode(stun.encode(stun.BINDING, stun.SUCCESS, transaction, key=key)), source, 0.1
        )
    assert agent.selected is None
    bad = [(stun.XOR_MAPPED_ADDRESS, b"nonsense")]
    good = stun.encode(stun.BINDING, stun.SUCCESS, transaction, bad, key=b"password")
    agent.hear("udp4", stun.decode(good), ("192.0.2.1", 1), 0.1)
    assert agent.selected is not None
    agent.hear("udp4", stun.decode(good), ("192.0.2.1", 1), 0.1)


def test_a_refusal_is_told() -> None:
    agent = lone()
    agent.add_remote([candidate("192.0.2.1", 1)], 0)
    agent.tick(0)
    transaction = stun.decode(agent.outbox()[0].data).transaction
    error = [(stun.ERROR_CODE, stun.error_value(401, "Unauthorized"))]
    answer = stun.encode(stun.BINDING, stun.ERROR, transaction, error, key=b"password")
    agent.hear("udp4", stun.decode(answer), ("192.0.2.1", 1), 0.1)
    assert agent.last_error == "the peer refused a check: 401 Unauthorized"


def test_a_peer_that_names_the_whole_world() -> None:
    """Many candidates are neither all kept nor all checked at once."""
    agent = lone()
    agent.add_remote([candidate(f"192.0.{number // 250}.{1 + number % 250}", 1) for number in range(1000)], 0)
    assert len(agent.pairs()) == 64
    agent.tick(0)
    assert len(agent.outbox()) == 8
    for number in range(200):
        agent.hear("udp4", request(b"our password"), ("198.51.100.9", 1000 + number), 0)
    assert len(agent.pairs()) <= 64


def test_early_checks_are_bounded() -> None:
    agent = lone()
    for number in range(200):
        agent.hear("udp4", request(b"our password", username=f"us:{number}"), ("198.51.100.9", 1 + number), 0)
    assert len(agent._early) == 32


def test_no_path_is_told_once() -> None:
    agent = lone()
    agent.add_remote([candidate("192.0.2.1", 1)], 0)
    now, events = 0.0, []
    while now < 60:
        agent.tick(now)
        events += agent.events()
        deadline = agent.deadline()
        assert deadline is not None
        now = max(deadline, now + 0.001)
    assert events == [PathLost("no pair of addresses works")]


ATTRIBUTES = st.lists(
    st.tuples(
        st.sampled_from(
            [
                stun.PRIORITY,
                stun.USE_CANDIDATE,
                stun.NOMINATION,
                stun.ICE_CONTROLLED,
                stun.ICE_CONTROLLING,
                stun.ERROR_CODE,
                stun.XOR_MAPPED_ADDRESS,
                0x7000,
            ]
        ),
        st.binary(max_size=20),
    ),
    max_size=5,
)


@settings(max_examples=80)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([stun.REQUEST, stun.SUCCESS, stun.ERROR, stun.INDICATION]),
            ATTRIBUTES,
            st.sampled_from([b"our password", b"password", b"stranger"]),
            st.sampled_from(["us:them", "us:old", "them:us", "", ":"]),
            st.integers(1, 3),
        ),
        max_size=12,
    )
)
def test_any_messages(messages: list[tuple[int, list[tuple[int, bytes]], bytes, str, int]]) -> None:
    """Even of a peer that knows the passwords."""
    agent = lone()
    agent.add_remote([candidate("192.0.2.1", 1)], 0)
    now = 0.0
    last = bytes(12)
    for kind, attributes, key, username, port in messages:
        now += 0.3
        values = [(stun.USERNAME, username.encode()), *attributes]
        data = stun.encode(stun.BINDING, kind, last, values, key=key)
        agent.hear("udp4", stun.decode(data), ("192.0.2.1", port), now)
        agent.tick(now)
        sends = agent.outbox()
        assert len(sends) < 20
        last = stun.decode(sends[-1].data).transaction if sends else last
        agent.events()
        agent.deadline()
