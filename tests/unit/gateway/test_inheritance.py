"""A successor takes over what is whole and understood, and refuses all else."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.parts.descriptors import open_descriptors
from tests.parts.house import house
from wayhouse.base.errors import BadInputError
from wayhouse.gateway import inheritance
from wayhouse.gateway.inheritance import GROUND, LOCK, Inheritance, call_health, inherit
from wayhouse.gateway.listeners import bind_tcp, bind_unix
from wayhouse.gateway.sockets import Sockets
from wayhouse.gateway.succession import Ground
from wayhouse.runtime.exceptions import ConnectionClosed
from wayhouse.runtime.succession.elder import Elder, refuse
from wayhouse.runtime.succession.passage import Passage
from wayhouse.runtime.succession.upgrade import Parcel, Phase, UpgradeFailedError


class Given:
    """A part of the elder that hands over what the test wants."""

    phase = Phase.GROUND

    def __init__(self, *parcels: Parcel, name: str = GROUND) -> None:
        self.name = name
        self._parcels = parcels

    async def rest(self, patience_s: float) -> None: ...

    def pack(self) -> list[Parcel]:
        return list(self._parcels)

    def carry_on(self) -> None: ...

    def let_go(self) -> None: ...


@pytest.fixture(autouse=True)
def descriptors_closed() -> Iterator[None]:
    """A successor that failed has ended, and with it all that it was handed; here it must be closed."""
    before = set(os.listdir("/proc/self/fd"))
    yield
    for fd in set(os.listdir("/proc/self/fd")) - before:
        try:
            os.close(int(fd))
        except OSError:
            continue


@asynccontextmanager
async def elder_with(*parts: Any) -> AsyncIterator[tuple[Passage, asyncio.Task[str]]]:
    """The successor's end of the passage, and how it goes for the elder: why it failed, or ""."""
    ours, its = (Passage(one) for one in socket.socketpair())

    async def end_heir() -> None:
        its.close()

    async def hand_over() -> str:
        elder = Elder(ours, parts, program="Wayhouse 1", say=lambda _: None, end_heir=end_heir)
        try:
            await elder.hand_over()
        except UpgradeFailedError as error:
            return error.message
        return ""

    task = asyncio.create_task(hand_over())
    try:
        yield its, task
    finally:
        its.close()
        await task
        ours.close()


@pytest.fixture
def lock(tmp_path: Path) -> Iterator[int]:
    with (tmp_path / "lock").open("a") as file:
        yield file.fileno()


async def test_sockets_and_lock_come_by_name(tmp_path: Path, lock: int) -> None:
    path = tmp_path / "a.sock"
    with Sockets({}) as listening:
        web = listening.tcp("web", "127.0.0.1", 0)
        listening.unix("local", path, 0o600)
        async with elder_with(Ground(listening, lock)) as (passage, task):
            found = await inherit(passage)
            assert set(found.sockets) == {"web", "local"}
            assert found.sockets["web"].getsockname() == web.getsockname()
            assert found.sockets["local"].getsockname() == str(path)
            assert os.path.sameopenfile(found.lock, lock)
            assert not os.get_inheritable(found.lock)
            await refuse(passage, "the test has seen enough")
            assert await task == "the test has seen enough"
            for sock in found.sockets.values():
                sock.close()


async def failing(*parts: Any) -> str:
    async with elder_with(*parts) as (passage, _):
        with pytest.raises(UpgradeFailedError) as failure:
            await inherit(passage)
    return failure.value.message


async def test_a_part_that_is_not_known_here(lock: int) -> None:
    told = await failing(Given(({"name": LOCK}, [lock])), Given(name="radio"), Given(name="disk"))
    assert "does not know how to go on with: radio." in told


async def test_without_the_lock_there_is_nothing_to_build_on() -> None:
    with bind_tcp("127.0.0.1", 0) as web:
        assert "did not hand over the lock" in await failing(Given(({"name": "web"}, [web.fileno()])))
    assert "did not hand over the lock" in await failing(Given())


@pytest.mark.parametrize("state", [{}, {"name": 5}, {"name": None}, {"name": ["web"]}])
async def test_what_has_no_name(lock: int, state: dict[str, Any]) -> None:
    assert "not understood" in await failing(Given(({"name": LOCK}, [lock]), (state, [lock])))


@pytest.mark.parametrize("count", [0, 2])
async def test_a_name_with_too_few_or_many_descriptors(lock: int, count: int) -> None:
    assert "not understood" in await failing(Given(({"name": LOCK}, [lock] * count)))


async def test_what_does_not_listen_is_left_out(tmp_path: Path, lock: int) -> None:
    with bind_unix(tmp_path / "a.sock", 0o600) as local, socket.socket() as idle:
        read, write = os.pipe()
        given = [
            ({"name": "web"}, [read]),
            ({"name": "apps"}, [idle.fileno()]),
            ({"name": LOCK}, [lock]),
            ({"name": "local"}, [local.fileno()]),
        ]
        async with elder_with(Given(*given)) as (passage, _):
            before = open_descriptors()
            found = await inherit(passage)
            assert set(found.sockets) == {"local"}
            assert open_descriptors() == before + 3  # with the one that tells of the elder's end
            found.sockets["local"].close()
        os.close(read)
        os.close(write)


async def test_an_elder_that_is_gone() -> None:
    ours, its = socket.socketpair()
    ours.close()
    passage = Passage(its)
    with pytest.raises(ConnectionClosed):
        await inherit(passage)
    passage.close()


async def test_an_elder_that_talks_nonsense() -> None:
    ours, its = (Passage(one) for one in socket.socketpair())
    await ours.send(b"nonsense", timeout=5)
    with pytest.raises(UpgradeFailedError, match="not understood"):
        await inherit(its)
    ours.close()
    its.close()


async def test_the_farewell_is_waited_for_but_not_for_ever(
    lock: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inheritance, "FAREWELL_S", 0.05)
    async with elder_with(Given(({"name": LOCK}, [lock]))) as (passage, task):
        found: Inheritance = await inherit(passage)
        await found.farewell()
        assert passage.fileno() == -1
        assert "ended before it could" in await task


class Answering:
    """An application that answers its health in one way."""

    def __init__(self, status: int = 200, *, fails: BaseException | None = None, hangs: bool = False) -> None:
        self.status, self.fails, self.hangs = status, fails, hangs
        self.scope: dict[str, Any] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope = scope
        assert await receive() == {"type": "http.request", "body": b"", "more_body": False}
        if self.fails is not None:
            raise self.fails
        if self.hangs:
            await asyncio.Event().wait()
        if self.status:
            await send({"type": "http.response.start", "status": self.status, "headers": []})
            await send({"type": "http.response.body", "body": b""})


async def test_a_health_that_is_good(tmp_path: Path) -> None:
    app = Answering()
    await call_health(app)
    assert (app.scope["method"], app.scope["path"]) == ("GET", "/healthz")
    async with house(tmp_path) as one:
        await call_health(one.app)


@pytest.mark.parametrize(
    ("app", "told"),
    [
        (Answering(500), "does not answer its own request"),
        (Answering(302), "does not answer its own request"),
        (Answering(0), "does not answer its own request"),
        (Answering(fails=BadInputError("no such chute")), r"\(BadInputError: no such chute\)"),
        (Answering(fails=RuntimeError("a defect")), r"\(RuntimeError: a defect\)"),
        (Answering(hangs=True), r"\(TimeoutError\)"),
    ],
)
async def test_a_health_that_is_not(app: Answering, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inheritance, "SELF_CALL_S", 0.05)
    with pytest.raises(UpgradeFailedError, match=told):
        await call_health(app)
