"""A specification as the document that the API shows and takes back (`GET` and `PUT .../config`).

The keys are those of ParaDrop 0.13, plus ours (`dns`, `health`, `restart`, `limits`) and `net`, the older view of the
interfaces that ParaDrop's documentation shows. What is at its default is left out below `build`, `requests` and
`limits`. `spec.from_document` reads the document back to an equal specification.
"""

from __future__ import annotations

from typing import Any

import msgspec

from wayhouse.base import codec
from wayhouse.chutes import overlay
from wayhouse.chutes.fields import Fields, fault
from wayhouse.chutes.legacy import net_view
from wayhouse.chutes.model import Build, Health, Limits, PortBinding, Requests, Service, Spec
from wayhouse.chutes.spec import SILENT, from_document
from wayhouse.ledger.model import Actor

Plain = dict[str, Any]

PLAIN = ("version", "description", "environment")
"""Fields that a new value replaces as a whole."""


def document(spec: Spec, *, owner: Actor | None, state: str) -> Plain:
    """Plain data for JSON. Holds the keys of Wi-Fi networks, as the specification does."""
    result: Plain = {
        "name": spec.name,
        "description": spec.description,
        "version": spec.version,
        "owner": "unknown" if owner is None else codec.to_builtins(owner),
        "state": state,
        "config": {},
        "environment": dict(spec.environment),
        "web": {} if spec.web is None else codec.to_builtins(spec.web),
        "services": {name: _service(one) for name, one in spec.services.items()},
    }
    if any(one.interfaces for one in spec.services.values()):
        result["net"] = net(spec)
    return result


def net(spec: Spec) -> Plain:
    """All interfaces by their old names; of two with one name the first is shown."""
    views = [
        net_view(name, entry) for one in spec.services.values() for name, entry in one.interfaces.items()
    ]
    return dict(reversed(views))


def merge(spec: Spec, fields: Plain) -> Spec:
    """`spec` with `fields` applied: version, description, environment and web replace; services are laid over by name;
    entries of `net` change the interface of that name. Checked as a whole like a new specification.

    `fields` that hold `state` are an edited document: their services are all there are. `name` must not change.
    Raises `BadSpecError` with the path of the fault.
    """
    change = Fields(fields, "", [])
    name, path = change.take("name")
    if name is not None and name != spec.name:
        raise fault(path, f"must stay {spec.name}: the name of an installed chute cannot change")
    before = document(spec, owner=None, state="")
    is_whole = "state" in change and "services" in change
    services = overlay.services({} if is_whole else before["services"], change)
    _apply_build(services, change)
    result = {key: before[key] for key in ("name", *PLAIN)}
    result |= {key: change.take(key)[0] for key in PLAIN if key in change.raw()}
    result |= {"services": services, "web": _web(before["web"], change, is_whole=is_whole)}
    merged = _apply_net(from_document(result), before.get("net", {}), change)
    change.ignore(*SILENT, "config")
    change.finish()
    return msgspec.structs.replace(merged, warnings=(*change.warnings, *merged.warnings))


def _web(before: Plain, change: Fields, *, is_whole: bool) -> Any:
    """A port alone keeps the service, unless that is gone; null removes both."""
    value, _ = change.take("web")
    if "web" not in change.raw():
        return before
    if is_whole or not isinstance(value, dict):
        return value
    return {**before, **value}


def _apply_net(spec: Spec, before: Plain, change: Fields) -> Spec:
    """Entries that are as the client was shown them say nothing, so that an edit below `services` is not undone."""
    changed = [entry for entry in change.named("net") if before.get(entry[0]) != entry[1]]
    if not changed:
        return spec
    result = document(spec, owner=None, state="")
    for alias, entry, path in changed:
        overlay.network(result, alias, Fields(entry, path, change.warnings), removes=entry is None)
    return msgspec.structs.replace(from_document(result), warnings=spec.warnings)


def _apply_build(services: Plain, change: Fields) -> None:
    """`build` at the top level is how older orders in JSON say it for their one service."""
    value, path = change.take("build")
    if value is None:
        return
    if len(services) != 1 or not all(isinstance(one, dict) for one in services.values()):
        raise fault(path, "is not clear: say it below one of the services")
    [(name, one)] = services.items()
    services[name] = overlay.over(one, {"build": value})


def port_key(binding: PortBinding) -> str:
    return str(binding.container) if binding.protocol == "tcp" else f"{binding.container}/{binding.protocol}"


def _service(one: Service) -> Plain:
    return {
        "name": one.name,
        "type": one.type,
        "image": one.image,
        "source": one.source,
        "command": list(one.command) if isinstance(one.command, tuple) else one.command,
        "build": _build(one.build),
        "environment": dict(one.environment),
        "interfaces": codec.to_builtins(one.interfaces),
        "requests": _requests(one.requests),
        "dockerfile": one.dockerfile,
        "dns": list(one.dns),
        "health": _health(one.health),
        "restart": one.restart.value,
        "limits": _limits(one.limits),
    }


def _set(entries: Plain) -> Plain:
    return {
        key: value
        for key, value in entries.items()
        if value is not None and value is not False and value != []
    }


def _build(build: Build) -> Plain:
    return _set(
        {
            "packages": list(build.packages),
            "image_source": build.image_source,
            "image_version": build.image_version,
        }
    )


def _requests(requests: Requests) -> Plain:
    return _set(
        {
            "as-root": requests.as_root,
            "privileged": requests.privileged,
            "network-mode": None if requests.network_mode == "bridge" else requests.network_mode,
            "port-bindings": {port_key(one): one.host for one in requests.port_bindings} or None,
            "cpu-fraction": requests.cpu_fraction,
            "prioritize-traffic": requests.prioritize_traffic,
        }
    )


def _health(health: Health | None) -> Plain | None:
    if health is None:
        return None
    return _set(
        {
            "http": health.http,
            "tcp": health.tcp,
            "command": health.command,
            "port": health.port,
            "timeout": health.timeout_s,
            "interval": health.interval_s,
        }
    )


def _limits(limits: Limits) -> Plain:
    return _set({"memory": limits.memory_bytes, "pids": limits.pids, "log": limits.log_bytes})
