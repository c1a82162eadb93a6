"""From a method and a path to a row of the table, in a time that does not grow with the table.

Paths are trees of segments; a trailing slash never matters. Names are matched before variables.
"""

from __future__ import annotations

from collections.abc import Iterator
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
        """Values by method, and the variables of the path (percent-decoded); empty if there is no such path.

        Where a name and a variable both match, methods that the name lacks are the variable's: a thing that is called
        like a verb can be had still.
        """
        parts = _parts(raw_path)
        values: dict[str, V] = {}
        found: dict[str, str] = {}
        for node, variables in self._walk(self._root, parts, 0):
            values = node.values | values if values else node.values
            found = dict(variables) | found
        return values, found

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

    def _walk(
        self, node: _Node[V], parts: list[str], at: int
    ) -> Iterator[tuple[_Node[V], tuple[tuple[str, str], ...]]]:
        """What matches with its variables, the best first; what takes all the rest only if nothing else does."""
        if at == len(parts):
            if node.values:
                yield node, ()
            return
        part, matches = parts[at], False
        child = node.names.get(part)
        if child is not None:
            for end, variables in self._walk(child, parts, at + 1):
                matches = True
                yield end, variables
        if node.variable is not None and part:  # an empty segment names nothing
            for end, variables in self._walk(node.variable, parts, at + 1):
                matches = True
                yield end, ((node.variable.variable_name, unquote(part)), *variables)
        if node.rest is not None and not matches:
            rest = "/".join(unquote(part) for part in parts[at:])
            yield node.rest, ((node.rest.variable_name, rest),)


def _parts(path: str) -> list[str]:
    return path.strip("/").split("/") if path.strip("/") else []
