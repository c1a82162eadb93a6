"""The daemon's control socket."""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.parts.armed import DEADLOCKED, as_nobody, child
from wayhouse import __version__
from wayhouse.base import codec
from wayhouse.base.errors import UnavailableError
from wayhouse.chutes.model import ServiceState
from wayhouse.chutes.ports import Container
from wayhouse.gateway.control import GatewayControl, control_server
from wayhouse.gateway.listeners import bind_unix
from wayhouse.runtime.async_remote import AsyncRemote
from wayhouse.runtime.exceptions import AveException
from wayhouse.runtime.sight.family import Label, Member
from wayhouse.runtime.sight.overview import SOCKET, Trace
from wayhouse.runtime.sight.trace_box import FOLDER

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def container(pid: int | None, *, shim: int | None = None, state: str = "running") -> Container:
    return Container(
        name="app-main", chute="app", service="main", change_id=1, image="", state=ServiceState(state), pid=pid, shim=shim
    )  # fmt: skip


@pytest.fixture
def sleeper() -> Iterator[int]:
    process = subprocess.Popen(["sleep", "60"])
    yield process.pid
    process.kill()
    process.wait()


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Any]:
    """Serves a control over some containers; gives a client of it."""
    stack = []

    async def begin(*containers: Container, fails: BaseException | None = None, **more: Any) -> AsyncRemote:
        async def ask() -> list[Container]:
            if fails is not None:
                raise fails
            return list(containers)

        serving = control_server(GatewayControl(tmp_path, containers=ask, **more))
        await serving.__aenter__()
        serving.listen(bind_unix(tmp_path / SOCKET, 0o600))
        remote = AsyncRemote(str(tmp_path / SOCKET), timeout=30)
        await remote.connect()
        stack.append((serving, remote))
        return remote

    yield begin
    for serving, remote in stack:
        remote.close()
        await serving.__aexit__(None, None, None)


async def members(remote: AsyncRemote) -> list[Member]:
    return codec.convert(await remote.call("ps"), list[Member])


async def traces(remote: AsyncRemote, who: object = None) -> list[Trace]:
    return [codec.convert(one, Trace) async for one in remote.stream("trace", who)]


async def test_who_there_is(serve: Any, sleeper: int, tmp_path: Path) -> None:
    with child(tmp_path / FOLDER, DEADLOCKED, name="keeper", role="keeper") as keeper:
        remote = await serve(container(sleeper), known=lambda: {keeper: Label(ready=True)})
        found = {one.pid: one for one in await members(remote)}
        assert (found[os.getpid()].name, found[os.getpid()].ready) == ("gateway", True)
        app = found[sleeper]
        assert (app.name, app.role, app.belongs_to, app.ready) == ("app-main", "container", "app", True)
        assert (found[keeper].name, found[keeper].role, found[keeper].ready) == ("keeper", "keeper", True)
        assert await remote.call("version") == __version__
        assert await remote.call("PING") == "pong"
        assert set((await remote.call("INFO"))["methods"]) >= {"ps", "trace", "version"}


async def test_a_shim_s_processes_are_its_app_s(serve: Any, sleeper: int) -> None:
    remote = await serve(container(None, shim=sleeper, state="restarting"))
    (shim,) = [one for one in await members(remote) if one.pid == sleeper]
    assert (shim.name, shim.role, shim.belongs_to, shim.ready) == ("app-main", "shim", "app", False)


async def test_where_each_of_them_is(serve: Any, sleeper: int, tmp_path: Path) -> None:
    with child(tmp_path / FOLDER, DEADLOCKED, name="keeper", role="keeper") as keeper:
        remote = await serve(container(sleeper))
        told = {one.pid: one for one in await traces(remote)}
        assert (told[os.getpid()].how, told[keeper].how, told[sleeper].how) == ("own", "signal", "kernel")
        assert "task 'rpc stream trace'" in told[os.getpid()].text
        assert "holds_one_and_wants_the_other" in told[keeper].text
        for who in ("app", "app-main", sleeper, str(sleeper)):
            assert [one.pid for one in await traces(remote, who)] == [sleeper]
        with pytest.raises(AveException, match=r"There are: .*app-main") as refused:
            await traces(remote, "nobody")
        assert refused.value.details["type"] == "NoSuchProcessError"


@pytest.mark.parametrize("strange", [[], {"a": 1}, 1.5, True, "\0", 10**30])
async def test_strange_names_are_refused(serve: Any, strange: Any) -> None:
    remote = await serve()
    with pytest.raises(AveException):
        await traces(remote, strange)
    assert await remote.call("PING") == "pong"


@pytest.mark.parametrize("error", [UnavailableError("no engine"), TimeoutError(), OSError(5, "broken")])
async def test_an_engine_that_is_broken_hides_its_own_alone(serve: Any, error: Exception) -> None:
    remote = await serve(fails=error)
    assert os.getpid() in {one.pid for one in await members(remote)}


async def test_an_engine_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang() -> list[Container]:
        await asyncio.Event().wait()
        return []

    monkeypatch.setattr("wayhouse.gateway.control.ENGINE_S", 0.01)
    assert await GatewayControl(tmp_path, containers=hang).ps()


ASK = """
from wayhouse.runtime.remote import RemoteControl
"""


@as_root
async def test_another_user_is_refused_and_nothing_else_is_down(tmp_path: Path) -> None:
    async def nothing() -> list[Container]:
        return []

    work = "print(RemoteControl(sys.argv[1], timeout=20, optimist=False).call(sys.argv[2]))"
    with tempfile.TemporaryDirectory() as folder:  # tmp_path lies where nobody else may look
        path = Path(folder) / SOCKET
        path.parent.chmod(0o755)
        async with control_server(GatewayControl(tmp_path, containers=nothing)) as serving:
            serving.listen(bind_unix(path, 0o600))
            closed = await asyncio.to_thread(as_nobody, ASK, work, path, "ps")
            assert closed == "ConnectionRefused Permission denied\n"
            path.chmod(0o666)
            for method in ("ps", "version", "upgrade", "PING", "INFO", "STATS", "TRACE"):
                told = await asyncio.to_thread(as_nobody, ASK, work, path, method)
                assert "not authorized to make this call" in told, method
            async with AsyncRemote(str(path), timeout=30) as remote:
                assert await remote.call("PING") == "pong"
