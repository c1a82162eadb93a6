"""What is said of a NAT, from what STUN servers answer: NATs of every kind in virtual time, with servers that can RFC 5780 and without."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.overlay.ice import stun
from wayhouse.overlay.ice.mapping import Ask
from wayhouse.overlay.ice.stun import Host
from wayhouse.overlay.netcheck import (
    FILTER,
    IPV4,
    IPV6,
    Dependence,
    Inquiry,
    Question,
    ServerCheck,
    filtering_of,
    judge,
    mapping_of,
)

ONE, TWO, SIX = ("192.0.2.1", 3478), ("192.0.2.2", 3478), ("2001:db8::1", 3478)
OTHER = ("192.0.2.2", 3479)
PORT = 4000
ANY, ADDRESS, PLACE = "any", "address", "place"


class Nat:
    """`mapping` and `filtering`: any, address, or place (address and port)."""

    def __init__(self, mapping: str, filtering: str, *, can_behave: bool = True) -> None:
        self.mapping, self.filtering, self.can_behave = mapping, filtering, can_behave
        self._ports: dict[object, int] = {}
        self._open: set[object] = set()

    def answer(self, ask: Ask) -> tuple[bytes, Host] | None:
        message = stun.decode(ask.data)
        key = (ask.base, {ANY: None, ADDRESS: ask.server[0], PLACE: ask.server}[self.mapping])
        port = self._ports.setdefault(key, 50000 + len(self._ports))
        self._open |= {(ask.base, ask.server), (ask.base, ask.server[0])}
        change = message.number(stun.CHANGE_REQUEST) or 0
        if change and not self.can_behave:
            return None
        source = {0: ask.server, 2: (ask.server[0], 3479), 6: OTHER}[change]
        needed = {ANY: None, ADDRESS: (ask.base, source[0]), PLACE: (ask.base, source)}[self.filtering]
        if needed is not None and needed not in self._open:
            return None
        attributes = [(stun.XOR_MAPPED_ADDRESS, stun.xor_address(("203.0.113.1", port), message.transaction))]
        if self.can_behave:
            attributes.append((stun.OTHER_ADDRESS, stun.pack_address(OTHER)))
        return stun.encode(stun.BINDING, stun.SUCCESS, message.transaction, attributes), source


def play(nat: Nat | None, servers: list[tuple[str, Host]]) -> Inquiry:
    inquiry, now = Inquiry(servers), 0.0
    inquiry.start(now)
    for _ in range(200):
        for ask in inquiry.outbox():
            found = nat.answer(ask) if nat is not None else None
            if found is not None:
                inquiry.hear(ask.base, stun.decode(found[0]), found[1], now + 0.02)
        if inquiry.is_done:
            break
        now = max(now, inquiry.deadline() or now)
        inquiry.tick(now)
    assert inquiry.is_done
    assert now < 4
    return inquiry


@pytest.mark.parametrize(
    ("mapping", "filtering", "nat", "first", "second"),
    [
        (ANY, PLACE, "cone", Dependence.ENDPOINT_INDEPENDENT, Dependence.ADDRESS_AND_PORT_DEPENDENT),
        (ANY, ADDRESS, "cone", Dependence.ENDPOINT_INDEPENDENT, Dependence.ADDRESS_DEPENDENT),
        (ANY, ANY, "cone", Dependence.ENDPOINT_INDEPENDENT, Dependence.ENDPOINT_INDEPENDENT),
        (ADDRESS, PLACE, "symmetric", Dependence.ADDRESS_DEPENDENT, Dependence.ADDRESS_AND_PORT_DEPENDENT),
        (
            PLACE,
            PLACE,
            "symmetric",
            Dependence.ADDRESS_AND_PORT_DEPENDENT,
            Dependence.ADDRESS_AND_PORT_DEPENDENT,
        ),
    ],
)
def test_nats(mapping: str, filtering: str, nat: str, first: Dependence, second: Dependence) -> None:
    inquiry = play(Nat(mapping, filtering), [(IPV4, ONE)])
    assert (mapping_of(inquiry), filtering_of(inquiry)) == (first, second)
    report = judge(
        inquiry, [ServerCheck(kind="stun", host="s", address=ONE[0], rtt_ms=1.0)], ["192.168.1.2"], PORT
    )
    assert (report.nat, report.has_udp, report.public_ipv4) == (nat, True, "203.0.113.1")


@pytest.mark.parametrize(
    ("mapping", "expected"),
    [(ANY, Dependence.ENDPOINT_INDEPENDENT), (PLACE, Dependence.ADDRESS_AND_PORT_DEPENDENT)],
)
def test_servers_of_the_plain_kind(mapping: str, expected: Dependence) -> None:
    inquiry = play(Nat(mapping, PLACE, can_behave=False), [(IPV4, ONE), (IPV4, TWO)])
    assert mapping_of(inquiry) is expected
    assert filtering_of(inquiry) is Dependence.UNKNOWN
    single = play(Nat(mapping, PLACE, can_behave=False), [(IPV4, ONE)])
    assert mapping_of(single) is Dependence.UNKNOWN
    assert judge(single, (), (), PORT).nat == "unknown"


def test_nothing_comes_through() -> None:
    inquiry = play(None, [(IPV4, ONE), (IPV6, SIX)])
    checks = [
        ServerCheck(kind="stun", host="s", address=ONE[0]),
        ServerCheck(kind="turn tls", host="t", address=ONE[0], rtt_ms=9.0),
    ]
    report = judge(inquiry, checks, ["192.168.1.2"], PORT)
    assert (report.nat, report.has_udp, report.has_ipv4, report.has_ipv6) == ("blocked", False, True, False)
    assert report.advice == ("UDP does not get through: every link needs a relay over TCP or TLS.",)


def test_ipv6_and_no_nat() -> None:
    inquiry = play(Nat(ANY, ANY), [(IPV6, SIX), (IPV4, ONE)])
    seen = inquiry.answers[Question(IPV4, ONE)]
    assert seen is not None
    report = judge(inquiry, [], ["203.0.113.1"], seen.mapped[1])
    assert report.nat == "none"
    assert report.has_ipv6


def test_advice() -> None:
    empty = judge(play(None, []), [], [], PORT)
    assert empty.advice == (
        "No STUN or TURN server is configured: only peers of the same network can be reached.",
    )
    refused = ServerCheck(kind="turn udp", host="t", address=ONE[0], error="the relay refused: 401")
    stun_check = ServerCheck(kind="stun", host="s", address=ONE[0], rtt_ms=1.0)
    symmetric = judge(play(Nat(PLACE, PLACE), [(IPV4, ONE)]), [stun_check, refused], [], PORT)
    assert "by a relay only" in symmetric.advice[0]
    assert "No relay answers" in symmetric.advice[1]
    cone = judge(play(Nat(ANY, PLACE), [(IPV4, ONE)]), [stun_check], [], PORT)
    assert "No relay is configured" in cone.advice[1]


def test_answers_that_are_not() -> None:
    inquiry = Inquiry([(IPV4, ONE)])
    inquiry.start(0)
    (ask,) = inquiry.outbox()
    good, source = Nat(ANY, ANY).answer(ask) or (b"", ONE)
    inquiry.hear(FILTER, stun.decode(good), source, 0.1)
    inquiry.hear(IPV4, stun.decode(good), TWO, 0.1)
    inquiry.hear(
        IPV4, stun.decode(stun.encode(stun.BINDING, stun.REQUEST, stun.decode(good).transaction)), source, 0.1
    )
    inquiry.hear(IPV4, stun.decode(stun.encode(stun.BINDING, stun.SUCCESS, bytes(12))), source, 0.1)
    assert inquiry.answers == {}


@given(
    st.lists(
        st.tuples(
            st.sampled_from([stun.XOR_MAPPED_ADDRESS, stun.OTHER_ADDRESS, stun.ERROR_CODE]),
            st.binary(max_size=20),
        ),
        max_size=3,
    )
)
def test_any_answer(attributes: list[tuple[int, bytes]]) -> None:
    inquiry = Inquiry([(IPV4, ONE)])
    inquiry.start(0)
    transaction = stun.decode(inquiry.outbox()[0].data).transaction
    inquiry.hear(
        IPV4, stun.decode(stun.encode(stun.BINDING, stun.SUCCESS, transaction, attributes)), ONE, 0.1
    )
    judge(inquiry, (), (), PORT)
