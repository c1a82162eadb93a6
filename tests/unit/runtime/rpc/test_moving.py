"""Connections that go on in another loop: half a frame, queued answers, subscriptions; and the way back."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from tests.parts.ave_v0 import OldClient, call, frame
from tests.parts.rpc_server import Sample, listener
from wayhouse.runtime.exceptions import Restarting
from wayhouse.runtime.remote import RemoteControl
from wayhouse.runtime.rpc import moving
from wayhouse.runtime.rpc.embedded import Embedded


def on(control: Sample, work: Callable[[], Any]) -> Any:
    """Run `work` on the loop of `control`."""
    done, found = threading.Event(), []

    def run() -> None:
        found.append(work())
        done.set()

    control.server.engine.post(run)
    assert done.wait(20)
    return found[0]


def packed(control: Sample) -> list[tuple[bytes, list[int]]]:
    """All connections as bytes and duplicates of descriptors, the way another process would get them."""

    def pack() -> list[tuple[bytes, list[int]]]:
        engine = control.server.engine
        moving.freeze(engine)
        assert moving.is_quiet(engine)
        found = [moving.pack(one) for one in engine.conversations.values()]
        return [(msgspec.msgpack.encode(state), [os.dup(fd) for fd in fds]) for state, fds in found]

    return on(control, pack)


def adopt(control: Sample, parcels: list[tuple[bytes, list[int]]]) -> None:
    def unpack() -> None:
        for state, fds in parcels:
            moving.unpack(control.server.engine, msgspec.msgpack.decode(state), fds)
        moving.thaw(control.server.engine)

    on(control, unpack)


def release(control: Sample) -> None:
    def let_go() -> None:
        for one in tuple(control.server.engine.conversations.values()):
            control.server.engine.release(one)

    on(control, let_go)


@pytest.mark.parametrize("back", [False, True])
def test_nothing_is_lost_doubled_or_reordered(back: bool) -> None:
    old, new = Sample(listener()), Sample(listener())
    with old.in_thread() as first, new.in_thread():
        ancient = OldClient(first.address, "admin-key")
        half = frame(json.dumps(call("whoami")).encode())
        remote = RemoteControl(first.address, "primary", 20)
        listening = RemoteControl(first.address, "primary", 20)
        news, items = listening.subscribe("t"), remote.stream("count", 10**9, 60_000)
        assert next(items)[0] == 0
        assert listening.echo(1) == 1
        ancient.sock.sendall(half[:9])
        greeting = OldClient.__new__(OldClient)
        assert old.server.running
        parcels = packed(old)
        ancient.sock.sendall(half[9:] + half[:3])
        if back:
            for _, fds in parcels:
                for fd in fds:
                    os.close(fd)
            on(old, lambda: moving.thaw(old.server.engine))
            home = old
        else:
            adopt(new, parcels)
            release(old)
            home = new
        assert ancient.receive() == {"result": "admin-key"}
        ancient.sock.sendall(half[3:])
        assert ancient.receive() == {"result": "admin-key"}
        assert remote.secret() == "treasure"
        home.notify("t", 5)
        assert next(news).data == 5
        if back:
            assert [next(items)[0] for _ in range(20)] == list(range(1, 21))
        else:
            with pytest.raises(Restarting):
                list(items)
        del greeting
        assert len(home.server.established) == 3
        for one in (remote, listening, ancient.sock):
            one.close()


def test_calls_under_way_are_waited_for() -> None:
    control = Sample(listener())
    with control.in_thread() as running, OldClient(running.address) as client:
        client.send(json.dumps(call("wait")).encode())
        with OldClient(running.address) as other:
            assert other.call("echo", 1) == {"result": 1}
        engine = control.server.engine
        on(control, lambda: moving.freeze(engine))
        assert not on(control, lambda: moving.is_quiet(engine))
        control.gate.set()
        while not on(control, lambda: moving.is_quiet(engine)):
            control.gate.wait(0.01)
        on(control, lambda: moving.thaw(engine))
        assert client.receive() == {"result": "waited"}


@pytest.mark.parametrize("state", [{}, {"version": 99}, {"version": 1, "machine": {}}])
def test_a_state_that_is_not_understood(state: dict[str, Any]) -> None:
    control = Sample(listener())
    with control.in_thread() as running:
        assert isinstance(running, Embedded)
        with pytest.raises(ValueError, match=r"understood|incomplete"):
            moving.unpack(control.server.engine, state, [])
