from __future__ import annotations

import pytest

from wayhouse.overlay.policy import Action, Protocol, Rule
from wayhouse.portal.overlay_rules import choices, listed, sentence, stamp

OWN, KITCHEN, OTHER = "0a" * 20, "aa" * 20, "bb" * 20
NAMES = {KITCHEN: "kitchen", OTHER: ""}


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (Rule(), "Every peer may reach everything on this gateway"),
        (
            Rule(source="tag:family", protocol=Protocol.TCP, ports=("22",)),
            "Peers tagged family may reach TCP 22 on this gateway",
        ),
        (
            Rule(source=KITCHEN, ports=("53", "80", "8000-8010"), target="any", action=Action.DROP),
            "The peer kitchen (aaaaaaaa) may not reach TCP and UDP 53, 80 and 8000-8010 on this gateway",
        ),
        (
            Rule(source=OTHER, protocol=Protocol.UDP, networks=("192.168.7.0/24", "10.0.0.0/8"), target=OWN),
            "The peer bbbbbbbb may reach UDP in 192.168.7.0/24 and 10.0.0.0/8 behind this gateway",
        ),
        (
            Rule(protocol=Protocol.ICMP, target="tag:server"),
            "Every peer may reach ICMP on gateways tagged server",
        ),
        (Rule(target=KITCHEN), "Every peer may reach everything on the gateway kitchen (aaaaaaaa)"),
    ],
)
def test_a_rule_in_words(rule, text):
    assert sentence(rule, OWN, NAMES) == text


def test_who_a_rule_can_be_about():
    assert choices(NAMES, ["guests", "family", "family"]) == [
        ("any", "Every peer"),
        ("tag:family", "Peers tagged family"),
        ("tag:guests", "Peers tagged guests"),
        (OTHER, "The peer bbbbbbbb"),
        (KITCHEN, "The peer kitchen (aaaaaaaa)"),
    ]


def test_small_parts():
    assert [listed(one) for one in ((), ("a",), ("a", "b"), ("a", "b", "c"))] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]
    rules = (Rule(), Rule(note="x"))
    assert stamp(rules) != stamp(rules[::-1])
