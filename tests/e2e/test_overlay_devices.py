"""A device, a service and an app of one gateway are used from another, over the overlay; each a whole gateway on a host of the NAT lab.

# covers: overlay/drivers/door.py, overlay/drivers/far_gateway.py, gateway/far_devices.py
"""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.test_overlay_gateways import NETWORKS, Gateways, until
from tests.parts.gateway import web_app
from tests.parts.natlab import NatLab, Site, needs_lab
from wayhouse.overlay.shares import DOOR_PORT

pytestmark = [pytest.mark.external]
DEVICES = "/api/v1/devices"
LAMP, BOILER = "a2_lamp", "a2_boiler"
TOML = {"Content-Type": "application/toml"}
SCENARIO = b"""
wayhouse_scenario = 1
name = "far"
code = '''
variables["seen"] = value("boiler")
wait(3)
command("a2_lamp", "power", value("boiler") is not None)
variables["ended"] = value("lamp")
'''
[entries]
boiler = "device:a2_boiler"
lamp = "device:a2_lamp/power"
[at_most]
times = 1
seconds = 3600
"""


class House(Gateways):
    """`a2` has devices."""

    def found(self, **tags: str) -> None:
        self.ask("a2", "POST", NETWORKS, {"name": "home", "dns_name": "a2"})
        for host, tag in tags.items():
            code = self.ask("a2", "POST", f"{NETWORKS}/home/invitations", {"tags": [tag]})["code"]
            self.ask(host, "POST", "/api/v1/overlay/join", {"code": code, "dns_name": host})

    def share(self, *shares: dict[str, Any], status: int = 200) -> None:
        self.ask("a2", "PATCH", f"{NETWORKS}/home/setup", {"shares": list(shares)}, status=status)

    def device(self, host: str, name: str) -> dict[str, Any] | None:
        return next((one for one in self.ask(host, "GET", DEVICES) if one["name"] == name), None)

    def until_available(self, name: str, *, is_so: bool = True) -> dict[str, Any]:
        def found() -> Any:
            one = self.device("a", name)
            return one if one is not None and one["is_available"] == is_so else None

        device: dict[str, Any] = until(
            found, lambda: f"{self.device('a', name)}\n{self.told('a')}\n{self.told('a2')}"
        )
        return device

    def page(self, host: str, url: str) -> str:
        """Empty where none is answered."""
        get = f"import urllib.request; print(urllib.request.urlopen({url!r}, timeout=2).read())"
        command = ["ip", "netns", "exec", self.lab.namespace(host), "python3", "-c", get]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    def opens(self, host: str, port: int, address: str = "ip4") -> bool:
        address = self.until_linked(host, "a2")[address]
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with self.lab.inside(host), socket.socket(family) as sock:
            sock.settimeout(1)
            return sock.connect_ex((address, port)) == 0


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    needs_lab()
    folder = tmp_path_factory.mktemp("house")
    config = folder / "a2" / "config" / "wayhouse.toml"
    config.parent.mkdir(parents=True)
    config.write_text("[devices]\nfake = true\n", encoding="utf-8")
    with NatLab({"a": Site("cone", hosts=3)}) as lab:
        gateways = House(lab, folder, ("a", "a2", "a3"))
        try:
            gateways.found(a="family", a3="guests")
            gateways.until_linked("a", "a2")
            yield gateways
        finally:
            gateways.close()


def test_a_device_is_read_and_commanded_from_another_gateway(house: House) -> None:
    assert not house.opens("a", DOOR_PORT)
    lamp = house.device("a2", "lamp")
    assert lamp is not None
    house.ask("a2", "PUT", f"{DEVICES}/boiler/commands/poll", {"value": 1})
    house.share(
        {"what": "device:boiler", "to": "tag:family"},
        {"what": f"device:{lamp['id']}", "to": "tag:family", "may": "command"},
    )
    house.until_available(BOILER)
    house.until_available(LAMP)
    until(lambda: house.opens("a", DOOR_PORT, "ip6"))
    (received,) = (one for one in house.ask("a", "GET", f"{NETWORKS}/home/received") if one["devices"])
    assert [(one["name"], one["may"]) for one in received["devices"]] == [
        ("boiler", "read"),
        ("lamp", "command"),
    ]

    def value() -> float:
        found: float = house.ask("a", "GET", f"{DEVICES}/{BOILER}/commands/value")["value"]
        return found

    first = value()
    until(lambda: value() != first)
    until(lambda: house.ask("a", "GET", f"/api/v1/readings/{BOILER}/value")["buckets"])
    house.ask("a", "PUT", f"{DEVICES}/{LAMP}/commands/power", {"value": True})
    assert house.ask("a2", "GET", f"{DEVICES}/lamp/commands/power?fresh=1")["value"] is True
    who = [one["who"] for one in house.ask("a2", "GET", f"{DEVICES}/lamp/log") if one["kind"] == "command"]
    assert who == ["a.home"]
    house.ask("a2", "PUT", f"{DEVICES}/lamp/commands/power", {"value": False})
    until(lambda: house.ask("a", "GET", f"{DEVICES}/{LAMP}/commands/power")["value"] is False)
    assert len(house.ask("a", "GET", DEVICES)) == 2


def test_others_get_nothing(house: House) -> None:
    assert not house.opens("a3", DOOR_PORT)
    assert not house.opens("a3", DOOR_PORT, "ip6")
    assert house.ask("a3", "GET", DEVICES) == []


def test_a_link_that_is_cut_is_seen_and_comes_back(house: House) -> None:
    house.until_available(LAMP)
    rule = "table inet cut { chain in { type filter hook input priority -300; meta l4proto udp drop; }; }"
    house.lab.run("a2", ["nft", rule])
    away = house.until_available(LAMP, is_so=False)
    assert away["reason"]
    house.ask("a", "PUT", f"{DEVICES}/{LAMP}/commands/power", {"value": True}, status=503)
    house.lab.run("a2", ["nft", "delete table inet cut"])
    house.until_available(LAMP)


def test_an_upgrade_of_the_one_that_shares_is_not_noticed(house: House) -> None:
    house.ask("a", "PUT", f"{DEVICES}/{LAMP}/commands/power", {"value": False})
    before = house.ask("a", "GET", f"{DEVICES}/{LAMP}/log?limit=1")[0]["number"]
    assert house.all["a2"].upgrade() == ""
    house.ask("a", "PUT", f"{DEVICES}/{LAMP}/commands/power", {"value": True})
    until(lambda: house.ask("a2", "GET", f"{DEVICES}/lamp/commands/power")["value"])
    log = house.ask("a", "GET", f"{DEVICES}/{LAMP}/log")
    assert [one["kind"] for one in log if one["number"] > before] == ["command"]


def test_an_upgrade_of_the_one_that_uses_it_is_not_noticed(house: House) -> None:
    house.ask("a", "PUT", f"{DEVICES}/{LAMP}/commands/power", {"value": False})
    before = house.ask("a", "GET", f"{DEVICES}/{LAMP}/log?limit=1")[0]["number"]
    device = house.device("a", LAMP)
    for value in (True, False):
        assert house.all["a"].upgrade() == ""
        house.ask("a", "PUT", f"{DEVICES}/{LAMP}/commands/power", {"value": value})
        until(lambda value=value: house.ask("a2", "GET", f"{DEVICES}/lamp/commands/power")["value"] is value)
    house.ask("a2", "PUT", f"{DEVICES}/lamp/commands/power", {"value": True})
    until(lambda: house.ask("a", "GET", f"{DEVICES}/{LAMP}/commands/power")["value"] is True)
    log = [one for one in house.ask("a", "GET", f"{DEVICES}/{LAMP}/log") if one["number"] > before]
    assert {one["kind"] for one in log} <= {"command", "available"}, log
    assert device is not None
    found = house.device("a", LAMP)
    assert found is not None
    assert found["id"] == device["id"]
    assert len(house.ask("a", "GET", DEVICES)) == 2


def test_a_scenario_reads_and_commands_what_is_far_also_over_an_upgrade(house: House) -> None:
    house.ask("a2", "PUT", f"{DEVICES}/lamp/commands/power", {"value": False})
    gateway = house.all["a"]
    assert gateway.request("POST", "/api/v1/scenarios/import", SCENARIO, TOML)[0] == 200
    house.ask("a", "POST", "/api/v1/scenarios/far/enable")
    variables = "/api/v1/scenarios/far/variables"
    try:
        until(lambda: house.ask("a", "GET", variables).get("seen"), lambda: house.told("a"))
        assert gateway.upgrade() == ""
        until(lambda: house.ask("a2", "GET", f"{DEVICES}/lamp/commands/power")["value"] is True)
        until(lambda: house.ask("a", "GET", variables).get("ended"))
        run = house.ask("a", "GET", "/api/v1/scenarios/far/runs")[-1]
        assert run["outcome"] == "done", run
        who = house.ask("a2", "GET", f"{DEVICES}/lamp/log?limit=1")[0]["who"]
        assert who == "a.home"
        assert 40 <= house.ask("a", "GET", variables)["seen"] <= 70
    finally:
        house.ask("a", "DELETE", "/api/v1/scenarios/far")


def test_what_is_taken_back_is_gone(house: House) -> None:
    house.share({"what": "device:boiler", "to": "tag:family"})
    gone = house.until_available(LAMP, is_so=False)
    assert gone["reason"] == "a2.home shares it no more."
    house.ask("a", "PUT", f"{DEVICES}/{BOILER}/commands/poll", {"value": 30})
    house.ask("a", "DELETE", f"{DEVICES}/{LAMP}")
    house.until_available(BOILER)
    house.share()
    house.until_available(BOILER, is_so=False)
    until(lambda: not house.opens("a", DOOR_PORT))


def test_a_service_of_the_bus_is_called(house: House) -> None:
    house.share({"what": "service:localhost.fake.devices", "to": "tag:family"})
    call = {"service": "peers.a2.home.localhost.fake.devices", "request": ["list_keys"], "timeout_s": 3}
    answer = until(lambda: house.all["a"].request("POST", "/api/v1/bus/call", call)[1].get("reply"))
    assert "boiler" in str(answer)
    call |= {"service": "peers.a2.home.localhost.fake.mmi"}
    house.ask("a", "POST", "/api/v1/bus/call", call, status=404)


def test_an_app_is_reached_while_it_is_shared(house: House) -> None:
    gateway = house.all["a2"]
    assert gateway.change("POST", "/api/v1/chutes/", web_app("hello"))["state"] == "succeeded"
    try:
        house.share({"what": "app:hello", "to": "tag:family", "port": 8088})
        link = house.until_linked("a", "a2")
        for address in (link["ip4"], f"[{link['ip6']}]"):
            until(lambda address=address: "hello" in house.page("a", f"http://{address}:8088/"))
        assert not house.opens("a", DOOR_PORT)
        assert not house.opens("a3", 8088)
        house.share()
        until(lambda: not house.opens("a", 8088))
    finally:
        gateway.remove_all()
