"""Where STUN servers see us, and what NAT that means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.overlay.ice import stun
from wayhouse.overlay.ice.mapping import Mapped, Mappings, nat_kind
from wayhouse.overlay.ice.stun import Host, Message

ONE, TWO = ("192.0.2.1", 3478), ("192.0.2.2", 3478)
SEEN = ("203.0.113.9", 777)


def answer(data: bytes, mapped: Host, attribute: int = stun.XOR_MAPPED_ADDRESS) -> Message:
    transaction = stun.decode(data).transaction
    value = (
        stun.xor_address(mapped, transaction)
        if attribute == stun.XOR_MAPPED_ADDRESS
        else stun.pack_address(mapped)
    )
    return stun.decode(stun.encode(stun.BINDING, stun.SUCCESS, transaction, [(attribute, value)]))


@pytest.mark.parametrize("attribute", [stun.XOR_MAPPED_ADDRESS, stun.MAPPED_ADDRESS])
def test_a_server_answers(attribute: int) -> None:
    mappings = Mappings()
    mappings.ask("udp4", ONE, 0)
    mappings.ask("udp4", ONE, 0)
    mappings.tick(0)
    (ask,) = mappings.outbox()
    assert (ask.base, ask.server) == ("udp4", ONE)
    assert mappings.is_busy()
    message = answer(ask.data, SEEN, attribute)
    assert mappings.owns(message)
    mappings.hear("udp4", message, TWO, 0.1)
    assert mappings.events() == []
    mappings.hear("udp4", message, ONE, 0.1)
    assert mappings.events() == [Mapped("udp4", ONE, SEEN)]
    assert not mappings.is_busy()
    assert not mappings.owns(message)
    assert mappings.deadline() == pytest.approx(20.1)
    mappings.tick(21)
    mappings.hear("udp4", answer(mappings.outbox()[0].data, SEEN), ONE, 21)
    assert mappings.events() == []
    mappings.ask_again(30)
    mappings.tick(30)
    mappings.hear("udp4", answer(mappings.outbox()[0].data, SEEN), ONE, 30)
    assert mappings.events() == [Mapped("udp4", ONE, SEEN)]


def test_a_server_that_does_not_answer() -> None:
    mappings = Mappings()
    mappings.ask("udp4", ONE, 0)
    copies, now = 0, 0.0
    while not mappings.has_failed():
        mappings.tick(now)
        copies += len(mappings.outbox())
        now = mappings.deadline() or 99.0
    assert copies == 6
    assert not mappings.is_busy()
    assert now > 20


def test_servers_are_bounded() -> None:
    mappings = Mappings()
    for port in range(1, 50):
        mappings.ask("udp4", ("192.0.2.1", port), 0)
    mappings.tick(0)
    assert len(mappings.outbox()) == 8


@pytest.mark.parametrize(
    ("seen", "own", "has_failed", "kind"),
    [
        ([], [], False, "unknown"),
        ([], [], True, "blocked"),
        ([SEEN], [], False, "unknown"),
        ([SEEN, SEEN], [], False, "cone"),
        ([SEEN, ("203.0.113.9", 778)], [], False, "symmetric"),
        ([SEEN], ["203.0.113.9"], False, "none"),
    ],
)
def test_kinds(seen: list[Host], own: list[str], has_failed: bool, kind: str) -> None:
    assert nat_kind(seen, own, 777, has_failed=has_failed) == kind


@given(st.integers(), st.lists(st.tuples(st.integers(0, 0x30), st.binary(max_size=24)), max_size=4))
def test_any_answer(kind: int, attributes: list[tuple[int, bytes]]) -> None:
    mappings = Mappings()
    mappings.ask("udp4", ONE, 0)
    mappings.tick(0)
    transaction = stun.decode(mappings.outbox()[0].data).transaction
    clean = [(number, value) for number, value in attributes if number != stun.MESSAGE_INTEGRITY]
    message = stun.decode(
        stun.encode(stun.BINDING, stun.SUCCESS if kind % 2 else stun.ERROR, transaction, clean)
    )
    mappings.hear("udp4", message, ONE, 0.1)
