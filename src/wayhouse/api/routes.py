"""From a method and a path to a row of the table, in a time that does not grow with the table.

Paths are trees of segments; a trailing slash never matters. Names are matched before variables.
"""

from __future__ import annotations

from typing import Generic, TypeVar
from urllib.parse import unquote

V = TypeVar("V")

REST = "..."
"""The name in braces of a last variable that takes everything that follows: `{rest...}`."""


class _Node(Generic[V]):
    __slots__ = ("names", "rest", "values", "variable", "variable_name")

    def __init__(self) -> None:
        self.names: dict[str, _Node[V]] = {}
        self.variable: _Node[V] | None = None
        self.variable_name = ""
        self.rest: _Node[V] | None = None
        self.values: dict[str, V] = {}


class Routes(Generic[V]):
    """Values by method and path. `find` answers with the methods that exist there, so that 405 can name them."""

    def __init__(self) -> None:
        self._root: _Node[V] = _Node()

    def add(self, method: str, path: str, value: V) -> None:
        node = self._root
        for part in _parts(path):
            node = self._child(node, part)
        if method in node.values:
            raise ValueError(f"{method} {path} is in the table twice")
        node.values[method] = value

    def find(self, raw_path: str) -> tuple[dict[str, V], dict[str, str]]:
        """Values by method, and the variables of the path (percent-decoded); empty if there is no such path."""
        found: dict[str, str] = {}
        node = self._walk(self._root, _parts(raw_path), 0, found)
        return (node.values, found) if node is not None else ({}, {})

    def _child(self, node: _Node[V], part: str) -> _Node[V]:
        if not part.startswith("{"):
            return node.names.setdefault(part, _Node())
        name = part.strip("{}")
        if name.endswith(REST):
            node.rest = node.rest or _Node()
            node.rest.variable_name = name.removesuffix(REST)
            return node.rest
        node.variable = node.variable or _Node()
        node.variable.variable_name = name
        return node.variable

    def _walk(self, node: _Node[V], parts: list[str], at: int, found: dict[str, str]) -> _Node[V] | None:
        if at == len(parts):
            return node if node.values else None
        part = parts[at]
        child = node.names.get(part)
        if child is not None and (end := self._walk(child, parts, at + 1, found)) is not None:
            return end
        if node.variable is not None and part:  # an empty segment names nothing
            end = self._walk(node.variable, parts, at + 1, found)
            if end is not None:
                found[node.variable.variable_name] = unquote(part)
                return end
        if node.rest is not None:
            found[node.rest.variable_name] = "/".join(unquote(part) for part in parts[at:])
            return node.rest
        return None


def _parts(path: str) -> list[str]:
    return path.strip("/").split("/") if path.strip("/") else []
