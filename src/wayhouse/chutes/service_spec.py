"""One service of a specification, in the form with `services`, to a `Service`. Called by `spec.py`."""

from __future__ import annotations

from typing import Any, Literal

from wayhouse.chutes import names
from wayhouse.chutes.fields import MAX_TEXT, Fields, fault, kind_of, matching, scalar, text
from wayhouse.chutes.interfaces import Interface, interface, interface_name
from wayhouse.chutes.limits import health, limits, restart
from wayhouse.chutes.model import Service, Web
from wayhouse.chutes.requests import build, requests

Kind = Literal["light", "normal", "image", "inline"]
Command = str | tuple[str, ...] | None


def service(name: str, value: Any, path: str, warnings: list[str], web: Web | None) -> Service:
    """Check one service. Raises `BadSpecError` with the path of the fault."""
    fields = Fields(value, path, warnings)
    kind = kind_of_service(fields)
    result = Service(
        name=name,
        type=kind,
        source=source(fields),
        image=image(fields, kind, "image"),
        command=command(fields, "command"),
        build=build(fields.section("build")),
        environment=fields.environment(),
        dns=fields.addresses("dns"),
        interfaces=_interfaces(fields),
        requests=requests(fields.section("requests")),
        dockerfile=dockerfile(fields, kind),
        health=_health(fields, name, web),
        restart=restart(fields),
        limits=limits(fields.section("limits")),
    )
    fields.ignore("name")
    fields.finish()
    require_command(result, path, "image")
    return result


def service_name(key: str, path: str) -> str:
    return matching(key, path, names.NAME, f"must have a name of {names.NAME_RULE}")


def kind_of_service(fields: Fields) -> Kind:
    value, path = fields.take("type")
    match value:
        case None | "normal":
            return "normal"
        case "light":
            return "light"
        case "image":
            return "image"
        case "inline":
            return "inline"
    raise fault(path, "must be light, normal, image or inline")


def image(fields: Fields, kind: Kind, key: str) -> str | None:
    """For `light` the name of a language, for `image` a reference; other types carry it without use."""
    value, path = fields.take(key)
    if value is None:
        return None
    found = text(value, path)
    if kind == "light" and not names.LANGUAGE.fullmatch(found):
        raise fault(path, "must be the name of a language such as python3 or node")
    if kind != "light" and not names.is_image(found):
        raise fault(path, "must be a container image such as nginx:1.27 or ghcr.io/me/app")
    return found


def command(fields: Fields, key: str) -> Command:
    """Text runs in a shell, a list runs as it is. White space around the text is dropped (YAML's block style adds it)."""
    value, path = fields.take(key)
    if value is None:
        return None
    if isinstance(value, str):
        return text(value.strip(), path, limit=MAX_TEXT, lines=True) or None
    if not isinstance(value, list | tuple):
        raise fault(path, f"must be text or a list of text, not {kind_of(value)}")
    words = tuple(
        text(word, place, limit=MAX_TEXT, lines=True) if isinstance(word, str) else str(scalar(word, place))
        for word, place in fields.items(key)
    )
    if words and not words[0]:
        raise fault(path, "must begin with a program")
    return words or None


def require_command(service: Service, path: str, image_key: str) -> None:
    if service.type == "light" and service.image is None:
        raise fault(f"{path}.{image_key}".lstrip("."), "is missing: a light service names its language there")
    if service.type == "image" and service.image is None:
        raise fault(f"{path}.{image_key}".lstrip("."), "is missing: name the container image to run")
    if service.type == "light" and service.command is None:
        raise fault(f"{path}.command".lstrip("."), "is missing: a light service says what to run")


def source(fields: Fields) -> str:
    value, path = fields.take("source")
    if value is None:
        return "."
    folder = names.safe_folder(text(value, path, limit=4096))
    if folder is None:
        raise fault(path, "must be a folder inside the bundle, such as . or server")
    return folder


def dockerfile(fields: Fields, kind: Kind) -> str | None:
    value, path = fields.take("dockerfile")
    if kind != "inline":
        if value is not None:
            fields.warn(f"`{path}` is used by type inline alone and is ignored")
        return None
    if value is None:
        raise fault(path, "is missing: type inline carries the text of its Dockerfile there")
    found = text(value, path, limit=MAX_TEXT, lines=True)
    if not found.strip():
        raise fault(path, "is empty")
    return found


def _interfaces(fields: Fields) -> dict[str, Interface]:
    return {
        interface_name(key, path): interface(value, path, fields.warnings)
        for key, value, path in fields.named("interfaces")
    }


def _health(fields: Fields, name: str, web: Web | None) -> Any:
    if "health" not in fields:
        return None
    return health(fields.section("health"), has_web_port=web is not None and web.service == name)
