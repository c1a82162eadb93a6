"""`wayhouse chute config`: an app's specification, shown, set, edited or replaced."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from wayhouse.base.errors import BadInputError, WayhouseError
from wayhouse.cli.chute_words import Name, Wait
from wayhouse.cli.command import command
from wayhouse.cli.editor import open_editor
from wayhouse.cli.session import Session
from wayhouse.cli.watch import finish

Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Set one field, for example web.port=8080; may be repeated."
    ),
]
Edit = Annotated[bool, typer.Option("--edit", help="Edit the whole in $VISUAL or $EDITOR.")]
File = Annotated[
    str | None,
    typer.Option(
        "--file", metavar="FILE", help="Take the fields in this YAML or JSON file (- for standard input)."
    ),
]


def add_to(app: typer.Typer) -> None:
    command(app, "config")(config)


def config(
    session: Session,
    name: Name,
    settings: Set = None,
    edit: Edit = False,
    file: File = None,
    wait: Wait = True,
) -> None:
    """Show an app's specification, or change it and restart the app.

    For example:
      wayhouse chute config hello
      wayhouse chute config hello --set environment.GREETING=hi --set web.port=8000
      wayhouse chute config hello --edit
      wayhouse chute config hello --file changes.yaml
    """
    from wayhouse.api.resources import chutes
    from wayhouse.cli.specification import with_settings

    if sum((bool(settings), edit, file is not None)) > 1:
        raise BadInputError("Use one of --set, --edit and --file.")
    if file is not None:
        _apply(session, name, read_fields(file), wait=wait)
        return
    document = session.client.call(chutes.CONFIG, chute=name)
    if settings:
        _apply(session, name, with_settings(document, settings), wait=wait)
    elif edit:
        _edit(session, name, document, wait=wait)
    else:
        _show(session, document)


def read_fields(file: str) -> dict[str, Any]:
    """The mapping in a file. Raises `BadInputError`."""
    if file == "-":
        return _fields(sys.stdin.read(), "standard input")
    try:
        return _fields(Path(file).read_text(encoding="utf-8"), file)
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"{file} cannot be read as text.") from error


def _show(session: Session, document: dict[str, Any]) -> None:
    from wayhouse.base import codec

    if session.screen.json:
        session.screen.data(document)
    else:
        session.screen.line(codec.encode_yaml(document).rstrip())


def _apply(session: Session, name: str, fields: dict[str, Any], *, wait: bool) -> None:
    from wayhouse.api.resources import chutes

    change_id = session.client.call(chutes.CONFIGURE, body=fields, chute=name).change_id
    change = finish(session, change_id, wait=wait)
    if change is not None and session.screen.json:
        session.screen.data({"change": change})
    elif change is not None:
        session.screen.line(f"{name} runs with its new specification.")


def _edit(session: Session, name: str, document: dict[str, Any], *, wait: bool) -> None:
    """What was typed is never lost: after a fault the file stays, and the error says where."""
    from wayhouse.base import codec

    before = codec.encode_yaml(document)
    descriptor, path = tempfile.mkstemp(prefix=f"{name}-", suffix=".yaml")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(before)
    try:
        open_editor(path, session.env)
        fields = read_fields(path)
        if fields == document:
            session.screen.note("Nothing was changed.")
        else:
            _apply(session, name, fields, wait=wait)
    except WayhouseError as error:
        if Path(path).read_text(encoding="utf-8", errors="replace") == before:
            Path(path).unlink()
            raise
        error.message += f" Your text is kept: {session.again} chute config {name} --file {path}"
        raise
    Path(path).unlink()


def _fields(text: str, where: str) -> dict[str, Any]:
    from wayhouse.base import codec

    value = codec.decode_yaml(text, what=where)
    if not isinstance(value, dict):
        raise BadInputError(f"{where} must hold a mapping: the fields of a specification.")
    return value
