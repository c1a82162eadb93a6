"""Who may connect to the bus, over the API."""

# covers: api/wire_peers.py

import json

import msgspec
import pytest
import zmq

from tests.parts.house import SETTINGS
from tests.parts.house import house as whole_house
from wayhouse.api import wire_peers
from wayhouse.bus.keys import Keys
from wayhouse.bus.processes import BusSettings

PEERS = "/api/v1/bus/peers"


async def test_a_pair_is_made_and_shown_once(house, tmp_path):
    made = (await house.ask("POST", PEERS, {"name": "ann"})).json()
    keys = made["keys"]["curve"]
    assert zmq.curve_public(keys["secret"].encode()).decode() == keys["public"] == made["public"]
    assert keys["server"] == made["server"]
    listed = await house.ask("GET", PEERS)
    assert listed.json() == {
        "mechanism": "none", "server": made["server"],
        "peers": [{"name": "ann", "kind": "curve", "public": made["public"]}],
    }  # fmt: skip
    assert keys["secret"] not in listed.body.decode()
    file = tmp_path / "ann.keys"
    file.write_text(json.dumps(made["keys"]))
    file.chmod(0o600)
    assert Keys.from_file(file).curve.secret == keys["secret"]


async def test_a_password_is_made_and_shown_once(house, tmp_path):
    made = (await house.ask("POST", PEERS, {"name": "ann", "kind": "plain"})).json()
    assert (made["keys"]["plain"]["user"], made["server"], made["public"]) == ("ann", None, None)
    file = tmp_path / "ann.keys"
    file.write_text(json.dumps(made["keys"]))
    file.chmod(0o600)
    assert Keys.from_file(file).plain.password == made["keys"]["plain"]["password"]
    listed = await house.ask("GET", PEERS)
    assert listed.json()["peers"] == [{"name": "ann", "kind": "plain", "public": None}]
    assert made["keys"]["plain"]["password"] not in listed.body.decode()


async def test_a_key_of_its_own(house):
    public = zmq.curve_keypair()[0].decode()
    made = (await house.ask("POST", PEERS, {"name": "ann", "public": public})).json()
    assert (made["keys"], made["public"]) == (None, public)


async def test_removing(house):
    await house.ask("POST", PEERS, {"name": "ann@home.net"})
    assert (await house.ask("POST", PEERS, {"name": "ann@home.net"})).json()["code"] == "bus-peer-exists"
    assert (await house.ask("DELETE", f"{PEERS}/ann%40home.net")).json() == {"success": True}
    gone = await house.ask("DELETE", f"{PEERS}/ann%40home.net")
    assert (gone.status, gone.json()["code"]) == (404, "no-such-bus-peer")


@pytest.mark.parametrize(
    "body",
    [{}, {"name": ""}, {"name": "a b"}, {"name": "a", "kind": "magic"}, {"name": "a", "public": "short"}, {"name": "a", "public": "#" * 40},
     {"name": "a", "kind": "plain", "public": zmq.curve_keypair()[0].decode()}, {"name": "a", "secret": "x"}, {"name": "a" * 65}],
)  # fmt: skip
async def test_what_cannot_be(house, body):
    assert (await house.ask("POST", PEERS, body)).status == 400
    assert (await house.ask("GET", PEERS)).json()["peers"] == []


@pytest.mark.parametrize("who", [None, "guest", "user", "trusted"])
async def test_only_administrators_may(house, who):
    for method, path in (("GET", PEERS), ("POST", PEERS), ("DELETE", f"{PEERS}/ann")):
        body = {"name": "ann"} if method == "POST" else None
        assert (await house.ask(method, path, body, who=who)).status in {401, 403}


async def test_it_is_in_the_audit_log_without_the_secret(house):
    made = (await house.ask("POST", PEERS, {"name": "ann"})).json()
    await house.ask("DELETE", f"{PEERS}/ann")
    lines = []
    while len(lines) < 2:  # they are written behind the answer
        told = (await house.ask("GET", "/api/v1/audit")).json()
        peers = [one for one in told if one["action"].startswith("bus-peer")]
        lines = [(one["action"], one["target"], one["who"]) for one in peers]
    assert lines == [
        ("bus-peer.remove", "ann", "admin@localhost"),
        ("bus-peer.add", "ann (curve)", "admin@localhost"),
    ]
    assert made["keys"]["curve"]["secret"] not in json.dumps(told)


async def test_the_mechanism_and_the_files_of_the_settings(tmp_path):
    known = tmp_path / "known"
    known.write_text('{"plain": {"ann": "by hand"}}')
    known.chmod(0o600)
    bus = BusSettings(port=0, mechanism="plain", credentials=str(known))
    async with whole_house(tmp_path / "house", msgspec.structs.replace(SETTINGS, bus=bus)) as one:
        found = (await one.ask("GET", PEERS)).json()
        assert (found["mechanism"], [peer["name"] for peer in found["peers"]]) == ("plain", ["ann"])
        known.chmod(0o644)
        refused = await one.ask("GET", PEERS)
        assert (refused.status, "chmod 600" in refused.json()["detail"]) == (409, True)


def test_no_secret_is_in_a_repr():
    keys = wire_peers.PeerKeys(
        curve=wire_peers.CurveKeys(server="s", public="p", secret="tell-nobody"),
        plain=wire_peers.PlainKeys(user="ann", password="tell-nobody"),
    )
    assert "tell-nobody" not in repr(keys)
