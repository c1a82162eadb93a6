"""Which port of the gateway leads to which port of a service: pure, called by the planner.

A chute keeps its host ports across updates. Ports asked for by number are taken or refused; the web port and the ports
of health checks get one from the gateway's range when nothing else binds them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from wayhouse.chutes.model import Chute, ChuteStateError, PortBinding, Service, Spec

Ports = dict[str, dict[str, int]]
"""Service, then "container port/protocol", to host port."""


def key(binding: PortBinding) -> str:
    return f"{binding.container}/{binding.protocol}"


def wanted(spec: Spec, service: Service) -> list[PortBinding]:
    """What the service asks for, and what the gateway itself needs: its web port and the port of its health check."""
    bindings = list(service.requests.port_bindings)
    needed: list[int | None] = []
    if spec.web is not None and spec.web.service == service.name:
        needed.append(spec.web.port)
    if service.health is not None:
        needed.extend((service.health.tcp, service.health.port))
    for port in needed:
        if port is not None and all((one.container, one.protocol) != (port, "tcp") for one in bindings):
            bindings.append(PortBinding(port))
    return bindings


def assign(
    spec: Spec,
    before: Ports,
    others: Iterable[Chute],
    *,
    pool: range,
    is_free: Callable[[int, str], bool],
    is_running: bool = True,
) -> Ports:
    """Host ports for all services. `is_free` asks the machine; it is not asked about ports that this chute holds, which
    it does while it `is_running`.

    Raises `ChuteStateError` naming the port that cannot be had, and who holds it.
    """
    taken = _taken(others)
    mine = _pairs(before) if is_running else set()
    result: Ports = {}
    open_requests: list[tuple[str, PortBinding]] = []
    for name, service in spec.services.items():
        if service.requests.network_mode == "host":
            continue
        for binding in wanted(spec, service):
            if binding.host is None:
                open_requests.append((name, binding))
                continue
            _claim(binding.host, binding.protocol, taken, mine, is_free)
            taken[binding.host, binding.protocol] = spec.name
            result.setdefault(name, {})[key(binding)] = binding.host
    for name, binding in open_requests:
        port = before.get(name, {}).get(key(binding))
        held = (port, binding.protocol) in mine
        if port is None or (port, binding.protocol) in taken or not (held or is_free(port, binding.protocol)):
            port = _pick(binding.protocol, pool, taken, mine, is_free)
        taken[port, binding.protocol] = spec.name
        result.setdefault(name, {})[key(binding)] = port
    return result


def _pairs(ports: Ports) -> set[tuple[int, str]]:
    """Host port and protocol of every binding."""
    return {(port, kind.partition("/")[2]) for one in ports.values() for kind, port in one.items()}


def _taken(others: Iterable[Chute]) -> dict[tuple[int, str], str]:
    return {pair: chute.name for chute in others for pair in _pairs(chute.ports)}


def _claim(
    port: int,
    protocol: str,
    taken: Mapping[tuple[int, str], str],
    mine: set[tuple[int, str]],
    is_free: Callable[[int, str], bool],
) -> None:
    holder = taken.get((port, protocol))
    if holder is not None:
        raise ChuteStateError(
            f"Port {port} of this machine belongs to chute {holder}. Ask for another one.", port=port
        )
    if (port, protocol) not in mine and not is_free(port, protocol):
        raise ChuteStateError(
            f"Port {port} of this machine is in use by another program. Ask for another one.", port=port
        )


def _pick(
    protocol: str,
    pool: range,
    taken: Mapping[tuple[int, str], str],
    mine: set[tuple[int, str]],
    is_free: Callable[[int, str], bool],
) -> int:
    for port in pool:
        if (port, protocol) not in taken and (port, protocol) not in mine and is_free(port, protocol):
            return port
    raise ChuteStateError(f"No port of this machine is free between {pool.start} and {pool.stop - 1}.")
