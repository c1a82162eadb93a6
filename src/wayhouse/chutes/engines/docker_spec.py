"""Between our words and Docker's JSON: what a container is created with, and what is read back. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from wayhouse.chutes.model import Restart, ServiceState
from wayhouse.chutes.ports import Container, ContainerSpec, Usage

LABEL = "io.wayhouse"
_POLICIES = {Restart.ALWAYS: "unless-stopped", Restart.ON_FAILURE: "on-failure", Restart.NO: "no"}


def labels(instance: str, spec: ContainerSpec) -> dict[str, str]:
    return {
        f"{LABEL}.instance": instance,
        f"{LABEL}.chute": spec.chute,
        f"{LABEL}.service": spec.service,
        f"{LABEL}.change": str(spec.change_id),
        f"{LABEL}.image": spec.image,
    }


def create_body(spec: ContainerSpec, instance: str, *, init: bool) -> dict[str, Any]:
    """The body of POST /containers/create."""
    body: dict[str, Any] = {
        "Image": spec.image,
        "Env": [f"{name}={value}" for name, value in sorted(spec.environment.items())],
        "Labels": labels(instance, spec),
        "ExposedPorts": {f"{port.container}/{port.protocol}": {} for port in spec.ports},
        "HostConfig": _host_config(spec, init=init),
    }
    if isinstance(spec.command, str):
        body["Cmd"] = ["/bin/sh", "-c", spec.command]
    elif spec.command:
        body["Cmd"] = list(spec.command)
    if spec.as_root:
        body["User"] = "0:0"
    if spec.network_mode != "host":
        body["NetworkingConfig"] = {"EndpointsConfig": {spec.chute: {"Aliases": [spec.service]}}}
    return body


def _host_config(spec: ContainerSpec, *, init: bool) -> dict[str, Any]:
    host: dict[str, Any] = {
        "CapAdd": ["NET_ADMIN"],
        "Privileged": spec.privileged,
        "RestartPolicy": {"Name": _POLICIES[spec.restart]},
        "NetworkMode": "host" if spec.network_mode == "host" else spec.chute,
        "Mounts": [
            {"Type": "bind", "Source": mount.source, "Target": mount.target, "ReadOnly": not mount.writable}
            for mount in spec.mounts
        ],
        "Dns": list(spec.dns),
        "LogConfig": {
            "Type": "json-file",
            "Config": {"max-size": str(max(16384, spec.log_bytes // 2)), "max-file": "2"},
        },
        "Init": init,
    }
    if spec.network_mode != "host":
        host["ExtraHosts"] = [f"{name}:{address}" for name, address in sorted(spec.extra_hosts.items())]
        host["PortBindings"] = _port_bindings(spec)
        host["Sysctls"] = {"net.ipv4.ip_unprivileged_port_start": "0"}  # Docker's own default, not Podman's
    if spec.memory_bytes:
        host["Memory"] = host["MemorySwap"] = spec.memory_bytes
    if spec.pids:
        host["PidsLimit"] = spec.pids
    if spec.cpu_shares:
        host["CpuShares"] = max(2, spec.cpu_shares)
    return host


def _port_bindings(spec: ContainerSpec) -> dict[str, list[dict[str, str]]]:
    bindings: dict[str, list[dict[str, str]]] = {}
    for port in spec.ports:
        host = {"HostPort": "" if port.host is None else str(port.host)}
        bindings.setdefault(f"{port.container}/{port.protocol}", []).append(host)
    return bindings


def read_container(seen: Mapping[str, Any]) -> Container:
    """From GET /containers/{id}/json."""
    own = seen["Config"].get("Labels") or {}
    change = own.get(f"{LABEL}.change", "0")
    return Container(
        name=str(seen["Name"]).removeprefix("/"),
        chute=own.get(f"{LABEL}.chute", ""),
        service=own.get(f"{LABEL}.service", ""),
        change_id=int(change) if change.isdigit() else 0,
        image=own.get(f"{LABEL}.image") or seen["Config"].get("Image", ""),
        state=_read_state(seen),
        pid=int(seen["State"].get("Pid") or 0) or None,
    )


def _read_state(seen: Mapping[str, Any]) -> ServiceState:
    state = seen["State"]
    status = str(state["Status"])
    has_ended = status in {"exited", "restarting", "dead"}
    return ServiceState(
        status,
        state.get("ExitCode") if has_ended else None,
        int(seen.get("RestartCount") or 0),
        unix_time(state.get("StartedAt") or ""),
    )


def unix_time(stamp: str) -> float | None:
    """Docker's time stamp as Unix seconds; None for its "never" (the year 1) and for nonsense."""
    whole, _, rest = stamp.partition(".")
    digits = "".join(c for c in rest if c.isdigit())[:6] if rest.endswith("Z") else ""
    text = f"{whole}.{digits:0<6}+00:00" if rest.endswith("Z") else stamp.replace("Z", "+00:00")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.timestamp() if moment.year > 1 and moment.tzinfo else None


def read_usage(stats: Mapping[str, Any]) -> Usage | None:
    """From GET /containers/{id}/stats; None for a container that does not run."""
    memory = stats.get("memory_stats") or {}
    pids = (stats.get("pids_stats") or {}).get("current")
    if not pids:
        return None
    detail = memory.get("stats") or {}
    cached = detail.get("inactive_file", detail.get("total_inactive_file", 0))
    cpu = ((stats.get("cpu_stats") or {}).get("cpu_usage") or {}).get("total_usage", 0)
    return Usage(cpu / 1e9, max(0, int(memory.get("usage", 0)) - int(cached)), int(pids))
