"""From a chute to the containers that it should have."""

from __future__ import annotations

from tests.parts.chute_lab import app, chute, light
from wayhouse.chutes.containers import Surroundings, container_specs
from wayhouse.chutes.model import Chute, ChuteSettings, PortBinding
from wayhouse.chutes.ports import ContainerSpec, Mount

AROUND = Surroundings(
    api_url="http://paradrop.io:8080",
    extra_hosts={"paradrop.io": "host-gateway"},
    features=("audio",),
    router_id="abc",
)


def specs(installed: Chute, settings: ChuteSettings | None = None) -> dict[str, ContainerSpec]:
    found = container_specs(
        installed, data="/d/hello", system="/s/hello", settings=settings or ChuteSettings(), around=AROUND
    )
    return {one.service: one for one in found}


def test_a_container_gets_all_that_it_needs() -> None:
    document = app(services={"main": light(dns=["1.1.1.1"], requests={"as-root": True})})
    installed = chute(document, ports={"main": {"8000/tcp": 20_000, "53/udp": 53}})
    one = specs(installed)["main"]
    assert (one.name, one.chute, one.service, one.image) == (
        "hello-main", "hello", "main", "hello-main:c1"
    )  # fmt: skip
    assert one.command == "python3 main.py"
    assert one.mounts == (Mount("/d/hello", "/data/"), Mount("/s/hello", "/paradrop/", writable=False))
    assert one.ports == (PortBinding(8000, 20_000), PortBinding(53, 53, "udp"))
    assert (one.as_root, one.privileged, one.dns) == (True, False, ("1.1.1.1",))
    assert one.extra_hosts == {"paradrop.io": "host-gateway"}
    assert one.environment["PARADROP_FEATURES"] == "audio"
    assert one.environment["PARADROP_ROUTER_ID"] == "abc"


def test_the_service_wins_over_the_settings() -> None:
    settings = ChuteSettings(memory_bytes=2**29, pids=10, log_bytes=2**20)
    services = {"main": light(), "big": light(limits={"memory": 2**30, "pids": 100, "log": 2**21})}
    found = specs(chute(app(services=services)), settings)
    small, big = found["main"], found["big"]
    assert (small.memory_bytes, small.pids, small.log_bytes) == (2**29, 10, 2**20)
    assert (big.memory_bytes, big.pids, big.log_bytes) == (2**30, 100, 2**21)


def test_services_share_the_processor() -> None:
    services = {"main": light(requests={"cpu-fraction": 0.5}), "extra": light()}
    found = specs(chute(app(services=services)))
    assert {name: one.cpu_shares for name, one in found.items()} == {"main": 1536, "extra": 512}


def test_on_the_hosts_network_the_hosts_names_count() -> None:
    one = specs(chute(app(services={"main": light(requests={"network-mode": "host"})})))["main"]
    assert (one.network_mode, one.extra_hosts, one.ports) == ("host", {}, ())
