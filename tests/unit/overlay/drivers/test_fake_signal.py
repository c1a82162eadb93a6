"""The exchange in memory: who hears whom, and what goes wrong when it is told to."""

from __future__ import annotations

import asyncio

import pytest

from wayhouse.overlay.drivers.fake_signal import PRESENCE, Exchange, FakeSignaller, Sent
from wayhouse.overlay.model import (
    Heard,
    NoSuchPeerError,
    PeerGone,
    PeerSeen,
    SignalDown,
    SignalEvent,
    SignalUp,
)

A, B, C = "a" * 40, "b" * 40, "c" * 40


def node(exchange: Exchange, uid: str) -> tuple[FakeSignaller, list[SignalEvent]]:
    heard: list[SignalEvent] = []
    one = exchange.signaller()
    one.start(uid, f"FPR-{uid[0]}", heard.append)
    return one, heard


async def settle() -> None:
    for _ in range(6):
        await asyncio.sleep(0)


async def test_they_see_each_other_and_speak() -> None:
    exchange = Exchange()
    (a, heard_a), (_b, heard_b) = node(exchange, A), node(exchange, B)
    await settle()
    assert heard_a == [SignalUp("fake"), PeerSeen(B, "FPR-b", "fake")]
    assert heard_b == [SignalUp("fake"), PeerSeen(A, "FPR-a", "fake")]
    a.send(B, "con_req", "x")
    await settle()
    assert heard_b[-1] == Heard(A, "con_req", "x", "fake")
    await a.stop()
    await settle()
    assert heard_b[-1] == PeerGone(A, "fake")
    assert exchange.log[-1] == Sent(A, B, "con_req", "x")


async def test_who_was_not_seen_gets_nothing() -> None:
    a, _ = node(Exchange(), A)
    with pytest.raises(NoSuchPeerError):
        a.send(B, "con_req", "")


async def test_partition_and_heal() -> None:
    exchange = Exchange()
    (a, heard_a), (_, heard_b), (_, heard_c) = node(exchange, A), node(exchange, B), node(exchange, C)
    await settle()
    heard_a.clear(), heard_b.clear(), heard_c.clear()
    a.send(B, "send_msg", "is on its way when the net breaks")
    exchange.partition([A], [B])
    await settle()
    assert heard_a == [PeerGone(B, "fake"), PeerGone(C, "fake")]
    assert heard_b == [PeerGone(A, "fake"), PeerGone(C, "fake")]
    with pytest.raises(NoSuchPeerError):
        a.send(B, "send_msg", "")
    exchange.heal()
    await settle()
    assert heard_a[2:] == [PeerSeen(B, "FPR-b", "fake"), PeerSeen(C, "FPR-c", "fake")]
    exchange.announce()
    await settle()
    assert len(heard_a) == 6


async def test_loss_and_delay() -> None:
    exchange = Exchange(loss=1.0)
    (a, _), (_, heard_b) = node(exchange, A), node(exchange, B)
    await settle()
    a.send(B, "send_msg", "lost")
    exchange.loss, exchange.delay_s = 0.0, 0.01
    a.send(B, "send_msg", "late")
    await settle()
    assert len(heard_b) == 2
    await asyncio.sleep(0.02)
    assert heard_b[2:] == [Heard(A, "send_msg", "late", "fake")]
    a.send(B, "send_msg", "never arrives")
    exchange.close()
    await asyncio.sleep(0.02)
    assert len(heard_b) == 3


async def test_the_man_in_the_middle_changes_doubles_and_forges() -> None:
    exchange = Exchange()
    exchange.tamper = lambda sent: (
        [sent] if sent.kind == PRESENCE else [Sent(sent.sender, sent.receiver, sent.kind, "evil")] * 2
    )
    (a, _), (_, heard_b) = node(exchange, A), node(exchange, B)
    await settle()
    a.send(B, "con_resp", "good")
    exchange.forge(Sent(C, B, "con_req", "who am I?"))
    await settle()
    assert heard_b[2:] == [
        Heard(A, "con_resp", "evil", "fake"),
        Heard(A, "con_resp", "evil", "fake"),
        Heard(C, "con_req", "who am I?", "fake"),
    ]


async def test_a_server_that_is_gone_and_back() -> None:
    exchange = Exchange()
    (a, heard_a), (_, heard_b) = node(exchange, A), node(exchange, B)
    await settle()
    a.cut(is_final=True)
    a.restore()
    await settle()
    assert [type(event) for event in heard_a] == [SignalUp, PeerSeen, SignalDown, SignalUp, PeerSeen]
    assert heard_b[-2:] == [PeerGone(A, "fake"), PeerSeen(A, "FPR-a", "fake")]
