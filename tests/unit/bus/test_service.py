"""The bus of a gateway: its processes, and what this process does on it. Real processes, killed as they may be."""

# covers: bus/durable.py, bus/overview.py

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from wayhouse.base.errors import ConflictError, UnavailableError
from wayhouse.base.tasks import Tasks
from wayhouse.bus.async_publisher import AsyncKvSubscriberClient
from wayhouse.bus.drivers.clone_sockets import Endpoints
from wayhouse.bus.keys import make_pair
from wayhouse.bus.kvmsg import KVMsg
from wayhouse.bus.model import OK, Frames
from wayhouse.bus.overview import BrokerFigures, figures
from wayhouse.bus.processes import BusSettings, KeyFiles
from wayhouse.bus.service import Bus


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "lock"
    path.touch()
    return path


@pytest.fixture
async def bus(tmp_path: Path, lock: Path) -> AsyncIterator[Bus]:
    with lock.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        (tmp_path / "run").mkdir()
        made = Bus(BusSettings(port=0), data=tmp_path, runtime=tmp_path / "run", lock=lock)
        async with asyncio.timeout(60), made, Tasks() as tasks:
            await made.start()
            made.go_on(tasks)
            await made.ready()
            yield made


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


async def test_a_call_and_a_service_of_this_process(bus: Bus) -> None:
    async def shout(body: Frames) -> list[bytes]:
        return [body[0].upper(), OK]

    bus.serve({"localhost.shout": shout})
    assert await bus.call("localhost.shout", [b"ahoy"]) == [b"AHOY", OK]
    with pytest.raises(ConflictError):
        bus.serve({"localhost.shout": shout})
    await bus.withdraw("localhost.shout")
    while await bus.call("mmi.service", [b"localhost.shout"]) != [b"404"]:  # the farewell is on its way
        await asyncio.sleep(0.01)


async def test_an_answer_that_looks_like_a_refusal_of_the_broker_is_an_answer(bus: Bus) -> None:
    async def tell(_: Frames) -> list[bytes]:
        return [b"temperature: 21", OK]

    bus.serve({"localhost.tell": tell})
    async with asyncio.timeout(20):
        assert await bus.ask("localhost.tell", [b"x"], uuid=os.urandom(16)) == [b"temperature: 21", OK]


async def test_a_durable_request_is_done_once_however_often_it_is_asked(bus: Bus) -> None:
    done: list[bytes] = []

    async def work(body: Frames) -> list[bytes]:
        done.append(body[0])
        return [b"result", OK]

    bus.serve({"localhost.work": work})
    uuid = os.urandom(16)
    answers = await asyncio.gather(*(bus.ask("localhost.work", [b"job"], uuid=uuid) for _ in range(3)))
    assert answers == [[b"result", OK]] * 3
    assert await bus.ask("localhost.work", [b"job"], uuid=uuid) == [b"result", OK]
    assert done == [b"job"]
    await bus.close_request(uuid)


@pytest.mark.parametrize("name", ["bus", "titanic"])
async def test_everything_works_again_after_a_process_was_killed(bus: Bus, name: str) -> None:
    async def echo(body: Frames) -> list[bytes]:
        return [*body, OK]

    bus.serve({"localhost.echo": echo})
    bus.publish("/device/lamp", b"1")
    pids = {one.name: one.pid for one in bus.processes()}
    os.kill(pids[name], signal.SIGKILL)
    await until(lambda: {one.name: one.pid for one in bus.processes()}[name] not in {0, pids[name]})
    assert await bus.ask("localhost.echo", [b"still here"], uuid=os.urandom(16)) == [b"still here", OK]
    async with bus.subscriber("/device/") as seen:
        await until(lambda: "/device/lamp" in seen.kvmap)
    assert [one.restarts for one in bus.processes() if one.name == name] == [1]


async def test_what_is_published_is_seen_and_deleted(bus: Bus) -> None:
    told: list[tuple[str, bytes | None]] = []
    async with bus.subscriber("/device/", lambda key, body: told.append((key, body))) as seen:
        await seen.synchronised()
        bus.publish("/device/localhost.fake.lamp", b"true")
        await until(lambda: ("/device/localhost.fake.lamp", b"true") in told)
        bus.publish("/device/localhost.fake.lamp", b"")
        await until(lambda: ("/device/localhost.fake.lamp", None) in told)
        kept: dict[str, KVMsg] = seen.kvmap
        assert kept == {}
    assert len(bus.outlet) == 0


async def test_rest_leaves_the_bus_and_going_on_comes_back(bus: Bus) -> None:
    async def echo(body: Frames) -> list[bytes]:
        return [*body, OK]

    bus.serve({"localhost.echo": echo})
    await bus.call("localhost.echo", [b"1"])
    pids = [one.pid for one in bus.processes()]
    await bus.rest()
    with pytest.raises(UnavailableError):
        await bus.call("localhost.echo", [b"2"])
    async with Tasks() as tasks:
        bus.go_on(tasks)
        assert await bus.call("localhost.echo", [b"3"]) == [b"3", OK]
        assert [one.pid for one in bus.processes()] == pids
        await bus.rest()


async def test_the_overview_tells_services_processes_and_endpoints(bus: Bus) -> None:
    async def echo(body: Frames) -> list[bytes]:
        return [*body, OK]

    bus.serve({"localhost.echo": echo})
    await bus.call("localhost.echo", [b"1"])
    found = await bus.overview()
    while "localhost.echo" not in {one.name for one in found.broker.services}:  # figures may be a moment old
        await asyncio.sleep(0.02)
        found = await bus.overview()
    assert {one.name for one in found.processes if one.is_ready} == {"bus", "titanic"}
    assert found.endpoints["broker"] == f"tcp://127.0.0.1:{bus.port}"
    assert found.endpoints["snapshot"].endswith(f":{bus.port + 1}")


async def test_the_processes_end_with_whoever_holds_the_lock(tmp_path: Path, lock: Path) -> None:
    with lock.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        (tmp_path / "run").mkdir()
        bus = Bus(BusSettings(port=0), data=tmp_path, runtime=tmp_path / "run", lock=lock)
        async with asyncio.timeout(30), Tasks() as tasks, bus:
            await bus.start()
            bus.go_on(tasks)
            await bus.ready()
            pids = [one.pid for one in bus.processes()]
            bus.supervised().handover()  # from here on nobody starts them anew
            fcntl.flock(held, fcntl.LOCK_UN)
            await until(lambda: not any(_runs(pid) for pid in pids))
            bus.supervised().resume()


def _runs(pid: int) -> bool:
    """A process that has ended and was not asked for its status yet is a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("answer", [[], [b"200"], [b"no json", b"200"], [b"[]", b"200"], [b"1", b"2", b"3"]])
def test_figures_that_are_not_understood_are_none(answer: Frames) -> None:
    assert figures(answer) == BrokerFigures()


async def test_the_durable_requests_and_their_counts(bus: Bus) -> None:
    uuid = os.urandom(16)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2):
            await bus.ask("localhost.nobody", [b"job"], uuid=uuid)
    found = await bus.requests()
    assert [(one.uuid, one.service, one.state) for one in found.requests] == [
        (uuid.hex(), "localhost.nobody", "waiting")
    ]
    assert (await bus.requests(1, "answered")).requests == []
    assert (await bus.overview()).durable["waiting"] == 1
    await bus.close_request(uuid)
    assert (await bus.overview()).durable["waiting"] == 0


async def test_the_last_look_is_kept(bus: Bus) -> None:
    await until(lambda: bus.seen.broker.uptime_s > 0)
    assert {one.name for one in bus.seen.processes} == {"bus", "titanic"}


@pytest.mark.parametrize("mechanism", ["curve", "plain"])
async def test_its_own_process_needs_no_key(tmp_path: Path, lock: Path, mechanism: str) -> None:
    secret, known = tmp_path / "secret", tmp_path / "known"
    for path, text in ((secret, make_pair()[1]), (known, "{}")):
        path.write_text(text)
        path.chmod(0o600)
    (tmp_path / "run").mkdir()
    with lock.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        files = KeyFiles(secret, known)
        settings = BusSettings(port=0, mechanism=mechanism)
        made = Bus(settings, data=tmp_path, runtime=tmp_path / "run", lock=lock, keys=lambda: files)
        async with asyncio.timeout(60), made, Tasks() as tasks:
            await made.start()
            made.go_on(tasks)
            await made.ready()
            made.publish("/device/lamp", b"1")
            async with made.subscriber("/device/") as seen:
                await until(lambda: "/device/lamp" in seen.kvmap)
            stranger = AsyncKvSubscriberClient(
                "localhost", "/device/", endpoints=Endpoints.of("127.0.0.1", made.port)
            )
            async with stranger:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.3):
                        await stranger.synchronised()


async def test_a_bus_that_is_switched_off_is_no_trouble(tmp_path: Path, lock: Path) -> None:
    bus = Bus(BusSettings(enabled=False), data=tmp_path, runtime=tmp_path, lock=lock)
    async with bus, Tasks() as tasks:
        await bus.start()
        bus.go_on(tasks)
        bus.publish("/a/b", b"1")
        with pytest.raises(UnavailableError, match="switched off"):
            await bus.call("mmi.echo", [b""])
        assert (bus.processes(), len(bus.outlet), (await bus.overview()).processes) == ([], 0, [])
        await bus.rest()
