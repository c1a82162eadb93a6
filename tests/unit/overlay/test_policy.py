from __future__ import annotations

import itertools
from ipaddress import ip_address, ip_network

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.overlay.policy import (
    ICMP_NUMBER,
    TCP_NUMBER,
    UDP_NUMBER,
    Action,
    BadRuleError,
    Member,
    Packet,
    Protocol,
    Resolved,
    Rule,
    State,
    collapse,
    decide,
    merge_ports,
    resolve,
)

ME, ATTIC, BARN = ("0" * 39 + digit for digit in "123")
THIS = Member(ME, frozenset({"server"}), (ip_network("172.16.0.1/32"),))
PEERS = {
    ATTIC: Member(ATTIC, frozenset({"family"}), (ip_network("172.16.0.2/32"), ip_network("fd50::2/128"))),
    BARN: Member(BARN, frozenset({"family", "cameras"}), (ip_network("172.16.0.3/32"),)),
}


def resolved(*rules: Rule) -> tuple[Resolved, ...]:
    return resolve(rules, THIS, PEERS)


def tcp(source: str, port: int, destination: str = "172.16.0.1", **more: object) -> Packet:
    return Packet(
        source=ip_address(source),
        destination=ip_address(destination),
        protocol=TCP_NUMBER,
        port=port,
        **more,  # type: ignore[arg-type]
    )


def test_nothing_is_allowed_without_a_rule() -> None:
    verdict = decide((), tcp("172.16.0.2", 22))
    assert not verdict.is_accepted
    assert verdict.rule is None
    assert "no rule" in verdict.why


def test_answers_errors_and_echo_always_pass() -> None:
    assert decide((), tcp("172.16.0.2", 22, state=State.ESTABLISHED)).is_accepted
    for kind in (3, 8, 11):
        packet = Packet(
            source=ip_address("172.16.0.2"),
            destination=ip_address("172.16.0.1"),
            protocol=ICMP_NUMBER,
            icmp_type=kind,
        )
        assert decide((), packet).is_accepted
        assert decide((), msgspec.structs.replace(packet, is_forwarded=True)).is_accepted == (kind != 8)


def test_who_is_meant() -> None:
    rules = resolved(Rule(source="tag:cameras", protocol=Protocol.TCP, ports=("80", "8000-8010")))
    assert decide(rules, tcp("172.16.0.3", 8005)).rule == 0
    assert not decide(rules, tcp("172.16.0.2", 8005)).is_accepted
    assert not decide(rules, tcp("172.16.0.3", 81)).is_accepted
    assert decide(resolved(Rule(source=ATTIC)), tcp("172.16.0.2", 1)).is_accepted


def test_on_which_gateways_a_rule_counts() -> None:
    for target, counts in (
        (ME, True),
        ("tag:server", True),
        ("any", True),
        ("self", True),
        (ATTIC, False),
        ("tag:x", False),
    ):
        assert decide(resolved(Rule(target=target)), tcp("172.16.0.2", 1)).is_accepted is counts


def test_the_first_rule_that_fits_counts() -> None:
    rules = resolved(
        Rule(source="tag:cameras", action=Action.DROP), Rule(source="tag:family", protocol=Protocol.TCP)
    )
    assert decide(rules, tcp("172.16.0.3", 22)).rule == 0
    assert decide(rules, tcp("172.16.0.2", 22)).rule == 1


def test_networks_behind_the_gateway_are_opened_one_by_one() -> None:
    rules = resolved(Rule(networks=("192.168.7.0/24",), protocol=Protocol.TCP, ports=("554",)))
    inside = tcp("172.16.0.2", 554, "192.168.7.9", is_forwarded=True)
    assert decide(rules, inside).is_accepted
    assert not decide(rules, tcp("172.16.0.2", 554, "192.168.8.9", is_forwarded=True)).is_accepted
    assert not decide(rules, tcp("172.16.0.2", 554)).is_accepted, "the gateway itself was not opened"
    echo = msgspec.structs.replace(inside, protocol=ICMP_NUMBER, icmp_type=8, port=0)
    assert decide(rules, echo).is_accepted
    assert not decide(rules, msgspec.structs.replace(echo, destination=ip_address("192.168.8.9"))).is_accepted


def test_rules_read_as_documents() -> None:
    rule = msgspec.json.decode(
        b'{"from": "tag:family", "to": "self", "protocol": "udp", "ports": ["53"]}', type=Rule
    )
    assert rule == Rule(source="tag:family", protocol=Protocol.UDP, ports=("53",))


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"source": "bob"}, "from"),
        ({"source": "tag:"}, "from"),
        ({"source": 'tag:a"; drop'}, "from"),
        ({"target": "everybody"}, "to"),
        ({"ports": ("0",)}, "0"),
        ({"ports": ("9-3",)}, "9-3"),
        ({"ports": ("70000",)}, "70000"),
        ({"protocol": Protocol.ICMP, "ports": ("1",)}, "ICMP"),
        ({"networks": ("10.0.0.1/8",)}, "10.0.0.1/8"),
        ({"networks": ("x",)}, "x"),
        ({"ports": ("1",) * 33}, "at most"),
    ],
)
def test_bad_rules_are_told(fields: dict[str, object], word: str) -> None:
    with pytest.raises(BadRuleError, match=r"`|at most|ICMP") as caught:
        Rule(**fields)  # type: ignore[arg-type]
    assert word in caught.value.message


@given(st.text(max_size=30))
def test_any_text_is_a_rule_or_an_error(text: str) -> None:
    for fields in ({"source": text}, {"target": text}, {"ports": (text,)}, {"networks": (text,)}):
        try:
            Rule(**fields)  # type: ignore[arg-type]
        except BadRuleError:
            continue


@given(st.lists(st.tuples(st.integers(1, 65535), st.integers(0, 500)), max_size=8))
def test_merged_ports_are_the_same_ports(pairs: list[tuple[int, int]]) -> None:
    ranges = [(low, min(65535, low + more)) for low, more in pairs]
    merged = merge_ports(ranges)
    assert all(one[1] + 1 < other[0] for one, other in itertools.pairwise(merged))
    probes = {edge + step for low, high in ranges for edge in (low, high) for step in (-1, 0, 1)}
    for port in probes:
        assert any(a <= port <= b for a, b in merged) == any(a <= port <= b for a, b in ranges)


networks = st.one_of(
    st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)).map(lambda it: ip_network(it, strict=False)),
    st.tuples(st.integers(0, 2**128 - 1), st.integers(0, 128)).map(lambda it: ip_network(it, strict=False)),
)


@given(st.lists(networks, max_size=6))
def test_collapsed_networks_do_not_overlap(found: list) -> None:
    merged = collapse(found)
    assert not any(
        one is not other and one.version == other.version and one.overlaps(other)
        for one in merged
        for other in merged
    )
    assert all(any(one.version == big.version and one.subnet_of(big) for big in merged) for one in found)


rules = st.builds(
    Rule,
    source=st.sampled_from(["any", "tag:family", "tag:cameras", "tag:nobody", ATTIC]),
    protocol=st.sampled_from([Protocol.ANY, Protocol.TCP, Protocol.UDP]),
    ports=st.lists(st.sampled_from(["22", "80", "20-30"]), max_size=2).map(tuple),
    action=st.sampled_from(Action),
)


@given(
    st.lists(rules, max_size=5), st.sampled_from([22, 25, 80, 443]), st.sampled_from([TCP_NUMBER, UDP_NUMBER])
)
def test_only_a_rule_that_accepts_lets_a_new_packet_in(found: list[Rule], port: int, protocol: int) -> None:
    packet = msgspec.structs.replace(tcp("172.16.0.3", port), protocol=protocol)
    verdict = decide(resolve(found, THIS, PEERS), packet)
    if verdict.rule is None:
        assert not verdict.is_accepted
    else:
        assert verdict.is_accepted == (found[verdict.rule].action is Action.ACCEPT)
