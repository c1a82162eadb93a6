import io
import json
import tarfile
from urllib.parse import quote

import pytest

from tests.parts.asgi import RefusedError
from tests.parts.gateway import tar_of

SPEC = "name: {name}\nversion: 2\nservices:\n  main: {{type: image, image: app}}\n"
TAR = {"content-type": "application/x-tar"}


def archive(name):
    return tar_of({"paradrop.yaml": SPEC.format(name=name)})


async def done(house, answer):
    assert answer.status == 200, answer
    return await house.gateway.ledger.wait(answer.json()["change_id"])


async def test_an_archive_is_installed_updated_and_removed(house):
    change = await done(house, await house.ask("POST", "/api/v1/chutes/", archive("app"), headers=TAR))
    assert (change.state, change.wish.name, change.actor.name) == ("succeeded", "app", "admin")
    change = await done(house, await house.ask("PUT", "/api/v1/chutes/app", archive("app"), headers=TAR))
    assert (change.state, change.wish.kind) == ("succeeded", "chute.update")
    assert (await done(house, await house.ask("DELETE", "/api/v1/chutes/app"))).state == "succeeded"
    assert (await house.ask("GET", "/api/v1/chutes/")).json() == []


async def test_an_order_in_json_is_taken_as_well(house):
    config = {"name": "app", "services": {"main": {"type": "image", "image": "app"}}}
    assert (
        await done(house, await house.ask("POST", "/api/v1/chutes/", {"config": config}))
    ).state == "succeeded"
    nameless = {"services": config["services"]}
    change = await done(house, await house.ask("PUT", "/api/v1/chutes/app", {"config": nameless}))
    assert change.wish.name == "app"


async def test_a_chute_has_the_fields_of_both_generations(house):
    await house.install("app", environment={"A": "secret"}, version=3)
    one = (await house.ask("GET", "/api/v1/chutes/app")).json()
    assert (one["name"], one["state"], one["version"], one["environment"]) == (
        "app",
        "running",
        3,
        {"A": "secret"},
    )
    assert one["services"]["main"]["state"] == "running"
    assert one["services"]["main"]["allocation"]["cpu_shares"] == one["allocation"]["cpu_shares"]
    assert one["owner"] == {"name": "admin", "domain": "localhost", "role": "admin"}
    await done(house, await house.ask("POST", "/api/v1/chutes/app/stop"))
    one = (await house.ask("GET", "/api/v1/chutes/app")).json()
    assert (one["state"], one["services"]["main"]["allocation"]) == ("stopped", None)


async def test_the_list_hides_the_environment_of_what_one_may_not_use(house):
    await house.install("app", environment={"A": "secret"})
    await house.install("other")
    assert "secret" not in (await house.ask("GET", "/api/v1/chutes/", who="user")).body.decode()
    assert "secret" in (await house.ask("GET", "/api/v1/chutes/", who="admin")).body.decode()
    own = (await house.ask("GET", "/api/v1/chutes/", who="chute:app")).json()
    assert [one["name"] for one in own] == ["app"]


async def test_start_and_restart_take_an_environment_and_ignore_what_is_none(house):
    await house.install("app")
    body = {"environment": {"A": 1, "B": True, "C": None}}
    await done(house, await house.ask("POST", "/api/v1/chutes/app/restart", body))
    shown = (await house.ask("GET", "/api/v1/chutes/app")).json()["environment"]
    assert shown == {"A": "1", "B": "true", "C": ""}
    for odd in (b"nonsense", b"", b"[1]"):
        assert (
            await done(house, await house.ask("POST", "/api/v1/chutes/app/restart", odd))
        ).state == "succeeded"
    bad = {"environment": {"A=B": "x"}}
    assert (await house.ask("POST", "/api/v1/chutes/app/restart", bad)).status == 400


async def test_a_change_of_what_is_not_there_fails_with_a_reason(house):
    for method, path in (("DELETE", ""), ("POST", "/stop"), ("POST", "/start")):
        change = await done(house, await house.ask(method, f"/api/v1/chutes/none{path}"))
        assert (change.state, bool(change.reason)) == ("failed", True)


async def test_the_specification_is_shown_and_changed_field_by_field(house):
    await house.install("app", description="before")
    assert (await house.ask("GET", "/api/v1/chutes/app/config")).json()["description"] == "before"
    assert (
        await done(house, await house.ask("PUT", "/api/v1/chutes/app/config", {"description": "after"}))
    ).state == "succeeded"
    assert (await house.ask("GET", "/api/v1/chutes/app/config")).json()["description"] == "after"
    bad = await house.ask("PUT", "/api/v1/chutes/app/config", {"web": {"service": "none", "port": "x"}})
    assert (bad.status, bad.json()["path"].startswith("web")) == (400, True)
    assert (await house.ask("PUT", "/api/v1/chutes/app/config", [1])).status == 400


async def test_the_cache_has_the_token_and_is_not_for_the_chute(house):
    await house.install("app")
    cache = (await house.ask("GET", "/api/v1/chutes/app/cache")).json()
    assert cache["apiToken"] == house.token("chute:app")
    assert cache["networkInterfaces"] == []
    assert (await house.ask("GET", "/api/v1/chutes/app/cache", who="chute:app")).status == 403


async def test_usage_is_by_service(house):
    await house.install("app")
    assert (await house.ask("GET", "/api/v1/chutes/app/usage")).json()["main"]["pids"] == 1


async def test_networks_are_none_yet(house):
    await house.install("app")
    assert (await house.ask("GET", "/api/v1/chutes/app/networks")).json() == []
    for path in ("", "/leases", "/ssid", "/hostapd_status", "/stations", "/stations/00:11"):
        answer = await house.ask("GET", f"/api/v1/chutes/app/networks/lan{path}")
        assert (answer.status, answer.json()["code"]) == (404, "no-such-network")


async def test_nobody_installs_over_anothers_chute_whatever_the_url_says(house):
    await house.install("foreign", "admin")
    for method, target in (("POST", "/api/v1/chutes/"), ("PUT", "/api/v1/chutes/mine")):
        answer = await house.ask(method, target, archive("foreign"), who="trusted", headers=TAR)
        assert answer.status == 403
    assert list((house.paths.data / "uploads").iterdir()) == []
    assert (await house.ask("POST", "/api/v1/chutes/", archive("new"), who="user", headers=TAR)).status == 403


def hostile(name):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", errors="surrogateescape") as tar:
        tar.addfile(tarfile.TarInfo(name))
    return buffer.getvalue()


@pytest.mark.parametrize(
    "body",
    [
        b"", b"nonsense", b"\x1f\x8b nonsense", archive("app")[:700], hostile("../../etc/passwd"),
        hostile("/etc/\udcff"), hostile("../\udcff"), tar_of({"paradrop.yaml": "{"}), tar_of({"other": "x"}),
        tar_of({"paradrop.yaml": "name: [1]"}), tar_of({"paradrop.yaml": b"\xff\xfe\x00"}), archive("../x"),
    ],
)  # fmt: skip
async def test_bad_archives_are_a_400_and_leave_nothing(house, body):
    answer = await house.ask("POST", "/api/v1/chutes/", body, headers=TAR)
    assert (answer.status, answer.headers["content-type"]) == (400, "application/problem+json")
    assert answer.json()["message"]
    uploads = house.paths.data / "uploads"
    assert not uploads.exists() or list(uploads.iterdir()) == []


async def test_half_an_archive_leaves_nothing(house):
    async with house.exchange(
        "POST", "/api/v1/chutes/", body=archive("app")[:600], more_body=True, headers=TAR
    ) as one:
        one.leave()
        assert await one.begin() == 400
    assert list((house.paths.data / "uploads").iterdir()) == []


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"name": 1},
        {"name": "app", "download": {}},
        {"name": "app", "download": {"url": " "}},
        {"name": "a b", "download": {"url": "x"}},
    ],
)
async def test_bad_orders_are_a_400(house, config):
    assert (await house.ask("POST", "/api/v1/chutes/", {"config": config})).status == 400


async def test_the_log_is_read_and_followed_at_every_path(house):
    await house.install("app")
    await house.engine.print_line("app-main", "one")
    lines = (await house.ask("GET", "/api/v1/chutes/app/logs?tail=1")).json()
    assert [(line["service"], line["message"]) for line in lines] == [("main", "one")]
    for target in ("/sockjs/logs/app", "/sockjs/logs/app/1/2/websocket", "/ws/chute_logs/app"):
        async with house.websocket(f"{target}?tail=1") as socket:
            frame = json.loads(await socket.receive())
            assert (frame["service"], frame["message"]) == ("main", "one")
            await house.engine.print_line("app-main", "two")
            assert json.loads(await socket.receive())["message"] == "two"
            await house.engine.print_line("app-main", "one")
        async with house.exchange(
            "GET", f"{target}?tail=1", headers={"accept": "text/event-stream"}
        ) as events:
            assert await events.begin() == 200
            parts = events.parts()
            assert (await anext(parts)).startswith(b"id: @2")
            assert b'"message":"one"' in await anext(parts)


async def test_a_follower_comes_back_exactly_where_it_was(house):
    await house.install("app")
    await house.engine.print_line("app-main", "one")
    async with house.exchange("GET", "/ws/chute_logs/app", headers={"accept": "text/event-stream"}) as events:
        await events.begin()
        parts = events.parts()
        cursor, event = b"", b""
        while b'"one"' not in event:
            event = await anext(parts)
            cursor = event.split(b"\n")[0].removeprefix(b"id: ")
    for number in range(300):
        await house.engine.print_line("app-main", str(number))
    target = f"/ws/chute_logs/app?tail=1&resume={quote(cursor)}"
    async with house.websocket(target) as socket:
        said = [json.loads(await socket.receive())["message"] for _ in range(300)]
    assert said == [str(number) for number in range(300)]


@pytest.mark.parametrize("cursor", ["x", "main", "main@yesterday", "a b@2026-11-22T01:35:34Z", "12"])
async def test_what_is_no_cursor_of_a_log_is_a_400(house, cursor):
    await house.install("app")
    with pytest.raises(RefusedError) as refused:
        async with house.websocket(f"/ws/chute_logs/app?resume={quote(cursor)}"):
            pass
    assert refused.value.answer.status == 400


async def test_the_log_ends_with_the_chute(house):
    await house.install("app")
    async with house.websocket("/ws/chute_logs/app") as socket:
        assert await socket.receive()
        await done(house, await house.ask("DELETE", "/api/v1/chutes/app"))
        await socket.all()
        assert socket.close_code == 1000


async def test_the_log_of_no_chute_is_a_404(house):
    with pytest.raises(RefusedError) as refused:
        async with house.websocket("/sockjs/logs/none"):
            pass
    assert refused.value.answer.status == 404
    assert (await house.ask("GET", "/api/v1/chutes/none/logs")).status == 404
