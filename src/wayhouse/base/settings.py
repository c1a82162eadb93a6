"""How settings are read: one TOML file into one tree of frozen structs, once, at start.

Later sources win: the defaults in the structs, the file, then environment variables `WAYHOUSE_<SECTION>_<KEY>`.
An unknown key or an illegal value is a `BadInputError` that gives the path (`chutes.engine`).
The tree itself is put together in `gateway.settings` from the pieces that the rooms declare.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from wayhouse.base import codec
from wayhouse.base.errors import BadInputError

T = TypeVar("T", bound=msgspec.Struct)

PREFIX = "WAYHOUSE_"


class Paths(msgspec.Struct, frozen=True):
    """Where everything lives (FHS for a system install, XDG for a user's own)."""

    config: Path
    data: Path
    cache: Path
    runtime: Path

    @classmethod
    def under(cls, base: Path) -> Paths:
        """All four in one folder, for `--data DIR`."""
        return cls(config=base / "config", data=base / "data", cache=base / "cache", runtime=base / "run")

    @classmethod
    def system(cls) -> Paths:
        return cls(
            config=Path("/etc/wayhouse"),
            data=Path("/var/lib/wayhouse"),
            cache=Path("/var/cache/wayhouse"),
            runtime=Path("/run/wayhouse"),
        )

    @classmethod
    def user(cls, env: Mapping[str, str]) -> Paths:
        home = Path(env.get("HOME") or Path.home())
        data = Path(env.get("XDG_DATA_HOME") or home / ".local/share") / "wayhouse"
        return cls(
            config=Path(env.get("XDG_CONFIG_HOME") or home / ".config") / "wayhouse",
            data=data,
            cache=Path(env.get("XDG_CACHE_HOME") or home / ".cache") / "wayhouse",
            runtime=Path(env["XDG_RUNTIME_DIR"]) / "wayhouse" if env.get("XDG_RUNTIME_DIR") else data / "run",
        )

    @property
    def socket(self) -> Path:
        """The daemon's own API, with the rights of whoever connects (peer credentials)."""
        return self.runtime / "wayhouse.sock"


def load(kind: type[T], file: Path | None, env: Mapping[str, str]) -> T:
    """Read `file` (if it exists) and the environment into `kind`."""
    tree: dict[str, Any] = {}
    if file is not None and file.exists():
        tree = codec.decode_toml(_text(file), what=f"settings file {file}")
    sections = {field.name for field in msgspec.structs.fields(kind)}
    for name, text in env.items():
        section, _, key = name.removeprefix(PREFIX).lower().partition("_")
        if name.startswith(PREFIX) and section in sections and key:
            table = tree.setdefault(section, {})
            if not isinstance(table, dict):
                raise BadInputError(f"settings: `{section}` must be a table: [{section}].", path=section)
            table[key] = _scalar(kind, section, key, text)
    return codec.convert(tree, kind, what="settings")


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInputError(f"The settings file {file} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise BadInputError(f"The settings file {file} is not UTF-8 text.") from error


def _scalar(kind: type[msgspec.Struct], section: str, key: str, text: str) -> Any:
    """The text of an environment variable as the type that the struct declares for it."""
    section_kind = next(field.type for field in msgspec.structs.fields(kind) if field.name == section)
    declared = {field.name: field.type for field in msgspec.structs.fields(section_kind)}
    if key not in declared:
        raise BadInputError(
            f"{PREFIX}{section.upper()}_{key.upper()} names no setting. Known ones: {', '.join(sorted(declared))}."
        )
    try:
        return msgspec.convert(text, declared[key], strict=False)
    except msgspec.ValidationError:
        return text
