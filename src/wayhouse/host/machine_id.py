"""The node id (`pdid`): the name that a controller knows this gateway by; empty until it is provisioned.

Kept in the file `<config>/node-id`, one line. Sessions carry it as their issuer.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from wayhouse.base import ids
from wayhouse.base.errors import BadInputError, PermanentError

_FORM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class NodeId:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._value = _read(path)

    def current(self) -> str:
        return self._value

    def change(self, value: str) -> None:
        """Write the id, whole or not at all; "" forgets it. Raises `BadInputError`."""
        if value and not _FORM.fullmatch(value):
            raise BadInputError(
                "A node id is 1 to 128 letters, digits, dots, dashes and underscores.", path="pdid"
            )
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_name(f".{self._path.name}.{ids.short_id()}")
        try:
            with draft.open("x", encoding="ascii") as file:
                file.write(f"{value}\n")
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)
        finally:
            draft.unlink(missing_ok=True)
        self._value = value


def _read(path: Path) -> str:
    try:
        text = path.read_bytes()[:1024].decode("utf-8", "replace").strip()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise PermanentError(f"The node id in {path} cannot be read: {error.strerror}.") from error
    if text and not _FORM.fullmatch(text):
        raise PermanentError(
            f"{path} holds no node id. Correct it, or remove it and provision this gateway again."
        )
    return text
