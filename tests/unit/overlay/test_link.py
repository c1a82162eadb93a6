import math

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from wayhouse.overlay.link import (
    ANSWER_AGAIN_S,
    ANSWER_LATEST_S,
    HANDSHAKE_S,
    MOST_REPEATS,
    REPEATS_PER_S,
    Answer,
    ClosePath,
    GiveRemote,
    Link,
    LinkState,
    OpenPath,
    TellStatus,
    address_text,
)
from wayhouse.overlay.model import Candidate, CandidateType, LinkStatus

UID = "a" * 40


def candidate(number: int = 1, *, username: str = "u", host: str = "192.0.2.1") -> Candidate:
    return Candidate(
        host=host,
        port=number,
        type=CandidateType.HOST,
        priority=number,
        foundation="f",
        username=username,
        password="p",
    )


OURS, MORE, THEIRS = candidate(1, username="o"), candidate(2, username="o"), candidate(3, username="t")


def opened(*, is_modern: bool = True) -> Link:
    link = Link(UID)
    link.is_modern = is_modern
    link.create("AB", 0.0)
    assert link.outbox() == [OpenPath()]
    return link


def online() -> Link:
    link = opened()
    link.gathered([OURS], 1.0, is_last=True)
    link.prove()
    link.hear([THEIRS], 2.0)
    link.path_up(OURS, THEIRS, 3.0, is_relayed=False)
    link.established(4.0)
    link.outbox()
    assert link.state is LinkState.ONLINE
    return link


def test_from_introduced_to_online():
    link = Link(UID)
    states = [link.state]

    def note() -> None:
        states.append(link.state)

    link.ask()
    note()
    link.is_modern = True
    link.create("AB", 10.0)
    note()
    link.gathered([OURS], 11.0, is_last=False)
    link.prove()
    link.hear([THEIRS], 12.0)
    note()
    link.path_up(OURS, THEIRS, 13.0, is_relayed=True)
    note()
    assert link.is_relayed is True
    link.established(14.0)
    note()
    assert states == [
        LinkState.INTRODUCED,
        LinkState.ASKED,
        LinkState.GATHERING,
        LinkState.CHECKING,
        LinkState.TUNNELLING,
        LinkState.ONLINE,
    ]
    assert link.outbox() == [
        OpenPath(),
        Answer((OURS,)),
        GiveRemote((THEIRS,)),
        TellStatus(LinkStatus.ONLINE),
    ]
    assert (link.created, link.online_since) == (10.0, 14.0)


def test_a_second_create_does_nothing():
    link = opened()
    link.create("AB", 5.0)
    assert link.outbox() == []
    assert link.created == 0.0


def test_another_certificate_begins_anew():
    link = online()
    link.create("CD", 9.0)
    assert link.outbox() == [TellStatus(LinkStatus.OFFLINE), ClosePath(), OpenPath()]
    assert (link.fingerprint, link.state, link.is_proven) == ("CD", LinkState.GATHERING, False)


def test_a_modern_peer_gets_addresses_as_they_are_found():
    link = opened()
    link.gathered([OURS], 1.0, is_last=False)
    link.gathered([MORE], 2.0, is_last=False)
    link.gathered([], 3.0, is_last=True)
    assert link.outbox() == [Answer((OURS,)), Answer((OURS, MORE))]


def test_an_old_peer_gets_one_complete_answer():
    link = opened(is_modern=False)
    link.gathered([OURS], 1.0, is_last=False)
    link.asked(1.5)
    assert link.outbox() == []
    link.gathered([MORE], 2.0, is_last=True)
    assert link.outbox() == [Answer((OURS, MORE))]


def test_the_peers_addresses_may_come_first():
    link = opened()
    link.hear([THEIRS], 0.1)
    assert link.outbox() == [], "it has not proved who it is"
    link.prove()
    assert link.outbox() == [GiveRemote((THEIRS,))]
    link.prove()
    link.hear([THEIRS], 0.2)
    assert link.outbox() == []
    link.gathered([OURS], 1.0, is_last=False)
    assert link.outbox() == [Answer((OURS,))]
    assert link.state is LinkState.CHECKING


def test_more_addresses_of_the_peer_are_added():
    link = opened()
    link.prove()
    link.hear([THEIRS], 1.0)
    more = candidate(9, username="t")
    link.hear([THEIRS, more], 2.0)
    assert link.outbox() == [GiveRemote((THEIRS,)), GiveRemote((more,))]


def test_a_peer_that_began_anew_gets_our_addresses_again():
    link = online()
    again = candidate(3, username="new")
    link.hear([again], 50.0)
    assert link.outbox() == [Answer((OURS,)), GiveRemote((again,))]


def test_an_old_peer_that_began_anew_is_known_by_other_addresses():
    link = opened(is_modern=False)
    link.gathered([OURS], 1.0, is_last=True)
    link.prove()
    link.hear([THEIRS], 2.0)
    link.outbox()
    link.hear([THEIRS], 3.0)
    assert link.outbox() == [], "the same once more"
    other = candidate(4, username="t")
    link.hear([other], 4.0)
    assert link.outbox() == [Answer((OURS,)), GiveRemote((other,))]


def test_a_peer_that_begins_anew_all_the_time_is_answered_now_and_then():
    link = online()
    for number in range(100):
        link.hear([candidate(3, username=str(number))], 50.0 + number / 100)
        link.tick(50.0 + number / 100)
    assert sum(isinstance(deed, Answer) for deed in link.outbox()) == MOST_REPEATS
    link.tick(60.0)
    assert link.outbox() == [Answer((OURS,))]


def test_when_our_own_search_begins_anew_the_peer_is_told():
    link = online()
    fresh = candidate(7, username="o2")
    link.gathered([fresh], 60.0, is_last=False)
    assert link.outbox() == [Answer((fresh,))]


def test_who_asks_again_has_lost_the_answer():
    link = online()
    for _ in range(MOST_REPEATS):
        link.asked(100.0)
    assert link.outbox() == [Answer((OURS,))] * MOST_REPEATS
    link.asked(100.1)
    assert link.outbox() == []
    assert link.deadline() == pytest.approx(100.0 + 1 / REPEATS_PER_S)
    link.tick(link.deadline())
    assert link.outbox() == [Answer((OURS,))]
    closed = Link(UID)
    closed.asked(1.0)
    assert closed.outbox() == []


def test_an_answer_is_repeated_until_the_peer_says_something():
    link = opened()
    assert link.deadline() == math.inf
    link.gathered([OURS], 0.0, is_last=True)
    link.outbox()
    times = []
    for _ in range(7):
        times.append(now := link.deadline())
        link.tick(now - 0.001)
        assert link.outbox() == []
        link.tick(now)
        assert link.outbox() == [Answer((OURS,))]
    gaps = [b - a for a, b in zip([0.0, *times], times, strict=False)]
    assert gaps == [ANSWER_AGAIN_S, 10, 20, 40, ANSWER_LATEST_S, ANSWER_LATEST_S, ANSWER_LATEST_S]
    link.hear([THEIRS], 999.0)
    assert link.deadline() == math.inf


def test_offline_is_said_after_online_alone():
    link = opened()
    link.path_up(OURS, THEIRS, 1.0, is_relayed=False)
    link.path_lost("no pair works")
    assert link.status is LinkStatus.UNKNOWN
    assert link.why == "no pair works"
    link = online()
    link.path_lost("the peer does not answer any more")
    assert link.outbox() == [TellStatus(LinkStatus.OFFLINE)]
    assert (link.state, link.why) == (LinkState.OFFLINE, "the peer does not answer any more")
    assert link.local is link.remote is link.is_relayed is link.online_since is None


def test_it_comes_back_with_a_path_when_the_tunnel_still_stands():
    link = online()
    link.path_lost("gone")
    link.path_up(MORE, THEIRS, 20.0, is_relayed=True)
    assert link.outbox() == [TellStatus(LinkStatus.OFFLINE), TellStatus(LinkStatus.ONLINE)]
    assert (link.online_since, link.why, link.local) == (20.0, "", MORE)


def test_it_comes_back_with_the_tunnel():
    link = online()
    link.silent()
    link.silent()
    assert link.state is LinkState.OFFLINE
    assert "tunnel" in link.why
    link.established(30.0)
    assert link.state is LinkState.ONLINE
    assert link.outbox() == [TellStatus(LinkStatus.OFFLINE), TellStatus(LinkStatus.ONLINE)]


def test_a_better_path_changes_nothing_but_itself():
    link = online()
    link.path_up(MORE, THEIRS, 20.0, is_relayed=False)
    assert link.outbox() == []
    assert (link.local, link.online_since) == (MORE, 4.0)


def test_a_tunnel_that_does_not_come_up_is_told():
    link = opened()
    link.gathered([OURS], 0.0, is_last=True)
    link.prove()
    link.hear([THEIRS], 0.0)
    link.path_up(OURS, THEIRS, 1.0, is_relayed=False)
    assert link.deadline() == 1.0 + HANDSHAKE_S
    link.tick(link.deadline())
    assert "trust" in link.why
    assert link.deadline() == math.inf


def test_why_there_is_no_tunnel_is_told():
    link = opened()
    link.troubled("It shows another certificate.")
    assert link.why == "It shows another certificate."
    link.path_up(OURS, THEIRS, 1.0, is_relayed=False)
    link.established(2.0)
    assert link.why == ""
    link.troubled("somebody else tried")
    assert link.why == "", "it is up"
    link.trim()
    link.troubled("too late")
    assert link.why == ""


def test_no_address_at_all_is_told():
    link = opened()
    link.gathered([], 1.0, is_last=True)
    assert "connected" in link.why
    assert link.outbox() == []


def test_trimming():
    link = online()
    link.trim()
    assert link.outbox() == [TellStatus(LinkStatus.OFFLINE), ClosePath()]
    assert (link.state, link.status, link.created) == (LinkState.INTRODUCED, LinkStatus.UNKNOWN, None)
    link.trim()
    link.established(1.0)
    link.path_lost("late")
    link.path_up(OURS, THEIRS, 1.0, is_relayed=False)
    link.gathered([OURS], 1.0, is_last=True)
    link.hear([THEIRS], 1.0)
    link.prove()
    link.silent()
    assert link.outbox() == []
    assert link.state is LinkState.INTRODUCED


def test_refusing():
    link = opened()
    link.refuse("it is another one")
    assert link.outbox() == [ClosePath()]
    assert (link.state, link.why) == (LinkState.REFUSED, "it is another one")
    link.create("AB", 9.0)
    assert link.outbox() == [OpenPath()]
    assert link.why == ""


@pytest.mark.parametrize(
    ("host", "text"), [("192.0.2.1", "host 192.0.2.1:1"), ("2001:db8::1", "host [2001:db8::1]:1")]
)
def test_addresses_for_people(host, text):
    assert address_text(candidate(host=host)) == text


class Anything(RuleBasedStateMachine):
    """Whatever comes in whatever order: the deeds make sense, and the status follows from path and tunnel."""

    def __init__(self) -> None:
        super().__init__()
        self.link = Link(UID)
        self.now = 0.0
        self.is_open = self.was_online = False

    @rule(
        verb=st.sampled_from(
            [
                "ask",
                "create",
                "other",
                "trim",
                "refuse",
                "prove",
                "hear",
                "anew",
                "asked",
                "found",
                "last",
                "up",
                "lost",
                "established",
                "silent",
                "tick",
            ]
        ),
        modern=st.booleans(),
    )
    def do(self, verb, modern):
        link, self.now = self.link, self.now + 1.0
        link.is_modern = link.is_modern or modern
        verbs = {
            "ask": link.ask,
            "create": lambda: link.create("AB", self.now),
            "other": lambda: link.create("CD", self.now),
            "trim": link.trim,
            "refuse": lambda: link.refuse("no"),
            "prove": link.prove,
            "hear": lambda: link.hear([THEIRS], self.now),
            "anew": lambda: link.hear(
                [candidate(int(self.now) % 60000 + 1, username=str(self.now))], self.now
            ),
            "asked": lambda: link.asked(self.now),
            "found": lambda: link.gathered([OURS], self.now, is_last=False),
            "last": lambda: link.gathered([MORE], self.now, is_last=True),
            "up": lambda: link.path_up(OURS, THEIRS, self.now, is_relayed=modern),
            "lost": lambda: link.path_lost("lost"),
            "established": lambda: link.established(self.now),
            "silent": link.silent,
            "tick": lambda: link.tick(self.now),
        }
        verbs[verb]()
        for deed in link.outbox():
            self.check(deed)

    def check(self, deed):
        if isinstance(deed, OpenPath):
            assert not self.is_open
            self.is_open = True
        elif isinstance(deed, ClosePath):
            assert self.is_open
            self.is_open = self.was_online = False
        elif isinstance(deed, GiveRemote | Answer):
            assert self.is_open
            assert deed.candidates
        else:
            assert deed.status is not LinkStatus.OFFLINE or self.was_online
            self.was_online = self.was_online or deed.status is LinkStatus.ONLINE

    @invariant()
    def holds(self):
        link = self.link
        assert link.is_open == self.is_open
        assert (
            (link.state is LinkState.ONLINE)
            == (link.status is LinkStatus.ONLINE)
            == (link.online_since is not None)
        )
        assert link.deadline() > 0


TestAnything = Anything.TestCase
TestAnything.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
