"""From an installed chute to the containers it should have: pure, called by the planner."""

from __future__ import annotations

import msgspec

from wayhouse.chutes.allocation import cpu_shares
from wayhouse.chutes.environment import environment
from wayhouse.chutes.model import Chute, ChuteSettings, PortBinding, Service, container_name
from wayhouse.chutes.ports import ContainerSpec, Mount

NEW = ".wh-new"
"""Suffix of a container that waits to take its predecessor's place."""
OLD = ".wh-old"
"""Suffix of a predecessor that is kept until its successor has proved itself."""


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What the gateway tells every app about itself. `api_url` has no trailing slash ("http://paradrop.io:8080")."""

    api_url: str = "http://paradrop.io"
    extra_hosts: dict[str, str] = {}
    features: tuple[str, ...] = ()
    router_id: str | None = None


def container_specs(
    chute: Chute, *, data: str, system: str, settings: ChuteSettings, around: Surroundings
) -> list[ContainerSpec]:
    """One for each service, named as it will be when it runs. `data` and `system` are host directories."""
    shares = cpu_shares(chute.spec.services.values())
    mounts = (Mount(data, "/data/"), Mount(system, "/paradrop/", writable=False))
    return [
        _container(chute, service, shares[name], mounts, settings, around)
        for name, service in chute.spec.services.items()
    ]


def _container(
    chute: Chute,
    service: Service,
    shares: int,
    mounts: tuple[Mount, ...],
    settings: ChuteSettings,
    around: Surroundings,
) -> ContainerSpec:
    is_host = service.requests.network_mode == "host"
    limits = service.limits
    return ContainerSpec(
        name=container_name(chute.name, service.name),
        chute=chute.name,
        service=service.name,
        image=chute.images[service.name],
        change_id=chute.change_id,
        command=service.command,
        environment=environment(
            chute, service, api_url=around.api_url, features=around.features, router_id=around.router_id
        ),
        mounts=mounts,
        ports=_bindings(chute.ports.get(service.name, {})),
        dns=service.dns,
        extra_hosts={} if is_host else around.extra_hosts,
        network_mode=service.requests.network_mode,
        privileged=service.requests.privileged,
        as_root=service.requests.as_root,
        restart=service.restart,
        cpu_shares=shares,
        memory_bytes=limits.memory_bytes or settings.memory_bytes,
        pids=limits.pids or settings.pids,
        log_bytes=limits.log_bytes or settings.log_bytes,
    )


def _bindings(ports: dict[str, int]) -> tuple[PortBinding, ...]:
    bindings = []
    for kind, host in ports.items():
        port, _, protocol = kind.partition("/")
        bindings.append(PortBinding(int(port), host, "udp" if protocol == "udp" else "tcp"))
    return tuple(bindings)
