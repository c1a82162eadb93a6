"""`wayhouse user`: who may use the gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from wayhouse.cli.command import command, noun
from wayhouse.cli.figures import moment
from wayhouse.cli.secrets import new_password
from wayhouse.cli.session import Session

if TYPE_CHECKING:
    import msgspec

app = noun("user", "Users: who may use the gateway, and how far.")
Name = Annotated[str, typer.Argument(metavar="NAME", help="The user's name.")]
FromInput = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]
ROLES = "guest, user, trusted, admin or owner"


def add_to(parent: typer.Typer) -> None:
    parent.add_typer(app)


@command(app, "ls")
def ls(session: Session) -> None:
    """List the users.

    For example:
      wayhouse user ls
    """
    from wayhouse.api.resources import auth

    found = session.client.call(auth.USERS)
    if session.screen.json:
        session.screen.data(found)
        return
    rows = [(one.name, one.role, moment(one.created)) for one in found]
    session.screen.table(("NAME", "ROLE", "MADE"), rows, empty="No users.")


@command(app, "add")
def add(
    session: Session,
    name: Name,
    role: Annotated[str, typer.Option(metavar="ROLE", help=f"What the user may do: {ROLES}.")] = "user",
    password_stdin: FromInput = False,
) -> None:
    """Add a user; asks for the password.

    For example:
      wayhouse user add ann --role trusted
      wayhouse user add ben --password-stdin < password.txt
    """
    from wayhouse.api import wire
    from wayhouse.api.resources import auth

    password = new_password(session.screen, name, from_input=password_stdin)
    made = session.client.call(auth.ADD_USER, body=wire.NewUser(name, password, role))
    _say(session, made, f"{made.name} may use the gateway as {made.role}.")


@command(app, "role")
def set_role(
    session: Session, name: Name, role: Annotated[str, typer.Argument(metavar="ROLE", help=f"{ROLES}.")]
) -> None:
    """Change what a user may do.

    For example:
      wayhouse user role ann admin
    """
    from wayhouse.api import wire
    from wayhouse.api.resources import auth

    changed = session.client.call(auth.CHANGE_USER, body=wire.UserChange(role=role), user=name)
    _say(session, changed, f"{changed.name} is {changed.role} now.")


@command(app, "password")
def set_password(session: Session, name: Name, password_stdin: FromInput = False) -> None:
    """Change a user's password; asks for it. All sessions of the user end.

    For example:
      wayhouse user password ann
    """
    from wayhouse.api import wire
    from wayhouse.api.resources import auth

    password = new_password(session.screen, name, from_input=password_stdin)
    done = session.client.call(auth.CHANGE_PASSWORD, body=wire.PasswordChange(password, name))
    _say(session, done, f"{name} has a new password.")


@command(app, "rm")
def rm(session: Session, name: Name) -> None:
    """Remove a user.

    For example:
      wayhouse user rm ann
    """
    from wayhouse.api.resources import auth

    done = session.client.call(auth.REMOVE_USER, user=name)
    _say(session, done, f"{name} is removed.")


def _say(session: Session, answer: msgspec.Struct, sentence: str) -> None:
    if session.screen.json:
        session.screen.data(answer)
    else:
        session.screen.line(sentence)
