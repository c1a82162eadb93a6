"""A text in a person's own editor ($VISUAL, $EDITOR). What was typed is never lost: after a fault the file stays, and the error says
where. Used by the commands with `edit`."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from wayhouse.base.errors import BadInputError, WayhouseError


def edit(
    before: str, apply: Callable[[str], None], env: Mapping[str, str], *, prefix: str, suffix: str, again: str
) -> bool:
    """Let it be edited and `apply` what came of it; False if nothing was changed. `again`: the command that takes a file instead."""
    descriptor, path = tempfile.mkstemp(prefix=f"{prefix}-".replace("/", "_"), suffix=suffix)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(before)
    after = before
    try:
        open_editor(path, env)
        after = _read(path)
        if after != before:
            apply(after)
    except WayhouseError as error:
        if after == before:
            Path(path).unlink()
            raise
        error.message += f" Your text is kept: {again} {path}"
        raise
    Path(path).unlink()
    return after != before


def open_editor(path: str, env: Mapping[str, str]) -> None:
    """Raises `BadInputError`."""
    editor = env.get("VISUAL") or env.get("EDITOR") or "vi"
    try:
        subprocess.run([*shlex.split(editor), path], check=True)
    except FileNotFoundError as error:
        raise BadInputError(f"There is no editor {editor}. Set EDITOR, or give a file instead.") from error
    except (subprocess.CalledProcessError, ValueError) as error:
        raise BadInputError(f"The editor {editor} failed, so nothing was changed.") from error


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BadInputError(f"{path} is no UTF-8 text.") from error
