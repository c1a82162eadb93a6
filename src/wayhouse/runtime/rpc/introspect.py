"""What a server tells of itself: its methods with their signatures, and its figures. Called by `service.py`."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from typing import Any

from wayhouse.runtime.rpc.methods import Row


def info(owner: object, table: Mapping[str, Row]) -> dict[str, Any]:
    """`{name, pid, wire, methods: {name: {signature, kind, access, doc}}}`."""
    return {
        "name": str(getattr(owner, "proc_name", None) or type(owner).__name__),
        "pid": os.getpid(),
        "wire": [0, 1],
        "methods": {name: describe(row) for name, row in sorted(table.items())},
    }


def describe(row: Row) -> dict[str, Any]:
    access = row.access if isinstance(row.access, str) else list(row.access)
    doc = inspect.getdoc(row.function) or ""
    return {
        "signature": signature(row.function),
        "kind": row.kind,
        "threaded": row.threaded,
        "access": access,
        "doc": doc.partition("\n")[0],
    }


def signature(function: Any) -> str:
    """As it stands in the source: `(name: str, size: int = 3) -> list[str]`."""
    try:
        found = inspect.signature(function)
    except (TypeError, ValueError):
        return "(...)"
    return_type = "" if found.return_annotation is found.empty else f" -> {_word(found.return_annotation)}"
    return f"({', '.join(_parameter(one) for one in found.parameters.values())}){return_type}"


def stats(table: Mapping[str, Row], *, connections: int, refused: int, uptime_s: float) -> dict[str, Any]:
    """`{pid, uptime_s, connections, refused, methods: {name: {calls, errors, mean_us, p50_us, p99_us}}}`, those called."""
    return {
        "pid": os.getpid(),
        "uptime_s": round(uptime_s, 3),
        "connections": connections,
        "refused": refused,
        "methods": {name: row.stat.report() for name, row in sorted(table.items()) if row.stat.count},
    }


def _parameter(one: inspect.Parameter) -> str:
    """Without values of defaults that are objects: their text may tell what it should not."""
    stars = "*" if one.kind is one.VAR_POSITIONAL else "**" if one.kind is one.VAR_KEYWORD else ""
    kind = "" if one.annotation is one.empty else f": {_word(one.annotation)}"
    default = "" if one.default is one.empty else f" = {_default(one.default)}"
    return f"{stars}{one.name}{kind}{default}"


def _default(value: Any) -> str:
    return repr(value) if isinstance(value, bool | int | float | type(None)) or value == "" else "..."


def _word(annotation: Any) -> str:
    if isinstance(annotation, str):
        return annotation
    return (
        annotation.__name__
        if isinstance(annotation, type) and not hasattr(annotation, "__args__")
        else str(annotation)
    )
