"""The directories of the sandbox's containers: `<state>/containers/<id>/` with what was asked for and what happens now.

`record.json` is written by the engine, `state.json` by the shim. A state whose shim is gone is put right when read.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path
from typing import Any

import msgspec

from wayhouse.base import codec, ids
from wayhouse.base.errors import BadInputError
from wayhouse.chutes.engines.sandbox.shim import identity
from wayhouse.chutes.model import ServiceState
from wayhouse.chutes.ports import Container, ContainerSpec

KILLED = 137
ALIVE = frozenset({"running", "restarting"})


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What `record.json` holds: the specification, and the image as it was when the container was made."""

    id: str
    spec: ContainerSpec
    image_id: str


class Records:
    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def all(self) -> list[Record]:
        """Sorted by name; half-made directories are left out."""
        found = [self._read(path) for path in self._directory.glob("*/record.json")]
        return sorted((record for record in found if record is not None), key=lambda record: record.spec.name)

    def find(self, name: str) -> Record | None:
        return next((record for record in self.all() if record.spec.name == name), None)

    def add(self, spec: ContainerSpec, image_id: str) -> Record:
        record = Record(id=ids.short_id(), spec=spec, image_id=image_id)
        directory = self.directory(record)
        directory.mkdir(parents=True, mode=0o700)
        write_json(directory / "state.json", {"state": "created", "restarts": 0})
        self._write(record)
        return record

    def rename(self, record: Record, name: str) -> None:
        self._write(msgspec.structs.replace(record, spec=msgspec.structs.replace(record.spec, name=name)))

    def remove(self, record: Record) -> None:
        """The record first, so that a half-done removal is never seen as a container."""
        directory = self.directory(record)
        (directory / "record.json").unlink(missing_ok=True)
        shutil.rmtree(directory, ignore_errors=True)

    def directory(self, record: Record) -> Path:
        return self._directory / record.id

    def raw_state(self, record: Record) -> dict[str, Any]:
        """`state.json`, put right if it speaks of a shim that is gone."""
        path = self.directory(record) / "state.json"
        state = read_json(path) or {"state": "created"}
        if state.get("state") in ALIVE and not identity.is_same(state):
            again = read_json(path) or {}
            if again.get("pid") == state.get("pid") and again.get("state") in ALIVE:
                state = {**state, "state": "exited", "exit_code": KILLED, "pid": None, "first": None}
                write_json(path, state)
            else:
                state = again
        return state

    def state(self, record: Record) -> ServiceState:
        return _read_state(self.raw_state(record))

    def seen(self, record: Record) -> Container:
        spec, raw = record.spec, self.raw_state(record)
        return Container(
            name=spec.name,
            chute=spec.chute,
            service=spec.service,
            change_id=spec.change_id,
            image=spec.image,
            state=_read_state(raw),
            pid=raw.get("first"),
            shim=raw.get("pid") if raw["state"] in ALIVE else None,
        )

    def sweep(self) -> None:
        """Drop directories that a crash left half made or half removed."""
        for directory in self._directory.glob("*/"):
            if not (directory / "record.json").exists():
                shutil.rmtree(directory, ignore_errors=True)

    def _read(self, path: Path) -> Record | None:
        try:
            record = codec.decode_json(path.read_bytes(), Record, what=str(path))
        except (OSError, BadInputError):
            return None
        return record if record.id == path.parent.name else None

    def _write(self, record: Record) -> None:
        write_json(self.directory(record) / "record.json", codec.to_builtins(record))


def _read_state(raw: dict[str, Any]) -> ServiceState:
    return ServiceState(raw["state"], raw.get("exit_code"), raw.get("restarts", 0), raw.get("started"))


def write_json(path: Path, document: Any) -> None:
    """Replace the file in one step."""
    part = path.with_name(f"{path.name}.{ids.short_id(6)}")
    try:
        part.write_bytes(codec.encode_json(document))
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def read_json(path: Path) -> dict[str, Any] | None:
    with contextlib.suppress(OSError, ValueError):
        document = json.loads(path.read_bytes())
        if isinstance(document, dict):
            return document
    return None
