import json
import logging
import re
from contextlib import contextmanager

from wayhouse import __version__
from wayhouse.base import log

SAMPLE = re.compile(r'[a-z_]+(\{([a-z_]+="([^"\\]|\\.)*",?)*\})? (\+Inf|-Inf|NaN|[-+0-9.e]+)')


async def test_health_is_open_and_version_is_not(house):
    assert (await house.ask("GET", "/healthz", who=None)).json() == {"status": "ok"}
    version = (await house.ask("GET", "/api/v1/version", who="guest")).json()
    assert (version["version"], version["engine"]) == (__version__, "fake")
    assert (await house.ask("GET", "/api/v1/version", who=None)).status == 401


async def test_the_metrics_are_prometheus_text(house):
    await house.install("app")
    answer = await house.ask("GET", "/metrics", who="guest")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = answer.body.decode().splitlines()
    samples = [line for line in lines if not line.startswith("#")]
    assert all(SAMPLE.fullmatch(line) for line in samples)
    assert "wayhouse_chutes 1" in samples
    assert "wayhouse_changes_open 0" in samples


@contextmanager
def logging_into(house):
    root = logging.getLogger()
    before, level = root.handlers, root.level
    log.set_up(house.paths.data / "logs", house.events, terminal=False)
    try:
        yield logging.getLogger("test")
    finally:
        for handler in root.handlers:
            handler.close()
        root.handlers = before
        root.setLevel(level)


async def test_the_gateways_log_is_followed_as_bare_text(house):
    with logging_into(house) as speaker:
        async with house.websocket("/ws/paradrop_logs") as socket:
            await house.ask("GET", "/healthz")
            speaker.info("something %s", "happened")
            assert await socket.receive() == "something happened"


async def test_events_tell_of_changes_and_chutes(house):
    async with house.websocket("/ws/events") as socket:
        await house.ask("GET", "/healthz")
        await house.install("app")
        frames = []
        while {"event": "chute", "name": "app", "installed": True} not in frames:
            frames.append(json.loads(await socket.receive()))
    assert frames[0]["event"] == "change"
    assert (frames[0]["change"]["name"], frames[0]["change"]["updateType"]) == ("app", "create")


async def test_a_watcher_that_leaves_is_forgotten(house):
    before = len(house.events._by_type.get(log.LogLine, ()))
    async with house.websocket("/ws/paradrop_logs"):
        await house.ask("GET", "/healthz")
        assert len(house.events._by_type[log.LogLine]) == before + 1
    assert len(house.events._by_type[log.LogLine]) == before
