"""Overlays over the API, with the process of the links played.

# covers: api/wire_overlays.py
# covers: overlay/model.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.parts.overlay_lab import AWAY, BARN, DIRECT, KITCHEN, RELAYED, SUBNET, overlay_lab
from wayhouse.overlay.views import Received, ReceivedDevice

NETWORKS = "/api/v1/overlay/networks"
HOME = {"name": "home", "subnet": SUBNET}


async def test_from_founding_to_leaving(tmp_path: Path) -> None:
    async with overlay_lab(tmp_path) as lab:

        async def ask(method: str, path: str, body: Any = None, status: int = 200, who: str = "admin") -> Any:
            answer = await lab.ask(method, NETWORKS + path, body, who=who)
            assert answer.status == status, answer.body
            return json.loads(answer.body)

        assert (await ask("POST", "", HOME))["dns_name"] == "attic.home"
        assert [one["name"] for one in await ask("GET", "", who="user")] == ["home"]
        await ask("POST", "", HOME, 409)
        lab.told("home", DIRECT, RELAYED, AWAY)
        assert [one["uid"] for one in await ask("GET", "/home/links")] == [KITCHEN, BARN, AWAY.uid]
        for reference in (KITCHEN, "kitchen", KITCHEN[:6], "10.213.0.7"):
            assert (await ask("GET", f"/home/links/{reference}"))["uid"] == KITCHEN
        assert "Known are" in (await ask("GET", "/home/links/nobody", status=404))["detail"]
        rule = {"from": "tag:family", "protocol": "tcp", "ports": ["22"]}
        assert (await ask("PATCH", "/home/setup", {"rules": [rule]}))["rules"][0]["from"] == "tag:family"
        assert (await ask("GET", "/home/setup"))["subnet"] == SUBNET
        made = await ask("POST", "/home/invitations", {"tags": ["family"]})
        assert made["code"].startswith("wayhouse1:")
        assert [one["id"] for one in await ask("GET", "/home/invitations")] == [made["invitation"]["id"]]
        await ask("DELETE", f"/home/invitations/{made['invitation']['id']}")
        await ask("POST", "/home/revocations", {"uid": BARN})
        await ask("DELETE", "/home/links/kitchen")
        assert lab.links.forgotten == [("home", KITCHEN)]
        assert (await ask("POST", "/home/netcheck"))["nat"] == "cone"
        await ask("DELETE", "/home")
        await ask("GET", "/home", status=404)
        assert all(made["code"] not in " ".join(line) for line in lab.audit)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "", {"name": "home", "more": 1}),
        ("POST", "", {"name": "../etc"}),
        ("POST", "", {"name": "home", "accounts": [{"jid": "nobody", "password": "x"}]}),
        ("POST", "/../join", {"code": "nonsense"}),
        ("PATCH", "/home/setup", {"rules": [{"from": "everybody"}]}),
        ("PATCH", "/home/setup", {"policy": "sideways"}),
        ("POST", "/home/revocations", {"uid": "x"}),
        ("POST", "/home/invitations", {"tags": ["no tag"]}),
    ],
)
async def test_nonsense_changes_nothing(tmp_path: Path, method: str, path: str, body: Any) -> None:
    async with overlay_lab(tmp_path) as lab:
        await lab.ask("POST", NETWORKS, HOME)
        before = dict(lab.overlays._all)
        answer = await lab.ask(method, (NETWORKS + path).replace("/networks/..", ""), body)
        assert answer.status in {400, 409}, answer.body
        assert lab.overlays._all == before


async def test_who_may(tmp_path: Path) -> None:
    async with overlay_lab(tmp_path) as lab:
        for method, path in (
            ("POST", ""),
            ("GET", "/home/setup"),
            ("POST", "/home/invitations"),
            ("DELETE", "/home"),
        ):
            answer = await lab.ask(method, NETWORKS + path, {} if method == "POST" else None, who="user")
            assert answer.status == 403, (method, path)
        assert (await lab.ask("GET", NETWORKS, who="user")).status == 200


async def test_of_two_who_change_it_at_once_the_second_is_told(tmp_path: Path) -> None:
    async with overlay_lab(tmp_path) as lab:
        await lab.ask("POST", NETWORKS, HOME)
        setup = f"{NETWORKS}/home/setup"
        seen = json.loads((await lab.ask("GET", setup)).body)["revision"]
        mine, theirs = {"from": "any", "ports": ["22"]}, {"from": "any", "ports": ["80"]}
        first = await lab.ask("PATCH", setup, {"rules": [mine], "if_revision": seen})
        assert json.loads(first.body)["revision"] == seen + 1
        second = await lab.ask("PATCH", setup, {"rules": [theirs], "if_revision": seen})
        problem = json.loads(second.body)
        assert (second.status, problem["type"], problem["revision"]) == (
            409,
            "urn:wayhouse:problem:overlay-revision",
            seen + 1,
        )
        assert "Look at it again" in problem["detail"]
        assert json.loads((await lab.ask("GET", setup)).body)["rules"][0]["ports"] == ["22"]
        assert (await lab.ask("PATCH", setup, {"rules": [theirs]})).status == 200


async def test_what_peers_share(tmp_path: Path) -> None:
    async with overlay_lab(tmp_path) as lab:
        await lab.ask("POST", NETWORKS, HOME)
        lamp = ReceivedDevice(name="lamp", may="command", id="x", is_available=True)
        lab.received["home"] = (
            Received(uid=BARN, name="barn", address="10.213.0.8", devices=(lamp,), apps={80: "a"}),
        )
        (one,) = json.loads((await lab.ask("GET", f"{NETWORKS}/home/received", who="user")).body)
        assert (one["name"], one["devices"][0]["name"], one["apps"]) == ("barn", "lamp", {"80": "a"})
        assert (await lab.ask("GET", f"{NETWORKS}/nowhere/received")).status == 404


async def test_live(tmp_path: Path) -> None:
    async with overlay_lab(tmp_path) as lab:
        await lab.ask("POST", NETWORKS, HOME)
        async with lab.websocket("/ws/overlay/home") as stream:
            assert json.loads(await stream.receive())["links"] == []
            lab.told("home", DIRECT)
            assert json.loads(await stream.receive())["links"][0]["name"] == "kitchen"
            await lab.ask("DELETE", f"{NETWORKS}/home")
            assert await stream.receive() is None
