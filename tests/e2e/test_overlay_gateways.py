"""Gateways join an overlay by an invitation and reach each other, each a whole gateway of its own on a host of the NAT lab.

# covers: overlay/links_process.py, overlay/links_control.py, overlay/gateway_nodes.py, overlay/drivers/outside.py, overlay/drivers/routes.py
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.parts.natlab import SERVER, TURN_PASSWORD, TURN_USER, NatLab, Site, needs_lab
from tests.parts.prosody import DOMAIN, PROGRAM, Prosody
from tests.parts.upgradable_gateway import Upgradable

pytestmark = [pytest.mark.external]
NETWORKS = "/api/v1/overlay/networks"
LONG_S = 30.0
ACCOUNT, PASSWORD = f"alice@{DOMAIN}", "alice-3f9c52aa"


def until(is_so: Callable[[], Any], told: Callable[[], object] = lambda: "") -> Any:
    deadline = time.monotonic() + LONG_S
    while not (found := is_so()):
        assert time.monotonic() < deadline, told()
        time.sleep(0.1)
    return found


class Gateways:
    """One on each of some hosts of the lab."""

    def __init__(self, lab: NatLab, folder: Path, hosts: tuple[str, ...]) -> None:
        self.lab = lab
        self.all = {
            host: Upgradable(folder / host, prefix=("ip", "netns", "exec", lab.namespace(host)))
            for host in hosts
        }
        for gateway in self.all.values():
            gateway.start(ready=False)
        for gateway in self.all.values():
            gateway.wait_ready()

    def ask(self, host: str, method: str, path: str, body: Any = None, *, status: int = 200) -> Any:
        got, answer = self.all[host].request(method, path, body)
        assert got == status, answer
        return answer

    def join(self, founder: str, *others: str, **more: Any) -> None:
        self.ask(founder, "POST", NETWORKS, {"name": "home", "dns_name": founder, **more})
        for other in others:
            code = self.ask(founder, "POST", f"{NETWORKS}/home/invitations", {"tags": ["family"]})["code"]
            self.ask(other, "POST", "/api/v1/overlay/join", {"code": code, "dns_name": other})

    def link(self, host: str, peer: str) -> dict[str, Any] | None:
        found = self.ask(host, "GET", f"{NETWORKS}/home/links")
        return next((one for one in found if one["name"] == peer and one["status"] == "online"), None)

    def until_linked(self, host: str, peer: str) -> dict[str, Any]:
        found: dict[str, Any] = until(lambda: self.link(host, peer), lambda: self.told(host))
        return found

    def told(self, host: str) -> str:
        return f"{self.ask(host, 'GET', f'{NETWORKS}/home')}\n{self.all[host].output.read_text()}"

    def ping(self, host: str, address: str) -> bool:
        command = ["ip", "netns", "exec", self.lab.namespace(host), "ping", "-c1", "-W2", address]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def close(self) -> None:
        for gateway in self.all.values():
            gateway.stop()


@pytest.fixture(scope="module")
def lan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateways]:
    needs_lab()
    with NatLab({"a": Site("cone", hosts=2)}) as lab:
        gateways = Gateways(lab, tmp_path_factory.mktemp("lan"), ("a", "a2"))
        try:
            gateways.join("a", "a2")
            yield gateways
        finally:
            gateways.close()


def test_two_in_one_house_need_no_server(lan: Gateways) -> None:
    for host, peer in (("a", "a2"), ("a2", "a")):
        link = lan.until_linked(host, peer)
        assert (link["is_relayed"], link["via"], link["why"]) == (False, "mdns", "")
        assert 0 < link["rtt_s"] < 1
        assert until(lambda host=host, link=link: lan.ping(host, link["ip4"]))
        assert lan.ping(host, link["ip6"])


def test_nothing_is_open_but_what_a_rule_opens(lan: Gateways) -> None:
    address = lan.until_linked("a", "a2")["ip4"]
    serve = (
        "import socket; s = socket.create_server(('', 7777)); print('up', flush=True)\nwhile True: s.accept()"
    )
    server = lan.lab.start("a2", ["python3", "-c", serve], stdout=subprocess.PIPE)
    assert server.stdout is not None
    server.stdout.readline()
    knock = f"import socket; socket.create_connection(('{address}', 7777), 1)"

    def opens() -> bool:
        command = ["ip", "netns", "exec", lan.lab.namespace("a"), "python3", "-c", knock]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    assert not opens()
    rule = {"from": "any", "to": "self", "protocol": "tcp", "ports": ["7777"]}
    lan.ask("a2", "PATCH", f"{NETWORKS}/home/setup", {"rules": [rule]})
    until(opens)
    lan.ask("a2", "PATCH", f"{NETWORKS}/home/setup", {"rules": []})
    until(lambda: not opens())


def test_names_are_answered(lan: Gateways) -> None:
    link = lan.until_linked("a", "a2")
    own = lan.ask("a", "GET", f"{NETWORKS}/home")["overlay"]["ip4"]
    ask = f"from dnslib import DNSRecord; print(DNSRecord.parse(DNSRecord.question('a2.home').send('{own}', 53, timeout=2)).rr)"
    told = until(lambda: lan.lab.run("a", [sys.executable, "-c", ask]))
    assert link["ip4"] in told


def test_an_upgrade_drops_no_packet(lan: Gateways) -> None:
    address = lan.until_linked("a", "a2")["ip4"]
    command = ["ping", "-i", "0.05", "-c", "120", "-W", "1", "-q", address]
    pings = lan.lab.start("a", command, stdout=subprocess.PIPE)
    assert lan.all["a"].upgrade() == ""
    assert lan.all["a2"].upgrade() == ""
    assert pings.stdout is not None
    assert ", 0% packet loss" in pings.stdout.read().decode()
    age = lan.until_linked("a", "a2")["online_age_s"]
    assert age > 5, "the link is another one"


def test_links_come_back_after_a_kill(lan: Gateways) -> None:
    address = lan.until_linked("a", "a2")["ip4"]
    gateway = lan.all["a"]
    gateway.kill()
    gateway.start()
    lan.until_linked("a", "a2")
    assert until(lambda: lan.ping("a", address))


def test_who_watches_the_peers_goes_on_watching(lan: Gateways, tmp_path: Path) -> None:
    gateway, out, told = lan.all["a"], tmp_path / "out", tmp_path / "err"
    with out.open("wb") as lines, told.open("wb") as complaints:
        watching = subprocess.Popen(
            [sys.executable, "-m", "wayhouse.cli.main", "--data", str(gateway.data), "overlay", "peers", "-f"],
            stdout=lines, stderr=complaints,
        )  # fmt: skip

    def heads() -> int:
        return out.read_text().count("NAME")

    try:
        until(heads)
        assert gateway.upgrade() == ""
        before = heads()
        until(lambda: heads() > before)
        gateway.kill()
        gateway.start()
        lan.until_linked("a", "a2")
        before = heads()
        until(lambda: heads() > before, told.read_text)
        assert watching.poll() is None
        assert told.read_text().count("The gateway is away") in {1, 2}
    finally:
        watching.terminate()
        watching.wait()


def test_a_member_that_is_taken_back_is_out(lan: Gateways) -> None:
    uid = lan.until_linked("a", "a2")["uid"]
    lan.ask("a2", "POST", f"{NETWORKS}/home/revocations", {"uid": uid}, status=403)
    lan.ask("a", "POST", f"{NETWORKS}/home/revocations", {"uid": uid})
    until(lambda: lan.link("a", "a2") is None)
    (link,) = lan.ask("a", "GET", f"{NETWORKS}/home/links")
    assert "taken back" in link["why"]


def test_leaving_takes_everything_along(lan: Gateways) -> None:
    lan.ask("a2", "DELETE", f"{NETWORKS}/home")
    lan.ask("a2", "GET", f"{NETWORKS}/home", status=404)
    until(lambda: "wh-home" not in lan.lab.run("a2", ["ip", "link"]))
    assert "wh-home" not in lan.lab.run("a2", ["nft", "list", "ruleset"])


def test_a_relay_with_an_authority_of_our_own(tmp_path: Path) -> None:
    needs_lab("turnserver")
    with NatLab({"a": Site("cone", hosts=2)}) as lab:
        lab.start_turn()
        gateways = Gateways(lab, tmp_path, ("a", "a2"))
        setup = f"{NETWORKS}/home/setup"
        try:
            relay = {
                "host": SERVER,
                "port": 5349,
                "transport": "tls",
                "username": TURN_USER,
                "password": TURN_PASSWORD,
            }
            gateways.join("a", turn=[relay], policy="relay")
            told = gateways.ask("a", "PATCH", setup, {"relay_ca": lab.key.read_text()}, status=400)
            assert "private key" in told["detail"]
            until(lambda: gateways.ask("a", "GET", f"{NETWORKS}/home")["overlay"]["is_up"])
            report = gateways.ask("a", "POST", f"{NETWORKS}/home/netcheck")
            (server,) = (one for one in report["servers"] if one["kind"] == "turn tls")
            assert "is not trusted" in server["error"]
            gateways.ask("a", "PATCH", setup, {"relay_ca": lab.authority.certificate.read_text()})
            code = gateways.ask("a", "POST", f"{NETWORKS}/home/invitations", {})["code"]
            gateways.ask("a2", "POST", "/api/v1/overlay/join", {"code": code, "dns_name": "a2"})
            gateways.ask("a2", "PATCH", setup, {"policy": "relay"})
            link = gateways.until_linked("a", "a2")
            assert link["is_relayed"], link
            assert until(lambda: gateways.ping("a", link["ip4"]))
        finally:
            gateways.close()


@pytest.mark.skipif(PROGRAM is None, reason="needs prosody")
def test_behind_nats_by_an_own_server(tmp_path: Path) -> None:
    needs_lab("turnserver")
    with NatLab({"a": "cone", "b": "symmetric"}) as lab:
        lab.start_turn()
        prosody = Prosody(tmp_path, {"alice": PASSWORD}, address=SERVER, netns=lab.namespace("pub"))
        prosody.start()
        gateways = Gateways(lab, tmp_path, ("a", "b"))
        try:
            gateways.join(
                "a", "b",
                accounts=[{"jid": ACCOUNT, "password": PASSWORD, "host": SERVER, "port": prosody.port, "pin": prosody.pin}],
                stun=[f"{SERVER}:3478"],
                turn=[{"host": SERVER, "username": TURN_USER, "password": TURN_PASSWORD}],
            )  # fmt: skip
            link = gateways.until_linked("a", "b")
            assert link["is_relayed"]
            assert link["why"].startswith("It is relayed")
            assert until(lambda: gateways.ping("a", link["ip4"]))
            report = gateways.ask("b", "POST", f"{NETWORKS}/home/netcheck")
            assert report["nat"] == "symmetric"
        finally:
            gateways.close()
            prosody.stop()
