"""YAML in and out, with bounds. Called by `codec`, the door, which loads this file only when there is YAML."""

from __future__ import annotations

from typing import Any

import msgspec
import yaml

from wayhouse.base.errors import BadInputError

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

MAX_DEPTH = 64
MAX_NODES = 100_000


def decode(data: bytes | str, what: str) -> Any:
    """Plain data from a YAML text, nested at most `MAX_DEPTH` deep. Aliases are refused beyond `MAX_NODES`
    visits, so no 'billion laughs'."""
    loader = None
    try:
        _measure_text(data)
        loader = _Loader(data)
        node = loader.get_single_node()
        if node is None:
            return None
        _measure(node)
        return loader.construct_document(node)
    except BadInputError:
        raise
    except (
        yaml.YAMLError,
        ValueError,
        TypeError,
        LookupError,
        ArithmeticError,
        RecursionError,
        AttributeError,
    ) as error:
        raise BadInputError(f"The {what} is not valid YAML: {_one_line(error)}") from error
    finally:
        if loader is not None:
            loader.dispose()


def encode(value: Any) -> str:
    text: str = yaml.safe_dump(msgspec.to_builtins(value), sort_keys=False, allow_unicode=True)
    return text


def _measure_text(data: bytes | str) -> None:
    """libyaml's composer recurses in C, so a text that is nested too deeply must not reach it: it would end the process."""
    loader = _Loader(data)
    depth = seen = 0
    try:
        while loader.check_event():
            event = loader.get_event()
            seen += 1
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            if depth > MAX_DEPTH or seen > 2 * MAX_NODES:
                raise _too_much()
    finally:
        loader.dispose()


def _measure(root: yaml.Node) -> None:
    seen = 0
    stack: list[tuple[yaml.Node, int]] = [(root, 1)]
    while stack:
        node, depth = stack.pop()
        seen += 1
        if depth > MAX_DEPTH or seen > MAX_NODES:
            raise _too_much()
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                stack.extend(((key, depth + 1), (value, depth + 1)))
        elif isinstance(node, yaml.SequenceNode):
            stack.extend((child, depth + 1) for child in node.value)


def _too_much() -> BadInputError:
    return BadInputError("The YAML document is nested too deeply or expands to too many values.")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
