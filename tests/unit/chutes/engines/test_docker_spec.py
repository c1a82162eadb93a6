"""Our words to Docker's JSON and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.chutes.engines.docker_spec import create_body, read_container, read_usage, unix_time
from wayhouse.chutes.model import PortBinding, Restart, ServiceState
from wayhouse.chutes.ports import ContainerSpec, Mount

SPEC = ContainerSpec(
    name="a-main",
    chute="a",
    service="main",
    image="a-main:1",
    change_id=3,
    command="run",
    environment={"B": "2", "A": "1"},
    mounts=(Mount("/srv/a", "/data"), Mount("/srv/s", "/paradrop", writable=False)),
    ports=(PortBinding(80, 8080), PortBinding(53, None, "udp")),
    dns=("10.0.0.1",),
    extra_hosts={"paradrop.io": "172.17.0.1"},
    memory_bytes=1000,
    pids=5,
    cpu_shares=1,
)


def test_a_container_on_the_chute_s_network() -> None:
    body = create_body(SPEC, "home", init=True)
    host = body["HostConfig"]
    assert body["Cmd"] == ["/bin/sh", "-c", "run"]
    assert body["Env"] == ["A=1", "B=2"]
    assert body["Labels"]["io.wayhouse.instance"] == "home"
    assert body["Labels"]["io.wayhouse.change"] == "3"
    assert body["NetworkingConfig"]["EndpointsConfig"]["a"]["Aliases"] == ["main"]
    assert "User" not in body
    assert host["CapAdd"] == ["NET_ADMIN"]
    assert (host["Privileged"], host["Init"], host["NetworkMode"]) == (False, True, "a")
    assert host["RestartPolicy"] == {"Name": "unless-stopped"}
    assert host["PortBindings"] == {"80/tcp": [{"HostPort": "8080"}], "53/udp": [{"HostPort": ""}]}
    assert host["Mounts"][1] == {"Type": "bind", "Source": "/srv/s", "Target": "/paradrop", "ReadOnly": True}
    assert (host["Memory"], host["MemorySwap"], host["PidsLimit"], host["CpuShares"]) == (1000, 1000, 5, 2)
    assert host["ExtraHosts"] == ["paradrop.io:172.17.0.1"]
    assert host["LogConfig"]["Config"]["max-size"] == str(5 * 1024 * 1024)


def test_the_host_s_network_has_no_ports_of_its_own() -> None:
    spec = ContainerSpec(
        name="a-main", chute="a", service="main", image="i", change_id=0, network_mode="host", as_root=True,
        privileged=True, command=("a", "b"), restart=Restart.ON_FAILURE, ports=(PortBinding(80, 80),),
    )  # fmt: skip
    body = create_body(spec, "home", init=False)
    assert body["HostConfig"]["NetworkMode"] == "host"
    assert "PortBindings" not in body["HostConfig"]
    assert "NetworkingConfig" not in body
    assert (body["User"], body["Cmd"]) == ("0:0", ["a", "b"])
    assert body["HostConfig"]["RestartPolicy"] == {"Name": "on-failure"}
    assert body["HostConfig"]["Privileged"] is True


def test_what_docker_says_is_read_back() -> None:
    body = create_body(SPEC, "home", init=True)
    state = {"Status": "exited", "ExitCode": 3, "StartedAt": "2026-11-21T20:39:37.734258711Z"}
    seen = {"Name": "/a-main", "Config": body, "State": state, "RestartCount": 2}
    container = read_container(seen)
    assert (container.name, container.chute, container.service) == ("a-main", "a", "main")
    assert (container.change_id, container.image) == (3, "a-main:1")
    assert container.state == ServiceState("exited", 3, 2, 1795293577.734258)
    never = {"Status": "created", "ExitCode": 0, "StartedAt": "0001-01-01T00:00:00Z"}
    assert read_container({**seen, "State": never}).state == ServiceState("created", None, 2, None)
    assert container.pid is None
    assert read_container({**seen, "State": {**never, "Pid": 0}}).pid is None
    assert read_container({**seen, "State": {**never, "Status": "running", "Pid": 77}}).pid == 77


@pytest.mark.parametrize(
    "text", ["", "never", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00Z", "2026-11-21T20:39:37"]
)
def test_no_time(text: str) -> None:
    assert unix_time(text) is None


@given(st.text(alphabet="0123456789-T:.Z+", max_size=40))
def test_any_time_is_read_or_refused(text: str) -> None:
    unix_time(text)


def test_usage() -> None:
    stats = {
        "pids_stats": {"current": 2},
        "memory_stats": {"usage": 1000, "stats": {"inactive_file": 300}},
        "cpu_stats": {"cpu_usage": {"total_usage": 2_500_000_000}},
    }
    usage = read_usage(stats)
    assert usage is not None
    assert (usage.cpu_s, usage.memory_bytes, usage.pids) == (2.5, 700, 2)
    assert read_usage({"pids_stats": {}}) is None
