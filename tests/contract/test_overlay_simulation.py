"""Many controllers in one world, in virtual time: joins, leaves, splits and heals."""
# covers: overlay/controller.py, overlay/seeking.py, overlay/keeping.py, overlay/peer_book.py

from __future__ import annotations

import itertools
from ipaddress import IPv4Network

import pytest

from tests.parts.overlay_old_controllers import LaterController, SeedController
from tests.parts.overlay_world import SimulatedNode, World, uid_of
from wayhouse.overlay.controller import Controller
from wayhouse.overlay.group import group_controller
from wayhouse.overlay.peer_book import Settings
from wayhouse.overlay.social import OWN_IP4, social_controller
from wayhouse.overlay.wishes import Own, Unroutable

MOST_A_MINUTE = 320
"""Of controller and link together, as the controller's docstring promises."""
SUBNET = IPv4Network("172.16.0.0/16")


def group_ip4(number: int) -> str:
    return str(SUBNET.network_address + 1 + number)


def in_group(uid: str, own: Own) -> Controller:
    return group_controller(uid, own, subnet=SUBNET)


def on_demand(uid: str, own: Own) -> Controller:
    return group_controller(uid, own, Settings(on_demand=True), subnet=SUBNET)


def social(uid: str, own: Own) -> Controller:
    return social_controller(uid, own)


def all_pairs(world: World) -> set[tuple[str, str]]:
    return set(itertools.combinations(sorted(world.nodes), 2))


def joined(count: int) -> World:
    world = World(in_group, ip4=group_ip4)
    for number in range(count):
        world.at(number * 10.0 / count, world.add, number)
    world.run(10.0)
    return world


def settled(world: World, within_s: float) -> float:
    """Seconds until every pair is linked."""
    start = world.now
    wanted = all_pairs(world)
    while world.online() != wanted:
        assert world.now - start < within_s, (
            f"{len(wanted - world.online())} of {len(wanted)} pairs have no link"
        )
        world.run(max(1.0, within_s / 40))
    return world.now - start


def assert_bounded(world: World) -> None:
    assert max(node.most_in_a_minute() for node in world.nodes.values()) <= MOST_A_MINUTE


@pytest.mark.parametrize(("count", "part", "within_s"), [(3, 1, 5), (20, 10, 30), (200, 20, 160)])
def test_all_pairs_are_linked_after_joins_a_split_and_a_heal(count: int, part: int, within_s: float) -> None:
    world = joined(count)
    settled(world, within_s)
    uids = sorted(world.nodes)
    halves = (uids[:part], uids[part:])
    world.split(halves)
    world.run(60.0)
    inside = {pair for side in halves for pair in itertools.combinations(side, 2)}
    assert world.online() == inside
    assert all(peer in side for side in halves for uid in side for peer in world.nodes[uid].halves), (
        "not trimmed"
    )
    world.heal()
    settled(world, within_s)
    assert_bounded(world)


@pytest.mark.parametrize("count", [3, 20])
def test_leaves_and_comes_back(count: int) -> None:
    world = joined(count)
    settled(world, 30)
    for number in range(0, count, 3):
        world.leave(world.nodes[uid_of(number)])
    world.run(60.0)
    assert world.online() == all_pairs(world)
    assert all(peer in world.nodes for node in world.nodes.values() for peer in node.halves), "not trimmed"
    for number in range(0, count, 3):
        world.add(number)
    settled(world, 30)
    assert_bounded(world)


def test_restart_within_a_moment_is_linked_again() -> None:
    """The others still hold the old links when the node is back without any."""
    world = joined(5)
    settled(world, 30)
    world.leave(world.nodes[uid_of(1)])
    world.run(1.0)
    world.add(1)
    settled(world, 45)
    assert_bounded(world)


def test_links_need_no_signalling() -> None:
    world = joined(6)
    settled(world, 30)
    messages = sum(world.kinds.values())
    world.split([[uid] for uid in world.nodes], path=False)
    world.run(600.0)
    assert world.online() == all_pairs(world)
    assert sum(world.kinds.values()) == messages


def test_paths_that_come_back_late_are_found_again() -> None:
    """Signalling goes on, packets do not: attempts get rarer, and stop being so when there is a path again."""
    world = joined(8)
    settled(world, 30)
    uids = sorted(world.nodes)
    world.split((uids[:4], uids[4:]), signal=False)
    world.run(600.0)
    early = sum(world.kinds.values())
    world.run(1200.0)
    assert sum(world.kinds.values()) - early <= 16 * (1200 / 200) * 6, "no back-off"
    world.heal()
    settled(world, 500)


def test_quiet_when_all_is_well() -> None:
    world = joined(20)
    settled(world, 30)
    before = sum(world.kinds.values())
    world.run(24 * 3600.0)
    assert sum(world.kinds.values()) == before


def test_few_messages_for_a_pair() -> None:
    """A request and two answers, seldom more."""
    world = joined(20)
    settled(world, 30)
    assert sum(world.kinds.values()) <= 3.2 * len(all_pairs(world))


def test_social_views_are_private_and_full() -> None:
    world = World(social, ip4=lambda number: OWN_IP4)
    for number in range(20):
        world.add(number)
    settled(world, 30)
    for node in world.nodes.values():
        assert sorted(node.addresses.values()) == sorted(f"172.31.0.{101 + place}" for place in range(19))


def test_two_with_one_address_settle_it() -> None:
    """All nodes agree on who keeps it, and the other one goes elsewhere."""
    world = World(in_group, ip4=lambda number: group_ip4(7 if number in (2, 5) else number))
    for number in range(8):
        world.add(number)
    settled(world, 60)
    world.run(60.0)
    keeper, loser = sorted((uid_of(2), uid_of(5)))
    assert world.nodes[keeper].own.ip4 == group_ip4(7) != world.nodes[loser].own.ip4
    for node in world.nodes.values():
        expected = {uid: other.own.ip4 for uid, other in world.nodes.items() if uid != node.uid}
        assert node.addresses == expected


@pytest.mark.parametrize("kind", [SeedController, LaterController])
def test_old_controllers_are_linked_to_new_ones(kind: type[SeedController]) -> None:
    """Every pair with a new node in it, after joins in any order, a split and a heal."""
    old = {uid_of(number) for number in (0, 3, 4)}
    world = World(lambda uid, own: kind(uid) if uid in old else in_group(uid, own), ip4=group_ip4)
    for number in range(7):
        world.add(number).is_old = uid_of(number) in old
        world.run(3.0)

    def missing() -> set[tuple[str, str]]:
        return {pair for pair in all_pairs(world) - world.online() if not old.issuperset(pair)}

    world.run(60.0)
    assert not missing()
    uids = sorted(world.nodes)
    world.split((uids[::2], uids[1::2]))
    world.run(150.0)
    world.heal()
    for _ in range(2):
        world.run(115.0)
        world.announce()
    assert not missing()
    assert_bounded(world)


def packet_to(ip4: str) -> bytes:
    return bytes([0x45]) + bytes(15) + bytes(map(int, ip4.split("."))) + b"data"


def ping(node: SimulatedNode, other: SimulatedNode) -> None:
    node.tell(Unroutable(packet_to(other.own.ip4)))


def test_on_demand_links_come_with_packets_and_go_without() -> None:
    world = World(on_demand, ip4=group_ip4)
    for number in range(20):
        world.add(number)
    world.run(120.0)
    assert world.online() == set()
    one, other, third = (world.nodes[uid_of(number)] for number in (3, 4, 5))
    ping(one, other)
    ping(third, one)
    world.run(5.0)
    assert world.online() == {tuple(sorted(pair)) for pair in ((one.uid, other.uid), (one.uid, third.uid))}
    for step in range(60):
        world.traffic(one.uid, other.uid, 100)
        world.traffic(one.uid, third.uid, step)
        world.run(15.0)
    assert world.online() == {tuple(sorted((one.uid, third.uid)))}
    assert other.uid not in one.halves
    assert one.uid not in other.halves
    ping(other, one)
    world.run(5.0)
    assert tuple(sorted((one.uid, other.uid))) in world.online()
    assert_bounded(world)


def test_on_demand_after_a_split_both_sides_know_each_other() -> None:
    world = World(on_demand, ip4=group_ip4)
    for number in range(6):
        world.add(number)
    world.run(60.0)
    uids = sorted(world.nodes)
    world.split((uids[:3], uids[3:]))
    world.run(300.0)
    ping(world.nodes[uids[0]], world.nodes[uids[5]])
    world.run(30.0)
    assert (uids[0], uids[5]) not in world.online()
    world.heal()
    world.run(30.0)
    ping(world.nodes[uids[0]], world.nodes[uids[5]])
    world.run(30.0)
    assert (uids[0], uids[5]) in world.online()
