"""JSON, YAML and TOML in and out, through msgspec, behind one door.

Everything that fails to decode becomes a `BadInputError` whose message names the path of the fault.
"""

from __future__ import annotations

import functools
from typing import Any, TypeVar

import msgspec

from wayhouse.base.errors import BadInputError

T = TypeVar("T")

_encoder = msgspec.json.Encoder(decimal_format="number")


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
    """Plain data from a YAML text, nested at most `yaml_text.MAX_DEPTH` deep. Aliases are refused beyond
    `yaml_text.MAX_NODES` visits, so no 'billion laughs'."""
    from wayhouse.base import yaml_text

    return yaml_text.decode(data, what)


def encode_yaml(value: Any) -> str:
    from wayhouse.base import yaml_text

    return yaml_text.encode(value)


def decode_toml(text: str, *, what: str = "file") -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # TOMLDecodeError, and plain ValueError for endless numbers
        raise BadInputError(f"The {what} is not valid TOML: {error}") from error


def _bad(text: str, what: str) -> BadInputError:
    """msgspec says ``Expected `int`, got `str` - at `$.web.port```; keep the text and lift the path out."""
    message, _, place = text.partition(" - at `")
    path = place.rstrip("`").removeprefix("$").removeprefix(".")
    if path:
        return BadInputError(f"{what}: at `{path}`: {message}", path=path)
    return BadInputError(f"{what}: {message}")
