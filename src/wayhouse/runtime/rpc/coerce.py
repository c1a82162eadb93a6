"""What a method returns, made fit for JSON the way that clients of the original expect it.

Called when an answer is encoded. Tuples become lists, subclasses of dict become objects with text keys, bytes become text
with U+FFFD for what is no UTF-8. Rule: anything else is refused (`TypeError`), nothing is guessed.
"""

from __future__ import annotations

from typing import Any

FLAT = frozenset({int, str, bool, float, type(None)})
NOT_JSON = "INTERNAL ERROR: OBJECT IS NOT JSON COMPATIBLE"
MAX_DEPTH = 200


def plain(value: Any, depth: int = 0) -> Any:
    """`value` as None, bool, int, float, str, list and dict only. Raises `TypeError(NOT_JSON)`."""
    kind = type(value)
    if kind in FLAT:
        return value
    if depth > MAX_DEPTH:
        raise TypeError(NOT_JSON)
    if kind is dict or isinstance(value, dict):
        return _plain_dict(value, depth)
    if isinstance(value, list | tuple):
        return list(value) if FLAT.issuperset(map(type, value)) else [plain(one, depth + 1) for one in value]
    return _scalar(value)


def text(value: str | bytes) -> str:
    """`value` as text that UTF-8 can carry."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    return bytes(value).decode("utf-8", "replace")


def clean(value: Any) -> Any:
    """The same again with every text made encodable: for values with lone surrogates, which are rare."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, list):
        return [clean(one) for one in value]
    if isinstance(value, dict):
        return {text(key): clean(one) for key, one in value.items()}
    return value


def _plain_dict(value: dict[Any, Any], depth: int) -> dict[str, Any]:
    if {str}.issuperset(map(type, value)) and FLAT.issuperset(map(type, value.values())):
        return dict(value)
    return {_key(key): plain(one, depth + 1) for key, one in value.items()}


def _key(key: Any) -> str:
    """As `json.dumps` writes keys, and bytes as text."""
    if isinstance(key, str):
        return str(key)
    if isinstance(key, bytes | bytearray):
        return text(bytes(key))
    if isinstance(key, bool) or key is None:
        return {True: "true", False: "false", None: "null"}[key]
    if isinstance(key, int | float):
        return repr(key)
    raise TypeError(NOT_JSON)


def _scalar(value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        return text(bytes(value))
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    raise TypeError(NOT_JSON)
