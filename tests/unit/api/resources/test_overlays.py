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


async def test_live(tmp_path: Path) -> None:
    async with overlay_lab(tmp_path) as lab:
        await lab.ask("POST", NETWORKS, HOME)
        async with lab.websocket("/ws/overlay/home") as stream:
            assert json.loads(await stream.receive())["links"] == []
            lab.told("home", DIRECT)
            assert json.loads(await stream.receive())["links"][0]["name"] == "kitchen"
            await lab.ask("DELETE", f"{NETWORKS}/home")
            assert await stream.receive() is None
