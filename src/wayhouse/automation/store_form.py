"""Scenarios as RasPy kept them in titanic.store: `scenario.main.conf`, `scenario.main.keys`, and of each scenario `.conf`, `.entries`
and `.code`, all in JSON. Called by the verbs that export and import.

Rules: what `write` gives, `read` takes, and it is the same; what RasPy does not know stands in a scenario's conf under `wayhouse`, where
it passed over it. One scenario that is no good does not keep the others out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from wayhouse.automation.scenario import Scenario
from wayhouse.base import codec
from wayhouse.base.errors import BadInputError, WayhouseError

MAIN = "main"
CONF, KEYS, ENTRIES, CODE = "conf", "keys", "entries", "code"
OURS = "wayhouse"
MAX_SCENARIOS = 1000
_PREFIX = "scenario."
_OLD_FIELDS = {"name", CONF, ENTRIES, CODE}
_FLAGS = ("active", "startup")


class Found(NamedTuple):
    """`refused`: by name, why a scenario cannot be taken."""

    scenarios: list[Scenario]
    refused: dict[str, str]


def key(name: str, part: str) -> str:
    return f"{_PREFIX}{name}.{part}"


def write(scenarios: Sequence[Scenario], conf: Mapping[str, Any] | None = None) -> dict[str, str]:
    """The keys and their JSON. Raises `BadInputError` for a scenario called `main`, whose keys are taken."""
    if any(one.name == MAIN for one in scenarios):
        raise BadInputError("A scenario called `main` cannot be kept in this form: rename it.", path="name")
    found = {
        key(MAIN, CONF): _json(dict(conf or {})),
        key(MAIN, KEYS): _json([one.name for one in scenarios]),
    }
    for one in scenarios:
        plain = codec.to_builtins(one)
        ours = {name: value for name, value in plain.items() if name not in _OLD_FIELDS}
        flags: dict[str, Any] = {"active": one.conf.active, "startup": one.conf.startup}
        found[key(one.name, CONF)] = _json(flags | ({OURS: ours} if ours else {}))
        found[key(one.name, ENTRIES)] = _json(one.entries)
        found[key(one.name, CODE)] = _json(one.code)
    return found


def is_store(text: str) -> bool:
    """Whether a text is such a store as one JSON object, which is how the verbs and the API carry it."""
    if not text.lstrip().startswith("{"):
        return False
    try:
        found = codec.decode_json(text, dict[str, Any], what="store of scenarios")
    except BadInputError:
        return False
    return any(one.startswith(_PREFIX) for one in found)


def read_text(text: str) -> Found:
    """Raises `BadInputError` for what is no store at all."""
    return read(codec.decode_json(text, dict[str, str], what="store of scenarios"))


def read(found: Mapping[str, str]) -> Found:
    """All scenarios that are named in `scenario.main.keys`, or by their own keys where that is missing. Raises `BadInputError`."""
    names = _names(found)
    if not names:
        raise BadInputError(
            f"There are no scenarios in it: a store has `{key(MAIN, KEYS)}` and, for each, "
            f"`{key('NAME', CONF)}`, `{key('NAME', ENTRIES)}` and `{key('NAME', CODE)}`."
        )
    scenarios, refused = list[Scenario](), dict[str, str]()
    for name in names:
        try:
            scenarios.append(_scenario(name, found))
        except WayhouseError as error:
            refused[name] = error.message
    return Found(scenarios, refused)


def _names(found: Mapping[str, str]) -> list[str]:
    listed = found.get(key(MAIN, KEYS))
    if listed is not None:
        names = codec.decode_json(listed, list[str], what=key(MAIN, KEYS))
    else:
        inner = (one.removeprefix(_PREFIX).rpartition(".") for one in found if one.startswith(_PREFIX))
        names = [name for name, _, part in inner if part in {CONF, ENTRIES, CODE} and name != MAIN]
    names = list(dict.fromkeys(names))
    if len(names) > MAX_SCENARIOS:
        raise BadInputError(f"A store of scenarios holds at most {MAX_SCENARIOS}.")
    return names


def _scenario(name: str, found: Mapping[str, str]) -> Scenario:
    """Raises `BadInputError` and `TooLargeError` with what is wrong with it."""
    parts = [key(name, part) for part in (CONF, ENTRIES, CODE)]
    if not any(part in found for part in parts):
        raise BadInputError(f"It is named in `{key(MAIN, KEYS)}`, but nothing of it is there.")
    conf = codec.decode_json(found.get(parts[0], "{}"), dict[str, Any], what=parts[0])
    entries = codec.decode_json(found.get(parts[1], "{}"), dict[str, str], what=parts[1])
    code = codec.decode_json(found.get(parts[2], "null"), str | None, what=parts[2])  # type: ignore[arg-type]
    ours = conf.get(OURS, {})
    document = {
        **(ours if isinstance(ours, dict) else {}),
        "name": name,
        CONF: {flag: conf.get(flag) is True for flag in _FLAGS},
        ENTRIES: {friendly: _source(source) for friendly, source in entries.items()},
        CODE: code or "",
    }
    return codec.convert(document, Scenario, what=name[:64])


def _source(source: str) -> str:
    """What looks like a key of the clone is one."""
    return f"key:{source}" if source.startswith("/") else source


def _json(value: Any) -> str:
    return codec.encode_json(value).decode()
