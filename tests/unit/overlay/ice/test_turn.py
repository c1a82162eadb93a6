"""An allocation at a TURN server, in virtual time: challenges, channels, refreshes, refusals, and any bytes at all."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.parts.turn_core import TurnCore
from wayhouse.overlay.ice import channel, stun
from wayhouse.overlay.ice.stun import BadStunError
from wayhouse.overlay.ice.turn import Allocated, Allocation, Gone, Refused, Relayed

MAPPED = ("198.51.100.1", 7000)


class Play:
    """Clients and the server, with a clock; nothing is lost unless `is_cut`."""

    def __init__(self, *, is_stream: bool = False) -> None:
        self.server = TurnCore()
        self.is_stream = is_stream
        self.is_cut = False
        self.now = 100.0
        self.clients: dict[str, Allocation] = {}
        self.events: dict[str, list[object]] = {}
        self.sent: list[bytes] = []

    def add(self, name: str, password: str = "secret") -> Allocation:
        one = Allocation("user", password, is_stream=self.is_stream)
        self.clients[name], self.events[name] = one, []
        one.start(self.now)
        self.settle()
        return one

    def settle(self) -> None:
        while any(self._carry(name) for name in self.clients):
            pass

    def _carry(self, name: str) -> bool:
        sends = self.clients[name].outbox()
        for data in sends:
            self.sent.append(data)
            if not self.is_cut:
                for client, answer in self.server.receive(name, data, MAPPED, is_stream=self.is_stream):
                    self.hand(str(client), answer)
        self.events[name] += self.clients[name].events()
        return bool(sends)

    def hand(self, name: str, data: bytes) -> None:
        if stun.is_stun(data):
            self.clients[name].hear(stun.decode(data), self.now)
        else:
            self.clients[name].unwrap(data)
        self.events[name] += self.clients[name].events()

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while True:
            self.settle()
            times = [at for one in self.clients.values() if (at := one.deadline()) is not None]
            if not times or min(times) > end:
                self.now = end
                return
            self.now = max(self.now, min(times))
            for one in self.clients.values():
                one.tick(self.now)

    def take(self, name: str) -> list[object]:
        events, self.events[name] = self.events[name], []
        return events


@pytest.mark.parametrize("is_stream", [False, True])
def test_two_allocations_talk(*, is_stream: bool) -> None:
    play = Play(is_stream=is_stream)
    one, two = play.add("one"), play.add("two")
    assert play.take("one") == [Allocated(("203.0.113.77", 40001), MAPPED)]
    assert one.relayed is not None
    assert two.relayed is not None
    two.send(one.relayed, b"opens", play.now)
    play.settle()
    assert play.take("one") == []
    for word in (b"a", b"bb", b"ccc"):
        one.send(two.relayed, word, play.now)
    play.settle()
    assert play.take("two")[1:] == [Relayed(one.relayed, word) for word in (b"a", b"bb", b"ccc")]
    assert one.channel(two.relayed) == 0x4000
    assert one.channel(("192.0.2.1", 1)) is None


def test_the_password_is_not_sent() -> None:
    play = Play()
    play.add("one", "secret")
    assert all(b"secret" not in data for data in play.sent)


def test_a_wrong_password() -> None:
    play = Play()
    play.add("one", "another")
    assert play.take("one") == [Refused("the relay refused: 401 Unauthorized")]
    assert play.clients["one"].deadline() is None


@pytest.mark.parametrize(
    ("code", "reason"), [(486, "Quota"), (403, "Forbidden"), (508, ""), (300, "Try Alternate")]
)
def test_refusals(code: int, reason: str) -> None:
    play = Play()
    play.server.refuse = (code, reason)
    play.add("one")
    assert play.take("one") == [Refused(f"the relay refused: {code} {reason}".rstrip())]


def test_a_server_with_ipv6_only() -> None:
    play = Play()
    play.server.refuse = (440, "Address Family not Supported")
    one = Allocation("user", "secret", is_stream=False)
    one.start(0)
    for _ in range(3):
        for data in one.outbox():
            is_second = stun.decode(data).get(stun.REQUESTED_ADDRESS_FAMILY) is not None
            play.server.refuse = None if is_second else play.server.refuse
            for _, answer in play.server.receive("c", data, MAPPED):
                one.hear(stun.decode(answer), 0)
    assert one.relayed == ("2001:db8::77", 40001)


def test_an_allocation_of_an_earlier_life_is_given_back() -> None:
    play = Play()
    play.add("one")
    play.add("one")
    assert play.take("one") == [Allocated(("203.0.113.77", 40002), MAPPED)]


def test_a_server_that_does_not_answer() -> None:
    for is_stream in (False, True):
        play = Play(is_stream=is_stream)
        play.is_cut = True
        play.add("one")
        play.run(10)
        assert play.take("one") == [Refused("the relay does not answer")]
        assert len(play.sent) == (1 if is_stream else 5)


def test_hours_pass() -> None:
    play = Play()
    one, two = play.add("one"), play.add("two")
    assert two.relayed is not None
    for hour in range(24):
        if hour % 5 == 0:
            play.server.nonce = b"nonce-%d" % hour
        play.run(200)
        one.send(two.relayed, b"still", play.now)
        play.settle()
    assert not [event for event in play.take("one") if isinstance(event, Gone)]
    assert play.server.asked[stun.REFRESH] >= 24
    assert play.server.asked[stun.CHANNEL_BIND] >= 15
    assert one.channel(two.relayed) is not None


def test_a_channel_that_is_not_used_lapses() -> None:
    play = Play()
    one, two = play.add("one"), play.add("two")
    assert two.relayed is not None
    one.send(two.relayed, b"x", play.now)
    play.run(1000)
    assert one.channel(two.relayed) is None
    one.send(two.relayed, b"x", play.now)
    play.settle()
    assert one.channel(two.relayed) == 0x4000


def test_a_server_that_forgot_us() -> None:
    play = Play()
    one = play.add("one")
    play.take("one")
    play.server.forget()
    one.probe(play.now)
    one.probe(play.now)
    play.settle()
    assert play.take("one") == [Gone("the relay refused: 437 Allocation Mismatch")]
    one.send(("203.0.113.77", 1), b"x", play.now)
    assert one.outbox() == []


def test_a_line_that_is_down_for_a_while() -> None:
    play = Play()
    one = play.add("one")
    play.take("one")
    play.is_cut = True
    one.probe(play.now)
    play.run(60)
    assert play.take("one") == []
    play.is_cut = False
    play.run(10)
    assert play.take("one") == []
    play.is_cut = True
    play.run(1300)
    assert play.take("one") == [Gone("the relay does not answer any more")]


def test_closing_gives_it_back() -> None:
    play = Play()
    play.add("one").close(play.now)
    play.settle()
    assert play.server.allocations == {}
    play.clients["one"].close(play.now)
    assert play.clients["one"].outbox() == []
    assert play.clients["one"].deadline() is None


def test_a_peer_that_the_server_forbids_and_one_of_the_other_family() -> None:
    play = Play()
    one = play.add("one")
    for peer in (("198.18.0.1", 9), ("2001:db8::1", 9)):
        one.send(peer, b"x", play.now)
        play.settle()
        assert one.channel(peer) is None


def test_unsigned_answers_are_not_believed() -> None:
    play = Play()
    one = play.add("one")
    play.take("one")
    one.probe(play.now)
    (asked,) = one.outbox()
    transaction = stun.decode(asked).transaction
    for attributes in ([], [(stun.XOR_RELAYED_ADDRESS, b"\0")]):
        one.hear(stun.decode(stun.encode(stun.REFRESH, stun.SUCCESS, transaction, attributes)), play.now)
    one.hear(
        stun.decode(
            stun.encode(stun.REFRESH, stun.ERROR, bytes(12), [(stun.ERROR_CODE, stun.error_value(437, ""))])
        ),
        play.now,
    )
    assert one.events() == []
    assert one.owns(stun.decode(asked))


def test_a_source_without_a_channel() -> None:
    play = Play()
    play.add("one")
    play.take("one")
    play.hand("one", play.server.inbound("one", ("192.0.2.9", 9), b"early"))
    assert play.take("one") == [Relayed(("192.0.2.9", 9), b"early")]
    play.hand("one", channel.wrap(0x4ABC, b"unknown", is_stream=False))
    assert play.take("one") == []


@settings(max_examples=200)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([stun.ALLOCATE, stun.REFRESH, stun.CHANNEL_BIND, stun.DATA, stun.BINDING]),
            st.sampled_from([stun.REQUEST, stun.SUCCESS, stun.ERROR, stun.INDICATION]),
            st.lists(
                st.tuples(
                    st.sampled_from(
                        [
                            stun.ERROR_CODE,
                            stun.NONCE,
                            stun.REALM,
                            stun.LIFETIME,
                            stun.XOR_RELAYED_ADDRESS,
                            stun.XOR_PEER_ADDRESS,
                            stun.DATA_VALUE,
                        ]
                    ),
                    st.binary(max_size=24),
                ),
                max_size=4,
            ),
            st.booleans(),
        ),
        max_size=6,
    ),
    st.binary(max_size=40),
)
def test_any_answers(answers: list[tuple[int, int, list[tuple[int, bytes]], bool]], data: bytes) -> None:
    """A hostile server: whatever it says, nothing is raised and little is sent."""
    one = Allocation("user", "secret", is_stream=False)
    one.start(0)
    sent = one.outbox()
    for method, kind, attributes, is_signed in answers:
        transaction = stun.decode(sent[-1]).transaction
        key = TurnCore().key if is_signed else None
        try:
            one.hear(stun.decode(stun.encode(method, kind, transaction, attributes, key=key)), 1.0)
        except BadStunError:
            continue
        one.unwrap(data)
        one.tick(2.0)
        sent += one.outbox()
    one.send(("192.0.2.1", 1), b"x", 3.0)
    one.events()
    one.deadline()
    assert len(sent) < 60
