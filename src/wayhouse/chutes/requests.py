"""What a service asks of the gateway and of its image: `requests`, port bindings and `build`. Called by
`service_spec.py` and `legacy.py`."""

from __future__ import annotations

import re
from typing import Any, Literal

from wayhouse.chutes import names
from wayhouse.chutes.fields import Fields, fault, kind_of, matching, scalar, text, whole
from wayhouse.chutes.model import Build, PortBinding, Requests

_PORT_KEY = re.compile(r"([0-9]{1,5})(?:/(tcp|udp))?")

Network = Literal["bridge", "host"]
Protocol = Literal["tcp", "udp"]


def requests(fields: Fields) -> Requests:
    result = Requests(
        as_root=fields.flag("as-root") or False,
        privileged=fields.flag("privileged") or False,
        network_mode=network_mode(fields),
        port_bindings=port_bindings(fields, "port-bindings"),
        cpu_fraction=fields.number("cpu-fraction", 0, 1),
        prioritize_traffic=fields.flag("prioritize-traffic") or False,
    )
    fields.finish()
    return result


def network_mode(fields: Fields) -> Network:
    value, path = fields.take("network-mode")
    if value is None or value == "bridge":
        return "bridge"
    if value == "host":
        return "host"
    raise fault(path, "must be bridge or host")


def port_bindings(fields: Fields, name: str) -> tuple[PortBinding, ...]:
    """Both forms: a list of `{external, internal, protocol?}`, or a mapping from the container's port (`80`, `"53/udp"`)
    to the host's (null: the gateway picks one). Raises `BadSpecError` when a port is bound twice."""
    value, path = fields.take(name)
    if isinstance(value, dict):
        entries = Fields(value, path, fields.warnings).pairs()
        bindings = [_from_pair(key, host, place) for key, host, place in entries]
    else:
        bindings = [_from_entry(entry, place, fields.warnings) for entry, place in fields.items(name)]
    inside = {(one.container, one.protocol) for one in bindings}
    outside = [(one.host, one.protocol) for one in bindings if one.host is not None]
    if len(inside) < len(bindings) or len(set(outside)) < len(outside):
        raise fault(path, "binds one port twice")
    return tuple(bindings)


def _from_pair(key: Any, host: Any, path: str) -> PortBinding:
    match = _PORT_KEY.fullmatch(str(key)) if isinstance(key, str) or type(key) is int else None
    if match is None:
        raise fault(path, 'must be named by a port of the app, such as 80 or "53/udp"')
    container = whole(match[1], path, 1, 65535)
    return PortBinding(container, _host_port(host, path), _protocol(match[2], path))


def _from_entry(entry: Any, path: str, warnings: list[str]) -> PortBinding:
    fields = Fields(entry, path, warnings)
    container = fields.port("internal")
    if container is None:
        raise fault(f"{path}.internal", "is missing: it is the port inside the app")
    host, host_path = fields.take("external")
    protocol, protocol_path = fields.take("protocol")
    fields.finish()
    return PortBinding(container, _host_port(host, host_path), _protocol(protocol, protocol_path))


def _host_port(value: Any, path: str) -> int | None:
    if isinstance(value, dict | list | tuple):
        raise fault(path, f"must be one port of the gateway, not {kind_of(value)}")
    return None if value is None else whole(value, path, 1, 65535)


def _protocol(value: Any, path: str) -> Protocol:
    if value is None or value == "tcp":
        return "tcp"
    if value == "udp":
        return "udp"
    raise fault(path, "must be tcp or udp")


def build(fields: Fields) -> Build:
    result = build_of(fields)
    fields.finish()
    return result


def build_of(*places: Fields) -> Build:
    """Packages of all `places` together; the base image from the first place that names one.

    `image_source` is the name of the base image and `image_version` its tag: together they replace the gateway's own
    choice for the language; the tag alone takes another version of the gateway's choice.
    """
    packages = dict.fromkeys(name for place in places for name in _packages(place))
    source = next((found for place in places if (found := _image_source(place))), None)
    version = next((found for place in places if (found := _image_version(place))), None)
    return Build(packages=tuple(packages), image_source=source, image_version=version)


def _packages(fields: Fields) -> list[str]:
    rule = "must be the name of a package, without spaces and shell characters"
    return [matching(value, path, names.PACKAGE, rule) for value, path in fields.items("packages")]


def _image_source(fields: Fields) -> str | None:
    value, path = fields.take("image_source")
    if value is None:
        return None
    found = text(value, path)
    if not names.is_image(found) or "@" in found:
        raise fault(path, "must be the name of a container image, such as python or ghcr.io/me/base")
    return found


def _image_version(fields: Fields) -> str | None:
    value, path = fields.take("image_version")
    if value is None:
        return None
    return matching(
        str(scalar(value, path)),
        path,
        names.IMAGE_TAG,
        "must be the tag of a container image, such as 3.13-slim",
    )
