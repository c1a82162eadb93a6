import asyncio
import json

import pytest

from tests.parts.asgi import RefusedError


async def ordered(house, body, who="admin"):
    answer = await house.ask("POST", "/api/v1/changes/", body, who=who)
    assert answer.status == 200, answer
    return await house.gateway.ledger.wait(answer.json()["change_id"])


def order(verb, name="app", **more):
    return {"updateClass": "CHUTE", "updateType": verb, "name": name, **more}


async def test_paradrops_words_do_what_the_routes_do(house):
    config = {"services": {"main": {"type": "image", "image": "app"}}}
    for verb, more in (
        ("create", {"config": config}),
        ("stop", {}),
        ("start", {"environment": {"A": 1}}),
        ("restart", {}),
        ("update", {"config": config}),
        ("delete", {}),
    ):
        change = await ordered(house, order(verb, **more))
        assert (change.state, change.wish.kind) == ("succeeded", f"chute.{verb}"), change


async def test_unknown_words_are_refused_by_name(house):
    for body, path in (
        (order("explode"), "updateType"),
        ({"updateClass": "BOAT", "updateType": "x", "name": "x"}, "updateClass"),
    ):
        answer = await house.ask("POST", "/api/v1/changes/", body)
        assert (answer.status, answer.json()["path"]) == (400, path)
    unknown = {"updateClass": "ROUTER", "updateType": "explode", "name": "x"}
    assert (await house.ask("POST", "/api/v1/changes/", unknown)).status == 400


async def test_the_machine_is_restarted_by_administrators_through_the_switch(house):
    body = {"updateClass": "ROUTER", "updateType": "reboot", "name": "__PARADROP__"}
    assert (await house.ask("POST", "/api/v1/changes/", body, who="trusted")).status == 403
    assert house.power.scheduled is None
    assert (await ordered(house, body)).state == "succeeded"
    assert house.power.scheduled == "restart"


async def test_a_change_demands_the_right_of_its_own_route(house):
    await house.install("app", "user")  # who may use it, not change it
    for verb in ("stop", "start", "restart"):
        by_route = await house.ask("POST", f"/api/v1/chutes/app/{verb}", who="user")
        by_change = await house.ask("POST", "/api/v1/changes/", order(verb), who="user")
        assert (by_route.status, by_change.status) == (200, 200)
        assert (await house.ask("POST", "/api/v1/changes/", order(verb), who="trusted")).status == 403
    for verb in ("delete", "update"):
        assert (await house.ask("POST", "/api/v1/changes/", order(verb), who="user")).status == 403
        assert (await house.ask("POST", "/api/v1/changes/", order(verb), who="chute:app")).status == 403
    assert (await house.ask("POST", "/api/v1/changes/", order("stop"), who="chute:app")).status == 200


async def test_the_name_of_a_create_is_the_one_that_was_checked(house):
    await house.install("foreign", "admin")
    body = order(
        "create", "mine", config={"name": "foreign", "services": {"main": {"type": "image", "image": "app"}}}
    )
    change = await ordered(house, body, who="trusted")
    assert change.wish.name == "mine"


async def test_a_change_can_be_looked_at_and_is_in_the_history(house):
    await house.install("app")
    await house.install("other")
    change = (await house.ask("GET", "/api/v1/changes/1")).json()
    assert (change["updateClass"], change["updateType"], change["name"]) == ("CHUTE", "create", "app")
    assert (change["status"], change["user"]["name"]) == ("succeeded", "admin")
    assert (await house.ask("GET", "/api/v1/changes/")).json() == []
    history = (await house.ask("GET", "/api/v1/changes/history")).json()
    assert [one["id"] for one in history] == [2, 1]
    for query, ids in (("chute=app", [1]), ("limit=1", [2]), ("before=2", [1])):
        found = (await house.ask("GET", f"/api/v1/changes/history?{query}")).json()
        assert [one["id"] for one in found] == ids


async def test_a_chutes_token_sees_its_own_changes_however_many_others_there_are(house):
    await house.install("app")
    await house.install("other")
    found = (await house.ask("GET", "/api/v1/changes/history?limit=1", who="chute:app")).json()
    assert [one["name"] for one in found] == ["app"]
    assert (await house.ask("GET", "/api/v1/changes/history?chute=other", who="chute:app")).json() == []
    assert (await house.ask("GET", "/api/v1/changes/2", who="chute:app")).status == 403
    with pytest.raises(RefusedError) as refused:
        async with house.websocket("/ws/changes/2/stream", who="chute:app"):
            pass
    assert refused.value.answer.status == 403


@pytest.fixture
def held(house, monkeypatch):
    """Builds wait for this event."""
    event = asyncio.Event()
    pull = house.engine.pull

    async def slow(image, say):
        say("waiting")
        await event.wait()
        await pull(image, say)

    monkeypatch.setattr(house.engine, "pull", slow)
    return event


async def submitted(house, name="app"):
    config = {"name": name, "services": {"main": {"type": "image", "image": "app"}}}
    answer = await house.ask("POST", "/api/v1/chutes/", {"config": config})
    return answer.json()["change_id"]


async def test_a_waiting_change_is_taken_back_and_a_running_one_not(house, held):
    first, second = await submitted(house), await submitted(house)
    listed = (await house.ask("GET", "/api/v1/changes/")).json()
    assert [(one["id"], one["status"]) for one in listed] == [(first, "processing"), (second, "queued")]
    assert (await house.ask("DELETE", f"/api/v1/changes/{second}", who="user")).status == 403
    assert (await house.ask("DELETE", f"/api/v1/changes/{second}")).json()["state"] == "cancelled"
    assert (await house.ask("DELETE", f"/api/v1/changes/{first}")).status == 409
    assert (await house.ask("DELETE", "/api/v1/changes/99")).status == 404
    held.set()


async def test_the_stream_replays_goes_on_live_and_ends(house, held):
    change = await submitted(house)
    async with house.websocket(f"/ws/changes/{change}/stream") as early:
        lines = []
        while "waiting" not in lines:
            lines.append(json.loads(await early.receive())["message"])
        async with house.websocket(f"/ws/changes/{change}/stream") as late:
            assert [json.loads(await late.receive())["message"] for _ in lines] == lines
            held.set()
            rest = [json.loads(frame)["message"] for frame in await early.all()]
            assert [json.loads(frame)["message"] for frame in await late.all()] == rest
    assert rest[-1] == "Completed create operation on chute app: success"
    async with house.websocket(f"/ws/changes/{change}/stream") as after:
        frames = [json.loads(frame) for frame in await after.all()]
    assert [one["message"] for one in frames] == lines + rest
    assert all(isinstance(one["time"], float) for one in frames)
    events = await house.ask("GET", f"/ws/changes/{change}/stream", headers={"accept": "text/event-stream"})
    assert events.headers["content-type"].startswith("text/event-stream")
    found = [line[6:] for line in events.body.decode().splitlines() if line.startswith("data: {")]
    assert [json.loads(one)["message"] for one in found] == lines + rest
    assert events.body.endswith(b"event: end\ndata:\n\n")
    ids = [line[4:] for line in events.body.decode().splitlines() if line.startswith("id: ")]
    assert ids == [str(number) for number in range(1, len(found) + 1)]
    for cursor in ("0", "1", str(len(found)), "999"):
        async with house.websocket(f"/ws/changes/{change}/stream?resume={cursor}") as back:
            again = [json.loads(frame)["message"] for frame in await back.all()]
            assert again == (lines + rest)[int(cursor) :]


@pytest.mark.parametrize("cursor", ["x", "-1", "1.5", "9" * 30, "%C2%B2"])
async def test_a_cursor_that_is_none_is_a_400(house, held, cursor):
    change = await submitted(house)
    with pytest.raises(RefusedError) as refused:
        async with house.websocket(f"/ws/changes/{change}/stream?resume={cursor}"):
            pass
    assert refused.value.answer.status == 400
    assert "number of lines" in refused.value.answer.json()["detail"]
    held.set()


async def test_a_watcher_that_comes_back_misses_nothing(house, held):
    change = await submitted(house)
    async with house.websocket(f"/ws/changes/{change}/stream") as early:
        had = [json.loads(await early.receive())["message"]]
    held.set()
    async with house.websocket(f"/ws/changes/{change}/stream?resume=1") as back:
        had += [json.loads(frame)["message"] for frame in await back.all()]
    async with house.websocket(f"/ws/changes/{change}/stream") as after:
        assert [json.loads(frame)["message"] for frame in await after.all()] == had


async def test_the_stream_of_no_change_is_a_404_before_the_upgrade(house):
    for target, status in (("/ws/changes/99/stream", 404), ("/ws/changes/x/stream", 400)):
        with pytest.raises(RefusedError) as refused:
            async with house.websocket(target):
                pass
        assert refused.value.answer.status == status
