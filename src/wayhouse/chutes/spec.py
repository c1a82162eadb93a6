"""The specification of a chute: the text of `paradrop.yaml` (or `wayhouse.yaml`, the same schema) to a `Spec`.

Called when a bundle arrives and when a stored or edited document comes back. A wrong value is a `BadSpecError` that
names its place; a key that nobody knows is ignored, as ParaDrop does, and said in `Spec.warnings`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from wayhouse.base import codec
from wayhouse.base.errors import BadInputError
from wayhouse.chutes import names
from wayhouse.chutes.allocation import cpu_shares
from wayhouse.chutes.fields import MAX_TEXT, Fields, fault, scalar, text
from wayhouse.chutes.legacy import MAIN, Legacy
from wayhouse.chutes.model import BadSpecError, Service, Spec, Version, Web
from wayhouse.chutes.service_spec import service, service_name

MAX_BYTES = 256 * 1024
MAX_SERVICES = 64
MAX_VERSION = 128
SILENT = ("owner", "state", "date", "source", "summary", "author", "download")
"""Known at the top level, and of no meaning to a specification."""

NO_NAME = "Chute name not found in configuration file."


def parse(data: bytes) -> Spec:
    """A specification from YAML (or JSON). Raises `BadSpecError`, whatever the bytes."""
    if len(data) > MAX_BYTES:
        raise BadSpecError(f"The specification is larger than {MAX_BYTES // 1024} KiB.", path="")
    try:
        plain = codec.decode_yaml(data, what="specification")
    except BadInputError as error:
        raise BadSpecError(error.message, **error.fields) from error
    return from_document(plain)


def from_document(data: Any) -> Spec:
    """A specification from plain data: either form of the file, or the document that `document.py` makes.
    Raises `BadSpecError`."""
    root = Fields(data, "", [])
    spec = _from_services(root) if "services" in root.raw() else _from_legacy(root)
    cpu_shares(spec.services.values())
    _check_ports(spec.services)
    return spec


def _from_services(root: Fields) -> Spec:
    entries = list(root.named("services"))
    if not 1 <= len(entries) <= MAX_SERVICES:
        raise fault("services", f"must have between 1 and {MAX_SERVICES} services")
    config = root.section("config")
    name = _name(root if "name" in root else config)
    found = [service_name(key, path) for key, _, path in entries]
    web = _web(root, found)
    services = {key: service(key, value, path, root.warnings, web) for key, value, path in entries}
    _check_interfaces(services)
    root.ignore(*SILENT, *(("net",) if "state" in root else ()))
    return _spec(root, config, name, web, services)


def _from_legacy(root: Fields) -> Spec:
    old = Legacy(root)
    name = _name(old.place("name"))
    web, main = old.web(), old.service()
    old.root.ignore(*SILENT)
    return _spec(root, old.config, name, web, {MAIN: main})


def _spec(root: Fields, config: Fields, name: str, web: Web | None, services: dict[str, Service]) -> Spec:
    """What both forms say in the same way; then every key has been asked for."""
    config.ignore("name", "version", "description")
    spec = Spec(
        name=name,
        description=_description(root if "description" in root else config),
        version=_version(root if "version" in root else config),
        environment=root.environment(),
        web=web,
        services=services,
    )
    root.finish()
    config.finish()
    return msgspec.structs.replace(spec, warnings=tuple(root.warnings))


def _name(fields: Fields) -> str:
    value, path = fields.take("name")
    if value is None or value == "":
        raise BadSpecError(NO_NAME, path="name")
    found = text(value, path)
    if not names.NAME.fullmatch(found):
        raise fault(path, f"must consist of {names.NAME_RULE}")
    if not names.is_chute_name(found):
        raise fault(path, f"cannot be {found}: the container engine has a network of that name")
    return found


def _description(fields: Fields) -> str:
    value, path = fields.take("description")
    return "unknown" if value is None else text(value, path, limit=MAX_TEXT, lines=True)


def _version(fields: Fields) -> Version:
    value, path = fields.take("version")
    if value is None:
        return None
    if isinstance(value, bool):
        raise fault(path, "must be text or a number")
    found = scalar(value, path)
    if isinstance(found, str) and len(found) > MAX_VERSION:
        raise fault(path, f"is longer than {MAX_VERSION} characters")
    return found


def _web(root: Fields, services: Sequence[str]) -> Web | None:
    """The service may be left out when it is clear: `main`, or the only one."""
    fields = root.section("web")
    port = fields.port("port")
    named = fields.text("service")
    fields.finish()
    if port is None:
        if named is not None:
            root.warn("`web` names no port, so the app offers no page")
        return None
    if named is None:
        named = MAIN if MAIN in services else services[0] if len(services) == 1 else None
    if named is None or named not in services:
        raise fault("web.service", f"must be one of the services: {', '.join(services)}")
    return Web(named, port)


def _check_interfaces(services: dict[str, Service]) -> None:
    """Lease files and API paths go by the interface's name alone, so a chute has each name once."""
    seen: dict[str, str] = {}
    for one in services.values():
        for name in one.interfaces:
            if name in seen:
                raise fault(
                    f"services.{one.name}.interfaces.{name}",
                    f"has a name that service {seen[name]} uses already",
                )
            seen[name] = one.name


def _check_ports(services: dict[str, Service]) -> None:
    seen: dict[tuple[int, str], str] = {}
    for one in services.values():
        for binding in one.requests.port_bindings:
            if binding.host is None:
                continue
            holder = seen.setdefault((binding.host, binding.protocol), one.name)
            if holder != one.name:
                raise fault(
                    f"services.{one.name}.requests.port-bindings",
                    f"asks for port {binding.host} of the gateway, which service {holder} has",
                )
