"""Specification in, plan out."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from wayhouse.chutes.engines.sandbox import blueprint
from wayhouse.chutes.engines.sandbox.images import Image
from wayhouse.chutes.engines.sandbox.limits import Applied
from wayhouse.chutes.model import EngineError, PortBinding
from wayhouse.chutes.ports import ContainerSpec, Mount

SPEC = ContainerSpec(
    name="a-web", chute="a", service="web_1", image="a:1", change_id=1, command="run me", environment={"PATH": "/mine"},
    ports=(PortBinding(80, 8080), PortBinding(81, None), PortBinding(82, 82)),
)  # fmt: skip
IMAGE = Image(id="i", paths=("/cache/bin",), environment={"X": "1"}, binds={"/cache": "/cache"})


def place(tmp_path: Path) -> blueprint.Place:
    return blueprint.Place(
        directory=tmp_path / "c", app=tmp_path / "app", hosts=tmp_path / "hosts", resolv="nameserver 9.9.9.9\n",
        network={"net": "/run/netns/x"}, api=None, mapped=False,
    )  # fmt: skip


def test_the_plan_is_json(tmp_path: Path) -> None:
    plan = blueprint.plan(SPEC, IMAGE, place(tmp_path), Applied(("/sys/fs/cgroup/x",), {"core": 0}))
    assert json.loads(json.dumps(plan)) == plan
    assert plan["argv"] == ["/bin/sh", "-c", "run me"]
    assert (plan["uid"], plan["hostname"], plan["cwd"]) == (999, "web-1", "/opt/paradrop/app")
    assert plan["environment"] | {"PATH": "/mine", "X": "1", "HOME": "/home/paradrop"} == plan["environment"]
    assert [port["host"] for port in plan["ports"]] == [8080, 82]


def test_nothing_of_the_host_is_writable_but_what_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    spec = msgspec.structs.replace(SPEC, mounts=(Mount(str(tmp_path / "data"), "/data"),))
    steps = blueprint.plan(spec, IMAGE, place(tmp_path), Applied())["steps"]
    writable = [step["target"] for step in steps if step.get("writable")]
    assert writable == ["/data"]
    sources = {step["source"] for step in steps if step["do"] == "bind"}
    assert not sources & {"/etc", "/root", "/home", "/var", "/run", "/etc/ssl", "/"}


def test_the_cache_s_bind_comes_after_the_app(tmp_path: Path) -> None:
    image = msgspec.structs.replace(IMAGE, binds={"/c/node_modules": f"{blueprint.APP}/node_modules"})
    targets = [step["target"] for step in blueprint.plan(SPEC, image, place(tmp_path), Applied())["steps"]]
    assert targets.index(blueprint.APP) < targets.index(f"{blueprint.APP}/node_modules")


def test_a_path_that_overlay_options_cannot_say_is_copied(tmp_path: Path) -> None:
    odd = msgspec.structs.replace(place(tmp_path), app=Path("/a:b"))
    steps = blueprint.plan(SPEC, IMAGE, odd, Applied())["steps"]
    assert [step["do"] for step in steps if step["target"] == blueprint.APP] == ["copy"]


def test_the_host_s_network_forwards_only_other_numbers() -> None:
    spec = msgspec.structs.replace(SPEC, network_mode="host")
    assert [port["host"] for port in blueprint.ports(spec)] == [8080]


def test_no_command_and_no_directory_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="command"):
        blueprint.command(msgspec.structs.replace(SPEC, command=None))
    spec = msgspec.structs.replace(SPEC, mounts=(Mount(str(tmp_path / "none"), "/data"),))
    with pytest.raises(EngineError, match="does not exist"):
        blueprint.plan(spec, IMAGE, place(tmp_path), Applied())


@pytest.mark.parametrize(
    ("service", "name"), [("web", "web"), ("../x", "x"), ("ü", "app"), ("-", "app"), ("a" * 99, "a" * 63)]
)
def test_hostnames(service: str, name: str) -> None:
    assert blueprint.hostname(service) == name
