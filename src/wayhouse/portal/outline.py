"""An OpenAPI document as an outline for people: groups of operations with what goes in and out as short text. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

Schema = Mapping[str, Any]

MAX_DEPTH = 4
_TITLES = {
    "auth": "Signing in",
    "users": "Users",
    "tokens": "API tokens",
    "chutes": "Chutes",
    "changes": "Changes",
    "info": "The machine",
    "config": "Configuration",
    "gateway": "The gateway",
    "snapd": "snapd",
}
_GROUP_OF = {
    "password": "auth", "audit": "users", "logs": "chutes", "chute_logs": "chutes", "status": "info",
    "version": "gateway", "healthz": "gateway", "metrics": "gateway", "openapi.json": "gateway",
    "events": "gateway", "paradrop_logs": "gateway",
}  # fmt: skip


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """`anchor` is its place on the page; `body` and `reply` are texts, "" for none."""

    anchor: str
    method: str
    path: str
    summary: str
    right: str
    parameters: list[tuple[str, str, str]]
    body: str
    reply: str
    media: str
    curl: str


class Group(msgspec.Struct, frozen=True):
    name: str
    title: str
    operations: list[Operation]


def groups(document: Mapping[str, Any]) -> list[Group]:
    found: dict[str, list[Operation]] = {name: [] for name in _TITLES}
    components = document.get("components", {}).get("schemas", {})
    for path, methods in document.get("paths", {}).items():
        for method, operation in methods.items():
            tag = operation.get("tags", ["gateway"])[0]
            name = _GROUP_OF.get(tag, tag)
            found.setdefault(name, []).append(_operation(path, method, operation, components))
    return [Group(name, _TITLES.get(name, name), ops) for name, ops in found.items() if ops]


def _operation(path: str, method: str, operation: Mapping[str, Any], components: Schema) -> Operation:
    content = operation.get("requestBody", {}).get("content", {})
    takes = content.get("application/json", {}).get("schema")
    media, reply = _reply(operation)
    is_stream = media == "text/event-stream"
    return Operation(
        anchor=f"{method}{re.sub(r'[^a-zA-Z0-9]+', '-', path)}".rstrip("-"),
        method="STREAM" if is_stream else method.upper(),
        path=path,
        summary=operation.get("summary", ""),
        right=operation.get("x-right", ""),
        parameters=[
            (one["name"], one["in"], one.get("description", "")) for one in operation.get("parameters", [])
        ],
        body=shape(takes, components) if takes is not None else "",
        reply="" if is_stream or reply is None else shape(reply, components),
        media=media,
        curl=_curl(path, method, content, is_open=operation.get("security") == [], is_stream=is_stream),
    )


def _reply(operation: Mapping[str, Any]) -> tuple[str, Schema | None]:
    for status, response in operation.get("responses", {}).items():
        if status.startswith("2"):
            for media, entry in response.get("content", {}).items():
                return media, entry.get("schema")
    return "", None


def _curl(path: str, method: str, content: Schema, *, is_open: bool, is_stream: bool) -> str:
    parts = ["curl"]
    if is_stream:
        parts += ["-N", "-H 'Accept: text/event-stream'"]
    elif method != "get":
        parts.append(f"-X {method.upper()}")
    if not is_open:
        parts.append('-H "Authorization: Bearer $TOKEN"')
    if "application/x-tar" in content:
        parts += ["-H 'Content-Type: application/x-tar'", "--data-binary @app.tar"]
    elif content:
        parts += ["-H 'Content-Type: application/json'", "-d '{...}'"]
    parts.append(f'"$GATEWAY{path}"')
    return " ".join(parts)


def shape(schema: Schema, components: Schema, *, depth: int = 0, seen: tuple[str, ...] = ()) -> str:
    """A schema as text that looks like the JSON it stands for: `{"name": string, "version": string | null}`."""
    reference = schema.get("$ref")
    if reference is not None:
        name = str(reference).rpartition("/")[2]
        if name in seen or name not in components:
            return name
        return shape(components[name], components, depth=depth, seen=(*seen, name))
    if "anyOf" in schema or "oneOf" in schema:
        options = schema.get("anyOf") or schema.get("oneOf") or []
        texts = [shape(one, components, depth=depth, seen=seen) for one in options]
        return " | ".join(dict.fromkeys(texts))
    if "enum" in schema:
        return " | ".join(msgspec.json.encode(one).decode() for one in schema["enum"])
    return _by_type(schema, components, depth, seen)


def _by_type(schema: Schema, components: Schema, depth: int, seen: tuple[str, ...]) -> str:
    match schema.get("type"):
        case "array":
            items = schema.get("items") or {}
            return f"[{shape(items, components, depth=depth, seen=seen)}, ...]"
        case "object":
            return _object(schema, components, depth, seen)
        case str() as name:
            return name
        case _:
            return "any"


def _object(schema: Schema, components: Schema, depth: int, seen: tuple[str, ...]) -> str:
    pad = "  " * (depth + 1)
    properties = schema.get("properties")
    if not properties:
        inner = schema.get("additionalProperties")
        if not isinstance(inner, Mapping) or not inner:
            return "{...}"
        return f"{{name: {shape(inner, components, depth=depth, seen=seen)}}}"
    if depth >= MAX_DEPTH:
        return "{...}"
    required = set(schema.get("required", ()))
    lines = [
        f'{pad}"{name}"{"" if name in required else "?"}: '
        + shape(one, components, depth=depth + 1, seen=seen)
        for name, one in properties.items()
    ]
    return "{\n" + ",\n".join(lines) + "\n" + "  " * depth + "}"
