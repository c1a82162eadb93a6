"""The few fields of an app's specification that the command line reads or sets on the way to the gateway. Pure.

The gateway alone judges the rest, so what is not understood here is sent as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from wayhouse.base import codec
from wayhouse.base.errors import BadInputError

NAMES = ("paradrop.yaml", "wayhouse.yaml", "config.yaml")
"""In the order in which the gateway looks for them."""
MOST = 256 * 1024


def name_in(text: bytes) -> str | None:
    """The app's name, if the text says one."""
    document = _document(text)
    inner = document.get("config")
    name = document.get("name") or (inner.get("name") if isinstance(inner, dict) else None)
    return name if isinstance(name, str) else None


def changed(text: bytes, *, name: str | None, environment: Mapping[str, str]) -> bytes:
    """The text with another name and more environment. Raises `BadInputError` if it is no YAML mapping."""
    document = _document(text)
    if name is not None:
        document["name"] = name
    if environment:
        before = document.get("environment")
        document["environment"] = {**(before if isinstance(before, dict) else {}), **environment}
    return codec.encode_yaml(document).encode()


def read_pairs(pairs: Iterable[str]) -> dict[str, str]:
    """`K=V` each. Raises `BadInputError`."""
    result = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key or not pair.isprintable():
            raise BadInputError(f"`--env {key}` must be NAME=VALUE.")
        result[key] = value
    return result


def with_settings(document: Mapping[str, Any], settings: Iterable[str]) -> dict[str, Any]:
    """The top-level fields of `document` that `key.inner=value` touches, with the values in place.

    Values are YAML (`8080`, `true`, `null`, `[a, b]`). Raises `BadInputError`.
    """
    result: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        path = key.split(".")
        if not equals or not all(path):
            raise BadInputError(
                f"`--set {setting}` must be KEY=VALUE, for example services.main.image=nginx."
            )
        top = path[0]
        if top not in result:
            result[top] = codec.to_builtins(document.get(top))
        _put(result, path, codec.decode_yaml(text, what=f"value of {key}") if text else "")
    return result


def _put(tree: dict[str, Any], path: list[str], value: Any) -> None:
    for part in path[:-1]:
        inner = tree.get(part)
        if inner is None:
            inner = tree[part] = {}
        if not isinstance(inner, dict):
            raise BadInputError(f"`{'.'.join(path)}` cannot be set: `{part}` has no fields.")
        tree = inner
    tree[path[-1]] = value


def _document(text: bytes) -> dict[str, Any]:
    if len(text) > MOST:
        raise BadInputError(f"The app's specification is larger than {MOST // 1024} KiB.")
    document = codec.decode_yaml(text, what="app's specification")
    if not isinstance(document, dict):
        raise BadInputError(
            "The app's specification must be a YAML mapping with `name`, `services` and so on."
        )
    return document
