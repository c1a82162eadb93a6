"""Titanic as a process on a real broker: what is acknowledged survives kill -9 at any moment, and nothing that comes ends it."""

# covers: bus/drivers/titanic_sockets.py, bus/titanic_server.py

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from tests.parts.titanic import Bus, work
from wayhouse.bus import mdp
from wayhouse.bus.drivers.frames import drain, send
from wayhouse.bus.model import refusal_of
from wayhouse.bus.titanic_model import build_label, parse_uuid
from wayhouse.bus.titanic_server import TitanicServer, main

KILLS = 50


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    bus = Bus(tmp_path)
    yield bus
    bus.close()


def test_a_request_is_accepted_done_told_of_and_closed(bus: Bus) -> None:
    bus.start_titanic()
    bus.wait_for_titanic()
    answer = bus.ask(b"titanic.request", [b"late", b"hello"])
    assert answer is not None
    assert answer[0] == b"200"
    assert bus.ask(b"titanic.reply", [answer[1]]) == [b"300"]
    worker, done = bus.worker(b"late"), Counter[bytes]()

    def is_done() -> bool:
        work(worker, done)
        return bus.ask(b"titanic.reply", [answer[1].upper()]) == [b"200", b"did hello"]

    bus.until(is_done)
    assert is_done(), "the reply stays until it is closed"
    assert bus.ask(b"titanic.status", [answer[1], b"nonsense"]) == [b"200", b"200", b"400"]
    assert bus.ask(b"titanic.close", [answer[1]]) == [b"200"]
    assert bus.ask(b"titanic.reply", [answer[1]]) == [b"400"]
    assert bus.ask(b"titanic.close", [answer[1]]) == [b"200"]
    assert done == {b"hello": 1}


def test_services_do_not_wait_for_each_other(bus: Bus) -> None:
    bus.start_titanic()
    bus.wait_for_titanic()
    silent, quick, done = bus.worker(b"silent"), bus.worker(b"quick"), Counter[bytes]()
    for number in range(20):
        bus.ask(b"titanic.request", [b"silent", b"%d" % number])
        bus.ask(b"titanic.request", [b"nobody", b"%d" % number])
    answer = bus.ask(b"titanic.request", [b"quick", b"now"])
    assert answer is not None

    def is_done() -> bool:
        work(quick, done)
        return bus.ask(b"titanic.reply", [answer[1]]) == [b"200", b"did now"]

    bus.until(is_done)
    silent.close()


def test_a_broker_that_is_started_anew_is_found_again(bus: Bus) -> None:
    bus.start_titanic()
    bus.wait_for_titanic()
    worker, done = bus.worker(b"echo"), Counter[bytes]()
    answer = bus.ask(b"titanic.request", [b"echo", b"held"])
    assert answer is not None
    bus.until(lambda: worker.poll(0))
    bus.broker.kill()
    bus.broker.wait()
    bus.broker = bus.start("wayhouse.bus.server", "--runtime", str(bus.folder), "--port", "0", "--no-clone")
    worker.close()
    bus.client.close()
    bus.client, worker = bus.connect(), bus.worker(b"echo")
    bus.wait_for_titanic()

    def is_done() -> bool:
        work(worker, done)
        return bus.ask(b"titanic.reply", [answer[1]]) == [b"200", b"did held"]

    bus.until(is_done)


MALFORMED = [
    (b"titanic.request", []),
    (b"titanic.request", [b""]),
    (b"titanic.request", [b"x" * 300, b""]),
    (b"titanic.request", [b"echo\0never\0", b""]),
    (b"titanic.request", [b"echo\0ttl=-1", b""]),
    (b"titanic.request", [b"echo\0uuid=../../etc/passwd", b""]),
    (b"titanic.reply", [b"../../../etc/passwd"]),
    (b"titanic.reply", [b"\xff" * 32]),
    (b"titanic.reply", []),
    (b"titanic.close", [b"../" * 20]),
    (b"titanic.close", []),
    (b"titanic.status", [b""] * 3000),
    (b"titanic.store", []),
    (b"titanic.store", [b""]),
    (b"titanic.store", [b"set", b"a"]),
    (b"titanic.store", [b"cas", b"a", b"b", b"c", b"one", b"v"]),
    (b"titanic.store", [b"set", b"a", b"b", b"c", b"v", b"nan"]),
    (b"titanic.store", [b"changes", b"-1"]),
]


def test_nothing_malformed_ends_it(bus: Bus) -> None:
    titanic = bus.start_titanic()
    bus.wait_for_titanic()
    for service, body in MALFORMED:
        answer = bus.ask(service, body)
        assert answer is not None, (service, body)
        assert service == b"titanic.close" or answer[0] in {b"400", b"500", b"501"} or answer[-1] == b"500"
    assert bus.ask(b"titanic.store", [b"set", b"a", b"b", b"c", b"v"]) == [b"a", b"b", b"c", b"200"]
    assert titanic.poll() is None
    titanic.terminate()
    assert titanic.wait(10) == 0


def test_killed_at_any_moment_it_loses_nothing_and_doubles_nothing_marked_once(bus: Bus) -> None:
    chance = random.Random(7)
    worker, done = bus.worker(b"echo"), Counter[bytes]()
    asked: dict[bytes, list[bytes]] = {}
    acknowledged: dict[bytes, bytes] = {}
    titanic, load = bus.start_titanic(), bus.connect()
    bus.wait_for_titanic()

    def ask_one() -> None:
        uuid = os.urandom(16)
        label = build_label(b"echo", uuid=uuid, once=len(asked) % 2 == 0)
        asked[uuid] = [label, uuid.hex().encode()]
        send(load, mdp.build_request(b"titanic.request", asked[uuid]))

    def turn() -> None:
        zmq.zmq_poll([(worker, 1), (load, 1)], 5)
        work(worker, done)
        for frames in drain(load):
            body = mdp.parse_reply(frames).body
            uuid = parse_uuid(body[1]) if body[0] == b"200" else None
            if uuid:
                acknowledged[uuid] = body[1]

    def ask_again() -> None:
        """What got no acknowledgement, as a client does whose request was lost."""
        for uuid in [uuid for uuid in asked if uuid not in acknowledged][:50]:
            send(load, mdp.build_request(b"titanic.request", asked[uuid]))

    for _ in range(KILLS):
        bus.until(lambda: (turn(), bus.ask(b"titanic.status", [b""]))[1])
        known, wanted = len(acknowledged), chance.randrange(60)
        end = time.monotonic() + 1.0
        ask_again()
        while time.monotonic() < end and len(acknowledged) - known < wanted:
            for _ in range(8):
                ask_one()
            turn()
        time.sleep(chance.uniform(0.0, 0.01))
        titanic.kill()
        titanic.wait()
        titanic = bus.start_titanic()
    bus.wait_for_titanic()
    bus.until(lambda: (turn(), not worker.poll(100))[1])
    before = Counter(done)
    assert len(acknowledged) > 10 * KILLS

    answers: dict[bytes, list[bytes]] = {}

    def all_answered() -> bool:
        for uuid in acknowledged:
            if uuid not in answers:
                work(worker, done)
                answer = bus.ask(b"titanic.reply", [uuid.hex().encode()])
                assert answer is not None
                if answer[0] != b"300" and refusal_of(answer) is None:
                    answers[uuid] = answer
        return len(answers) == len(acknowledged)

    bus.until(all_answered, 60)
    unknown = 0
    for uuid, answer in answers.items():
        name, once = uuid.hex().encode(), b"once" in asked[uuid][0]
        if answer[0] == b"200":
            assert answer == [b"200", b"did " + name]
            assert done[name] == 1 if once else done[name] >= 1
        else:
            assert once, answer
            assert done[name] <= 1
            unknown += 1
    twice = sum(count - 1 for count in done.values() if count > 1)
    assert unknown <= 8 * KILLS
    assert twice <= 8 * KILLS
    assert not before - done


def test_a_disk_that_takes_nothing_is_told_and_nothing_is_lost(tmp_path: Path) -> None:
    bus = Bus(tmp_path)
    server = TitanicServer(bus.endpoint, tmp_path / "titanic.db")
    worker, done = bus.worker(b"echo"), Counter[bytes]()

    def asked(service: bytes, body: list[bytes]) -> list[bytes]:
        send(bus.client, mdp.build_request(service, body))
        bus.until(lambda: (server.turn(0.01), work(worker, done), bus.client.poll(0))[2])
        return mdp.parse_reply(bus.client.recv_multipart()).body

    try:
        bus.until(lambda: (server.turn(0.01), bus.ask(b"mmi.service", [b"titanic.store"]) == [b"200"])[1])
        _, kept = asked(b"titanic.request", [b"nobody", b"kept"])
        server.store.connection.execute("PRAGMA query_only=1")
        assert asked(b"titanic.request", [b"echo", b"refused"])[0] == b"500"
        assert asked(b"titanic.close", [kept])[0] == b"500"
        assert asked(b"titanic.store", [b"set", b"a", b"b", b"c", b"v"]) == [b"500"]
        server.store.connection.execute("PRAGMA query_only=0")
        assert asked(b"titanic.reply", [kept]) == [b"300"]
        assert asked(b"titanic.close", [kept]) == [b"200"]
        _, uuid = asked(b"titanic.request", [b"echo", b"later"])
        bus.until(lambda: asked(b"titanic.reply", [uuid]) == [b"200", b"did later"])
        assert done == {b"later": 1}
    finally:
        server.close()
        bus.close()


def test_an_answer_that_the_disk_did_not_take_is_written_later(tmp_path: Path) -> None:
    bus = Bus(tmp_path)
    server = TitanicServer(bus.endpoint, tmp_path / "titanic.db")
    worker, done = bus.worker(b"echo"), Counter[bytes]()
    try:
        bus.until(lambda: (server.turn(0.01), bus.ask(b"mmi.service", [b"titanic.reply"]) == [b"200"])[1])
        send(bus.client, mdp.build_request(b"titanic.request", [b"echo", b"x"]))
        bus.until(lambda: (server.turn(0.01), worker.poll(0))[1])
        _, uuid = mdp.parse_reply(bus.client.recv_multipart()).body
        server.store.connection.execute("PRAGMA query_only=1")
        work(worker, done)
        for _ in range(20):
            server.turn(0.01)
        assert len(list(server.store.unfinished())) == 1
        server.store.connection.execute("PRAGMA query_only=0")
        bus.until(lambda: (server.turn(0.01), not list(server.store.unfinished()))[1])
        found = parse_uuid(uuid)
        assert found is not None
        assert server.store.reply_of(found) == (True, [b"did x"])
        assert done == {b"x": 1}
    finally:
        server.close()
        bus.close()


def test_an_address_or_a_file_that_cannot_be_used_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--broker", "nowhere", "--data", str(tmp_path / "one")]) == 1
    assert "nowhere" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert main(["--broker", "ipc://x", "--data", str(tmp_path / "file")]) == 1
    assert "cannot be opened" in capsys.readouterr().err
