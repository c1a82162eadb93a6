from __future__ import annotations

from wayhouse.devices.model import DeviceView
from wayhouse.overlay.shares import May, Share
from wayhouse.overlay.views import Received, ReceivedDevice
from wayhouse.portal import overlay_shares as sharing

UID = "ab" * 20


def device(name: str, driver: str = "fake") -> DeviceView:
    return DeviceView(id=f"id-{name}", name=name, fullname=name, oid="light", driver=driver, address=name)


def test_what_is_shared_keeps_its_line_when_it_is_not_there():
    shares = (
        Share(what="device:id-lamp", to=UID, may=May.COMMAND),
        Share(what="device:gone", to="any"),
        Share(what="device:*", to="tag:family"),
        Share(what="app:hello", to="any", port=81),
        Share(what="app:gone", to="any", port=82),
        Share(what="service:a.b", to="any"),
    )
    rows = sharing.share_rows(shares, {"id-lamp": "lamp"}, ["hello"], {UID: "barn"})
    assert [(one.kind, one.label, one.path, one.port) for one in rows] == [
        ("Device", "lamp", "/devices/id-lamp", ""),
        ("Device", "gone", "", ""),
        ("Device", "All devices", "", ""),
        ("App", "hello", "/apps/hello", "81"),
        ("App", "gone", "", "82"),
        ("Service of the bus", "a.b", "", ""),
    ]
    assert (rows[0].who, rows[0].may, rows[5].may) == (
        "The peer barn (abababab)",
        "Also command it",
        "Use it",
    )


def test_what_can_be_shared_is_this_gateways_own():
    devices = [device("lamp"), device("barn_lamp", "peers")]
    found = dict(sharing.choices(devices, ["a.b", "mmi.stats", "titanic.store", "peers.barn.home.x"], []))
    assert [one.value for one in found["Devices"]] == ["device:*", "device:id-lamp"]
    assert [one.value for one in found["Services of the bus"]] == ["service:a.b"]
    assert "Apps" not in found


def test_what_peers_give_by_peer():
    lamp = ReceivedDevice(name="lamp", may="nonsense", reason="It is off.")
    one = Received(
        uid=UID, name="barn", address="10.0.0.9", devices=(lamp,), services=("peers.x",), apps={80: "a"}
    )
    rows = sharing.received_rows([one], "home")
    assert [(row.kind, row.label, row.name, row.peer) for row in rows] == [
        ("Device", "lamp", "", "barn.home"),
        ("App", "a", "http://barn.home:80/", "barn.home"),
        ("Service of the bus", "peers.x", "peers.x", "barn.home"),
    ]
    assert (rows[0].path, rows[0].may, rows[0].word) == ("", "See it and its values", "Not available")
