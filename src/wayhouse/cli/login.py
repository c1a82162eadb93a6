"""`wayhouse login`, `logout`, `whoami`, `sign-in`: as whom commands go to a gateway of another machine."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from wayhouse.base.errors import BadInputError
from wayhouse.cli.command import command
from wayhouse.cli.secrets import ask_password
from wayhouse.cli.session import Session

if TYPE_CHECKING:
    from wayhouse.api.client_transport import Place, Trust

HERE = "http://127.0.0.1:8080"
DEFAULT_USER = "paradrop"

Address = Annotated[str | None, typer.Argument(metavar="URL", help=f"The gateway's address ({HERE}).")]


def add_to(app: typer.Typer) -> None:
    command(app, "login")(login)
    command(app, "logout")(logout)
    command(app, "whoami")(whoami)
    command(app, "sign-in")(sign_in)


def login(
    session: Session,
    url: Address = None,
    user: Annotated[str | None, typer.Option(metavar="NAME", help="The user's name.")] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
    with_token: Annotated[
        bool, typer.Option("--with-token", help="Read a token from standard input instead.")
    ] = False,
    code: Annotated[str | None, typer.Option(metavar="CODE", help="Sign in with a one-time code.")] = None,
) -> None:
    """Sign in to a gateway and remember it.

    Address, session and certificate are kept in a file that only you can read. Later commands go there when no gateway runs on this machine, or with --gateway URL. A certificate that nobody
    vouches for is shown and asked about once, and only that one is taken from then on.

    For example:
      wayhouse login http://192.168.1.1:8080
      wayhouse login https://gateway:8080 --user admin --fingerprint AB:CD:...
      wayhouse login https://gateway:8080 --with-token < token.txt
    """
    from wayhouse.api.client_transport import Place
    from wayhouse.cli.logins import Login, Logins

    place = Place.parse(url or session.wanted.gateway or HERE)
    if place.scheme == "unix":
        raise BadInputError("The gateway's own socket needs no sign-in; it knows you by your user id.")
    if sum((password_stdin, with_token, code is not None)) > 1:
        raise BadInputError("Use one of --password-stdin, --with-token and --code.")
    trust = _trust(session, place)
    token = _token(session, place, trust, user, password_stdin, with_token, code)
    name, role = _who(place, trust, token)
    Logins.of(session.env).save(
        str(place), Login(user=name, token=token, fingerprint=trust.fingerprint, insecure=trust.insecure)
    )
    _welcome(session, place, name, role)


def logout(session: Session, url: Address = None) -> None:
    """Forget a sign-in (the last one, unless an address is given).

    For example:
      wayhouse logout
      wayhouse logout http://192.168.1.1:8080
    """
    from wayhouse.api.client_transport import Place
    from wayhouse.cli.logins import Logins

    logins = Logins.of(session.env)
    given = url or session.wanted.gateway
    address = str(Place.parse(given)) if given else logins.current
    if address is None or not logins.forget(address):
        raise BadInputError(
            f"You are not signed in to {address}." if address else "You are not signed in anywhere."
        )
    if session.screen.json:
        session.screen.data({"gateway": address, "signed_in": False})
    else:
        session.screen.line(f"Signed out of {address}.")


def whoami(session: Session) -> None:
    """Say which gateway commands go to, and as whom.

    For example:
      wayhouse whoami
    """
    from wayhouse.api.resources import auth

    me = session.client.call(auth.ME)
    place = str(session.choice.place)
    if session.screen.json:
        session.screen.data({"gateway": place, "name": me.name, "domain": me.domain, "role": me.role})
    else:
        session.screen.lines([("Gateway", place), ("User", me.name), ("Role", me.role)])


def sign_in(session: Session) -> None:
    """Make a link that signs a browser in as you, once, within an hour.

    For example:
      wayhouse sign-in
    """
    from wayhouse.api.resources import auth
    from wayhouse.cli.page import page_address

    path = session.client.call(auth.NEW_LINK).path
    address = page_address(session) + path
    if session.screen.json:
        session.screen.data({"url": address, "path": path})
    else:
        session.screen.line(address)


def _trust(session: Session, place: Place) -> Trust:
    """How to trust the place: as the options say, as its authorities say, or after asking a person."""
    from wayhouse.api.client_errors import UntrustedError
    from wayhouse.api.client_transport import (
        Trust,
        connect,
        fingerprint_of,
        read_fingerprint,
        show_fingerprint,
    )

    wanted = session.wanted
    if place.scheme != "https" or wanted.insecure:
        return Trust(insecure=wanted.insecure and place.scheme == "https")
    if wanted.fingerprint is not None:
        return Trust(read_fingerprint(wanted.fingerprint))
    try:
        connect(place, Trust(), wait_s=10.0).close()
    except UntrustedError as error:
        shown = fingerprint_of(place)
        session.screen.note(f"{error.message}\nIts SHA-256 fingerprint is:\n  {show_fingerprint(shown)}")
        question = "Compare it with what `wayhouse up` printed on the gateway. Trust it?"
        otherwise = f"If that is the gateway's own certificate, add --fingerprint {show_fingerprint(shown)}"
        if not session.screen.confirm(question, otherwise=otherwise):
            raise typer.Exit(1) from None
        return Trust(shown)
    return Trust()


def _token(
    session: Session,
    place: Place,
    trust: Trust,
    user: str | None,
    password_stdin: bool,
    with_token: bool,
    code: str | None,
) -> str:
    from wayhouse.api import wire
    from wayhouse.api.client import Client
    from wayhouse.api.resources import auth

    client = Client(place, trust=trust)
    if with_token:
        return _from_input("token")
    if code is not None:
        return client.call(auth.LINK, body=wire.LinkCode(code)).token
    name = user or _ask_name(session)
    password = (
        _from_input("password") if password_stdin else ask_password(session.screen, f"Password of {name}")
    )
    return client.call(auth.LOGIN, body=wire.Login(name, password)).token


def _who(place: Place, trust: Trust, token: str) -> tuple[str, str]:
    from wayhouse.api.client import Client
    from wayhouse.api.resources import auth

    me = Client(place, token=token, trust=trust).call(auth.ME)
    return me.name, me.role


def _ask_name(session: Session) -> str:
    if not session.screen.can_ask:
        return DEFAULT_USER
    session.screen.err.write(f"User [{DEFAULT_USER}]: ")
    session.screen.err.flush()
    return sys.stdin.readline().strip() or DEFAULT_USER


def _from_input(what: str) -> str:
    text = sys.stdin.readline(65536).strip("\r\n")
    if not text or not text.isprintable():
        raise BadInputError(f"Standard input holds no {what}.")
    return text


def _welcome(session: Session, place: Place, name: str, role: str) -> None:
    from wayhouse.cli.choice import answers, local_sockets

    if session.screen.json:
        session.screen.data({"gateway": str(place), "name": name, "role": role})
        return
    session.screen.line(f"Signed in to {place} as {name} ({role}).")
    if any(answers(path) for path in local_sockets(session.env)):
        session.screen.note(
            f"A gateway of this machine runs too, and commands go to it. For the other: export WAYHOUSE_GATEWAY={place}"
        )
