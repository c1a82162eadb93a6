"""What peers share, as the command line shows it; the links are played."""

from __future__ import annotations

from tests.parts.automation_gateway import tell
from tests.parts.overlay_lab import house, overlay
from wayhouse.overlay.views import Received, ReceivedDevice

__all__ = ["house", "overlay", "tell"]
UID = "ab" * 20


def test_what_peers_share(overlay, house):
    assert "shares anything" in overlay("shares", "--received").err
    lamp = ReceivedDevice(name="lamp", may="command", is_available=True)
    boiler = ReceivedDevice(name="boiler", may="read", reason="It is off.")
    house.home.received["home"] = (
        Received(uid=UID, name="barn", address="10.213.0.8", devices=(boiler, lamp), apps={80: "a"}, services=("peers.x",)),
    )  # fmt: skip
    rows = [line.split(None, 3) for line in overlay("shares", "-r").out.splitlines()[1:]]
    assert rows == [
        ["device:boiler", "barn.home", "read", "It is off."],
        ["device:lamp", "barn.home", "command", "available"],
        ["app:a", "barn.home", "use", "http://barn.home:80/"],
        ["service:peers.x", "barn.home", "use"],
    ]
    assert overlay("shares", "-r", "--json").json[0]["uid"] == UID
