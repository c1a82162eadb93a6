"""OpenAPI 3.1 from the endpoint table: paths, parameters, bodies, answers and rights, with msgspec's JSON schemas."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from wayhouse.access.policy import Right
from wayhouse.api.problems import MEDIA, Problem
from wayhouse.api.table import JSON, TAR, Channel, Endpoint, Rows

REF = "#/components/schemas/{name}"
_RESUME = [
    {
        "name": name,
        "in": place,
        "required": False,
        "description": "Go on after this cursor, which is the `id` of the last event that came",
        "schema": {"type": "string"},
    }
    for name, place in (("resume", "query"), ("Last-Event-ID", "header"))
]
_TEXTS = {
    "after", "area", "chute", "driver", "filter", "format", "key", "prefix", "range", "schedule", "section", "service",
}  # fmt: skip
"""Query parameters that are texts; the others are whole numbers."""
_SECURITY: list[dict[str, list[str]]] = [{"bearer": []}, {"basic": []}]


def describe(rows: Rows, *, version: str) -> dict[str, Any]:
    """The document. Streams are described as the GET that starts their server-sent events."""
    endpoints = [row for row in rows if isinstance(row, Endpoint)]
    channels = [row for row in rows if isinstance(row, Channel)]
    kinds = [
        Problem,
        *(row.reply for row in endpoints),
        *(row.body for row in endpoints if row.body is not None),
    ]
    schemas, components = msgspec.json.schema_components(kinds, ref_template=REF)
    schema_of = dict(zip(map(repr, kinds), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for row in endpoints:
        paths.setdefault(_path(row.path), {})[row.method.lower()] = _operation(row, schema_of)
    for channel in channels:
        paths.setdefault(_path(channel.path), {})["get"] = _stream(channel)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Wayhouse",
            "version": version,
            "summary": "The API of a Wayhouse gateway; a superset of ParaDrop's.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": components,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "basic": {"type": "http", "scheme": "basic"},
            },
        },
    }


def _operation(row: Endpoint[Any], schema_of: Mapping[str, Any]) -> dict[str, Any]:
    operation = {
        **_head(row.method, row.path, row.summary, row.right),
        "responses": {
            str(row.status): {
                "description": "Done",
                "content": {row.reply_media: {"schema": schema_of[repr(row.reply)]}},
            },
            "default": _problem(schema_of),
        },
    }
    operation["parameters"].extend(
        {"name": name, "in": "query", "required": False, "description": text, "schema": _query_schema(name)}
        for name, text in row.query.items()
    )
    if row.body is not None:
        content: dict[str, Any] = {JSON: {"schema": schema_of[repr(row.body)]}}
        if row.archive:
            content[TAR] = {"schema": {"type": "string", "format": "binary"}}
        operation["requestBody"] = {"required": not row.optional_body, "content": content}
    return operation


def _stream(channel: Channel) -> dict[str, Any]:
    head = _head("get", channel.path, channel.summary, channel.right)
    if channel.resumes:
        head["parameters"] += _RESUME
    return {
        **head,
        "description": "A WebSocket; with `Accept: text/event-stream` the same frames as server-sent events.",
        "responses": {
            "200": {
                "description": "The stream",
                "content": {"text/event-stream": {"schema": {"type": "string"}}},
            },
            "426": {
                "description": "Neither a WebSocket nor an event stream was asked for",
                "content": {MEDIA: {"schema": {"$ref": REF.format(name="Problem")}}},
            },
            "default": {
                "description": "A problem",
                "content": {MEDIA: {"schema": {"$ref": REF.format(name="Problem")}}},
            },
        },
    }


def _head(method: str, path: str, summary: str, right: Right) -> dict[str, Any]:
    return {
        "summary": summary,
        "operationId": method.lower() + "".join(part.title() for part in re.findall(r"\w+", path)),
        "tags": [_tag(path)],
        "x-right": right.value,
        "security": [] if right is Right.OPEN else _SECURITY,
        "parameters": [
            {"name": name.rstrip("."), "in": "path", "required": True, "schema": _path_schema(name)}
            for name in re.findall(r"{([\w.]+)}", path)
        ],
    }


def _problem(schema_of: Mapping[str, Any]) -> dict[str, Any]:
    return {"description": "A problem (RFC 9457)", "content": {MEDIA: {"schema": schema_of[repr(Problem)]}}}


def _path(path: str) -> str:
    return path.replace("...}", "}")


def _path_schema(name: str) -> dict[str, Any]:
    return {"type": "integer", "minimum": 0} if name == "id" else {"type": "string", "minLength": 1}


def _query_schema(name: str) -> dict[str, Any]:
    return {"type": "string"} if name in _TEXTS else {"type": "integer", "minimum": 0}


def _tag(path: str) -> str:
    parts = [part for part in path.split("/") if part and part not in {"api", "v1", "ws", "sockjs"}]
    return parts[0].strip("{}") if parts else "gateway"
