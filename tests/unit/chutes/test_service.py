# covers: chutes/wishes.py
"""Whole stories, asked for as the API asks: what happens to containers, data, images and the stream."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.parts.chute_lab import ADA, ADMIN, BOB, SETTINGS, ChuteLab, app, archive, chunks, light
from wayhouse.base import codec
from wayhouse.base.errors import BadInputError, TooLargeError, UnavailableError, WayhouseError
from wayhouse.chutes.engines.fake import FakeEngine
from wayhouse.chutes.model import BadArchiveError, BadSpecError, ChuteSettings, Desired
from wayhouse.chutes.wishes import Download, Kind
from wayhouse.ledger.model import Change, State


def replace(settings: ChuteSettings, **fields: Any) -> ChuteSettings:
    return codec.convert({**codec.to_builtins(settings), **fields}, ChuteSettings)


async def test_an_app_is_installed(tmp_path: Path) -> None:
    async with ChuteLab(tmp_path) as lab:
        change = await lab.install(app(), actor=ADA)
        lines = await lab.lines(change)
        assert change.state == State.SUCCEEDED, lines
        assert lines[-1] == "Completed create operation on chute hello: success"
        assert await lab.containers() == {"hello-main": ("hello-main:c1", "running")}
        chute = lab.chutes.get("hello")
        assert (chute.owner, chute.desired, chute.ports) == (
            ADA,
            Desired.RUNNING,
            {"main": {"8000/tcp": 20_000}},
        )
        assert (lab.directories.source(chute.source or "") / "main.py").read_text() == "print(1)\n"
        assert lab.directories.uploads() == set()
        assert await lab.engine.networks() == ["hello"]
        assert (await lab.environment("hello-main"))["PARADROP_API_TOKEN"] == chute.token
        assert lab.store.chute_of(chute.token) == "hello"


async def test_an_app_cannot_be_installed_twice(tmp_path: Path) -> None:
    async with ChuteLab(tmp_path) as lab:
        await lab.install(app())
        received = await lab.chutes.receive_archive(chunks(archive(app())))
        change = await lab.ended(await lab.chutes.create(received, ADMIN))
        assert (change.state, change.reason) == (State.FAILED, "Chute already exists.")
        assert lab.directories.uploads() == set()


async def test_an_update_builds_anew_and_keeps_data_port_token_and_owner(tmp_path: Path) -> None:
    async with ChuteLab(tmp_path) as lab:
        await lab.install(app(), actor=ADA)
        before = lab.chutes.get("hello")
        (lab.directories.data("hello") / "kept").write_text("yes")
        lab.clock.advance(60)
        change = await lab.install(app(version=2), {"main.py": "print(2)\n"}, actor=ADMIN)
        after = lab.chutes.get("hello")
        assert change.state == State.SUCCEEDED
        assert await lab.containers() == {"hello-main": ("hello-main:c2", "running")}
        assert (after.token, after.owner, after.ports) == (before.token, ADA, before.ports)
        assert (after.installed, after.updated) == (before.installed, lab.clock.wall())
        assert (lab.directories.data("hello") / "kept").read_text() == "yes"
        assert sorted(path.name for path in (lab.paths.data / "sources/hello").iterdir()) == ["2"]
        assert await lab.engine.images() == ["hello-main:2", "hello-main:c2"]


async def test_an_update_of_a_ready_image_pulls_what_is_not_there(tmp_path: Path) -> None:
    async with ChuteLab(tmp_path) as lab:

        def nginx(tag: str) -> dict[str, Any]:
            return {"name": "web", "services": {"main": {"type": "image", "image": f"nginx:{tag}"}}}

        async def order(tag: str) -> list[str]:
            received = await lab.chutes.receive_config(nginx(tag))
            verb = lab.chutes.update if lab.chutes.find("web") else lab.chutes.create
            return await lab.lines(await lab.done(await verb(received, ADMIN)))

        assert "Pulling nginx:1 (demo)" in await order("1")
        assert "Pulling nginx:1 (demo)" in await order("1")  # the tag may have moved
        assert "Pulling nginx:2 (demo)" in await order("2")
        assert await lab.containers() == {"web-main": ("nginx:2", "running")}
        assert lab.chutes.get("web").source is None


@pytest.mark.parametrize("verb", ["build", "create_network", "create", "rename", "start"])
async def test_an_install_that_fails_leaves_nothing(tmp_path: Path, verb: str) -> None:
    async with ChuteLab(tmp_path) as lab:
        lab.engine.fail_next(verb, f"no {verb} today")
        change = await lab.install(app())
        lines = await lab.lines(change)
        assert (change.state, change.reason) == (State.FAILED, f"no {verb} today")
        assert lines[-2:] == [
            f"Reason: no {verb} today",
            "Completed create operation on chute hello: failure",
        ]
        world = await lab.world()
        assert not any(world[part] for part in ("chutes", "images", "networks", "containers"))
        assert not [name for name in world["files"] if "hello" in name]
        assert (await lab.install(app())).state == State.SUCCEEDED


@pytest.mark.parametrize("verb", ["build", "create_network", "create", "stop", "rename", "start"])
async def test_an_update_that_fails_brings_the_old_version_back(tmp_path: Path, verb: str) -> None:
    async with ChuteLab(tmp_path) as lab:
        await lab.install(app())
        (lab.directories.data("hello") / "kept").write_text("yes")
        before = await lab.world()
        lab.engine.fail_next(verb, f"no {verb} today")
        change = await lab.install(app(version=2))
        assert (change.state, change.reason) == (State.FAILED, f"no {verb} today")
        assert await lab.world() == before


async def test_an_update_that_is_sick_says_why_and_goes_back(tmp_path: Path) -> None:
    async with ChuteLab(tmp_path) as lab:
        healthy = app(services={"main": light(health={"http": "/health", "timeout": 3})})
        await lab.install(healthy)
        (lab.directories.data("hello") / "kept").write_text("yes")
        before = await lab.world()
        lab.prober.sick[20_000] = "GET /health: answered 500"
        change = await lab.install(healthy | {"version": 2})
        lines = await lab.lines(change)
        reason = "Service main did not pass its health check in 3 s: GET /health: answered 500."
        assert (change.state, change.reason) == (State.FAILED, reason)
        assert f"Undoing: {reason}" in lines
        assert "The old version is running again." in lines
        assert "main: main started" in lines, "what the new version said last"
        assert lines[-2] == f"Reason: {reason}"
        assert await lab.world() == before


async def test_an_update_of_a_stopped_app_that_fails_leaves_it_stopped(tmp_path: Path) -> None:
    async with ChuteLab(tmp_path) as lab:
        await lab.install(app())
        await lab.done(await lab.chutes.stop("hello", ADMIN))
        before = await lab.world()
        lab.engine.fail_next("start")
        change = await lab.install(app(version=2))
        assert change.state == State.FAILED
        assert "The old version is running again." not in await lab.lines(change)
        assert await lab.world() == before


async def test_stop_start_restart_with_environment(tmp_path: Path) -> None:
    async with ChuteLab(tmp_path) as lab:
        await lab.install(app(environment={"COLOUR": "red"}))
        await lab.done(await lab.chutes.stop("hello", ADMIN))
        assert (await lab.containers())["hello-main"][1] == "exited"
        assert lab.chutes.get("hello").desired == Desired.STOPPED
        again = await lab.ended(await lab.chutes.stop("hello", ADMIN))
        assert again.reason == "Chute is already stopped."

        change = await lab.done(await lab.chutes.start("hello", ADMIN))
        assert not any("Building" in line for line in await lab.lines(change))
        assert (await lab.environment("hello-main"))["COLOUR"] == "red"
        again = await lab.ended(await lab.chutes.start("hello", ADMIN))
        assert again.reason == "Chute is already running."

        await lab.done(await lab.chutes.restart("hello", ADMIN, {"SIZE": "big"}))
        found = await lab.environment("hello-main")
        assert (found["SIZE"], "COLOUR" in found) == ("big", False)
        await lab.done(await lab.chutes.restart("hello", ADMIN))
        assert (await lab.environment("hello-main"))["SIZE"] == "big"
        assert await lab.engine.images() == ["hello-main:1", "hello-main:c1"]


@pytest.mark.parametrize("environment", [{"A=B": "x"}, {"": "x"}, {"A": "x\0y"}, {"A B": "x"}])
async def test_variables_that_no_container_can_have_are_refused(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    async with ChuteLab(tmp_path) as lab:
        await lab.install(app())
        for verb in (lab.chutes.start, lab.chutes.restart):
            with pytest.raises(BadSpecError):
                await verb("hello", ADMIN, environment)
        first = await lab.send(app("other"))
        change = await lab.chutes.restart(
            "other", ADMIN, environment
        )  # not installed yet: found when it runs
        assert (await lab.ended(first)).state == State.SUCCEEDED
        assert (await lab.ended(change)).state == State.FAILED
        assert (await lab.containers())["other-main"][1] == "running"


async def test_a_changed_configuration_builds_only_what_it_must(tmp_path: Path) -> None:
    async with ChuteLab(tmp_path) as lab:
        two = {"main": light(), "extra": light()}
        await lab.install(app(services=two))

        async def configure(fields: dict[str, Any]) -> list[str]:
            change = await lab.done(await lab.chutes.configure("hello", fields, ADMIN))
            return [line for line in await lab.lines(change) if line.startswith("Building the image")]

        assert await configure({"environment": {"A": "1"}}) == []
        assert await configure({"services": {"main": {"requests": {"as-root": True}}}}) == []
        assert await configure({"services": {"extra": {"build": {"packages": ["curl"]}}}}) == [
            "Building the image of service extra"
        ]
        images = {name: image for name, (image, _) in (await lab.containers()).items()}
        assert images == {"hello-main": "hello-main:c1", "hello-extra": "hello-extra:c4"}
        assert await configure({"services": {"third": light()}}) == ["Building the image of service third"]
        assert await configure({"services": {"extra": None}}) == []
        assert set(await lab.containers()) == {"hello-main", "hello-third"}
        assert {name for name in await lab.engine.images() if "extra" in name} == set()


async def test_a_faulty_configuration_is_refused_at_once(tmp_path: Path) -> None:
    async with ChuteLab(tmp_path) as lab:
        await lab.install(app())
        with pytest.raises(BadSpecError) as caught:
            await lab.chutes.configure("hello", {"services": {"main": {"type": "huge"}}}, ADMIN)
        assert caught.value.fields["path"] == "services.main.type"
        with pytest.raises(BadSpecError):
            await lab.chutes.configure("hello", {"name": "other"}, ADMIN)


async def test_a_second_change_sees_what_the_first_made(tmp_path: Path) -> None:
    async with ChuteLab(tmp_path) as lab:
        await lab.install(app())
        first = await lab.chutes.configure("hello", {"environment": {"A": "1"}, "version": 5}, ADMIN)
        second = await lab.chutes.configure("hello", {"description": "second"}, ADMIN)
        third = await lab.chutes.configure(
            "hello", {"services": {"main": {"environment": {"B": "2"}}}}, ADMIN
        )
        for change in (first, second, third):
            await lab.done(change)
        found = await lab.environment("hello-main")
        assert (found["A"], found["B"]) == ("1", "2")
        spec = lab.chutes.get("hello").spec
        assert (spec.version, spec.description) == (5, "second")


async def test_delete_leaves_nothing(tmp_path: Path) -> None:
    async with ChuteLab(tmp_path) as lab:
        before = await lab.world()
        await lab.install(app(version="1.0"))
        await lab.engine.print_line("hello-main", "my last words")
        change = await lab.done(await lab.chutes.delete("hello", ADMIN))
        assert "main: my last words" in await lab.lines(change)
        after = await lab.world()
        for world in (before, after):
            world["files"] = {name for name in world["files"] if "hello" in name}
        assert after == before
        assert lab.chutes.find("hello") is None
        again = await lab.ended(await lab.chutes.delete("hello", ADMIN))
        assert again.reason == "No chute found with id: hello"


async def test_delete_goes_on_when_something_will_not_go(tmp_path: Path) -> None:
    async with ChuteLab(tmp_path) as lab:
        await lab.install(app())
        lab.engine.fail_next("remove_network", "still in use")
        change = await lab.done(await lab.chutes.delete("hello", ADMIN))
        assert "Going on although this failed: still in use" in await lab.lines(change)
        assert not lab.directories.data("hello").exists()
        await lab.reconciler.sweep()
        assert await lab.engine.networks() == []


async def test_only_the_owner_and_admins_change_an_app(tmp_path: Path) -> None:
    async with ChuteLab(tmp_path) as lab:
        await lab.install(app(), actor=ADA)
        before = await lab.world()
        refused: list[Change] = [
            await lab.send(app(version=2), actor=BOB),
            await lab.chutes.stop("hello", BOB),
            await lab.chutes.restart("hello", BOB, {"A": "1"}),
            await lab.chutes.configure("hello", {"version": 3}, BOB),
            await lab.chutes.delete("hello", BOB),
        ]
        for change in refused:
            ended = await lab.ended(change)
            assert ended.reason == "Not permitted to modify existing chute hello", ended
        assert await lab.world() == before
        await lab.done(await lab.chutes.stop("hello", ADA))
        await lab.done(await lab.chutes.delete("hello", ADMIN))


async def test_the_name_may_have_gone_to_another_in_between(tmp_path: Path) -> None:
    """Ownership is asked when the change runs."""
    async with ChuteLab(tmp_path) as lab:
        await lab.install(app(), actor=ADA)
        gone = await lab.chutes.delete("hello", ADMIN)
        received = await lab.chutes.receive_archive(chunks(archive(app())))
        taken = await lab.chutes.create(received, BOB)
        late = await lab.chutes.stop("hello", ADA)
        assert [(await lab.ended(one)).state for one in (gone, taken, late)] == [
            State.SUCCEEDED,
            State.SUCCEEDED,
            State.FAILED,
        ]


@pytest.mark.parametrize("at_once", [False, True])
async def test_two_apps_cannot_have_one_container(tmp_path: Path, *, at_once: bool) -> None:
    async with ChuteLab(tmp_path) as lab:
        one = app("a-b", web=False, services={"c": light()})
        other = app("a", web=False, services={"b-c": light()})
        first = await lab.send(one)
        if not at_once:
            await lab.done(first)
        second = await lab.send(other)
        ended = [await lab.ended(first), await lab.ended(second)]
        assert sorted(one.state for one in ended) == [State.FAILED, State.SUCCEEDED]
        [failed] = [one for one in ended if one.state == State.FAILED]
        assert "Container a-b-c belongs to chute" in (failed.reason or "")
        assert (await lab.containers())["a-b-c"][1] == "running"


async def test_apps_installed_at_one_time_get_ports_of_their_own(tmp_path: Path) -> None:
    async with ChuteLab(tmp_path, width=8) as lab:
        changes = await asyncio.gather(*(lab.send(app(f"app{number}")) for number in range(8)))
        for change in changes:
            await lab.done(change)
        ports = [chute.ports["main"]["8000/tcp"] for chute in lab.chutes.all.values()]
        assert sorted(ports) == list(range(20_000, 20_008))


async def test_a_port_asked_for_by_two_at_one_time_goes_to_one(tmp_path: Path) -> None:
    async with ChuteLab(tmp_path) as lab:
        bound = {"main": light(requests={"port-bindings": {80: 8080}})}
        changes = await asyncio.gather(*(lab.send(app(name, services=bound)) for name in ("one", "two")))
        ended = [await lab.ended(change) for change in changes]
        [failed] = [one for one in ended if one.state == State.FAILED]
        assert (failed.reason or "").startswith("Port 8080 of this machine belongs to chute")
        winner = next(iter(lab.chutes.all))
        await lab.done(await lab.chutes.delete(winner, ADMIN))
        assert (await lab.install(app("three", services=bound))).state == State.SUCCEEDED


async def test_ports_that_others_hold(tmp_path: Path) -> None:
    async with ChuteLab(tmp_path) as lab:
        lab.machine.busy = {20_000, 8080}
        await lab.install(app("one"))
        assert lab.chutes.get("one").ports == {"main": {"8000/tcp": 20_001}}
        bound = {"main": light(requests={"port-bindings": {80: 8080}})}
        change = await lab.install(app("two", services=bound))
        assert change.reason == "Port 8080 of this machine is in use by another program. Ask for another one."
        lab.machine.busy = set(range(20_000, 20_010))
        change = await lab.install(app("three"))
        assert change.reason == "No port of this machine is free between 20000 and 20009."
        await lab.done(await lab.chutes.restart("one", ADMIN))  # holds its own port itself
        assert lab.chutes.get("one").ports == {"main": {"8000/tcp": 20_001}}


async def test_a_stopped_app_whose_port_was_taken_gets_another(tmp_path: Path) -> None:
    async with ChuteLab(tmp_path) as lab:
        await lab.install(app())
        await lab.done(await lab.chutes.stop("hello", ADMIN))
        lab.machine.busy = {20_000}
        await lab.done(await lab.chutes.start("hello", ADMIN))
        assert lab.chutes.get("hello").ports == {"main": {"8000/tcp": 20_001}}


async def test_a_download_and_its_secret(tmp_path: Path) -> None:
    async with ChuteLab(tmp_path) as lab:
        url = "https://example.org/repo.git"
        lab.shelf.bundles[url] = {"paradrop.yaml": codec.encode_yaml(app()), "main.py": "print(3)\n"}
        order = {"url": url, "user": "ada", "secret": "s3cr3t-t0k3n", "checkout": "main"}
        received = await lab.chutes.receive_config(
            {"name": "hello", "download": order, "environment": {"A": "1"}}
        )
        assert "s3cr3t" not in repr(received)
        upload = lab.directories.upload(received.install.upload or "")
        assert (upload.stat().st_mode & 0o777, (upload / "download.json").stat().st_mode & 0o777) == (
            0o700,
            0o600,
        )
        change = await lab.done(await lab.chutes.create(received, ADMIN))
        assert lab.shelf.secrets == ["s3cr3t-t0k3n"]
        assert (await lab.environment("hello-main"))["A"] == "1"
        assert not any("s3cr3t" in line for line in await lab.lines(change))
        database = sqlite3.connect(lab.paths.data / "wayhouse.db")
        assert "s3cr3t" not in "\n".join(database.iterdump())
        database.close()
        left = [path for path in tmp_path.rglob("*") if path.is_file() and b"s3cr3t" in path.read_bytes()]
        assert left == []


def test_a_download_keeps_its_secret_to_itself() -> None:
    assert "hunter2" not in repr(Download(url="https://example.org", secret="hunter2"))


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ({"download": {"url": "https://x"}}, "name"),
        ({"name": "", "download": {"url": "https://x"}}, "name"),
        ({"name": "../../etc", "download": {"url": "https://x"}}, "name"),
        ({"name": "x" * 64, "download": {"url": "https://x"}}, "name"),
        ({"name": 5, "download": {"url": "https://x"}}, "name"),
        ({"name": "x", "version": {"a": 1}, "download": {"url": "https://x"}}, "version"),
        ({"name": "x", "version": True, "download": {"url": "https://x"}}, "version"),
        ({"name": "x", "version": 10**400, "download": {"url": "https://x"}}, "version"),
        ({"name": "x", "download": "https://x"}, None),
        ({"name": "x", "download": {}}, None),
        ({"name": "x", "download": {"url": "  "}}, "download.url"),
        ({}, None),
    ],
)
async def test_a_bad_order_is_refused_and_leaves_nothing(
    tmp_path: Path, config: dict[str, Any], path: str | None
) -> None:
    async with ChuteLab(tmp_path) as lab:
        with pytest.raises(BadInputError) as caught:
            await lab.chutes.receive_config(config)
        if path is not None:
            assert caught.value.fields["path"] == path
        assert lab.directories.uploads() == set()


async def test_a_version_of_any_kind_is_found_again_after_a_restart(tmp_path: Path) -> None:
    """What the ledger stores it must be able to read, or the gateway would not start again."""
    async with ChuteLab(tmp_path) as lab:
        for number, version in enumerate([2, 2.5, "two", 2**62, None]):
            url = f"https://example.org/{number}"
            lab.shelf.bundles[url] = {"paradrop.yaml": codec.encode_yaml(app(f"x{number}"))}
            received = await lab.chutes.receive_config(
                {"name": f"x{number}", "version": version, "download": {"url": url}}
            )
            await lab.ended(await lab.chutes.create(received, ADMIN))
        await lab.restart()
        assert [change.wish.version for change in lab.ledger.history()][1:] == [2**62, "two", 2.5, 2]


async def test_a_download_of_another_app_is_refused(tmp_path: Path) -> None:
    async with ChuteLab(tmp_path) as lab:
        lab.shelf.bundles["https://x"] = {"paradrop.yaml": codec.encode_yaml(app("evil"))}
        received = await lab.chutes.receive_config({"name": "hello", "download": {"url": "https://x"}})
        change = await lab.ended(await lab.chutes.create(received, ADMIN))
        assert change.state == State.FAILED
        assert dict(lab.chutes.all) == {}


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", BadArchiveError),
        (b"no tar at all", BadArchiveError),
        (archive({"services": {}}), BadSpecError),
        (archive(app(), {"paradrop.yaml": "[" * 140_000}), BadSpecError),
        (archive(app(), {"big": "x" * 200_000}), TooLargeError),
    ],
)
async def test_a_bad_archive_leaves_nothing(tmp_path: Path, data: bytes, error: type[WayhouseError]) -> None:
    async with ChuteLab(tmp_path, settings=replace(SETTINGS, max_archive_bytes=180_000)) as lab:
        with pytest.raises(error):
            await lab.chutes.receive_archive(chunks(data))
        assert lab.directories.uploads() == set()


async def test_what_was_received_can_be_dropped(tmp_path: Path) -> None:
    async with ChuteLab(tmp_path) as lab:
        received = await lab.chutes.receive_archive(chunks(archive(app())))
        lab.chutes.drop(received)
        lab.chutes.drop(received)
        assert lab.directories.uploads() == set()
        assert (received.name, received.version) == ("hello", 1)


async def test_little_room_on_the_disk_is_told(tmp_path: Path) -> None:
    async with ChuteLab(tmp_path) as lab:
        await lab.install(app())
        before = await lab.world()
        lab.directories._min_free = 2**62
        with pytest.raises(UnavailableError, match="Remove an app or free some space"):
            await lab.chutes.receive_archive(chunks(archive(app())))
        change = await lab.ended(await lab.chutes.restart("hello", ADMIN))
        assert "Remove an app" in (change.reason or "")
        assert await lab.world() == before
        await lab.done(await lab.chutes.stop("hello", ADMIN))  # what frees space or needs none still works
        await lab.done(await lab.chutes.delete("hello", ADMIN))


async def test_readers_share_one_picture(tmp_path: Path) -> None:
    async with ChuteLab(tmp_path) as lab:
        await lab.install(app())
        generation = lab.chutes.generation
        found = await lab.chutes.containers()
        assert found["hello-main"].state.state == "running"
        assert lab.chutes.generation > generation
        assert set(await lab.chutes.usage(["hello-main", "gone"])) == {"hello-main"}
        assert lab.chutes.system_directory("hello") == str(lab.directories.system("hello"))


class Watching(FakeEngine):
    """Counts how often all containers are listed."""

    listed = 0

    async def containers(self):
        self.listed += 1
        return await super().containers()


async def test_a_change_does_not_look_at_all_apps(tmp_path: Path) -> None:
    """With a thousand apps each list is long, and starting them all would list it a thousand times."""
    engine = Watching()
    async with ChuteLab(tmp_path, engine=engine) as lab:
        await lab.install(app())
        await lab.install(app(version=2))
        await lab.done(await lab.chutes.restart("hello", ADMIN))
        await lab.done(await lab.chutes.stop("hello", ADMIN))
        await lab.done(await lab.chutes.delete("hello", ADMIN))
        assert engine.listed == 0


def test_kinds_have_the_words_of_the_api() -> None:
    assert [kind.update_type for kind in Kind] == ["create", "update", "delete", "start", "stop", "restart"]
