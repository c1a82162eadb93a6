"""JSON, YAML and TOML in and out, through msgspec, behind one door.

Everything that fails to decode becomes a `BadInputError` whose message names the path of the fault.
"""

from __future__ import annotations

import functools
import tomllib
from typing import Any, TypeVar

import msgspec
import yaml

from wayhouse.base.errors import BadInputError

T = TypeVar("T")

_encoder = msgspec.json.Encoder(decimal_format="number")
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

MAX_YAML_DEPTH = 64
MAX_YAML_NODES = 100_000


def encode_json(value: Any) -> bytes:
    return _encoder.encode(value)


@functools.cache
def _json_decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def decode_json(data: bytes | bytearray | memoryview | str, kind: type[T], *, what: str = "body") -> T:
    """Decode JSON as `kind`. Raises `BadInputError` with the path of the fault."""
    try:
        result: T = _json_decoder(kind).decode(data)  # type: ignore[arg-type]
    except msgspec.ValidationError as error:
        raise _bad(str(error), what) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInputError(f"The {what} is not valid JSON: {error}") from error
    return result


def convert(value: Any, kind: type[T], *, what: str = "document") -> T:
    """Check plain data (dicts, lists, scalars) against `kind`."""
    try:
        return msgspec.convert(value, kind)
    except (msgspec.ValidationError, RecursionError) as error:
        raise _bad(str(error), what) from error


def to_builtins(value: Any) -> Any:
    return msgspec.to_builtins(value)


def decode_yaml(data: bytes | str, *, what: str = "document") -> Any:
    """Plain data from a YAML text, nested at most `MAX_YAML_DEPTH` deep. Aliases are refused beyond `MAX_YAML_NODES`
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


def encode_yaml(value: Any) -> str:
    text: str = yaml.safe_dump(msgspec.to_builtins(value), sort_keys=False, allow_unicode=True)
    return text


def decode_toml(text: str, *, what: str = "file") -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # TOMLDecodeError, and plain ValueError for endless numbers
        raise BadInputError(f"The {what} is not valid TOML: {error}") from error


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
            if depth > MAX_YAML_DEPTH or seen > 2 * MAX_YAML_NODES:
                raise _too_much()
    finally:
        loader.dispose()


def _measure(root: yaml.Node) -> None:
    seen = 0
    stack: list[tuple[yaml.Node, int]] = [(root, 1)]
    while stack:
        node, depth = stack.pop()
        seen += 1
        if depth > MAX_YAML_DEPTH or seen > MAX_YAML_NODES:
            raise _too_much()
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                stack.extend(((key, depth + 1), (value, depth + 1)))
        elif isinstance(node, yaml.SequenceNode):
            stack.extend((child, depth + 1) for child in node.value)


def _too_much() -> BadInputError:
    return BadInputError("The YAML document is nested too deeply or expands to too many values.")


def _bad(text: str, what: str) -> BadInputError:
    """msgspec says ``Expected `int`, got `str` - at `$.web.port```; keep the text and lift the path out."""
    message, _, place = text.partition(" - at `")
    path = place.rstrip("`").removeprefix("$").removeprefix(".")
    if path:
        return BadInputError(f"{what}: at `{path}`: {message}", path=path)
    return BadInputError(f"{what}: {message}")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
