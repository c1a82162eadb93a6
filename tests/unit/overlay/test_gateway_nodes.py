"""All overlays of a gateway follow what is wanted, and the control socket tells it.

# covers: overlay/links_control.py
# covers: overlay/links_process.py
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from tests.parts.gateway_house import House, Neighbourhood
from wayhouse.base import codec
from wayhouse.base.tasks import Tasks
from wayhouse.overlay import admission, links_process
from wayhouse.overlay.configuration import Configuration
from wayhouse.overlay.gateway_nodes import GatewayNodes
from wayhouse.overlay.links_control import LinksControl
from wayhouse.overlay.model import NoSuchOverlayError, PathSettings
from wayhouse.overlay.netcheck import NetReport
from wayhouse.overlay.orders import Founding
from wayhouse.overlay.views import OverlayState
from wayhouse.runtime.exceptions import AveException


def founded(name: str, subnet: str = "10.213.0.0/24") -> Configuration:
    return admission.found(Founding(name=name, subnet=subnet, is_on_lan=False), "hall")


async def until_begun(nodes: GatewayNodes, *names: str) -> None:
    async with asyncio.timeout(15):
        while any(name not in nodes.nodes() or nodes.node(name).node.identity is None for name in names):
            await asyncio.sleep(0.01)


async def test_they_come_change_and_go(tmp_path: Path) -> None:
    home = founded("home")
    house = Neighbourhood().house(home.uid, tmp_path / home.uid)
    async with Tasks() as tasks:
        nodes = GatewayNodes(house, tmp_path, tasks)
        await nodes.configure([home])
        await until_begun(nodes, "home")
        node = nodes.node("home")
        await nodes.configure([home])
        changed = msgspec.structs.replace(home, dns_name="attic")
        await nodes.configure([changed])
        assert nodes.node("home") is node  # no new one for that
        assert node.node.name == "attic"
        await nodes.configure([msgspec.structs.replace(home, mtu=1400)])
        await until_begun(nodes, "home")
        assert nodes.node("home") is not node
        assert [one.zone for one in nodes.names()] == ["home"]
        await nodes.configure([])
        assert nodes.states() == []
        assert house.firewall.tables == {}
        with pytest.raises(NoSuchOverlayError):
            nodes.node("home")


async def test_one_that_cannot_begin_takes_no_other_along(tmp_path: Path) -> None:
    home, sick = founded("home"), founded("sick", "10.214.0.0/24")
    house = Neighbourhood().house(home.uid, tmp_path / home.uid)
    (tmp_path / sick.uid).write_text("no folder")
    async with Tasks() as tasks:
        nodes = GatewayNodes(house, tmp_path, tasks)
        await nodes.configure([home, sick])
        await until_begun(nodes, "home")
        async with asyncio.timeout(15):
            while "exists" not in nodes.states()[1].overlay.problem:
                await asyncio.sleep(0.01)
        with pytest.raises(NoSuchOverlayError, match="exists"):
            nodes.node("sick")
        await nodes.close()


async def check(settings: PathSettings) -> NetReport:
    return NetReport(nat="cone")


async def test_the_control_socket(tmp_path: Path) -> None:
    home = founded("home")
    house: House = Neighbourhood().house(home.uid, tmp_path / home.uid)
    async with Tasks() as tasks:
        nodes = GatewayNodes(house, tmp_path, tasks)
        control = LinksControl(nodes, house.clock, check)
        await control.configure(codec.encode_json([home]).decode())
        await until_begun(nodes, "home")
        async for text in control.follow():
            (state,) = codec.decode_json(text, list[OverlayState], what="states")
            assert (state.overlay.name, state.overlay.uid) == ("home", home.uid)
            break
        assert codec.decode_json(await control.netcheck("home"), NetReport, what="report").nat == "cone"
        await control.forget("home", "a" * 40)
        for call in (control.netcheck("away"), control.forget("away", "a" * 40)):
            with pytest.raises(AveException, match="not up"):
                await call
        await nodes.close()


def test_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        links_process.main([])
    assert ended.value.code == 2
    assert "--data" in capsys.readouterr().err


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    socket = tmp_path / "run" / "links.sock"
    assert links_process.main(["--data", str(tmp_path), "--socket", str(socket)]) == 1
