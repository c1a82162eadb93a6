"""The order of the tasks is the whole safety of a change: these tests say what must come before what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tests.parts.chute_lab import app, chute, light
from wayhouse.chutes import plan
from wayhouse.chutes.containers import OLD, Surroundings, container_specs
from wayhouse.chutes.health import Check
from wayhouse.chutes.model import Chute, ChuteSettings, Desired, Health
from wayhouse.chutes.ports import BuildRequest
from wayhouse.ledger.task import Task

TWO = app(services={"main": light(), "extra": light()})


def names(tasks: Sequence[Task]) -> list[str]:
    return [type(task).__name__ for task in tasks]


def find(tasks: Sequence[Task], name: str) -> Any:
    [found] = [task for task in tasks if type(task).__name__ == name]
    return found


def deploy(
    before: Chute | None, after: Chute, *built: str, running: frozenset[str] = frozenset()
) -> list[Task]:
    containers = container_specs(
        after, data="/d", system="/s", settings=ChuteSettings(), around=Surroundings()
    )
    builds = {name: BuildRequest(tag=after.images[name], chute=after.name, context="/c") for name in built}
    supply = plan.Supply(builds=builds, bundle="/b" if built else None)
    return plan.deploy(before, after, containers, supply, running=running, has_directories=before is not None)


def renewed(before: Chute, change_id: int, **more: Any) -> Chute:
    images = {name: plan.image_tag(before.name, name, change_id) for name in before.spec.services}
    return msgspec.structs.replace(before, change_id=change_id, images=images, source=f"{before.name}/{change_id}", **more)  # fmt: skip


def test_nothing_of_the_old_goes_before_the_new_is_saved() -> None:
    before = chute(TWO)
    tasks = deploy(before, renewed(before, 2), "main", "extra", running=frozenset({"hello-main"}))
    assert names(tasks) == [
        "KeepSource", "MakeDirectories", "BuildImage", "BuildImage", "MakeNetwork", "CreateContainers",
        "SetAside", "StartContainers", "CheckHealth", "Save",
        "NameImages", "DropContainers", "DropImages", "DropFiles",
    ]  # fmt: skip
    saved = names(tasks).index("Save")
    assert [task.best_effort for task in tasks] == [number > saved for number in range(len(tasks))]
    aside = find(tasks, "SetAside")
    assert (aside.containers, aside.running) == (("hello-main", "hello-extra"), ("hello-main",))
    assert find(tasks, "DropContainers").containers == ("hello-main" + OLD, "hello-extra" + OLD)
    assert not find(tasks, "MakeNetwork").is_new
    assert not find(tasks, "MakeDirectories").is_new


def test_a_first_install_makes_everything() -> None:
    after = msgspec.structs.replace(chute(TWO), source="hello/1")
    tasks = deploy(None, after, "main", "extra")
    assert find(tasks, "MakeNetwork").is_new
    assert find(tasks, "MakeDirectories").is_new
    assert find(tasks, "SetAside").containers == ()
    assert find(tasks, "DropImages").images == ()
    assert find(tasks, "Save").before is None


def test_only_images_that_were_replaced_go_and_their_second_names_with_them() -> None:
    before = chute(TWO)
    half = msgspec.structs.replace(
        before, change_id=2, images={"main": "hello-main:c1", "extra": "hello-extra:c2"}, source="hello/2"
    )
    tasks = deploy(before, half, "extra")
    assert find(tasks, "DropImages").images == ("hello-extra:c1",), "its second name is the new image's now"
    newer = renewed(before, 2, spec=msgspec.structs.replace(before.spec, version=2))
    assert set(find(deploy(before, newer, "main", "extra"), "DropImages").images) == {
        "hello-main:1", "hello-main:c1", "hello-extra:1", "hello-extra:c1"
    }  # fmt: skip


def test_a_version_that_looks_like_a_tag_harms_no_image() -> None:
    """Version "c2" makes `hello-main:c2`, which the second change builds."""
    before = chute(app(version="c2"))
    after = renewed(before, 2)
    assert "hello-main:c2" not in find(deploy(before, after, "main"), "DropImages").images


def test_images_of_others_stay() -> None:
    ready = chute(
        {"name": "web", "services": {"main": {"type": "image", "image": "nginx:1"}}},
        images={"main": "nginx:1"},
    )
    assert plan.images_of(ready) == ()
    assert find(plan.delete(ready, running=frozenset()), "DropImages").images == ()


def test_stop_saves_what_is_wanted_and_remembers_what_ran() -> None:
    before = chute(TWO)
    stop, save = plan.stop(before, running=frozenset({"hello-extra", "other-main"}))
    assert (stop.containers, stop.running) == (("hello-main", "hello-extra"), ("hello-extra",))
    assert (save.before, save.after.desired) == (before, Desired.STOPPED)


def test_delete_throws_nothing_away_before_it_is_saved() -> None:
    tasks = plan.delete(chute(TWO), running=frozenset({"hello-main"}))
    assert names(tasks) == [
        "StopContainers", "Save", "DropContainers", "DropNetwork", "DropImages", "DropFiles"
    ]  # fmt: skip
    assert find(tasks, "Save").after is None
    assert find(tasks, "DropContainers").show_logs
    assert find(tasks, "DropFiles").everything


def test_aliases_are_image_names_whatever_the_version() -> None:
    def alias(version: Any) -> str:
        [found] = plan.aliases(chute(app("My.App", version=version)), ["main"]).values()
        return found

    assert alias(1) == "my.app-main:1"
    assert alias("2.0-rc.1") == "my.app-main:2.0-rc.1"
    assert alias("../x y") == "my.app-main:_x_y"
    assert alias(None) == alias("") == alias("-.") == "my.app-main:latest"
    assert len(alias("9" * 128)) < 128 + len("my.app-main:")
    assert plan.image_tag("My.App", "Main", 3) == "my.app-main:c3"


def test_checks_know_the_ports_of_the_machine() -> None:
    services = {
        "main": light(),
        "db": light(health={"tcp": 5432}, requests={"port-bindings": {"53/udp": 53}}),
        "net": light(health={"tcp": 1}, requests={"network-mode": "host"}),
    }
    ports = {"main": {"8000/tcp": 20_000}, "db": {"5432/tcp": 20_001, "53/udp": 53}}
    assert plan.checks(chute(app(services=services), ports=ports)) == [
        Check(service="main", container="hello-main", ports={8000: 20_000}, web=8000),
        Check(service="db", container="hello-db", health=Health(tcp=5432), ports={5432: 20_001}),
        Check(service="net", container="hello-net", health=Health(tcp=1)),
    ]


def test_no_chute_has_nothing() -> None:
    assert plan.container_names(None) == plan.images_of(None) == ()
