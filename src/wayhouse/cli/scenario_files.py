"""`wayhouse scenario add`, `edit`, `export`, `import`: scenarios as files to write, keep and share."""

from __future__ import annotations

import enum
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wayhouse.base.errors import BadInputError
from wayhouse.cli.command import command
from wayhouse.cli.editor import edit as edit_text
from wayhouse.cli.scenario_words import Name, read_file, say_view
from wayhouse.cli.session import Session

if TYPE_CHECKING:
    from wayhouse.automation.importing import Imported


class Form(enum.StrEnum):
    TOML = "toml"
    JSON = "json"
    STORE = "store"


Replace = Annotated[bool, typer.Option("--replace", help="In place of one of the same name.")]


def add_to(app: typer.Typer) -> None:
    command(app, "add")(add)
    command(app, "edit")(edit)
    command(app, "export")(export)
    command(app, "import")(take_in)


def add(
    session: Session,
    file: Annotated[str, typer.Argument(metavar="FILE", help="TOML or JSON; - for standard input.")],
    enable: Annotated[bool, typer.Option("--enable", help="Wake it at once.")] = False,
    replace: Replace = False,
) -> None:
    """Add a scenario from a file. It sleeps until it is enabled.

    For example:
      wayhouse scenario add lights.toml
      wayhouse scenario add lights.toml --enable
      wayhouse scenario add lights.toml --replace
    """
    from wayhouse.api.resources import scenarios

    done = _send(session, read_file(file), replace=replace)
    if len(done.added) != 1:
        _say_imported(session, done)
        return
    name = done.added[0]
    if enable:
        say_view(session, session.client.call(scenarios.ENABLE, name=name), "is added and awake")
        return
    say_view(session, session.client.call(scenarios.GET, name=name).view, "is added")
    quoted = shlex.quote(name)
    session.screen.note(
        f"It sleeps. Try it: {session.again} scenario run {quoted}; wake it: {session.again} scenario enable {quoted}"
    )


def edit(session: Session, name: Name) -> None:
    """Edit a scenario's file in $VISUAL or $EDITOR.

    For example:
      wayhouse scenario edit lights
      EDITOR=nano wayhouse scenario edit lights
    """
    from wayhouse.api.resources import scenarios
    from wayhouse.automation import scenario_file

    before = scenario_file.write_toml(session.client.call(scenarios.GET, name=name).scenario)

    def apply(text: str) -> None:
        view = session.client.call(scenarios.UPDATE, body=scenario_file.read(text), name=name)
        say_view(session, view, "is changed")

    again = f"{session.again} scenario add --replace"
    if not edit_text(before, apply, session.env, prefix=name, suffix=".toml", again=again):
        session.screen.note("Nothing was changed.")


def export(
    session: Session,
    name: Name,
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="Where to; without it, standard output.")
    ] = None,
    form: Annotated[Form, typer.Option("--form", help="TOML, JSON, or RasPy's store.")] = Form.TOML,
    whole: Annotated[
        bool,
        typer.Option("--whole", help="With what was set here, and awake if it is: a backup, not to share."),
    ] = False,
) -> None:
    """Write a scenario to a file that others can import. What was set here stays here.

    For example:
      wayhouse scenario export lights lights.toml
      wayhouse scenario export lights backup.toml --whole
    """
    from wayhouse.api.resources import scenarios

    text = session.client.call(
        scenarios.EXPORT, query={"format": form.value, "whole": 1 if whole else 0}, name=name
    )
    if file is None:
        session.screen.out.write(text if text.endswith("\n") else text + "\n")
        session.screen.out.flush()
        return
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInputError(f"{file} cannot be written: {error.strerror}.") from error
    if session.screen.json:
        session.screen.data({"file": str(file)})
    else:
        session.screen.line(f"{name} is in {file}.")


def take_in(
    session: Session,
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="TOML, JSON or a store; - for standard input.")
    ],
    replace: Replace = False,
    as_it_was: Annotated[
        bool,
        typer.Option("--as-it-was", help="Those that were awake are awake at once: for your own backups."),
    ] = False,
) -> None:
    """Take scenarios from files, also from an old RasPy store. They sleep until they are enabled.

    For example:
      wayhouse scenario import lights.toml heating.toml
      wayhouse scenario import backup.toml --as-it-was --replace
    """
    texts = [read_file(file) for file in files]
    done = [_send(session, text, replace=replace, as_it_was=as_it_was) for text in texts]
    for one in done:
        _say_imported(session, one)
    if any(one.refused and not one.added for one in done):
        raise typer.Exit(1)


def _send(session: Session, text: str, *, replace: bool, as_it_was: bool = False) -> Imported:
    from wayhouse.api.resources import scenarios

    query = {"replace": 1 if replace else 0, "as_it_was": 1 if as_it_was else 0}
    return session.client.upload(scenarios.IMPORT, text.encode(), "text/plain; charset=utf-8", query=query)


def _say_imported(session: Session, done: Imported) -> None:
    if session.screen.json:
        session.screen.data_line(done)
        return
    for name in done.added:
        session.screen.line(f"{name} is added.")
    for name, reason in done.refused.items():
        session.screen.note(f"{name} is not: {reason}")
