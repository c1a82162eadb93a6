"""Two gateways' nodes find each other by their own controllers, on fakes."""
# covers: overlay/gateway_parts.py

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.parts.certificates import Authority
from tests.parts.gateway_house import House, Neighbourhood
from wayhouse.base.errors import OutsideError
from wayhouse.base.tasks import Tasks
from wayhouse.overlay import admission
from wayhouse.overlay.account import XmppAccount
from wayhouse.overlay.configuration import Configuration
from wayhouse.overlay.gateway_node import GatewayNode, interface_name
from wayhouse.overlay.model import LinkStatus, PathPolicy, TurnServer
from wayhouse.overlay.orders import Founding, Inviting, Joining
from wayhouse.overlay.policy import Rule
from wayhouse.overlay.shares import Share
from wayhouse.overlay.subnets import Standing

NOW = 1_800_000_000.0


def found(**more: Any) -> Configuration:
    return admission.found(Founding(name="home", subnet="10.213.0.0/24", **more), "hall")


def joined(one: Configuration, label: str = "barn", **wish: Any) -> Configuration:
    code = admission.invite(one, Inviting(**wish), NOW).code
    return admission.join(Joining(code=code), label, NOW)


async def until(is_so: Callable[[], Any]) -> Any:
    async with asyncio.timeout(15):
        while not (result := is_so()):
            await asyncio.sleep(0.01)
    return result


class Place:
    def __init__(self, around: Neighbourhood, wanted: Configuration, folder: Path) -> None:
        self.house: House = around.house(wanted.uid, folder)
        self.node = GatewayNode(wanted, self.house, folder)

    @property
    def links(self) -> dict[str, Any]:
        return {one.name: one for one in self.node.state().links}

    def is_linked(self, name: str) -> bool:
        return name in self.links and self.links[name].status is LinkStatus.ONLINE


@contextlib.asynccontextmanager
async def running(tmp_path: Path, *wanted: Configuration) -> AsyncIterator[list[Place]]:
    around = Neighbourhood()
    places = [Place(around, one, tmp_path / one.uid) for one in wanted]
    async with Tasks() as tasks:
        for place in places:
            tasks.spawn(place.node.run(), name=place.node.wanted.dns_name)
        yield places


async def test_a_group_links_itself(tmp_path: Path) -> None:
    one = found()
    async with running(tmp_path, one, joined(one, tags=("family",))) as (here, there):
        await until(lambda: here.is_linked("barn") and there.is_linked("hall"))
        link = here.links["barn"]
        assert link.tags == ("family",)
        assert link.ip4 == there.node.state().overlay.ip4
        state = here.node.state().overlay
        assert (state.dns_name, state.interface, state.is_admin, state.is_up) == (
            "hall.home",
            "wh-home",
            True,
            True,
        )
        assert (state.peers, state.online, state.relayed, state.problem) == (1, 1, 0, "")
        await until(lambda: here.node.names.host("barn.home"))
        await until((tmp_path / one.uid / "addresses.json").exists)


async def test_rules_are_there_before_the_interface_and_follow_the_peers(tmp_path: Path) -> None:
    rule = Rule(source="tag:family", protocol="tcp", ports=("22",))
    one = msgspec.structs.replace(found(), rules=(rule,))
    async with running(tmp_path, one, joined(one, tags=("family",))) as (here, _there):
        await until(lambda: here.is_linked("barn"))
        first, last = here.house.firewall.texts[0], lambda: here.house.firewall.texts[-1]
        assert "dport" not in first  # nobody is there for whom it could be
        await until(lambda: here.links["barn"].ip4 in last())
        assert await here.node.change(msgspec.structs.replace(one, rules=()))
        assert "dport" not in last()
        shared = (Share(what="device:lamp", to="tag:family"),)
        assert await here.node.change(msgspec.structs.replace(one, rules=(), shares=shared))
        assert f"ip saddr {{ {here.links['barn'].ip4}/32 }} meta l4proto tcp th dport {{ 5525 }}" in last()
        shared = (Share(what="device:lamp", to="tag:guests"),)
        assert await here.node.change(msgspec.structs.replace(one, rules=(), shares=shared))
        assert "dport" not in last()
        await here.node.withdraw()
        assert here.house.firewall.tables == {}


async def test_networks_behind_a_peer_have_to_be_accepted(tmp_path: Path) -> None:
    one = found()
    other = msgspec.structs.replace(joined(one), offered_subnets=("192.168.77.0/24",))
    async with running(tmp_path, one, other) as (here, there):
        await until(lambda: here.is_linked("barn") and here.node.state().subnets)
        assert [each.standing for each in here.node.state().subnets] == [Standing.OFFERED]
        accepted = {other.uid: ("192.168.77.0/24",)}
        assert await here.node.change(msgspec.structs.replace(one, accepted_subnets=accepted))
        assert here.house.routes == {"wh-home": frozenset({"192.168.77.0/24"})}
        here.house.here["192.168.77.0/25"] = "the network of eth0"
        await until(lambda: here.house.routes == {"wh-home": frozenset()})
        assert "eth0" in here.node.state().subnets[0].why
        assert there.house.routes == {}


async def test_policies_accounts_and_servers(tmp_path: Path) -> None:
    one = found(is_on_lan=False, accounts=(XmppAccount(jid="a@example.org", password="x"),))
    other = joined(one)
    async with running(tmp_path, one, other) as (here, there):
        here.house.offered = (("stun.example.org", 3478),), (TurnServer(host="turn.example.org"),)
        await until(lambda: here.is_linked("barn"))
        settings = here.node.node.path_settings
        assert (settings.stun, settings.relay_ca) == ((("stun.example.org", 3478),), "")
        pem = Authority(tmp_path / "ca.pem").certificate.read_text()
        assert await here.node.change(msgspec.structs.replace(one, relay_ca=pem))
        assert here.node.node.path_settings.relay_ca == pem
        off = msgspec.structs.replace(one, peer_policies={other.uid: PathPolicy.OFF})
        assert await here.node.change(off)
        await until(lambda: not here.is_linked("barn"))
        assert "switched off" in here.links["barn"].why
        assert await here.node.change(msgspec.structs.replace(one, accounts=(), is_on_lan=True))
        assert list(here.node.node.signallers) == ["mdns"]
        assert await here.node.change(one)
        assert list(here.node.node.signallers) == ["xmpp:a@example.org"]
        assert not await here.node.change(msgspec.structs.replace(one, mtu=1400))
        assert there.node.state().overlay.uid == other.uid


async def test_who_is_taken_back_is_out_and_the_list_is_told(tmp_path: Path) -> None:
    one = found()
    second, third = joined(one), joined(one, "shed")
    async with running(tmp_path, one, second, third) as (here, there, beside):
        await until(lambda: here.is_linked("barn") and here.is_linked("shed") and beside.is_linked("barn"))
        assert await here.node.change(admission.revoke(one, uid=second.uid))
        await until(lambda: not here.is_linked("barn") and not beside.is_linked("barn"))
        assert here.is_linked("shed")
        assert here.node.state().revoked == ""
        assert "serial" not in beside.node.state().revoked  # signed, as bytes
        assert beside.node.state().revoked != ""
        assert "taken back" in here.links["barn"].why
        here.node.forget(second.uid)
        assert there.node.wanted.uid not in {each.uid for each in here.node.state().links}


async def test_friends_have_their_own_view(tmp_path: Path) -> None:
    one = admission.found(Founding(name="friends", kind="social"), "hall")
    other = msgspec.structs.replace(one, uid="f" * 40, dns_name="barn")
    async with running(tmp_path, one, other) as (here, there):
        await until(lambda: here.is_linked("barn") and there.is_linked("hall"))
        assert here.node.state().overlay.ip4 == there.node.state().overlay.ip4 == "172.31.0.100"
        assert here.links["barn"].ip4 == there.links["hall"].ip4 == "172.31.0.101"


async def test_without_an_interface_there_is_no_node(tmp_path: Path) -> None:
    one = found()
    place = Place(Neighbourhood(), one, tmp_path / "a")
    place.house.refuses_interface = True
    with pytest.raises(OutsideError, match="root"):
        await place.node.run()


async def test_rules_that_cannot_be_set_keep_the_interface_away(tmp_path: Path) -> None:
    place = Place(Neighbourhood(), found(), tmp_path / "a")
    place.house.firewall.refusal = "No."
    with pytest.raises(OutsideError):
        await place.node.run()
    assert place.node.node.identity is None


async def test_trouble_later_is_told_and_mended(tmp_path: Path) -> None:
    one = found()
    async with running(tmp_path, one, joined(one)) as (here, _):
        await until(lambda: here.is_linked("barn"))
        here.house.firewall.refusal = "nft is gone."
        await here.node.change(msgspec.structs.replace(one, rules=(Rule(),)))
        assert here.node.state().overlay.problem == "nft is gone."
        here.house.firewall.refusal = ""
        await until(lambda: here.node.state().overlay.problem == "")


def test_names_of_interfaces() -> None:
    assert interface_name("home") == "wh-home"
    long = {interface_name(f"a-very-long-name-{number}") for number in range(10)}
    assert len(long) == 10
    assert all(len(one) <= 15 for one in long)


async def test_nobody_introduces(tmp_path: Path) -> None:
    one = found(is_on_lan=False)
    async with running(tmp_path, one) as (here,):
        await until(lambda: here.node.node.identity is not None)
        assert "no account" in here.node.state().overlay.problem


async def test_friends_with_old_nodes(tmp_path: Path) -> None:
    wish = Founding(name="friends", kind="social")
    one, other = (admission.found(wish, label) for label in ("hall", "barn"))
    old = [msgspec.structs.replace(each, is_legacy=True) for each in (one, other)]
    async with running(tmp_path, *old) as (here, _):
        await until(lambda: [link.status for link in here.node.state().links] == [LinkStatus.ONLINE])
        (link,) = here.node.state().links
        assert len(link.fingerprint) == 59
        assert (tmp_path / one.uid / "old-identity.key").exists()
        assert not await here.node.change(one), "only a new node can"
    async with running(tmp_path / "mixed", one, old[1]) as both:

        def told() -> str:
            return " ".join(link.why for place in both for link in place.node.state().links)

        await until(lambda: "older tincan" in told() or "--legacy" in told())
        assert LinkStatus.ONLINE not in {link.status for place in both for link in place.node.state().links}
