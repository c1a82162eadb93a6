"""Expired values, as the key/value clone hears of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import zmq

from wayhouse.bus.drivers.titanic_events import Announcer
from wayhouse.bus.kvmsg import KVMsg
from wayhouse.bus.model import EndpointError
from wayhouse.bus.titanic_records import EXPIRED, Revision


def test_it_tells_the_collector(tmp_path: Path) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    collector = context.socket(zmq.PULL)
    address = f"ipc://{tmp_path}/collector.sock"
    collector.bind(address)
    announcer = Announcer(address)
    try:
        announcer([Revision(7, 0.0, EXPIRED, (b"main", b"\xff", b"lamp"), b"")])
        assert collector.poll(5000)
        message = KVMsg.from_frames(collector.recv_multipart())
        assert message.key is not None
        assert message.key.startswith("/event/titanic.store/main/")
        told = json.loads(message.body or b"")
        assert told == {
            "service": "main",
            "section": "\\xff",
            "key": "lamp",
            "what": "expired",
            "revision": 7,
        }
    finally:
        announcer.close()
        context.destroy(linger=0)


def test_it_never_waits_and_says_what_cannot_be(tmp_path: Path) -> None:
    announcer = Announcer(f"ipc://{tmp_path}/nobody.sock")
    announcer([Revision(1, 0.0, EXPIRED, (b"a", b"b", b"c"), b"")] * 20)
    announcer.close()
    with pytest.raises(EndpointError):
        Announcer("nowhere")
