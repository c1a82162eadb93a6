import json

import pytest

from wayhouse.api.resources import info


@pytest.mark.parametrize("path", ["hardware", "software", "telemetry", "status"])
async def test_facts_are_objects(house, path):
    answer = await house.ask("GET", f"/api/v1/info/{path}")
    assert answer.status == 200
    assert isinstance(answer.json(), dict)


async def test_features_and_environment(house):
    assert (await house.ask("GET", "/api/v1/info/features")).json() == []
    shown = (await house.ask("GET", "/api/v1/info/environment")).json()
    assert shown["HOME"] == "/root"
    assert "hidden" not in json.dumps(shown)


async def test_telemetry_knows_the_chutes(house):
    await house.install("app")
    assert "app" in (await house.ask("GET", "/api/v1/info/telemetry")).body.decode()


async def test_the_status_channel_answers_each_refresh_and_nothing_else(house):
    for target in ("/sockjs/status", "/sockjs/status/1/2/websocket"):
        async with house.websocket(target) as socket:
            for text in ("hello", "refresh", "REFRESH", " refresh\n"):
                socket.send(text)
            frames = [json.loads(await socket.receive()) for _ in range(2)]
            assert frames[0].keys() == (await house.ask("GET", "/api/v1/info/status")).json().keys()


async def test_the_status_as_events_comes_by_itself(house, monkeypatch):
    monkeypatch.setattr(info, "SSE_PERIOD_S", 0.0)
    async with house.exchange("GET", "/sockjs/status", headers={"accept": "text/event-stream"}) as one:
        assert await one.begin() == 200
        parts = one.parts()
        for _ in range(3):
            assert (await anext(parts)).startswith(b"data: {")


async def test_without_snapd_its_paths_are_a_503(house, monkeypatch, tmp_path):
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        answer = await house.ask(method, "/snapd/v2/users?a=b", {"x": 1} if method != "GET" else None)
        assert answer.status == 503, "this machine has a snapd"
        assert "snapd" in answer.json()["detail"]


async def test_ways_up_and_encodings_reach_snapd_decoded_once(house):
    assert (await house.ask("GET", "/snapd/v2/%2e%2e/x")).status == 400
    assert (await house.ask("GET", "/snapd/v2/../x")).status == 400
    assert (await house.ask("GET", "/snapd/v2/a%20b")).status == 503
    assert (await house.ask("GET", "/snapd/v2/a%0Ab")).status == 400


async def test_a_body_for_snapd_has_a_limit(house, monkeypatch):
    monkeypatch.setattr(info, "MOST_SNAPD_BYTES", 10)
    assert (await house.ask("POST", "/snapd/v2/x", b"x" * 11)).status == 413
