"""The key/value clients against a real server in a process of its own, and peers written from RFC 12 alone."""

# covers: bus/publishing.py, bus/drivers/clone_sockets.py, bus/drivers/subscriber_sockets.py, bus/drivers/waker.py

from __future__ import annotations

import os
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq

from tests.parts.clone_process import CloneProcess
from wayhouse.base.errors import UnavailableError
from wayhouse.bus.drivers.clone_sockets import CloneSockets, Endpoints
from wayhouse.bus.drivers.watch import Watch
from wayhouse.bus.kvmsg import Form
from wayhouse.bus.model import EndpointError
from wayhouse.bus.publisher import KvPublisherClient, KvSubscriberClient
from wayhouse.bus.publishing import subtree_path, update_frames
from wayhouse.bus.subscriber import Patience

LONG_S = 30.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[CloneProcess]:
    process = CloneProcess(tmp_path)
    yield process
    process.kill()


@pytest.fixture
def publisher(server: CloneProcess) -> Iterator[KvPublisherClient]:
    client = KvPublisherClient(endpoints=server.endpoints)
    yield client
    client.destroy()


class Follower:
    """A subscriber that runs in a thread."""

    def __init__(self, endpoints: Endpoints, subtree: str, patience: Patience | None = None) -> None:
        self.told: list[tuple[str, bytes | None]] = []
        self.client = KvSubscriberClient(
            subtree=subtree, endpoints=endpoints, speed=LONG_S, patience=patience, on_change=self._on_change
        )
        self._thread = threading.Thread(target=self.client.run)
        self._thread.start()

    def _on_change(self, key: str, body: bytes | None) -> None:
        self.told.append((key, body))

    def bodies(self) -> dict[str, bytes | None]:
        return {key: message.body for key, message in dict(self.client.kvmap).items()}

    def close(self) -> None:
        self.client.shutdown()
        self._thread.join(LONG_S)
        self.client.destroy()


@pytest.fixture
def follow(server: CloneProcess) -> Iterator[Callable[..., Follower]]:
    followers: list[Follower] = []

    def start(subtree: str, patience: Patience | None = None) -> Follower:
        followers.append(Follower(server.endpoints, subtree, patience))
        return followers[-1]

    yield start
    for one in followers:
        one.close()


def wait_until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + LONG_S
    while not holds():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.01)


def test_subtrees_are_put_between_slashes() -> None:
    assert [subtree_path(one) for one in ("device", "/device/", b"a/b", "")] == [
        b"/device/",
        b"/device/",
        b"/a/b/",
        b"",
    ]
    assert update_frames("device", "lamp", "on", 1.5, Form.CHP)[3] == b"ttl=1.5\n"
    assert update_frames("", "lamp", "on", None, Form.SIMPLE) == [b"/lamp", b"\0" * 8, b"on"]
    with pytest.raises(UnavailableError):
        update_frames("device", "lamp", "on", 1.5, Form.SIMPLE)


def test_updates_reach_the_subtrees_that_are_followed(
    publisher: KvPublisherClient, follow: Callable[..., Follower]
) -> None:
    devices, everything = follow("device"), follow("")
    publisher.send("device", "lamp", "on")
    publisher.send("event", "cron", "tick")
    publisher.send("scenario", "night", "1", ttl_s=0.2)
    publisher.send("device", "fan", "off")
    publisher.delete("device", "fan")
    publisher.send("device", "end", "1")
    wait_until(lambda: "/device/end" in devices.bodies() and "/device/end" in everything.bodies())
    wait_until(lambda: "/scenario/night" not in everything.bodies())
    assert devices.bodies() == {"/device/lamp": b"on", "/device/end": b"1"}
    assert devices.told == [
        ("/device/lamp", b"on"), ("/device/fan", b"off"), ("/device/fan", None), ("/device/end", b"1"),
    ]  # fmt: skip
    assert ("/scenario/night", None) in everything.told


def test_a_late_subscriber_gets_what_there_is(server: CloneProcess, publisher: KvPublisherClient) -> None:
    for number in range(3000):
        publisher.send("device", str(number), str(number))
    wait_until(lambda: _count(server, "device") == 3000)


def _count(server: CloneProcess, subtree: str) -> int:
    client = KvSubscriberClient(subtree=subtree, endpoints=server.endpoints, speed=LONG_S)
    try:
        return len(client.kvmap)
    finally:
        client.destroy()


@pytest.mark.parametrize("form", [Form.SIMPLE, Form.RASPY])
def test_the_three_frames_of_raspy(tmp_path: Path, form: Form) -> None:
    process = CloneProcess(tmp_path, form)
    publisher = KvPublisherClient(endpoints=process.endpoints, form=form)
    follower = Follower(process.endpoints, "device")
    try:
        publisher.send("device", "lamp", "on")
        wait_until(lambda: follower.bodies() == {"/device/lamp": b"on"})
    finally:
        follower.close()
        publisher.destroy()
        process.kill()


class Rfc12Subscriber:
    """Written from the text of RFC 12 alone, with plain pyzmq."""

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], endpoints: Endpoints, subtree: bytes = b""
    ) -> None:
        self.updates = context.socket(zmq.SUB)
        self.updates.rcvhwm = 0
        self.updates.subscribe(subtree)
        self.updates.connect(endpoints.publisher)
        self.snapshot = context.socket(zmq.DEALER)
        self.snapshot.connect(endpoints.snapshot)
        self.subtree = subtree
        self.map: dict[bytes, bytes] = {}
        self.sequence = 0
        self.numbers: list[int] = []
        self.hugz = 0

    def synchronise(self) -> None:
        self.snapshot.send_multipart([b"ICANHAZ?", self.subtree])
        while True:
            key, number, uuid, properties, value = self.snapshot.recv_multipart()
            assert (uuid, properties, len(number)) == (b"", b"", 8)
            if key == b"KTHXBAI":
                assert value == self.subtree
                self.sequence = struct.unpack("!Q", number)[0]
                return
            self.map[key] = value

    def update(self) -> None:
        key, number, _uuid, _properties, value = self.updates.recv_multipart()
        sequence = struct.unpack("!Q", number)[0]
        if key == b"HUGZ":
            assert (number, value) == (b"\0" * 8, b"")
            self.hugz += 1
        elif sequence > self.sequence:
            self.sequence = sequence
            self.numbers.append(sequence)
            if value:
                self.map[key] = value
            else:
                self.map.pop(key, None)


def test_a_subscriber_and_a_publisher_written_from_the_rfc(server: CloneProcess) -> None:
    with zmq.Context() as context:
        out = context.socket(zmq.PUB)
        out.connect(server.endpoints.subscribed or "")
        subscriber = Rfc12Subscriber(context, server.endpoints, b"/device/")
        subscriber.updates.subscribe(b"HUGZ")
        subscriber.synchronise()
        while not subscriber.map:
            out.send_multipart([b"/device/lamp", b"\0" * 8, b"u" * 16, b"", b"on"])
            if subscriber.updates.poll(100):
                subscriber.update()
        out.send_multipart([b"/device/lamp", b"\0" * 8, b"", b"", b""])
        while subscriber.map or not subscriber.hugz:
            subscriber.update()
        assert subscriber.numbers == sorted(set(subscriber.numbers))
        context.destroy(linger=0)


class Stream(threading.Thread):
    """Updates without end: key `/load/n` gets rising numbers, some keys are deleted and come back."""

    def __init__(self, endpoints: Endpoints, keys: int) -> None:
        super().__init__()
        self._client = KvPublisherClient(endpoints=endpoints)
        self._keys = keys
        self._stop_event = threading.Event()
        self.truth: dict[bytes, bytes] = {}

    def fill(self) -> None:
        for number in range(self._keys):
            self._put(number, b"0")

    def run(self) -> None:
        turn = 0
        while not self._stop_event.wait(0.001):
            for _ in range(20):
                turn += 1
                self._put(turn * 7919 % self._keys, b"" if turn % 10 == 0 else b"%d" % turn)

    def stop(self) -> None:
        self._stop_event.set()
        self.join()
        self._client.send("load", "end", "end")
        self._client.destroy()

    def _put(self, number: int, body: bytes) -> None:
        key = b"/load/%d" % number
        self._client.send("load", str(number), body)
        if body:
            self.truth[key] = body
        else:
            self.truth.pop(key, None)


def test_a_large_snapshot_under_load_is_complete_and_nothing_comes_twice(server: CloneProcess) -> None:
    stream = Stream(server.endpoints, 100_000)
    stream.fill()
    stream.start()
    ours = [Follower(server.endpoints, subtree) for subtree in ("load", "")]
    with zmq.Context() as context:
        rfc = Rfc12Subscriber(context, server.endpoints)
        try:
            rfc.synchronise()
            assert len(rfc.map) > 80_000
            time.sleep(0.3)
            stream.stop()
            while b"/load/end" not in rfc.map:
                rfc.update()
            wait_until(lambda: all("/load/end" in one.bodies() for one in ours))
        finally:
            for one in ours:
                one.close()
            context.destroy(linger=0)
    truth = {**stream.truth, b"/load/end": b"end"}
    assert rfc.map == truth
    assert rfc.numbers == list(range(rfc.numbers[0], rfc.numbers[0] + len(rfc.numbers)))
    for one in ours:
        assert {key.encode(): body for key, body in one.bodies().items()} == truth


def test_a_slow_old_client_gets_all_and_holds_up_nobody(
    server: CloneProcess, publisher: KvPublisherClient
) -> None:
    for number in range(20_000):
        publisher.send("device", str(number), b"x" * 100)
    with zmq.Context() as context:
        slow = Rfc12Subscriber(context, server.endpoints)
        slow.snapshot.send_multipart([b"ICANHAZ?", b""])
        wait_until(lambda: _count(server, "device") == 20_000)
        slow.synchronise()
        assert len(slow.map) == 20_000
        context.destroy(linger=0)


def test_after_a_kill_the_copy_follows_the_new_server(
    server: CloneProcess, publisher: KvPublisherClient, follow: Callable[..., Follower]
) -> None:
    follower = follow("device", Patience(answer_s=0.5, silence_s=2.0, pause_s=0.2))
    publisher.send("device", "old", "1")
    publisher.send("device", "kept", "1")
    wait_until(lambda: len(follower.bodies()) == 2)
    server.kill()
    server.start()
    publisher.send("device", "kept", "2")
    wait_until(lambda: follower.bodies() == {"/device/kept": b"2"})
    wait_until(lambda: ("/device/old", None) in follower.told)
    publisher.send("device", "new", "3")
    wait_until(lambda: "/device/new" in follower.bodies())


def test_junk_stops_nobody(server: CloneProcess, publisher: KvPublisherClient) -> None:
    with zmq.Context() as context:
        for endpoint, kind in (
            (server.endpoints.snapshot, zmq.DEALER), (server.endpoints.collector, zmq.PUSH), (server.endpoints.subscribed, zmq.PUB),
        ):  # fmt: skip
            socket = context.socket(kind)
            socket.connect(endpoint or "")
            for frames in ([b""], [b"junk"], [b"ICANHAZ?"] * 9, [b"a", b"b", b"c"], [b"x" * 100_000]):
                socket.send_multipart(frames)
            socket.close(linger=500)
    publisher.send("device", "lamp", "on")
    wait_until(lambda: _count(server, "device") == 1)


def test_without_a_server_nothing_waits_for_ever(tmp_path: Path) -> None:
    nowhere = Endpoints(*(f"ipc://{tmp_path}/{name}" for name in "abc"))
    client = KvSubscriberClient(endpoints=nowhere, speed=0.05)
    assert not client.is_synchronised
    assert client.kvmap == {}
    client.destroy()
    client.destroy()
    client.run()


def test_an_address_that_is_none_is_refused(tmp_path: Path) -> None:
    bad = Endpoints("nonsense", "nonsense", "nonsense")
    for kind in (KvPublisherClient, KvSubscriberClient):
        with pytest.raises(EndpointError):
            kind(endpoints=bad)
    good = f"ipc://{tmp_path}/a"
    with pytest.raises(EndpointError):
        CloneSockets(Watch(), Endpoints(good, good, "tcp://nowhere"), 0.0)


def test_a_free_port_is_named_and_listeners_can_be_handed_on() -> None:
    any_port = "tcp://127.0.0.1:0"
    first = CloneSockets(Watch(), Endpoints(any_port, any_port, any_port), 0.0)
    assert first.endpoints.subscribed is None
    adopted = dict(first.listeners())
    assert set(adopted) == {first.endpoints.snapshot, first.endpoints.publisher, first.endpoints.collector}
    copies = {endpoint: os.dup(fd) for endpoint, fd in adopted.items()}
    first.close(0.0)
    second = CloneSockets(Watch(), first.endpoints, 0.0, adopted=copies)
    assert second.endpoints == first.endpoints
    second.close(0.0)
