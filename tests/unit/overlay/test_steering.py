import asyncio
import contextlib
import math

from tests.parts.overlay_nodes import UIDS, House
from wayhouse.overlay.addressing import gen_ip6
from wayhouse.overlay.controller import Controller
from wayhouse.overlay.model import LinkStatus
from wayhouse.overlay.social import SocialAddresses
from wayhouse.overlay.steering import Steering
from wayhouse.overlay.tincan import CreateLink, Forward, TrimLink
from wayhouse.overlay.wishes import AddressConflict, LinkChanged, MoveTo, Own, SetAddress

A, B, C = UIDS[:3]


async def turns(number: int = 60) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


class Wisher:
    """Wishes what it is told to, once."""

    def __init__(self, wishes, news=()):
        self.wishes, self.news = list(wishes), list(news)
        self.facts = []
        self.ticks = 0

    def receive(self, fact, now):
        self.facts.append(fact)

    def tick(self, now):
        self.ticks += 1

    def deadline(self):
        return math.inf if self.ticks else 0.0

    def outbox(self):
        wishes, self.wishes = self.wishes, []
        return wishes

    def events(self):
        news, self.news = self.news, []
        return news


async def test_wishes_are_done_and_those_that_cannot_be_are_passed_over():
    house = House()
    async with house.node(A) as a, house.node(B) as b:
        await turns()
        told = []
        conflict = AddressConflict("172.31.0.7", A, B)
        wisher = Wisher(
            [
                TrimLink(uid=C),
                CreateLink(uid=C, fpr=b.fingerprint, cas="1:1:udp:192.0.2.1:9:1:u:p:local:eth0:0:1"),
                Forward(kind="con_req", uid=C, data="x"),
                Forward(kind="con_req", uid=B, data=a.fingerprint),
                SetAddress(B, "172.31.0.101", gen_ip6(B)),
                CreateLink(uid=B, fpr=b.fingerprint),
                MoveTo("172.31.0.7"),
            ],
            [conflict],
        )
        steering = Steering(a, wisher, house.clock, told.append)
        steering.tick()
        await turns()
        assert b.messages("con_req")
        assert (a.peers[B].ip4, a.peers[B].link.is_open, a.ip4) == ("172.31.0.101", True, "172.31.0.7")
        assert told == [conflict]
        assert Own("172.31.0.7", a.fingerprint, "172.31.0.7") in wisher.facts
        assert wisher.ticks == 1


async def test_our_own_controllers_link_two_nodes():
    house = House()
    async with house.node(A) as a, house.node(B) as b:
        for node in (a, b):
            machine = Controller(node.uid, node.own(), SocialAddresses(node.ip4))
            node.steering = Steering(node, machine, house.clock)
        for _ in range(40):
            house.clock.advance(1)
            a.steering.tick()
            b.steering.tick()
            await turns(10)
        assert LinkChanged(B, LinkStatus.ONLINE) in a.news
        assert LinkChanged(A, LinkStatus.ONLINE) in b.news
        assert a.peers[B].ip4.startswith("172.31.0.")


async def test_its_clock():
    house = House()
    async with house.node(A) as a:
        wisher = Wisher([])
        before = house.clock.monotonic()
        running = asyncio.ensure_future(Steering(a, wisher, house.clock).run())
        await turns(10)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        assert wisher.ticks == 1
        assert house.clock.monotonic() > before
