"""What the fake can do beyond the contract: fail on request, crash, speak, answer on its ports."""

# covers: chutes/engines/page.py

from __future__ import annotations

import asyncio
import socket

import pytest

from wayhouse.base.clock import ManualClock
from wayhouse.chutes.engines.fake import FakeEngine
from wayhouse.chutes.model import EngineError, PortBinding, Restart
from wayhouse.chutes.ports import BuildRequest, ContainerSpec


async def ready(engine: FakeEngine, **more: object) -> ContainerSpec:
    await engine.build(BuildRequest(tag="a:1", chute="a", context="."), lambda _line: None)
    spec = ContainerSpec(name="a-main", chute="a", service="main", image="a:1", change_id=1, **more)  # type: ignore[arg-type]
    await engine.create(spec)
    return spec


async def test_it_fails_once_for_each_request() -> None:
    engine = FakeEngine()
    engine.fail_next("start", "first")
    engine.fail_next("start", "second")
    spec = await ready(engine)
    for text in ("first", "second"):
        with pytest.raises(EngineError, match=text):
            await engine.start(spec.name)
    await engine.start(spec.name)


async def test_a_crash_follows_the_policy() -> None:
    engine = FakeEngine(ManualClock())
    spec = await ready(engine, restart=Restart.ON_FAILURE)
    await engine.start(spec.name)
    await engine.crash(spec.name, 1)
    seen = await engine.container(spec.name)
    assert seen is not None
    assert (seen.state.state, seen.state.restarts) == ("running", 1)
    await engine.crash(spec.name, 0)
    seen = await engine.container(spec.name)
    assert seen is not None
    assert (seen.state.state, seen.state.exit_code) == ("exited", 0)


async def test_lines_are_in_order() -> None:
    engine = FakeEngine(ManualClock())
    spec = await ready(engine)
    await engine.start(spec.name)
    for number in range(5):
        await engine.print_line(spec.name, f"line {number}")
    lines = [line async for line in engine.logs(spec.name, tail=3)]
    assert [line.message for line in lines] == ["line 2", "line 3", "line 4"]
    assert sorted(line.timestamp for line in lines) == [line.timestamp for line in lines]


async def test_a_demo_app_answers() -> None:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    engine = FakeEngine(serve=True)
    spec = await ready(engine, ports=(PortBinding(80, port),))
    await engine.start(spec.name)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    assert b"a: main" in await reader.read()
    writer.close()
    other = FakeEngine(serve=True)
    second = await ready(other, ports=(PortBinding(80, port),))
    with pytest.raises(EngineError, match=f"Port {port}"):
        await other.start(second.name)
    await engine.remove(spec.name)
    await engine.close()
