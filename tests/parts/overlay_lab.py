"""The overlays of a gateway behind their part of the API: the real service on a real database, and a process of the links that is played by `FakeLinks`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.parts import asgi
from tests.parts.automation_gateway import Running, running
from tests.parts.devices_api import Roles
from wayhouse.access.model import Identity, Role
from wayhouse.api.http import Api, ApiSettings
from wayhouse.api.resources import overlays as rows
from wayhouse.api.resources.overlays import OverlayResource
from wayhouse.base.clock import ManualClock
from wayhouse.base.database import Database
from wayhouse.base.errors import UnavailableError
from wayhouse.base.events import Events
from wayhouse.base.metrics import Metrics
from wayhouse.overlay.configuration import Configuration
from wayhouse.overlay.model import CandidateType, LinkStatus, PairTried
from wayhouse.overlay.netcheck import Dependence, NetReport, ServerCheck
from wayhouse.overlay.service import Overlays
from wayhouse.overlay.subnets import Surroundings, arrange
from wayhouse.overlay.views import LinkView, OverlayChanged, OverlayState, OverlayView, Received, SignalView

SUBNET = "10.213.0.0/24"
"""Which no machine that runs tests is likely to have."""
KITCHEN, BARN, SHED = "aa01" + "0" * 36, "bb02" + "0" * 36, "cc03" + "0" * 36
DIRECT = LinkView(
    uid=KITCHEN, status=LinkStatus.ONLINE, state="online", name="kitchen", ip4="10.213.0.7", ip6="fd50::7", via="mdns",
    fingerprint="AA:BB", tags=("home",), is_relayed=False, local="host 192.168.1.2:40000", remote="host 192.168.1.3:40001",
    rtt_s=0.0012, sent_bytes=2048, received_bytes=4096, sent_bps=100.0, received_bps=2048.0, handshake_age_s=61.0,
    seen_age_s=3.0, online_age_s=3725.0, nat="none", offered_subnets=("192.168.7.0/24",),
)  # fmt: skip
RELAYED = LinkView(
    uid=BARN, status=LinkStatus.ONLINE, state="online", name="barn", ip4="10.213.0.8", via="xmpp:us@example.org",
    is_relayed=True, local="relay 203.0.113.10:50000", remote="relay 203.0.113.10:50001", rtt_s=0.05, online_age_s=12.0,
    nat="symmetric", why="It is relayed: the NAT in front of this node gives it another port for each peer.",
    pairs=(
        PairTried(
            local="192.168.1.2:40000", local_type=CandidateType.HOST, remote="198.51.100.2:40001",
            remote_type=CandidateType.SERVER_REFLEXIVE, state="failed",
        ),
    ),
)  # fmt: skip
AWAY = LinkView(uid=SHED, status=LinkStatus.OFFLINE, state="closed", why="The peer does not answer any more.")
REPORT = NetReport(
    nat="cone", mapping=Dependence.ENDPOINT_INDEPENDENT, filtering=Dependence.ADDRESS_AND_PORT_DEPENDENT, has_udp=True,
    has_ipv4=True, public_ipv4="198.51.100.2", addresses=("192.168.1.2",),
    servers=(
        ServerCheck(kind="stun", host="stun.example.org:3478", address="203.0.113.10", rtt_ms=12.5, mapped="198.51.100.2:40000"),
        ServerCheck(kind="turn udp", host="turn.example.org:3478", address="203.0.113.10", error="It does not answer."),
    ),
    advice=("The NAT keeps its ports: peers are reached directly, unless their NAT does not.",),
)  # fmt: skip


class FakeLinks:
    """Every overlay that is wanted is up, with the peers that `peers` names for it; `trouble` is why nothing is told."""

    def __init__(self) -> None:
        self.wanted: list[Configuration] = []
        self.peers: dict[str, tuple[LinkView, ...]] = {}
        self.forgotten: list[tuple[str, str]] = []
        self.trouble = ""

    def carry_out(self, wanted: Sequence[Configuration]) -> None:
        self.wanted = list(wanted)

    def states(self) -> Mapping[str, OverlayState]:
        return {} if self.trouble else {one.name: self._state(one) for one in self.wanted}

    def problem(self) -> str:
        return self.trouble

    async def netcheck(self, name: str) -> NetReport:
        if self.trouble:
            raise UnavailableError(self.trouble)
        return REPORT

    async def forget(self, name: str, uid: str) -> None:
        self.forgotten.append((name, uid))

    def wish(self, name: str) -> Configuration:
        """What was last to be carried out of the overlay `name`."""
        return next(one for one in self.wanted if one.name == name)

    def _state(self, one: Configuration) -> OverlayState:
        links = self.peers.get(one.name, ())
        online = [link for link in links if link.status is LinkStatus.ONLINE]
        signallers = [SignalView(name="mdns", is_up=True)] if one.is_on_lan else []
        signallers += [
            SignalView(name=f"xmpp:{account.jid}", is_up=False, reason="The server cannot be reached.")
            for account in one.accounts
        ]
        return OverlayState(
            overlay=OverlayView(
                name=one.name, kind=one.kind, uid=one.uid, ip4=one.ip4, ip6="fd50::1", dns_name=f"{one.dns_name}.{one.name}",
                interface=f"wh-{one.name}", is_up=True, is_admin=one.is_admin, signallers=tuple(signallers),
                peers=len(links), online=len(online), relayed=sum(1 for link in online if link.is_relayed),
            ),
            links=links,
            subnets=arrange({link.uid: link.offered_subnets for link in links}, one.accepted_subnets, Surroundings({})),
        )  # fmt: skip


class Door(Roles):
    """Who comes over the socket is the owner."""

    def identify_peer(self, uid: int) -> Identity | None:
        return Identity("root", "localhost", Role.OWNER, via="socket")


class OverlayLab:
    """`app` is the API; `audit` what it noted."""

    def __init__(self, database: Database) -> None:
        self.clock, self.events, self.links = ManualClock(), Events(), FakeLinks()
        self.overlays = Overlays(database, self.clock, self.links, hostname="attic.lan", events=self.events)
        self.audit: list[tuple[str, ...]] = []
        self.received: dict[str, tuple[Received, ...]] = {}
        self.app = Api(
            rows.ROWS,
            (OverlayResource(self.overlays, self.events, received=self.received_of),),
            access=Door(),
            audit=lambda _, *line: self.audit.append(line),
            owner_of=lambda _: None,
            settings=ApiSettings(),
            metrics=Metrics(),
            otherwise=_nothing,
        )

    def received_of(self, overlay: str) -> tuple[Received, ...]:
        self.overlays.state(overlay)
        return self.received.get(overlay, ())

    async def ask(self, method: str, target: str, body: Any = None, *, who: str = "admin") -> asgi.Answer:
        return await asgi.ask(self.app, method, target, body, headers={"authorization": who})

    def websocket(self, target: str, *, who: str = "admin") -> Any:
        return asgi.websocket(self.app, target, headers={"authorization": who})

    def told(self, name: str, *links: LinkView) -> None:
        """The process of the links tells of these peers."""
        self.links.peers[name] = links
        self.events.publish(OverlayChanged(name))


@asynccontextmanager
async def overlay_lab(directory: Path) -> AsyncIterator[OverlayLab]:
    directory.mkdir(parents=True, exist_ok=True)
    database = Database(directory / "overlays.db")
    try:
        lab = OverlayLab(database)
        lab.overlays.load()
        yield lab
    finally:
        database.close()


@pytest.fixture
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A fresh one for each test; its `home` is the lab."""
    with running(tmp_path_factory.mktemp("o"), overlay_lab) as one:
        yield one


@pytest.fixture
def overlay(tell: Any, house: Running) -> Any:
    """Runs a `wayhouse overlay` command on a gateway in the overlay `home`, which has three peers; it has to work."""
    assert tell("overlay", "create", "home", "--subnet", SUBNET).code == 0
    house.home.links.peers["home"] = (DIRECT, RELAYED, AWAY)

    def run(*words: object, stdin: bytes = b"") -> Any:
        result = tell("overlay", *words, stdin=stdin)
        assert result.code == 0, result
        return result

    return run


async def _nothing(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def later(link: LinkView, **changed: Any) -> LinkView:
    return msgspec.structs.replace(link, **changed)
